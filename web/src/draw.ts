// Hands on the picture, and in space.

import { times, type Vec2, type Vec3 } from "./geometry.js";
import { sizeOf, type Frame } from "./messages.js";
import { told } from "./told.js";
import type { TrackedHand } from "./track.js";

const WRIST = "#f5f5f5";
const GROUND = "#0c0c0f";
const OUTLINE = "#121216";

/** The picture with the hands on it; a hidden joint is hollow. */
export function drawPicture(
  canvas: HTMLCanvasElement,
  picture: Frame,
  hands: readonly TrackedHand[],
  mirrored: boolean,
): void {
  const [width, height] = sizeOf(picture);
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) return;
  context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? width : 0, 0);
  context.drawImage(picture, 0, 0, width, height);
  const line = Math.max(width, height) / 320;
  for (const hand of hands) {
    // A pixel's centre is half a pixel from its corner, where canvases begin to count.
    const points = hand.jointsPx.map(([x, y]): Vec2 => [x + 0.5, y + 0.5]);
    drawBones(context, points, line);
    drawJoints(context, points, hand.visible, 1.3 * line);
  }
}

/** Looks at the hands in space from a direction that the visitor turns. */
export class Space {
  private yaw = 0.5;
  private pitch = 0.25;
  private middle: Vec3 | undefined;
  private hands: readonly TrackedHand[] = [];

  constructor(private readonly canvas: HTMLCanvasElement) {
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      this.yaw += event.movementX / 150;
      this.pitch = Math.min(Math.max(this.pitch + event.movementY / 150, -1.5), 1.5);
      this.draw(this.hands);
    });
  }

  draw(hands: readonly TrackedHand[]): void {
    this.hands = hands;
    const context = this.canvas.getContext("2d", { alpha: false });
    if (!context) return;
    const { width, height } = this.canvas;
    context.fillStyle = GROUND;
    context.fillRect(0, 0, width, height);
    if (!hands.length) return;
    const joints = hands.flatMap((hand) => hand.jointsMm);
    const now = times(joints.reduce((a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]]), 1 / joints.length);
    const before = this.middle ?? now;
    this.middle = before.map((v, i) => v + 0.15 * (now[i] - v)) as Vec3; // does not tremble along
    this.floor(context);
    for (const hand of [...hands].sort((a, b) => b.jointsMm[0][2] - a.jointsMm[0][2])) {
      const points = hand.jointsMm.map((joint) => this.seen(joint));
      drawBones(context, points, 5);
      drawJoints(context, points, hand.jointsMm.map(() => true), 5);
      context.fillStyle = WRIST;
      context.font = "13px system-ui, sans-serif";
      const [x, y] = points[0];
      context.fillText(`${hand.side}, ${(hand.jointsMm[0][2] / 10).toFixed(0)} cm away`, x + 12, y + 5);
    }
  }

  /** A grid of 100 mm below the hands. */
  private floor(context: CanvasRenderingContext2D): void {
    const [x, y, z] = this.middle as Vec3;
    const grid = new Path2D();
    const line = (from: Vec3, to: Vec3) => {
      grid.moveTo(...this.seen(from));
      grid.lineTo(...this.seen(to));
    };
    for (let i = -3; i <= 3; i++) {
      line([x + 100 * i, y + 160, z - 300], [x + 100 * i, y + 160, z + 300]);
      line([x - 300, y + 160, z + 100 * i], [x + 300, y + 160, z + 100 * i]);
    }
    stroke(context, grid, "#2a2a2d", 1);
  }

  private seen(point: Vec3): Vec2 {
    const [x, y, z] = point.map((v, i) => v - (this.middle as Vec3)[i]);
    const [sin, cos] = [Math.sin(this.yaw), Math.cos(this.yaw)];
    const [right, away] = [cos * x + sin * z, cos * z - sin * x];
    const [up, near] = [Math.sin(this.pitch), Math.cos(this.pitch)];
    const scale = (900 / (900 + near * away + up * y)) * (this.canvas.height / 480);
    const down = near * y - up * away;
    return [this.canvas.width / 2 + right * scale, this.canvas.height / 2 + down * scale];
  }
}

function drawBones(context: CanvasRenderingContext2D, points: readonly Vec2[], width: number): void {
  [context.lineCap, context.lineJoin] = ["round", "round"];
  const { parents } = told().hand;
  const [outline, fingers] = [new Path2D(), new Map<string, Path2D>()];
  parents.forEach((parent, joint) => {
    if (joint === 0) return;
    const colour = colourOf(joint);
    if (!fingers.has(colour)) fingers.set(colour, new Path2D());
    for (const path of [outline, fingers.get(colour) as Path2D]) {
      if (parent !== joint - 1 || parent === 0) path.moveTo(...points[parent]);
      path.lineTo(...points[joint]);
    }
  });
  // A finger is one line: browsers without a graphics card take their time over each.
  stroke(context, outline, OUTLINE, 1.8 * width);
  for (const [colour, path] of fingers) stroke(context, path, colour, width);
}

function stroke(context: CanvasRenderingContext2D, path: Path2D, colour: string, width: number): void {
  [context.strokeStyle, context.lineWidth] = [colour, width];
  context.stroke(path);
}

function drawJoints(
  context: CanvasRenderingContext2D,
  points: readonly Vec2[],
  solid: readonly boolean[],
  radius: number,
): void {
  points.forEach(([x, y], joint) => {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = solid[joint] ? colourOf(joint) : OUTLINE;
    context.fill();
    context.strokeStyle = solid[joint] ? OUTLINE : colourOf(joint);
    context.lineWidth = radius / 3;
    context.stroke();
  });
}

function colourOf(joint: number): string {
  if (joint === 0) return WRIST;
  const colours = told().hand.finger_colours;
  const perFinger = (told().hand.joints.length - 1) / colours.length;
  return `rgb(${colours[Math.floor((joint - 1) / perFinger)].join(" ")})`;
}
