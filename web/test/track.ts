// Tracks the hands of raw frames in Node.js with the code of the page, for the tests, and says what
// processor time each took.
//   node track.mjs PAGE FRAMES WIDTH HEIGHT FPS > hands.json
// PAGE is a folder that knuckle web --build wrote, FRAMES holds RGBA bytes, frame after frame.

import { readFile } from "node:fs/promises";

import * as ort from "onnxruntime-web/wasm";

import { Camera } from "../src/geometry.js";
import { Networks } from "../src/networks.js";
import { tell } from "../src/told.js";
import { HandTracker } from "../src/tracker.js";

const [page, file, ...numbers] = process.argv.slice(2);
const [width, height, fps] = numbers.map(Number);
ort.env.wasm.numThreads = 1;
tell(JSON.parse(await readFile(`${page}/settings.json`, "utf8")));
const networks = await Networks.open((kind) => readFile(`${page}/weights/${kind}.onnx`));
const tracker = new HandTracker(networks);
const camera = Camera.assumed(width, height);
const bytes = await readFile(file);
const size = width * height * 4;
const frames = [];
for (let i = 0; i < bytes.length / size; i++) {
  const data = new Uint8Array(bytes.buffer, bytes.byteOffset + i * size, size);
  const start = process.cpuUsage();
  const hands = await tracker.see({ data, width, height, channels: 4 }, i / fps, camera);
  const { user, system } = process.cpuUsage(start);
  frames.push({ hands, spentMs: (user + system) / 1000 });
}
console.log(JSON.stringify(frames));
