// One hand from frame to frame, as in src/knuckle/track/track.py.

import { clamp, extentOf, mean, middleOf, type Vec2 } from "./geometry.js";
import type { HandPose } from "./hands.js";
import { logit } from "./look.js";
import { constant, decision, setting, type Side } from "./told.js";

export type TrackedHand = HandPose & { trackId: number };

export class Track {
  readonly side: Side;
  id: number | undefined;
  score: number;
  lost = false;
  private evidence = 0;
  private votes = 0;
  private seenS: number;
  private joints: Vec2[];
  private extent: number;
  private velocity: Vec2 = [0, 0]; // px/s
  private looks = 0;

  /** Begin with the first estimate of a hand; `see` it next. */
  constructor(pose: HandPose, timeS: number) {
    this.side = pose.side;
    this.score = pose.score;
    this.seenS = timeS;
    this.joints = pose.jointsPx;
    this.extent = extentOf(pose.jointsPx);
  }

  /** Whether its looks say that it is no hand, or have long said that of its side. */
  get dismissed(): boolean {
    return this.evidence < -decision("doubt") || this.votes <= -decision("most_votes");
  }

  unseenS(timeS: number): number {
    return timeS - this.seenS;
  }

  /** Where its joints should be, px: at constant velocity, not shrunk too fast. */
  predict(timeS: number): Vec2[] {
    const [dx, dy] = this.velocity.map((v) => v * (timeS - this.seenS));
    const most = Math.min(1, this.extent / Math.max(Math.hypot(dx, dy), 1e-9));
    const [x, y] = middleOf(this.joints);
    const growth = this.extent / Math.max(extentOf(this.joints), 1);
    return this.joints.map((p): Vec2 => [
      x + dx * most + (p[0] - x) * growth,
      y + dy * most + (p[1] - y) * growth,
    ]);
  }

  /** How far a hand that turned up is from being this lost one, in its extents; or undefined. */
  gap(pose: HandPose, timeS: number): number | undefined {
    if (pose.side !== this.side) return undefined;
    const joints = this.predict(timeS);
    const extent = extentOf(joints);
    const off = (axis: 0 | 1) =>
      mean(pose.jointsPx.map((p) => p[axis])) - mean(joints.map((p) => p[axis]));
    const away = Math.hypot(off(0), off(1)) / extent;
    const grown = Math.abs(Math.log(extentOf(pose.jointsPx) / extent));
    const reach = decision("reach") + decision("reach_per_s") * this.unseenS(timeS);
    return away >= reach || grown >= decision("log_size") ? undefined : away + grown;
  }

  lose(): void {
    [this.lost, this.score] = [true, 0];
  }

  /** The hand was found; returns what is known about it, once it is believed to be one. */
  see(pose: HandPose, timeS: number, caution: number, nextId: () => number): TrackedHand | undefined {
    const dt = Math.max(timeS - this.seenS, 1e-3);
    this.move(pose.jointsPx, dt);
    const [bad, good] = ["_BAD_SCORE", "_GOOD_SCORE"].map((name) => constant("track.uncertainty", name));
    const sureness = clamp((pose.score - bad) / (good - bad), 0, 1);
    const least = this.extent * Math.exp(-number("_SHRINKING_PER_S") * sureness * dt);
    this.extent = Math.max(extentOf(pose.jointsPx), least);
    this.weigh(pose, caution);
    if (this.id === undefined && this.evidence >= decision("doubt") && this.votes > 0) {
      this.id = nextId();
    }
    [this.seenS, this.lost, this.score] = [timeS, false, pose.score];
    return this.id === undefined ? undefined : { ...pose, trackId: this.id };
  }

  private move(joints: Vec2[], dt: number): void {
    const shift = [0, 1].map((i) => mean(joints.map((p, j) => p[i] - this.joints[j][i])) / dt);
    // Two looks make the first velocity.
    const share = this.looks === 0 ? 0 : this.looks === 1 ? 1 : number("_VELOCITY_SHARE");
    this.velocity = this.velocity.map((v, i) => v + share * (shift[i] - v)) as Vec2;
    this.looks += 1;
    this.joints = joints;
  }

  /** Let the look speak for or against a hand, and for or against its side. */
  private weigh(pose: HandPose, caution: number): void {
    const least = setting("score_threshold") + (this.id === undefined ? caution : 0);
    const most = decision("most_votes");
    this.evidence = Math.min(this.evidence + logit(pose.score) - logit(least), most);
    this.votes = clamp(this.votes + logit(pose.sideScore), -most, most);
  }
}

function number(name: string): number {
  return constant("track.track", name);
}
