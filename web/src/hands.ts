// The steps that a frame's hands go through, as in src/knuckle/pipeline/networks.py.

import { findCouples, placeCouple, question, type Shape } from "./couple.js";
import { detectedOdds, type DetectedHand } from "./detections.js";
import { Camera, Crop, CropView, extentOf, type Vec2, type Vec3 } from "./geometry.js";
import { Look, sameHand } from "./look.js";
import type { Networks } from "./networks.js";
import type { Picture } from "./pixels.js";
import { fuse, place } from "./placement.js";
import { constant, constants, told, type Side } from "./told.js";

/** One hand in one frame; what the fields mean says knuckle.HandPose. */
export type HandPose = {
  side: Side;
  sideScore: number;
  score: number;
  jointsPx: Vec2[];
  jointsMm: Vec3[];
  jointScore: number[];
  visible: boolean[];
  crop: Crop; // through which it was seen
};

export class Hands {
  constructor(private readonly networks: Networks) {}

  /** The crop of a detected hand. */
  cropOf(hand: DetectedHand): Crop {
    const size = Math.max(hand.size, 1) * constant("crop", "MARGIN");
    return new Crop(hand.centre, size, hand.angle, hand.side === "left", this.networks.cropSize);
  }

  /** The crop of a hand whose joints are known. */
  cropAround(joints: readonly Vec2[], side: Side): Crop {
    return Crop.fromJoints(joints, side, this.networks.cropSize);
  }

  /** The crop of a hand that is followed, with room for fingers that are folded. */
  cropFollowed(joints: readonly Vec2[], side: Side): Crop {
    const crop = this.cropAround(joints, side);
    return crop.grown(0, Math.max(lacksRoom(crop, joints), 0), 0);
  }

  /** Looks at hands that are followed: a wider one where the crop cuts the hand off. */
  async whole(image: Picture, looks: readonly Look[]): Promise<Look[]> {
    const wider = looks.map((look) => (isSideBelieved(look) ? widerCrop(look, image) : undefined));
    const seen = await this.networks.look(image, wider.filter((crop) => crop !== undefined));
    return looks.map((look, i) => {
      const better = wider[i] && seen.shift();
      if (!better) return look;
      const isHand = Math.min(better.score, better.right) >= constant("pipeline.judge", "EVEN");
      return isHand && sameHand(better, look) ? better : look;
    });
  }

  /** A second look at detected hands where the first crop was inexact or the side is in doubt. */
  async lookAgain(image: Picture, first: Look[], detected: DetectedHand[]): Promise<Look[]> {
    const believed = first.map((look, i) => look.believing(detectedOdds(detected[i])));
    const deserved = believed.map((look) =>
      look.score > constant("pipeline.judge", "HOPELESS") ? this.closer(look, image) : [],
    );
    const looks = await this.networks.look(image, deserved.flat());
    return believed.map((look, i) => {
      let [best, worth] = [look, look.trust];
      for (const closer of looks.splice(0, deserved[i].length)) {
        const value = closer.trust * constant("pipeline.judge", "EXACT_BONUS");
        if (value >= worth) [best, worth] = [closer.believing(detectedOdds(detected[i])), value];
      }
      return best === look || widerCrop(look, image) ? best : best.averagedWith(look);
    });
  }

  /** Lift the hands of a frame to 3D and place them in the camera. */
  async poses(looks: readonly Look[], camera: Camera): Promise<HandPose[]> {
    if (!looks.length) return [];
    const views = looks.map((look) => new CropView(look.crop, camera));
    const lifted = await this.networks.lift(looks, views);
    const shapes: Shape[] = looks.map((look, i) => ({
      look,
      view: views[i],
      evidence: {
        ...lifted[i],
        rays: look.pointsPx.map((p) => camera.ray(p)),
        sigmaRays: look.sigmaPx.map((s) => s / camera.focal),
      },
    }));
    let roots = shapes.map(({ evidence }) => place(evidence));
    const couples = this.networks.knowsPairs ? findCouples(shapes) : [];
    const questions = couples.flatMap(({ right, left }) => [
      question(shapes[right], shapes[left]),
      question(shapes[left], shapes[right]),
    ]);
    const answers = questions.length ? await this.networks.askAboutPairs(questions) : [];
    couples.forEach((couple, i) => {
      roots = placeCouple(shapes, roots, couple, answers.slice(2 * i, 2 * i + 2));
    });
    return shapes.map((shape, i) => poseOf(shape, roots[i], camera));
  }

