// Finds the hands beside the page, so that the page never waits.

import { EngineBeside } from "./beside.js";
import { OwnEngine, runtimeIsAt } from "./engine.js";
import { fetched, networkFile, ownFolder } from "./files.js";
import { Camera } from "./geometry.js";
import { sizeOf, type Answer, type Ask, type Frame } from "./messages.js";
import { Networks, OF_PIXELS } from "./networks.js";
import { tell, told } from "./told.js";
import { HandTracker } from "./tracker.js";

let networks: Networks;
let tracker: HandTracker;
let canvas: OffscreenCanvas | undefined;

const say = (answer: Answer, transfer: Transferable[] = []) => self.postMessage(answer, { transfer });

self.onmessage = async ({ data }: MessageEvent<Ask>) => {
  try {
    if (data.kind === "open") await open(data);
    else if (data.kind === "begin") tracker = new HandTracker(networks, data.maxHands);
    else await see(data);
  } catch (error) {
    say({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
};

async function open({ threads, beside }: Ask & { kind: "open" }): Promise<void> {
  tell(await (await fetched("settings.json")).json());
  runtimeIsAt(ownFolder);
  const own = await OwnEngine.open(Object.keys(told().cards), threads, networkFile);
  networks = new Networks(own, beside ? await engineBeside(threads) : undefined);
  tracker = new HandTracker(networks);
  const cards = Object.entries(told().cards);
  const versions = Object.fromEntries(cards.map(([kind, card]) => [kind, card.version]));
  say({ kind: "opened", threads: beside ? 2 * threads : threads, versions });
}

/** An engine in another thread; what this one has loaded and compiled is there already. */
function engineBeside(threads: number): Promise<EngineBeside> {
  const helper = new Worker(new URL("helper.js", ownFolder), { type: "module" });
  return new Promise((resolve, reject) => {
    helper.onerror = ({ message }) => reject(new Error(`the second thread could not be started: ${message}`));
    EngineBeside.open(OF_PIXELS, threads, helper).then(resolve, reject);
  });
}

async function see({ picture, timeS, diagonalDeg, withPixels }: Ask & { kind: "frame" }): Promise<void> {
  const start = performance.now();
  const [width, height] = sizeOf(picture);
  const data = await pixelsOf(picture, width, height);
  const camera = new Camera(width, height, diagonalDeg);
  const hands = await tracker.see({ data, width, height, channels: 4 }, timeS, camera);
  const ms = performance.now() - start;
  say({ kind: "hands", picture, timeS, ms, hands, pixels: withPixels ? data : undefined }, [picture]);
}

/** RGBA, row after row: from the browser itself where it can, else through a canvas. */
async function pixelsOf(picture: Frame, width: number, height: number): Promise<Uint8Array> {
  const bytes = width * height * 4;
  if ("copyTo" in picture && isAsShown(picture)) {
    const options = { format: "RGBA" } as const; // browsers that do not know it say another size
    if (picture.allocationSize(options) === bytes) {
      const data = new Uint8Array(bytes);
      await picture.copyTo(data, options);
      return data;
    }
  }
  if (canvas?.width !== width || canvas.height !== height) canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser gives no 2D canvas to a worker");
  context.drawImage(picture, 0, 0, width, height);
  return new Uint8Array(context.getImageData(0, 0, width, height).data.buffer);
}

/** Whether a frame is shown pixel by pixel: those of telephones may be turned, others stretched. */
function isAsShown({ displayWidth, displayHeight, visibleRect }: VideoFrame): boolean {
  return visibleRect?.width === displayWidth && visibleRect.height === displayHeight;
}
