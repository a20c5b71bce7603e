// What the networks are shown: RGB bytes cut from the RGBA of a canvas.

import { apply, type Affine, type Crop, type Letterbox, type Vec2 } from "./geometry.js";
import { constant, told } from "./told.js";

/** A picture of interleaved bytes. Their one type is what makes the loops below fast. */
export type Picture = { data: Uint8Array; width: number; height: number; channels: number };
/** The same in fractions, RGB. */
type Fine = { data: Float32Array; width: number; height: number };

/** The pixels of a crop, written as RGB to a place in `out`; beyond the frame its border goes on. */
export function cut(image: Picture, crop: Crop, out: Uint8Array, at: number): void {
  let [source, map]: [Picture, Affine] = [image, crop.frameFromCrop];
  if (crop.size >= 2 * crop.outSize) [source, map] = halved(image, map, crop.size / crop.outSize, crop.outSize);
  const { data, width, height, channels } = source;
  const [a, b, c, d, e, f] = map;
  const size = crop.outSize;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++, at += 3) {
      const x = a * column + b * row + c;
      const y = d * column + e * row + f;
      const left = Math.floor(x);
      const top = Math.floor(y);
      const u = x - left;
      const v = y - top;
      const x0 = left < 0 ? 0 : left >= width ? width - 1 : left;
      const x1 = left < -1 ? 0 : left + 1 >= width ? width - 1 : left + 1;
      const y0 = (top < 0 ? 0 : top >= height ? height - 1 : top) * width;
      const y1 = (top < -1 ? 0 : top + 1 >= height ? height - 1 : top + 1) * width;
      const p = (y0 + x0) * channels;
      const q = (y0 + x1) * channels;
      const r = (y1 + x0) * channels;
      const s = (y1 + x1) * channels;
      for (let k = 0; k < 3; k++) {
        const above = data[p + k] + u * (data[q + k] - data[p + k]);
        const below = data[r + k] + u * (data[s + k] - data[r + k]);
        out[at + k] = above + v * (below - above) + 0.5;
      }
    }
  }
}

