// Two hands near each other, placed together, as in src/knuckle/pose/pair.py.

import {
  CropView, clamp, dot, extentOf, minus, plus, times, type Vec2, type Vec3,
} from "./geometry.js";
import type { Look } from "./look.js";
import { placeTogether, weakPerspectiveDepth, type Evidence } from "./placement.js";
import { constant } from "./told.js";

/** A hand before it is placed: the look, what is known, and how it was looked at. */
export type Shape = { look: Look; evidence: Evidence; view: CropView };

/** Numbers of a right and of a left hand near each other, and how near (0..1). */
export type Couple = { right: number; left: number; nearness: number };

/** What the pair network is asked about one couple by one of its hands. */
export type Question = { joints_mm: number[]; sigma_mm: number[]; rays: number[]; sigma: number[] };
/** What it says: the other wrist from the own one, in the own hand's view. */
export type Answer = { apart: Vec3; sigma: Vec3 };

/** Hands that belong together, each at most once, the nearest ones first. */
export function findCouples(shapes: readonly Shape[]): Couple[] {
  const depths = shapes.map(({ evidence }) => weakPerspectiveDepth(evidence.joints, evidence.rays));
  const found: Couple[] = [];
  shapes.forEach(({ look }, right) => {
    shapes.forEach((other, left) => {
      if (look.side !== "right" || other.look.side !== "left") return;
      const nearness = pictureNearness(look.pointsPx, other.look.pointsPx);
      if (nearness > 0) found.push({ right, left, nearness });
    });
  });
  const couples: Couple[] = [];
  for (const couple of found.sort((a, b) => b.nearness - a.nearness)) {
    if (couples.some((c) => c.right === couple.right || c.left === couple.left)) continue;
    const apart = Math.abs(Math.log(depths[couple.right] / depths[couple.left]));
    const nearness = couple.nearness * falling(apart, "_SAME_DEPTH", "_OTHER_DEPTH");
    if (nearness > 0) couples.push({ ...couple, nearness });
  }
  return couples;
}

/** What to ask about a couple, in the axes of the own hand's view. */
export function question(own: Shape, other: Shape): Question {
  const both = [own, other];
  const inView = (point: Vec3) => own.view.toView(point);
  const ray = (point: Vec2): Vec2 => {
    const [x, y, z] = inView([point[0], point[1], 1]);
    return [x / z, y / z];
  };
  return {
    joints_mm: both.flatMap(({ evidence }) => evidence.joints.flatMap(inView)),
    sigma_mm: both.flatMap(({ evidence }) => evidence.sigmaMm),
    rays: both.flatMap(({ evidence }) => evidence.rays.flatMap(ray)),
    sigma: both.flatMap(({ look, view }) => look.said.sigma.map((s) => s * view.raysPerPx)),
  };
}

/** The wrists after a couple was asked about, first by its right hand and then by its left one. */
export function placeCouple(
  shapes: readonly Shape[],
  roots: readonly Vec3[],
  { right, left, nearness }: Couple,
  answers: readonly Answer[],
): Vec3[] {
  const both = [right, left];
  const alone = both.map((i) => roots[i]);
  const offset = agreed(both.map((i) => shapes[i].view), answers);
  let behind = alone[1][2] - alone[0][2];
  behind += nearness * (offset[2] - behind);
  const together = placeTogether(both.map((i) => shapes[i].evidence), alone, behind);
  const placed = [...roots];
  both.forEach((i, k) => {
    placed[i] = plus(alone[k], times(minus(together[k], alone[k]), nearness));
  });
  return placed;
}

/** From the right wrist to the left one: what both hands say, by their certainty. */
function agreed(views: readonly CropView[], answers: readonly Answer[]): Vec3 {
  const total: [Vec3, Vec3, Vec3] = [[0, 0, 0], [0, 0, 0], [0, 0, 0]];
  const weighted: Vec3 = [0, 0, 0];
  views.forEach((view, k) => {
    const said = view.toCamera(times(answers[k].apart, k === 0 ? 1 : -1));
    view.axes.forEach((axis, a) => {
      const certainty = 1 / answers[k].sigma[a] ** 2;
      const along = dot(axis, said) * certainty;
      for (let i = 0; i < 3; i++) {
        weighted[i] += along * axis[i];
        for (let j = 0; j < 3; j++) total[i][j] += certainty * axis[i] * axis[j];
      }
    });
  });
  return solved(total, weighted);
}

/** Cramer's rule. */
function solved([a, b, c]: [Vec3, Vec3, Vec3], right: Vec3): Vec3 {
  const det = (x: Vec3, y: Vec3, z: Vec3) =>
    x[0] * (y[1] * z[2] - y[2] * z[1]) - x[1] * (y[0] * z[2] - y[2] * z[0]) + x[2] * (y[0] * z[1] - y[1] * z[0]);
  const whole = det(a, b, c); // symmetric: rows are columns
  return [det(right, b, c) / whole, det(a, right, c) / whole, det(a, b, right) / whole];
}

function pictureNearness(points: readonly Vec2[], others: readonly Vec2[]): number {
  const gap = Math.min(
    ...points.flatMap(([x, y]) => others.map(([u, v]) => Math.hypot(x - u, y - v))),
  );
  return falling(gap / Math.max(extentOf(points), extentOf(others), 1), "_NEAR", "_FAR");
}

/** 1 up to the first constant, 0 from the second on. */
function falling(value: number, from: string, to: string): number {
  const [start, end] = [constant("pose.pair", from), constant("pose.pair", to)];
  return clamp((end - value) / (end - start), 0, 1);
}
