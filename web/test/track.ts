// Tracks the hands of raw frames in Node.js with the code of the page, for the tests, and says what
// processor time each took.
//   node track.mjs PAGE FRAMES WIDTH HEIGHT FPS > hands.json
// PAGE is a folder that knuckle web --build wrote, FRAMES holds RGBA bytes, frame after frame.

import { readFile } from "node:fs/promises";

import { EngineBeside, serve } from "../src/beside.js";
import { OwnEngine } from "../src/engine.js";
import { Camera } from "../src/geometry.js";
import { Networks, OF_PIXELS } from "../src/networks.js";
import { tell, told } from "../src/told.js";
import { HandTracker } from "../src/tracker.js";

const [page, file, ...numbers] = process.argv.slice(2);
const [width, height, fps] = numbers.map(Number);
tell(JSON.parse(await readFile(`${page}/settings.json`, "utf8")));
const read = (kind: string) => readFile(`${page}/weights/${kind}.onnx`);
const own = await OwnEngine.open(Object.keys(told().cards), 1, read);
// In the thread itself: what is measured is processor time.
const { port1, port2 } = new MessageChannel();
serve(port1, read);
const networks = new Networks(own, await EngineBeside.open(OF_PIXELS, 1, port2));
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
port2.close();
