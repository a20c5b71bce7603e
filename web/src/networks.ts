// The ONNX files of the package, unchanged, in ONNX Runtime's WebAssembly. The only file that knows
// ONNX Runtime; see src/knuckle/stages/ for what goes in and comes out.

import * as ort from "onnxruntime-web/wasm";

import type { Answer, Question } from "./couple.js";
import { decode, type DetectedHand } from "./detections.js";
import { CropView, Letterbox, type Crop, type Vec2, type Vec3 } from "./geometry.js";
import { Look, type Said } from "./look.js";
import { cut, letterboxed, type Picture } from "./pixels.js";
import { constant, setting, told } from "./told.js";

type Values = Record<string, ort.Tensor>;

/** What the lifter says of a look: the hand's shape from the wrist, in the axes of the camera. */
export type Lifted = { joints: Vec3[]; sigmaMm: number[] };

export class Networks {
  private constructor(private readonly sessions: Record<string, ort.InferenceSession>) {}

  /** Open all networks; `read` gives the bytes of one by its kind. */
  static async open(read: (kind: string) => Promise<Uint8Array>): Promise<Networks> {
    const sessions: Record<string, ort.InferenceSession> = {};
    for (const kind of Object.keys(told().cards)) {
      const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" } as const;
      sessions[kind] = await ort.InferenceSession.create(await read(kind), options);
    }
    return new Networks(sessions);
  }

  /** The hands of a whole frame, best first. */
  async detect(image: Picture): Promise<DetectedHand[]> {
    const size = told().cards.detector.input_size;
    const box = new Letterbox([image.width, image.height], size, told().detection.box_step);
    const pixels = letterboxed(image, box);
    const [width, height] = box.boxSize;
    const { maps } = await this.run("detector", {
      image: new ort.Tensor("uint8", pixels, [1, height, width, 3]),
    });
    const [rows, columns] = maps.dims.slice(2) as Vec2;
    const most = setting("max_hands") + constant("pipeline.stages", "_SPARE_CANDIDATES");
    return decode(floats(maps), [rows, columns], box, most);
  }

  /** `outSize` that crops must have. */
  get cropSize(): number {
    return told().cards.keypoints.input_size;
  }

  /** One look at each crop, all in one batch. */
  async look(image: Picture, crops: readonly Crop[]): Promise<Look[]> {
    if (!crops.length) return [];
    const bytes = this.cropSize ** 2 * 3;
    const pixels = new Uint8Array(crops.length * bytes);
    crops.forEach((crop, i) => cut(image, crop, pixels, i * bytes));
    const said = await this.run("keypoints", {
      crop: new ort.Tensor("uint8", pixels, [crops.length, this.cropSize, this.cropSize, 3]),
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
    const lifted = await this.run("lifter", {
      rays: new ort.Tensor("float32", Float32Array.from(rays), [n, joints, 2]),
      sigma: new ort.Tensor("float32", Float32Array.from(sigma), [n, joints]),
      features: new ort.Tensor("float32", Float32Array.from(features), [n, joints, features.length / n / joints]),
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
    return "pair" in this.sessions;
  }

  /** Where the other wrist is, for each question about a pair. */
  async askAboutPairs(questions: readonly Question[]): Promise<Answer[]> {
    const joints = told().hand.joints.length;
    const all = (name: keyof Question, ...shape: number[]) =>
      new ort.Tensor("float32", Float32Array.from(questions.flatMap((q) => q[name])), [
        questions.length, 2, joints, ...shape,
      ]);
    const said = await this.run("pair", {
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

  private async run(kind: string, inputs: Values): Promise<Values> {
    return (await this.sessions[kind].run(inputs)) as Values;
  }
}

function saidOf(said: Values, i: number): Said {
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
function rowOf(tensor: ort.Tensor, i: number): Float32Array {
  const length = tensor.size / tensor.dims[0];
  return floats(tensor).subarray(i * length, (i + 1) * length);
}

function floats(tensor: ort.Tensor): Float32Array {
  return tensor.data as Float32Array;
}

function triples(flat: Float32Array): Vec3[] {
  return Array.from({ length: flat.length / 3 }, (_, j): Vec3 => [flat[3 * j], flat[3 * j + 1], flat[3 * j + 2]]);
}
