// One crop, seen by the keypoint network, as in src/knuckle/pose/keypoints.py.

import { Crop, clamp, extentOf, mean, type Vec2 } from "./geometry.js";
import type { Picture } from "./pixels.js";
import { constant, type Side } from "./told.js";

/** What the network says about a crop. */
export type Said = {
  points: Vec2[]; // crop px
  sigma: number[]; // expected error per axis, crop px
  visible: number[];
  presence: number;
  right: number; // as seen in the crop
  mask: Float32Array; // over the crop, square
  features: Float32Array;
};

export class Look {
  /** Keypoints in the frame, and their expected error there. */
  readonly pointsPx: Vec2[];
  readonly sigmaPx: number[];
  /** 0..1: it shows a hand, and its keypoints are to be found. */
  readonly seen: number;
  private readonly near: number;
  private readonly present: number;

  /** `logOdds` that this is a hand, by what else is known of it. */
  constructor(
    readonly crop: Crop,
    readonly said: Said,
    readonly logOdds = 0,
  ) {
    const scale = crop.size / crop.outSize;
    this.pointsPx = said.points.map((p) => crop.toFrame(p));
    this.sigmaPx = said.sigma.map((s) => s * scale);
    const reach = constant("pose.keypoints", "_NEAR") * extentOf(said.points);
    this.near = mean(said.sigma.map((s) => 1 - Math.exp(-reach / s)));
    this.present = isThin(said.points) ? 0 : said.presence;
    this.seen = this.present * this.near;
  }

  get right(): number {
    return this.said.right;
  }

  /** The side that the crop was cut for. */
  get side(): Side {
    return this.crop.mirror ? "left" : "right";
  }

  /** 0..1: this is a hand, by the look and by what else is known. */
  get score(): number {
    if (this.logOdds === 0) return this.seen;
    const of = (name: string) => constant("pose.keypoints", name);
    const presence = of("_PER_PRESENCE") * logit(this.present, of("_SUREST_PRESENCE"));
    const near = of("_PER_NEAR") * logit(this.near);
    return 1 / (1 + Math.exp(-(of("_DETECTED") + presence + near) - this.logOdds));
  }

  /** 0..1: it shows a hand, and as the right hand that it should be. */
  get trust(): number {
    return this.seen * this.right;
  }

  believing(logOdds: number): Look {
    return new Look(this.crop, this.said, this.logOdds + logOdds);
  }

  /** The mean of this and of another look at the same hand, weighed by certainty. */
  averagedWith(other: Look): Look {
    if (!this.atOneHandWith(other)) return this;
    const scale = this.crop.outSize / this.crop.size;
    const points: Vec2[] = [];
    const sigma: number[] = [];
    this.said.points.forEach((point, j) => {
      const there = this.crop.toCrop(other.pointsPx[j]);
      const counts = other.isClearOfRim(j) ? 1 : 0;
      const mine = 1 / this.said.sigma[j] ** 2;
      const theirs = counts / (other.sigmaPx[j] * scale) ** 2;
      const total = mine + theirs;
      points.push([
        (mine * point[0] + theirs * there[0]) / total,
        (mine * point[1] + theirs * there[1]) / total,
      ]);
      sigma.push(Math.sqrt((1 + counts) / total));
    });
    return new Look(this.crop, { ...this.said, points, sigma }, this.logOdds);
  }

  /** Whether the hand goes on beyond the left, the upper, the right border of its crop. */
  goesOn({ width, height }: Picture): [boolean, boolean, boolean] {
    const crop = maskCrop(this);
    const size = crop.outSize;
    const least = constant("pipeline.judge", "RIM") * size;
    const isCut = (cell: (k: number) => Vec2): boolean => {
      let covered = 0;
      for (let k = 0; k < size; k++) {
        const [column, row] = cell(k);
        if (this.said.mask[row * size + column] <= 0.5) continue;
        const [x, y] = crop.toFrame([column, row]);
        if (x > 0 && y > 0 && x < width - 1 && y < height - 1) covered += 1;
      }
      return covered >= least;
    };
    return [isCut((k) => [0, k]), isCut((k) => [k, 0]), isCut((k) => [size - 1, k])];
  }

