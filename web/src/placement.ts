// Where hands of known shape stand, in closed form, as in src/knuckle/pose/placement.py, which
// derives it.

import { clamp, mean, type Vec2, type Vec3 } from "./geometry.js";
import { constant } from "./told.js";

/** What is known of a hand before it is placed. */
export type Evidence = {
  joints: Vec3[]; // mm from the wrist, axes of the camera
  sigmaMm: number[];
  rays: Vec2[];
  sigmaRays: number[];
};

/** The wrist in the camera frame, mm. */
export function place(evidence: Evidence): Vec3 {
  const { joints, rays } = evidence;
  const across = sigmaAcross(evidence.sigmaMm);
  const offsets = offsetsOf(joints, rays);
  let root = medianSolution(offsets, rays, evidence.sigmaRays);
  for (let step = 0; step < constant("pose.placement", "_STEPS"); step++) {
    root = inFront(root, offsets, joints, rays);
    const weights = weightsOf(root, evidence, joints, offsets, across);
    root = solve([{ offsets, rays, weights }])[0];
  }
  return inFront(root, offsets, joints, rays);
}

/** The wrists of two hands, the second `behind` mm farther away than the first; or as they were. */
export function placeTogether(both: Evidence[], roots: Vec3[], behind: number): Vec3[] {
  const deeper = [0, behind];
  const hands = both.map((evidence, i) => {
    const joints = evidence.joints.map(([x, y, z]): Vec3 => [x, y, z + deeper[i]]);
    return { evidence, joints, rays: evidence.rays, offsets: offsetsOf(joints, evidence.rays), weights: [] as number[] };
  });
  let placed = roots.map(([x, y, z], i): Vec3 => [x, y, z - deeper[i]]);
  for (let step = 0; step < constant("pose.placement", "_STEPS"); step++) {
    hands.forEach((hand, i) => {
      const across = sigmaAcross(hand.evidence.sigmaMm);
      hand.weights = weightsOf(placed[i], hand.evidence, hand.joints, hand.offsets, across);
    });
    placed = solve(hands);
  }
  const front = Math.min(...hands.flatMap((hand) => hand.joints.map((joint) => joint[2])));
  const nearest = constant("pose.placement", "MIN_DEPTH_MM") - front;
  const depth = placed[0][2];
  if (!(depth >= nearest && depth <= constant("pose.placement", "MAX_DEPTH_MM"))) return roots;
  return placed.map(([x, y, z], i): Vec3 => [x, y, z + deeper[i]]);
}

/** Joints in the camera frame, each between its lifted place and its ray. */
export function fuse({ joints, sigmaMm, rays, sigmaRays }: Evidence, root: Vec3): Vec3[] {
  const across = sigmaAcross(sigmaMm);
  return joints.map((joint, j): Vec3 => {
    const [x, y, z] = [joint[0] + root[0], joint[1] + root[1], joint[2] + root[2]];
    const [gapX, gapY] = [rays[j][0] * z - x, rays[j][1] * z - y];
    const lifted = across[j] ** 2;
    const variance = lifted + (sigmaRays[j] * z) ** 2;
    const share = (trust(gapX ** 2 + gapY ** 2, variance) * lifted) / variance;
    return [x + share * gapX, y + share * gapY, z];
  });
}

/** The depth at which joints would spread as far as their rays do. */
export function weakPerspectiveDepth(joints: readonly Vec3[], rays: readonly Vec2[]): number {
  const spread = (points: readonly (Vec2 | Vec3)[]) =>
    deviation(points.map((p) => p[0])) + deviation(points.map((p) => p[1]));
  return spread(joints) / Math.max(spread(rays), 1e-9);
}

type Side = { offsets: Vec2[]; rays: Vec2[]; weights: number[] };

/** Weighted least squares, at one depth for all hands. */
function solve(hands: Side[]): Vec3[] {
  let [spread, agreement] = [0, 0];
  const means = hands.map(({ offsets, rays, weights }) => {
    const [ray, offset] = [weightedMean(rays, weights), weightedMean(offsets, weights)];
    rays.forEach((r, j) => {
      const [u, v] = [r[0] - ray[0], r[1] - ray[1]];
      spread += weights[j] * (u * u + v * v);
      agreement += weights[j] * (u * (offsets[j][0] - offset[0]) + v * (offsets[j][1] - offset[1]));
    });
    return { ray, offset };
  });
  const depth = -agreement / Math.max(spread, 1e-18);
  return means.map(({ ray, offset }): Vec3 => [offset[0] + ray[0] * depth, offset[1] + ray[1] * depth, depth]);
}