/** The frame as the detector sees it: RGB, averaged where it shrinks, bars beside it. */
export function letterboxed(image: Picture, box: Letterbox): Uint8Array {
  const [width, height] = box.boxSize;
  const [inner, rows] = box.contentSize;
  const shrink = Math.max(...box.frameSize) / box.size;
  let content: Fine;
  if (shrink <= 1) content = interpolated(image, inner, rows);
  else {
    const factor = Math.round(shrink / constant("letterbox", "_SAMPLED_PX"));
    const nearer = factor > 1 ? whole(interpolated(image, inner * factor, rows * factor)) : image;
    content = averaged(nearer, inner, rows);
  }
  const out = new Uint8Array(width * height * 3).fill(told().detection.fill);
  const [left, top] = box.offset;
  for (let y = 0; y < rows; y++) {
    let at = ((top + y) * width + left) * 3;
    for (let x = 0; x < inner; x++) {
      const from = (y * inner + x) * 3;
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
  let small = halfOf(image, x0, y0, (columns * factor) / 2, (rows * factor) / 2);
  while (small.width > columns) small = halfOf(small, 0, 0, small.width / 2, small.height / 2);
  const shift = (factor - 1) / 2;
  const [a, b, c, d, e, f] = map;
  const fromSmall: Affine = [
    a / factor, b / factor, (c - x0 - shift) / factor,
    d / factor, e / factor, (f - y0 - shift) / factor,
  ];
  return [small, fromSmall];
}

/** A part, each pixel the mean of two by two, in whole numbers: keypoints feel the rounding. */
function halfOf(image: Picture, x0: number, y0: number, columns: number, rows: number): Picture {
  const { data, channels } = image;
  const stride = image.width * channels;
  const out = new Uint8Array(columns * rows * 3);
  let at = 0;
  for (let y = 0; y < rows; y++) {
    let from = (y0 + 2 * y) * stride + x0 * channels;
    for (let x = 0; x < columns; x++, at += 3, from += 2 * channels) {
      const right = from + channels;
      const below = from + stride;
      const across = below + channels;
      out[at] = (data[from] + data[right] + data[below] + data[across] + 2) >> 2;
      out[at + 1] = (data[from + 1] + data[right + 1] + data[below + 1] + data[across + 1] + 2) >> 2;
      out[at + 2] = (data[from + 2] + data[right + 2] + data[below + 2] + data[across + 2] + 2) >> 2;
    }
  }
  return { data: out, width: columns, height: rows, channels: 3 };
}

/** Enlarged, or shrunk by less than two, between neighbouring pixels. */
function interpolated(image: Picture, width: number, height: number): Fine {
  return resampled(image, taps(image.width, width, false), taps(image.height, height, false));
}

/** Shrunk, each pixel the mean of the area that it covers. */
function averaged(image: Picture, width: number, height: number): Fine {
  return resampled(image, taps(image.width, width, true), taps(image.height, height, true));
}

/** The same in whole numbers. */
function whole({ data, width, height }: Fine): Picture {
  return { data: new Uint8Array(Uint8ClampedArray.from(data).buffer), width, height, channels: 3 };
}

/** For each new pixel along an axis, which old ones count and how much: those of pixel i stand
 * from `start[i]` on. */
type Taps = { start: Uint32Array; index: Uint32Array; weight: Float64Array };

function taps(from: number, to: number, area: boolean): Taps {
  const scale = from / to;
  const start = new Uint32Array(to + 1);
  const index: number[] = [];
  const weight: number[] = [];
  for (let i = 0; i < to; i++) {
    if (area) {
      const [begin, end] = [i * scale, (i + 1) * scale];
      for (let k = Math.floor(begin); k < Math.ceil(end - 1e-9); k++) {
        index.push(Math.min(k, from - 1));
        weight.push((Math.min(end, k + 1) - Math.max(begin, k)) / scale);
      }
    } else {
      const x = Math.min(Math.max((i + 0.5) * scale - 0.5, 0), from - 1);
      const low = Math.min(Math.floor(x), Math.max(from - 2, 0));
      index.push(low, Math.min(low + 1, from - 1));
      weight.push(1 - (x - low), x - low);
    }
    start[i + 1] = index.length;
  }
  return { start, index: Uint32Array.from(index), weight: Float64Array.from(weight) };
}

function resampled(image: Picture, across: Taps, down: Taps): Fine {
  const { data, width, channels } = image;
  const [columns, rows] = [across.start.length - 1, down.start.length - 1];
  const out = new Float32Array(columns * rows * 3);
  const line = new Float32Array(columns * 3); // of the old picture, with the new columns
  let inLine = -1;
  for (let y = 0; y < rows; y++) {
    for (let t = down.start[y]; t < down.start[y + 1]; t++) {
      if (down.index[t] !== inLine) shrinkLine(data, (inLine = down.index[t]) * width, channels, across, line);
      const weight = down.weight[t];
      const at = y * columns * 3;
      for (let i = 0; i < line.length; i++) out[at + i] += weight * line[i];
    }
  }
  return { data: out, width: columns, height: rows };
}

/** One line of a picture, which begins at the pixel `first`, with other columns. */
function shrinkLine(
  data: Uint8Array,
  first: number,
  channels: number,
  { start, index, weight }: Taps,
  line: Float32Array,
): void {
  for (let x = 0, at = 0; at < line.length; x++, at += 3) {
    let [r, g, b] = [0, 0, 0];
    for (let t = start[x]; t < start[x + 1]; t++) {
      const from = (first + index[t]) * channels;
      r += weight[t] * data[from];
      g += weight[t] * data[from + 1];
      b += weight[t] * data[from + 2];
    }
    line[at] = r;
    line[at + 1] = g;
    line[at + 2] = b;
  }
}
