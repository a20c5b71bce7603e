// What the networks are shown: RGB bytes cut from the RGBA of a canvas.

import { apply, type Affine, type Crop, type Letterbox, type Vec2 } from "./geometry.js";
import { constant, told } from "./told.js";

/** A picture of interleaved bytes or numbers. */
export type Picture = {
  data: Uint8ClampedArray | Float32Array;
  width: number;
  height: number;
  channels: number;
};

/** The pixels of a crop, written as RGB to a place in `out`; beyond the frame its border goes on. */
export function cut(image: Picture, crop: Crop, out: Uint8Array, at: number): void {
  let [source, map]: [Picture, Affine] = [image, crop.frameFromCrop];
  if (crop.size >= 2 * crop.outSize) [source, map] = halved(image, map, crop.size / crop.outSize, crop.outSize);
  const { data, width, height, channels } = source;
  const [a, b, c, d, e, f] = map;
  for (let row = 0; row < crop.outSize; row++) {
    for (let column = 0; column < crop.outSize; column++) {
      const x = a * column + b * row + c;
      const y = d * column + e * row + f;
      const [left, top] = [Math.floor(x), Math.floor(y)];
      const [u, v] = [x - left, y - top];
      const x0 = left < 0 ? 0 : left >= width ? width - 1 : left;
      const x1 = left + 1 < 0 ? 0 : left + 1 >= width ? width - 1 : left + 1;
      const y0 = (top < 0 ? 0 : top >= height ? height - 1 : top) * width;
      const y1 = (top + 1 < 0 ? 0 : top + 1 >= height ? height - 1 : top + 1) * width;
      const [p, q] = [(y0 + x0) * channels, (y0 + x1) * channels];
      const [r, s] = [(y1 + x0) * channels, (y1 + x1) * channels];
      for (let k = 0; k < 3; k++) {
        const above = data[p + k] + u * (data[q + k] - data[p + k]);
        const below = data[r + k] + u * (data[s + k] - data[r + k]);
        out[at++] = above + v * (below - above) + 0.5;
      }
    }
  }
}

/** The frame as the detector sees it: RGB, averaged where it shrinks, bars beside it. */
export function letterboxed(image: Picture, box: Letterbox): Uint8Array {
  const [width, height] = box.boxSize;
  const [inner, rows] = box.contentSize;
  const shrink = Math.max(...box.frameSize) / box.size;
  let content: Picture;
  if (shrink <= 1) content = interpolated(image, inner, rows);
  else {
    const factor = Math.round(shrink / constant("crop", "_SAMPLED_PX"));
    const nearer = factor > 1 ? whole(interpolated(image, inner * factor, rows * factor)) : image;
    content = averaged(nearer, inner, rows);
  }
  const out = new Uint8Array(width * height * 3).fill(told().detection.fill);
  const [left, top] = box.offset;
  for (let y = 0; y < rows; y++) {
    let at = ((top + y) * width + left) * 3;
    for (let x = 0; x < inner; x++) {
      const from = (y * inner + x) * content.channels;
      for (let k = 0; k < 3; k++) out[at++] = content.data[from + k] + 0.5;
    }
  }
  return out;
}

/** The part that a crop needs, halved until what is left shrinks it to more than half. */
function halved(image: Picture, map: Affine, shrink: number, outSize: number): [Picture, Affine] {
  const factor = 2 ** Math.floor(Math.log2(shrink));
  const last = outSize - 1;
  const corners = [[0, 0], [last, 0], [0, last], [last, last]].map((p) => apply(map, p as Vec2));
  const reach = (axis: 0 | 1, most: number): [number, number] => {
    const values = corners.map((p) => p[axis]);
    const low = Math.floor(Math.min(...values)) - 2 * factor;
    const high = Math.ceil(Math.max(...values)) + 2 * factor + 1;
    return [Math.min(Math.max(low, 0), most), Math.min(Math.max(high, 0), most)];
  };
  const [x0, x1] = reach(0, image.width);
  const [y0, y1] = reach(1, image.height);
  const [columns, rows] = [Math.floor((x1 - x0) / factor), Math.floor((y1 - y0) / factor)];
  if (columns < 1 || rows < 1) return [image, map];
  let small = part(image, x0, y0, columns * factor, rows * factor);
  while (small.width > columns) small = halfOf(small);
  const shift = (factor - 1) / 2;
  const [a, b, c, d, e, f] = map;
  const fromSmall: Affine = [
    a / factor, b / factor, (c - x0 - shift) / factor,
    d / factor, e / factor, (f - y0 - shift) / factor,
  ];
  return [small, fromSmall];
}

