// What the networks say of frames, crops and hands; src/knuckle/stages/ has what goes in and comes out.

import type { Answer, Question } from "./couple.js";
import { decode, type DetectedHand } from "./detections.js";
import type { Engine, Named, Values } from "./engine.js";
import { CropView, Letterbox, type Crop, type Vec2, type Vec3 } from "./geometry.js";
import { Look, type Said } from "./look.js";
import { cut, letterboxed, type Picture } from "./pixels.js";
import { constant, setting, told } from "./told.js";

/** What the lifter says of a look: the hand's shape from the wrist, in the axes of the camera. */
export type Lifted = { joints: Vec3[]; sigmaMm: number[] };

/** Those that look at pixels, where nearly all of the time goes: worth an engine beside. */
export const OF_PIXELS = ["detector", "keypoints"];

export class Networks {
  /** `own` has all networks; `beside`, in another thread, those of pixels. */
  constructor(
    private readonly own: Engine,
    private readonly beside?: Engine,
  ) {}

  /** The hands of a whole frame, best first. */
  async detect(image: Picture): Promise<DetectedHand[]> {
    const size = told().cards.detector.input_size;
    const box = new Letterbox([image.width, image.height], size, told().detection.box_step);
    const pixels = letterboxed(image, box);
    const [width, height] = box.boxSize;
    const { maps } = await (this.beside ?? this.own).run("detector", {
      image: { data: pixels, dims: [1, height, width, 3] },
    });
    const [rows, columns] = maps.dims.slice(2) as Vec2;
    const most = setting("max_hands") + constant("pipeline.networks", "_SPARE_CANDIDATES");
    return decode(maps.data as Float32Array, [rows, columns], box, most);
  }

  /** `outSize` that crops must have. */
  get cropSize(): number {
    return told().cards.keypoints.input_size;
  }

  /** One look at each crop: half of them beside, the others here at the same time. */
  async look(image: Picture, crops: readonly Crop[]): Promise<Look[]> {
    const half = this.beside ? Math.floor(crops.length / 2) : 0;
    const there = this.lookBy(this.beside ?? this.own, image, crops.slice(0, half));
    const here = this.lookBy(this.own, image, crops.slice(half));
    return (await Promise.all([there, here])).flat();
  }

  private async lookBy(engine: Engine, image: Picture, crops: readonly Crop[]): Promise<Look[]> {
    if (!crops.length) return [];
    const bytes = this.cropSize ** 2 * 3;
    const pixels = new Uint8Array(crops.length * bytes);
    crops.forEach((crop, i) => cut(image, crop, pixels, i * bytes));
    const joints = told().hand.joints.length;
    const nobody = new Array(crops.length * joints * 2).fill(constant("codec", "NOWHERE_PX"));
    const said = await engine.run("keypoints", {
      crop: { data: pixels, dims: [crops.length, this.cropSize, this.cropSize, 3] },
      known_px: floats(nobody, crops.length, joints, 2), // the page tells of no other hand
    });
    return crops.map((crop, i) => new Look(crop, saidOf(said, i)));
  }

  /** Lift all hands of a frame as one batch, each as seen through its view. */
  async lift(looks: readonly Look[], views: readonly CropView[]): Promise<Lifted[]> {
    const n = looks.length;
    const joints = told().hand.joints.length;
    const rays = looks.flatMap((look, i) => look.said.points.flatMap((p) => views[i].ray(p)));
    const sigma = looks.flatMap((look, i) => look.said.sigma.map((s) => s * views[i].raysPerPx));
    const features = looks.flatMap((look) => Array.from(look.said.features));
    const lifted = await this.own.run("lifter", {
      rays: floats(rays, n, joints, 2),
      sigma: floats(sigma, n, joints),
      features: floats(features, n, joints, features.length / n / joints),
    });
    return views.map((view, i) => {
      const inView = triples(rowOf(lifted.joints_mm, i));
      const [x, y, z] = inView[0];
      return {
        joints: inView.map((p) => view.toCamera([p[0] - x, p[1] - y, p[2] - z])),
        sigmaMm: Array.from(rowOf(lifted.sigma_mm, i)),
      };
    });
  }

  /** Whether there is a network that looks at two hands together. */
  get knowsPairs(): boolean {
    return "pair" in told().cards;
  }

  /** Where the other wrist is, for each question about a pair. */
  async askAboutPairs(questions: readonly Question[]): Promise<Answer[]> {
    const joints = told().hand.joints.length;
    const all = (name: keyof Question, ...shape: number[]) =>
      floats(questions.flatMap((q) => q[name]), questions.length, 2, joints, ...shape);
    const said = await this.own.run("pair", {
      joints_mm: all("joints_mm", 3),
      sigma_mm: all("sigma_mm"),
      rays: all("rays", 2),
      sigma: all("sigma"),
    });
    return questions.map((_, i) => ({
      apart: triples(rowOf(said.apart_mm, i))[0],
      sigma: triples(rowOf(said.apart_sigma_mm, i))[0],
    }));
  }
}

function saidOf(said: Named, i: number): Said {
  const flat = rowOf(said.keypoints_px, i);
  return {
    points: Array.from({ length: flat.length / 2 }, (_, j): Vec2 => [flat[2 * j], flat[2 * j + 1]]),
    sigma: Array.from(rowOf(said.sigma_px, i), (s) => Math.max(s, 1e-3)),
    visible: Array.from(rowOf(said.visible, i)),
    presence: rowOf(said.presence, i)[0],
    right: rowOf(said.right, i)[0],
    mask: rowOf(said.mask, i).slice(),
    features: rowOf(said.features, i).slice(),
  };
}

/** What a tensor says of one of its batch. */
function rowOf({ data, dims }: Values, i: number): Float32Array {
  const length = data.length / dims[0];
  return (data as Float32Array).subarray(i * length, (i + 1) * length);
}

function floats(values: number[], ...dims: number[]): Values {
  return { data: Float32Array.from(values), dims };
}

function triples(flat: Float32Array): Vec3[] {
  return Array.from({ length: flat.length / 3 }, (_, j): Vec3 => [flat[3 * j], flat[3 * j + 1], flat[3 * j + 2]]);
}
