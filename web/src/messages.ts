// What the page and its worker say to each other.

import type { TrackedHand } from "./track.js";

/** A picture that goes from one to the other without being copied. */
export type Frame = VideoFrame | ImageBitmap;

/** Width and height, px. */
export function sizeOf(frame: Frame): [number, number] {
  return "displayWidth" in frame ? [frame.displayWidth, frame.displayHeight] : [frame.width, frame.height];
}

export type Ask =
  /** `threads` for each engine; `beside`: two of them, so that two hands are seen at once. */
  | { kind: "open"; threads: number; beside: boolean }
  /** A new video begins: hands of the old one are forgotten. */
  | { kind: "begin"; maxHands: number }
  | { kind: "frame"; picture: Frame; timeS: number; diagonalDeg: number; withPixels: boolean };

export type Answer =
  | { kind: "opened"; threads: number; versions: Record<string, string> }
  | { kind: "failed"; reason: string }
  | {
      kind: "hands";
      picture: Frame;
      timeS: number;
      ms: number;
      hands: TrackedHand[];
      pixels?: Uint8Array; // RGBA
    };
