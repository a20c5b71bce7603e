// Maps of the detector to hands, as in src/knuckle/codec.py (DetectionCodec).

import { clamp, type Letterbox, type Vec2 } from "./geometry.js";
import { logit } from "./look.js";
import { constant, setting, told, type Side } from "./told.js";

/** One hand as the detector knows it, in pixels of the frame. */
export type DetectedHand = {
  centre: Vec2;
  size: number;
  angle: number;
  side: Side;
  score: number;
  sideShare: number;
};

/** Hands of maps (channels, rows, columns), the surest of their side first, in the frame. */
export function decode(
  maps: Float32Array,
  [rows, columns]: Vec2,
  box: Letterbox,
  mostHands: number,
): DetectedHand[] {
  const { geometry, size_unit_px } = told().detection;
  const cells = rows * columns;
  const stride = box.size / Math.max(rows, columns);
  const threshold = setting("detector_threshold");
  const either = (cell: number) => Math.min(maps[cell] + maps[cells + cell], 1);
  const found: { channel: number; cell: number; peak: number }[] = [];
  for (let channel = 0; channel < 2; channel++) {
    for (let cell = 0; cell < cells; cell++) {
      const peak = maps[channel * cells + cell];
      if (peak < threshold / 2 || either(cell) < threshold) continue;
      if (peak >= highestAround(maps, channel, cell, rows, columns)) found.push({ channel, cell, peak });
    }
  }
  found.sort((a, b) => b.peak - a.peak);
  const hands: DetectedHand[] = [];
  for (const { channel, cell, peak } of found) {
    const [row, column] = [Math.floor(cell / columns), cell % columns];
    const [dx, dy, logSize, cos, sin] = Array.from(
      { length: geometry },
      (_, k) => maps[(2 + channel * geometry + k) * cells + cell],
    );
    const hand: DetectedHand = {
      centre: [(column + dx + 0.5) * stride - 0.5, (row + dy + 0.5) * stride - 0.5],
      size: Math.exp(clamp(logSize, -6, 6)) * size_unit_px,
      angle: Math.atan2(sin, cos),
      side: told().hand.sides[channel],
      score: either(cell),
      sideShare: peak / either(cell),
    };
    if (!hands.some((better) => sameHand(hand, better))) hands.push(hand);
    if (hands.length === mostHands) break;
  }
  const scale = (box.scale[0] + box.scale[1]) / 2;
  return hands.map((hand) => ({
    ...hand,
    centre: box.toFrame(hand.centre),
    size: hand.size / scale,
  }));
}

/** Log odds that a detection is a hand, to be added to those of a look at it. */
export function detectedOdds({ score }: DetectedHand): number {
  return logit(score);
}

function highestAround(
  maps: Float32Array,
  channel: number,
  cell: number,
  rows: number,
  columns: number,
): number {
  const [row, column] = [Math.floor(cell / columns), cell % columns];
  let highest = -Infinity;
  for (let y = Math.max(row - 1, 0); y <= Math.min(row + 1, rows - 1); y++) {
    for (let x = Math.max(column - 1, 0); x <= Math.min(column + 1, columns - 1); x++) {
      highest = Math.max(highest, maps[channel * rows * columns + y * columns + x]);
    }
  }
  return highest;
}

/** Whether a hand is a second, weaker answer about a better one. */
function sameHand(hand: DetectedHand, better: DetectedHand): boolean {
  const gap = Math.hypot(hand.centre[0] - better.centre[0], hand.centre[1] - better.centre[1]);
  if (gap > 0.3 * Math.max(hand.size, better.size)) return false;
  const [peak, other] = [hand.score * hand.sideShare, better.score * better.sideShare];
  const alike = peak > constant("codec", "_PEAK_OF_SECOND") * other;
  return hand.side === better.side || !(alike && peak + other > constant("codec", "_PEAKS_OF_TWO"));
}