  /** The crops of a hand that deserve another look: of its side, the other, or both. */
  private closer(look: Look, image: Picture): Crop[] {
    const sure = constant("pipeline.judge", "SURE_SIDE");
    const crops: Crop[] = [];
    if (isSideBelieved(look)) {
      const same = widerCrop(look, image) ?? this.cropAround(look.pointsPx, look.side);
      if (cropGap(look.crop, same) >= 1) crops.push(same);
    }
    if (look.right < sure) {
      crops.push(this.cropAround(look.pointsPx, look.side === "left" ? "right" : "left"));
    }
    return crops;
  }
}

function isSideBelieved(look: Look): boolean {
  return look.right > 1 - constant("pipeline.judge", "SURE_SIDE");
}

/** Where a crop cuts its hand off, one that shows more. */
function widerCrop(look: Look, image: Picture): Crop | undefined {
  const cut = look.goesOn(image);
  if (!cut.includes(true)) return undefined;
  const beyond = constant("pipeline.judge", "BEYOND");
  const [left, top, right] = cut.map((goesOn) => (goesOn ? beyond : 0));
  return look.crop.grown(left, top, right);
}

/** How much of its side a crop around a hand lacks above, for a finger to stretch. */
function lacksRoom(crop: Crop, joints: readonly Vec2[]): number {
  const number = (name: string) => constant("pipeline.judge", name);
  const at = (name: string) => crop.toCrop(joints[told().hand.joints.indexOf(name)]);
  const [wrist, index, middle, little] = ["wrist", "index_mcp", "middle_mcp", "little_mcp"].map(at);
  const length = Math.hypot(wrist[0] - middle[0], wrist[1] - middle[1]);
  const width = Math.hypot(index[0] - little[0], index[1] - little[1]);
  const palm = Math.max(length, number("PALM_PER_WIDTH") * width);
  return Math.min((palm - middle[1]) / crop.outSize, number("BEYOND"));
}

function poseOf({ look, evidence }: Shape, root: Vec3, camera: Camera): HandPose {
  const jointsMm = fuse(evidence, root);
  const from3d = constant("pipeline.networks", "_SEEN_FROM_3D");
  const extent = Math.max(extentOf(look.pointsPx), 1);
  return {
    side: look.side,
    sideScore: look.right,
    score: look.score,
    jointsPx: look.pointsPx.map(([x, y], j): Vec2 => {
      const [u, v] = camera.project(jointsMm[j]);
      return [x + from3d * (u - x), y + from3d * (v - y)];
    }),
    jointsMm,
    jointScore: look.sigmaPx.map((sigma) => scoreOf(sigma / extent)),
    visible: look.said.visible.map((share) => share > 0.5),
    crop: look.crop,
  };
}

/** Probability that a keypoint with this expected error, as a share of the hand, is right. */
function scoreOf(sigma: number): number {
  const within = constant("pose.confidence", "RIGHT_WITHIN");
  const usual = constant("pose.confidence", "SPREAD") * Math.max(sigma, 1e-6);
  return 1 - Math.exp(-((within / usual) ** constant("pose.confidence", "STEEPNESS")));
}

/** How far one crop is from another, in spreads: below 1, one is as good as the other. */
function cropGap(crop: Crop, other: Crop): number {
  const [shift, size, angle] = constants("pipeline.judge", "SPREAD");
  const [dx, dy] = [crop.centre[0] - other.centre[0], crop.centre[1] - other.centre[1]];
  const turn = Math.atan2(Math.sin(crop.angle - other.angle), Math.cos(crop.angle - other.angle));
  return Math.hypot(
    Math.hypot(dx, dy) / other.size / shift,
    Math.log(crop.size / other.size) / size,
    turn / angle,
  );
}