/** The solution by medians over all pairs of joints: unmoved by a few wild keypoints. */
function medianSolution(offsets: Vec2[], rays: Vec2[], sigmaRays: number[]): Vec3 {
  const pairs: { depth: number; gap2: number; variance: number }[] = [];
  for (let i = 0; i < rays.length; i++) {
    for (let j = i + 1; j < rays.length; j++) {
      const [u, v] = [rays[i][0] - rays[j][0], rays[i][1] - rays[j][1]];
      const [a, b] = [offsets[i][0] - offsets[j][0], offsets[i][1] - offsets[j][1]];
      const gap2 = Math.max(u * u + v * v, 1e-18);
      const variance = sigmaRays[i] ** 2 + sigmaRays[j] ** 2;
      pairs.push({ depth: -(u * a + v * b) / gap2, gap2, variance });
    }
  }
  const usual = upperMedian(pairs.map((pair) => pair.gap2));
  const weighted = pairs
    .map(({ depth, gap2, variance }) => ({ depth, weight: Math.sqrt(Math.min(gap2, usual) / variance) }))
    .sort((p, q) => p.depth - q.depth);
  const half = weighted.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let total = 0;
  const middle = weighted.find(({ weight }) => (total += weight) >= half);
  return atDepth(offsets, rays, (middle ?? weighted[0]).depth);
}

function atDepth(offsets: Vec2[], rays: Vec2[], depth: number): Vec3 {
  const along = (axis: 0 | 1) => upperMedian(offsets.map((o, j) => o[axis] + rays[j][axis] * depth));
  return [along(0), along(1), depth];
}

/** The root; but where it is behind the camera, or out of sight, that of weak perspective. */
function inFront(root: Vec3, offsets: Vec2[], joints: Vec3[], rays: Vec2[]): Vec3 {
  const nearest = constant("pose.placement", "MIN_DEPTH_MM") - Math.min(...joints.map((p) => p[2]));
  const farthest = constant("pose.placement", "MAX_DEPTH_MM");
  if (root[2] >= nearest && root[2] <= farthest) return root;
  return atDepth(offsets, rays, clamp(weakPerspectiveDepth(joints, rays), nearest, farthest));
}

function weightsOf(
  root: Vec3,
  { rays, sigmaRays }: Evidence,
  joints: Vec3[],
  offsets: Vec2[],
  across: number[],
): number[] {
  return rays.map((ray, j) => {
    const depth = Math.max(root[2] + joints[j][2], constant("pose.placement", "MIN_DEPTH_MM"));
    const variance = (depth * sigmaRays[j]) ** 2 + across[j] ** 2;
    const dx = root[0] - ray[0] * root[2] - offsets[j][0];
    const dy = root[1] - ray[1] * root[2] - offsets[j][1];
    return trust(dx * dx + dy * dy, variance) / variance;
  });
}

function offsetsOf(joints: Vec3[], rays: Vec2[]): Vec2[] {
  return joints.map(([x, y, z], j): Vec2 => [rays[j][0] * z - x, rays[j][1] * z - y]);
}

/** Expected errors across the line of sight; the wrist is no surer than the rest. */
function sigmaAcross(sigmaMm: readonly number[]): number[] {
  const share = constant("pose.placement", "_ACROSS");
  const sigma = sigmaMm.map((s) => share * Math.max(s, 1e-3));
  sigma[0] = Math.sqrt(mean(sigma.slice(1).map((s) => s * s)));
  return sigma;
}

function trust(residual2: number, variance: number): number {
  return 1 / (1 + residual2 / (constant("pose.placement", "_HALF_TRUST") ** 2 * variance));
}

function weightedMean(points: readonly Vec2[], weights: readonly number[]): Vec2 {
  let [x, y, total] = [0, 0, 0];
  points.forEach((p, j) => {
    x += weights[j] * p[0];
    y += weights[j] * p[1];
    total += weights[j];
  });
  return [x / total, y / total];
}

/** Of an even number, the upper one of the two middles. */
function upperMedian(values: readonly number[]): number {
  return Float64Array.from(values).sort()[values.length >> 1];
}

function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}
