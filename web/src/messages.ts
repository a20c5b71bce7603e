// What the page and its worker say to each other.

import type { TrackedHand } from "./track.js";

export type Ask =
  | { kind: "open"; threads: number }
  /** A new video begins: hands of the old one are forgotten. */
  | { kind: "begin"; maxHands: number }
  | { kind: "frame"; picture: ImageBitmap; timeS: number; diagonalDeg: number; withPixels: boolean };

export type Answer =
  | { kind: "opened"; threads: number; versions: Record<string, string> }
  | { kind: "failed"; reason: string }
  | {
      kind: "hands";
      picture: ImageBitmap;
      timeS: number;
      ms: number;
      hands: TrackedHand[];
      pixels?: Uint8ClampedArray;
    };
