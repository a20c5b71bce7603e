// Finds the hands beside the page, so that the page never waits.

import * as ort from "onnxruntime-web/wasm";

import { Camera } from "./geometry.js";
import type { Answer, Ask } from "./messages.js";
import { Networks } from "./networks.js";
import { tell, told } from "./told.js";
import { HandTracker } from "./tracker.js";

let networks: Networks;
let tracker: HandTracker;
let canvas: OffscreenCanvas | undefined;

const say = (answer: Answer, transfer: Transferable[] = []) => self.postMessage(answer, { transfer });

self.onmessage = async ({ data }: MessageEvent<Ask>) => {
  try {
    if (data.kind === "open") await open(data.threads);
    else if (data.kind === "begin") tracker = new HandTracker(networks, data.maxHands);
    else await see(data);
  } catch (error) {
    say({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
};

async function open(threads: number): Promise<void> {
  const settings = await (await fetched("settings.json")).json();
  tell(settings);
  ort.env.wasm.numThreads = threads;
  // ONNX Runtime takes addresses as they are: those of its own files must be whole.
  ort.env.wasm.wasmPaths = new URL("./", self.location.href).href;
  networks = await Networks.open(async (kind) => {
    return new Uint8Array(await (await fetched(`weights/${kind}.onnx`)).arrayBuffer());
  });
  tracker = new HandTracker(networks);
  const cards = Object.entries(told().cards);
  const versions = Object.fromEntries(cards.map(([kind, card]) => [kind, card.version]));
  say({ kind: "opened", threads, versions });
}

async function see({ picture, timeS, diagonalDeg, withPixels }: Ask & { kind: "frame" }): Promise<void> {
  const start = performance.now();
  const { width, height } = picture;
  if (canvas?.width !== width || canvas.height !== height) canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser gives no 2D canvas to a worker");
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data;
  const camera = new Camera(width, height, diagonalDeg);
  const data = new Uint8Array(pixels.buffer);
  const hands = await tracker.see({ data, width, height, channels: 4 }, timeS, camera);
  const ms = performance.now() - start;
  say({ kind: "hands", picture, timeS, ms, hands, pixels: withPixels ? pixels : undefined }, [picture]);
}

async function fetched(place: string): Promise<Response> {
  const response = await fetch(new URL(place, self.location.href));
  if (!response.ok) throw new Error(`expected ${place} beside the page, got ${response.status}`);
  return response;
}
