// Crops, letterboxes and views, as in src/knuckle/crop.py; pixel (0, 0) is a pixel's centre.

import { constant, told, type Side } from "./told.js";

export type Vec2 = [number, number];
export type Vec3 = [number, number, number];
/** Rows of a (2, 3) map of homogeneous pixels. */
export type Affine = [number, number, number, number, number, number];
export type Box = { x0: number; y0: number; x1: number; y1: number };
/** Columns x, y and z of an orthogonal matrix. */
export type Axes = [Vec3, Vec3, Vec3];

export const clamp = (value: number, low: number, high: number): number =>
  Math.min(Math.max(value, low), high);
export const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
export const dot = (a: Vec3, b: Vec3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const minus = (a: Vec3, b: Vec3): Vec3 => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const plus = (a: Vec3, b: Vec3): Vec3 => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const times = (a: Vec3, k: number): Vec3 => [a[0] * k, a[1] * k, a[2] * k];
export const cross = (a: Vec3, b: Vec3): Vec3 => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
const unit = (a: Vec3): Vec3 => times(a, 1 / Math.hypot(...a));

export function boxAround(points: readonly Vec2[]): Box {
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  return { x0: Math.min(...xs), y0: Math.min(...ys), x1: Math.max(...xs), y1: Math.max(...ys) };
}

export function middleOf(points: readonly Vec2[]): Vec2 {
  const { x0, y0, x1, y1 } = boxAround(points);
  return [(x0 + x1) / 2, (y0 + y1) / 2];
}

/** Longer side of the box around points. */
export function extentOf(points: readonly Vec2[]): number {
  const { x0, y0, x1, y1 } = boxAround(points);
  return Math.max(x1 - x0, y1 - y0);
}

export function apply([a, b, c, d, e, f]: Affine, [x, y]: Vec2): Vec2 {
  return [a * x + b * y + c, d * x + e * y + f];
}

export function inverse([a, b, c, d, e, f]: Affine): Affine {
  const det = a * e - b * d;
  const [ia, ib, id, ie] = [e / det, -b / det, -d / det, a / det];
  return [ia, ib, -(ia * c + ib * f), id, ie, -(id * c + ie * f)];
}

/** A pinhole camera of square pixels that looks through the middle of the picture. */
export class Camera {
  readonly focal: number;
  readonly cx: number;
  readonly cy: number;

  constructor(width: number, height: number, diagonalDeg: number) {
    this.focal = Math.hypot(width, height) / 2 / Math.tan((diagonalDeg * Math.PI) / 360);
    [this.cx, this.cy] = [(width - 1) / 2, (height - 1) / 2];
  }

  static assumed(width: number, height: number): Camera {
    return new Camera(width, height, constant("camera", "ASSUMED_DIAGONAL_FOV_DEG"));
  }

  ray([x, y]: Vec2): Vec2 {
    return [(x - this.cx) / this.focal, (y - this.cy) / this.focal];
  }

  project([x, y, z]: Vec3): Vec2 {
    return [(x / z) * this.focal + this.cx, (y / z) * this.focal + this.cy];
  }
}

/** A square of the frame, turned so that the hand points up, mirrored for a left hand. */
export class Crop {
  readonly frameFromCrop: Affine;
  readonly cropFromFrame: Affine;

  constructor(
    readonly centre: Vec2,
    readonly size: number,
    readonly angle: number,
    readonly mirror: boolean,
    readonly outSize: number,
  ) {
    const scale = size / outSize;
    const [sin, cos] = [Math.sin(angle) * scale, Math.cos(angle) * scale];
    const [a, b, d, e] = mirror ? [-cos, -sin, -sin, cos] : [cos, -sin, sin, cos];
    const middle = (outSize - 1) / 2;
    const [c, f] = [centre[0] - (a + b) * middle, centre[1] - (d + e) * middle];
    this.frameFromCrop = [a, b, c, d, e, f];
    this.cropFromFrame = inverse(this.frameFromCrop);
  }

  /** The crop of a hand whose joints are known. */
  static fromJoints(joints: readonly Vec2[], side: Side, outSize: number): Crop {
    const knuckles = told().hand.knuckles.map((k) => joints[k]);
    const [wristX, wristY] = joints[0];
    const right = mean(knuckles.map((k) => k[0])) - wristX;
    const down = mean(knuckles.map((k) => k[1])) - wristY;
    const angle = Math.atan2(right, -down);
    const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
    const turned = joints.map(([x, y]): Vec2 => [cos * x + sin * y, -sin * x + cos * y]);
    const [x, y] = middleOf(turned);
    const size = Math.max(extentOf(turned), 1) * constant("crop", "MARGIN");
    return new Crop([cos * x - sin * y, sin * x + cos * y], size, angle, side === "left", outSize);
  }

  /** The least square of the same direction that reaches farther, by shares of its side. */
  grown(left: number, top: number, right: number): Crop {
    const [sin, cos] = [Math.sin(this.angle), Math.cos(this.angle)];
    const up = (top / 2) * this.size;
    const across = ((right - left) / 2) * this.size * (this.mirror ? -1 : 1);
    const [x, y] = this.centre;
    const centre: Vec2 = [x + cos * across + sin * up, y + sin * across - cos * up];
    const size = Math.max(1 + left + right, 1 + top) * this.size;
    return new Crop(centre, size, this.angle, this.mirror, this.outSize);
  }

  /** The same square with another number of pixels. */
  sampledTo(outSize: number): Crop {
    return new Crop(this.centre, this.size, this.angle, this.mirror, outSize);
  }

  equals(other: Crop): boolean {
    return (
      this.centre[0] === other.centre[0] &&
      this.centre[1] === other.centre[1] &&
      this.size === other.size &&
      this.angle === other.angle &&
      this.mirror === other.mirror
    );
  }

  toFrame(point: Vec2): Vec2 {
    return apply(this.frameFromCrop, point);
  }

  toCrop(point: Vec2): Vec2 {
    return apply(this.cropFromFrame, point);
  }
}

/** The whole frame in the middle of a box: what the detector sees. */
export class Letterbox {
  readonly boxSize: Vec2;
  readonly contentSize: Vec2;
  readonly offset: Vec2;
  readonly scale: Vec2;

  constructor(
    readonly frameSize: Vec2,
    readonly size: number,
    step: number | null,
  ) {
    const scale = size / Math.max(...frameSize);
    this.contentSize = frameSize.map((n) => Math.max(1, roundHalfEven(n * scale))) as Vec2;
    this.boxSize = this.contentSize.map((n) =>
      step === null ? size : Math.min(size, Math.ceil(n / step) * step),
    ) as Vec2;
    this.offset = [0, 1].map((i) => Math.floor((this.boxSize[i] - this.contentSize[i]) / 2)) as Vec2;
    this.scale = [0, 1].map((i) => this.contentSize[i] / frameSize[i]) as Vec2;
  }

  toFrame([x, y]: Vec2): Vec2 {
    return [
      (x - this.offset[0] + 0.5) / this.scale[0] - 0.5,
      (y - this.offset[1] + 0.5) / this.scale[1] - 0.5,
    ];
  }
}

/** A camera turned to look straight at a crop: what the lifter sees. */
export class CropView {
  private readonly viewFromCrop: Axes; // columns: of crop x, of crop y, of one
  readonly axes: Axes; // of the view, in the camera frame
  readonly raysPerPx: number;

  constructor(crop: Crop, camera: Camera) {
    const middle = (crop.outSize - 1) / 2;
    const ahead = (x: number, y: number): Vec3 => [
      ...camera.ray(crop.toFrame([middle + x, middle + y])),
      1,
    ];
    const forward = ahead(0, 0);
    const [right, down] = [minus(ahead(1, 0), forward), minus(ahead(0, 1), forward)];
    const z = unit(forward);
    const y = unit(minus(down, times(z, dot(down, z))));
    const x = times(cross(y, z), crop.mirror ? -1 : 1);
    this.axes = [x, y, z];
    const corner = minus(forward, times(plus(right, down), middle));
    this.viewFromCrop = [this.toView(right), this.toView(down), this.toView(corner)];
    const area = Math.abs(dot(cross(right, down), forward)) / dot(forward, forward) ** 1.5;
    this.raysPerPx = Math.sqrt(area);
  }

  ray([x, y]: Vec2): Vec2 {
    const [right, down, corner] = this.viewFromCrop;
    const [a, b, c] = plus(plus(times(right, x), times(down, y)), corner);
    return [a / c, b / c];
  }

  toCamera([x, y, z]: Vec3): Vec3 {
    return plus(plus(times(this.axes[0], x), times(this.axes[1], y)), times(this.axes[2], z));
  }

  toView(point: Vec3): Vec3 {
    return [dot(point, this.axes[0]), dot(point, this.axes[1]), dot(point, this.axes[2])];
  }
}

/** As Python rounds. */
function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}
