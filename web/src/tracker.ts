// The hands of a video, frame by frame: what src/knuckle/pipeline/tracker.py does for hands that are
// apart. Left out are the searches for a second hand in a clasp and for who is hidden behind whom,
// the joints of a known neighbour as an input, and smoothing: hands are as HandTracker(smooth=None)
// gives them in `raw`.

import type { DetectedHand } from "./detections.js";
import { Camera, extentOf, middleOf, type Vec2 } from "./geometry.js";
import { Hands, type HandPose } from "./hands.js";
import { sameHand, withoutDuplicates, type Look } from "./look.js";
import type { Networks } from "./networks.js";
import type { Picture } from "./pixels.js";
import { constant, decision, setting } from "./told.js";
import { Track, type TrackedHand } from "./track.js";

export class HandTracker {
  private readonly hands: Hands;
  private tracks: Track[] = [];
  private sinceSearch = Infinity; // frames
  private nextId = 0;

  constructor(
    private readonly networks: Networks,
    private readonly maxHands = setting("max_hands"),
  ) {
    this.hands = new Hands(networks);
  }

  /** Follow the hands into the next frame; they come in the order of their ids. */
  async see(image: Picture, timeS: number, camera: Camera): Promise<TrackedHand[]> {
    this.forget(timeS);
    const followed = this.tracks.filter((track) => !track.lost);
    const around = followed.map((track) => this.hands.cropFollowed(track.predict(timeS), track.side));
    const [candidates, seen] = await Promise.all([
      this.isDue(followed) ? this.search(image, timeS) : [], // beside, where there is another thread
      this.networks.look(image, around),
    ]);
    const looks = await this.networks.look(image, candidates.map((hand) => this.hands.cropOf(hand)));
    const kept = this.keep(followed, seen, image);
    const known = await this.hands.whole(image, [...kept.values()]);
    const found = await this.newcomers(image, candidates, looks, known);
    const poses = await this.hands.poses([...known, ...found], camera);
    const tracks = [...kept.keys(), ...this.claim(poses.slice(kept.size), timeS, kept.size === 0)];
    return poses
      .map((pose, i) => tracks[i].see(pose, timeS, this.cautionFor(tracks[i]), () => this.nextId++))
      .filter((hand) => hand !== undefined)
      .sort((a, b) => a.trackId - b.trackId);
  }

  private readonly alone = new WeakSet<Track>();

  /** A hand that is new beside others must be surer than one that comes alone. */
  private cautionFor(track: Track): number {
    return this.alone.has(track) ? 0 : constant("pipeline.judge", "CAUTION");
  }

  private forget(timeS: number): void {
    this.tracks = this.tracks.filter((track) => {
      const mayReturn = track.id !== undefined && track.unseenS(timeS) <= setting("memory_s");
      return !track.dismissed && (!track.lost || mayReturn);
    });
  }

  /** Whether to search this frame; to be asked once per frame. */
  private isDue(followed: readonly Track[]): boolean {
    this.sinceSearch += 1;
    if (!followed.length || this.tracks.some((track) => this.isDoubtful(track))) {
      return this.sinceSearch >= setting("search_every");
    }
    // Nobody watches for motion here: between the pace for that and the one for none.
    const pace = Math.round(Math.sqrt(setting("search_every") * setting("idle_search_every")));
    return followed.length < this.maxHands && this.sinceSearch >= pace;
  }

  private isDoubtful(track: Track): boolean {
    return track.score < setting("doubt_threshold");
  }

  /** What may be a hand that no track holds with certainty. */
  private async search(image: Picture, timeS: number): Promise<DetectedHand[]> {
    this.sinceSearch = 0;
    const certain = this.tracks.filter((track) => !this.isDoubtful(track));
    const known = certain.map((track) => ({ track, joints: track.predict(timeS) }));
    const detected = await this.networks.detect(image);
    return detected.filter((hand) => {
      const isSure = hand.score * hand.sideShare > constant("pipeline.judge", "SURE_SIDE");
      return !known.some(({ track, joints }) => {
        const [x, y] = middleOf(joints);
        const gap = Math.hypot(x - hand.centre[0], y - hand.centre[1]);
        const near = gap < decision("known_hand") * extentOf(joints);
        return near && !(hand.side !== track.side && isSure);
      });
    });
  }

  /** The tracks that are still on a hand, each on one of its own; the others are lost. */
  private keep(tracks: readonly Track[], looks: readonly Look[], image: Picture): Map<Track, Look> {
    const owners = new Map(looks.map((look, i) => [look, tracks[i]]));
    const there = looks.filter(
      (look) =>
        look.score >= setting("keep_threshold") &&
        isInside(look.pointsPx, image),
    );
    const stay = new Set(withoutDuplicates(there.sort((a, b) => b.trust - a.trust)));
    const kept = new Map<Track, Look>();
    for (const [look, track] of owners) {
      if (stay.has(look)) kept.set(track, look);
      else track.lose();
    }
    return kept;
  }

  /** Hands among the candidates that are not followed yet, and for which there is room. */
  private async newcomers(
    image: Picture,
    candidates: DetectedHand[],
    first: Look[],
    known: readonly Look[],
  ): Promise<Look[]> {
    if (!candidates.length) return [];
    const least = setting("score_threshold");
    const looked = await this.hands.lookAgain(image, first, candidates);
    const found = looked
      .filter((look) => look.seen >= least && look.score >= least)
      .map((look) => look.believing(-look.logOdds))
      .sort((a, b) => b.trust - a.trust);
    const fresh = withoutDuplicates(found).filter((look) => !known.some((k) => sameHand(look, k)));
    return fresh.slice(0, Math.max(this.maxHands - known.length, 0));
  }

  /** A track for each new hand, best first: one that was lost nearby, else a new one. */
  private claim(poses: readonly HandPose[], timeS: number, alone: boolean): Track[] {
    const lost = this.tracks.filter((track) => track.lost);
    return poses.map((pose, i) => {
      const gaps = lost.map((track) => track.gap(pose, timeS) ?? Infinity);
      const nearest = gaps.indexOf(Math.min(...gaps));
      if (lost.length && gaps[nearest] < Infinity) return lost.splice(nearest, 1)[0];
      const track = new Track(pose, timeS);
      if (alone && i === 0) this.alone.add(track);
      this.tracks.push(track);
      return track;
    });
  }
}

/** Whether the box around a hand meets a picture; else it has left. */
function isInside(joints: readonly Vec2[], { width, height }: Picture): boolean {
  const [x, y] = [0, 1].map((axis) => joints.map((joint) => joint[axis]));
  const isAfter = Math.max(...x) > -0.5 && Math.max(...y) > -0.5;
  return isAfter && Math.min(...x) < width - 0.5 && Math.min(...y) < height - 0.5;
}