function part(image: Picture, x0: number, y0: number, width: number, height: number): Picture {
  const data = new Uint8ClampedArray(width * height * 3);
  for (let y = 0; y < height; y++) {
    let from = ((y0 + y) * image.width + x0) * image.channels;
    for (let at = y * width * 3; at < (y + 1) * width * 3; at += 3, from += image.channels) {
      for (let k = 0; k < 3; k++) data[at + k] = image.data[from + k];
    }
  }
  return { data, width, height, channels: 3 };
}

/** Each pixel the mean of two by two, in whole numbers: keypoints feel the rounding. */
function halfOf({ data, width, height }: Picture): Picture {
  const [columns, rows, stride] = [width / 2, height / 2, width * 3];
  const out = new Uint8ClampedArray(columns * rows * 3);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const [at, from] = [(y * columns + x) * 3, (2 * y * width + 2 * x) * 3];
      for (let k = from; k < from + 3; k++) {
        out[at + k - from] = (data[k] + data[k + 3] + data[k + stride] + data[k + stride + 3] + 2) >> 2;
      }
    }
  }
  return { data: out, width: columns, height: rows, channels: 3 };
}

/** Enlarged, or shrunk by less than two, between neighbouring pixels. */
function interpolated(image: Picture, width: number, height: number): Picture {
  return resampled(image, taps(image.width, width, false), taps(image.height, height, false));
}

/** Shrunk, each pixel the mean of the area that it covers. */
function averaged(image: Picture, width: number, height: number): Picture {
  return resampled(image, taps(image.width, width, true), taps(image.height, height, true));
}

/** The same in whole numbers. */
function whole(image: Picture): Picture {
  return { ...image, data: Uint8ClampedArray.from(image.data) };
}

/** For each new pixel along an axis, which old ones count, and how much. */
type Taps = { index: number; weight: number }[][];

function taps(from: number, to: number, area: boolean): Taps {
  const scale = from / to;
  return Array.from({ length: to }, (_, i) => {
    if (!area) {
      const x = Math.min(Math.max((i + 0.5) * scale - 0.5, 0), from - 1);
      const low = Math.min(Math.floor(x), from - 2 < 0 ? 0 : from - 2);
      const share = x - low;
      return [
        { index: low, weight: 1 - share },
        { index: Math.min(low + 1, from - 1), weight: share },
      ];
    }
    const [start, end] = [i * scale, (i + 1) * scale];
    const covered = [];
    for (let k = Math.floor(start); k < Math.ceil(end - 1e-9); k++) {
      const weight = (Math.min(end, k + 1) - Math.max(start, k)) / scale;
      covered.push({ index: Math.min(k, from - 1), weight });
    }
    return covered;
  });
}

function resampled(image: Picture, across: Taps, down: Taps): Picture {
  const { data, width, height, channels } = image;
  const [columns, rows] = [across.length, down.length];
  const rowsOfOld = new Float32Array(columns * height * 3);
  for (let x = 0; x < columns; x++) {
    for (const { index, weight } of across[x]) {
      for (let y = 0; y < height; y++) {
        const [at, from] = [(y * columns + x) * 3, (y * width + index) * channels];
        for (let k = 0; k < 3; k++) rowsOfOld[at + k] += weight * data[from + k];
      }
    }
  }
  const out = new Float32Array(columns * rows * 3);
  const stride = columns * 3;
  for (let y = 0; y < rows; y++) {
    for (const { index, weight } of down[y]) {
      const [at, from] = [y * stride, index * stride];
      for (let i = 0; i < stride; i++) out[at + i] += weight * rowsOfOld[from + i];
    }
  }
  return { data: out, width: columns, height: rows, channels: 3 };
}