  private atOneHandWith(other: Look): boolean {
    if (this.crop.equals(other.crop) || this.crop.mirror !== other.crop.mirror) return false;
    const gap = meanGap(this.pointsPx, other.pointsPx);
    const extent = Math.max(extentOf(this.pointsPx), extentOf(other.pointsPx));
    return gap < constant("pipeline.judge", "SAME_JOINTS") * extent;
  }

  private isClearOfRim(joint: number): boolean {
    const size = this.crop.outSize;
    const rim = constant("pipeline.judge", "RIM") * size;
    return this.said.points[joint].every((value) => value > rim && value < size - 1 - rim);
  }
}

export function meanGap(points: readonly Vec2[], others: readonly Vec2[]): number {
  return mean(points.map(([x, y], j) => Math.hypot(x - others[j][0], y - others[j][1])));
}

/** Whether the weaker of two looks is a second answer about the better one's hand. */
export function sameHand(weaker: Look, better: Look): boolean {
  const number = (name: string) => constant("pipeline.judge", name);
  const extent = Math.max(extentOf(weaker.pointsPx), extentOf(better.pointsPx));
  const gap = meanGap(weaker.pointsPx, better.pointsPx) / extent;
  if (gap < number("SAME_JOINTS")) return true;
  if (gap > 1) return false;
  const sure = Math.min(weaker.right, better.right) > number("SURE_SIDE");
  if (weaker.side !== better.side && sure) return false;
  const { shared, own, other } = sharedPixels(weaker, better);
  const same = number("SAME_PIXELS");
  const isLess = weaker.trust < better.trust || own < number("LEAST_SHARE") * other;
  if (shared > same * own && isLess) return true;
  return shared > same * (own + other - shared);
}

/** The looks, best first as given, of which no better one shows the same hand. */
export function withoutDuplicates(looks: readonly Look[]): Look[] {
  const kept: Look[] = [];
  for (const look of looks) if (!kept.some((better) => sameHand(look, better))) kept.push(look);
  return kept;
}

/** Areas in the frame, px², of what two masks share, of the first and of the second. */
function sharedPixels(a: Look, b: Look): { shared: number; own: number; other: number } {
  const [here, there] = [maskCrop(a), maskCrop(b)];
  const cell = (crop: Crop) => (crop.size / crop.outSize) ** 2;
  let [shared, own] = [0, 0];
  a.said.mask.forEach((value, i) => {
    if (value <= 0.5) return;
    own += 1;
    const size = here.outSize;
    const [x, y] = there.toCrop(here.toFrame([i % size, Math.floor(i / size)])).map(Math.round);
    const inside = x >= 0 && y >= 0 && x < there.outSize && y < there.outSize;
    if (inside && b.said.mask[y * there.outSize + x] > 0.5) shared += 1;
  });
  const other = b.said.mask.reduce((sum, value) => sum + (value > 0.5 ? 1 : 0), 0);
  return { shared: shared * cell(here), own: own * cell(here), other: other * cell(there) };
}

function maskCrop(look: Look): Crop {
  return look.crop.sampledTo(Math.round(Math.sqrt(look.said.mask.length)));
}

/** Log odds of a probability, none beyond `surest`. */
/** Whether keypoints lie along a line, as on a bare arm. */
function isThin(points: Vec2[]): boolean {
  const [x, y] = [mean(points.map((p) => p[0])), mean(points.map((p) => p[1]))];
  const about = (f: (dx: number, dy: number) => number) => mean(points.map((p) => f(p[0] - x, p[1] - y)));
  const [xx, yy, xy] = [about((dx) => dx * dx), about((_, dy) => dy * dy), about((dx, dy) => dx * dy)];
  const [middle, half] = [(xx + yy) / 2, Math.hypot((xx - yy) / 2, xy)];
  return middle - half < constant("pose.keypoints", "_THINNEST") ** 2 * (middle + half);
}

export function logit(probability: number, surest = constant("pose.keypoints", "SUREST")): number {
  const inside = clamp(probability, 1 - surest, surest);
  return Math.log(inside / (1 - inside));
}
