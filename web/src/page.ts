// The page: camera or video in, hands out. Pictures go to the worker and nowhere else.
// It counts the frames that it has seen and, with ?record=N in its address, keeps the first N of them
// and their hands, for the tests.

import { drawPicture, Space } from "./draw.js";
import { sizeOf, type Answer, type Ask } from "./messages.js";
import { tell, told } from "./told.js";

const MOST_THREADS = 4;
const RATE_WINDOW = 30; // frames

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const video = element<HTMLVideoElement>("video");
const picture = element<HTMLCanvasElement>("picture");
const space = new Space(element<HTMLCanvasElement>("space"));
const status = element("status");
const mirror = element<HTMLInputElement>("mirror");
const maxHands = element<HTMLSelectElement>("max-hands");
const view = element<HTMLInputElement>("view");
const file = element<HTMLInputElement>("file");
const camera = element<HTMLButtonElement>("camera");

type Recorded = Extract<Answer, { kind: "hands" }> & { width: number; height: number };
const wanted = Number(new URLSearchParams(location.search).get("record") ?? 0);
const record = { wanted, seen: 0, frames: [] as Recorded[] };
Object.assign(window, { knuckleRecord: record });

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const ask = (message: Ask, transfer: Transferable[] = []) => worker.postMessage(message, transfer);
const finished: number[] = []; // when the last frames were, ms
let busy = true; // until the networks are open
let newestS: number | undefined; // time of the frame that the worker has not had
let versions = "";

worker.onmessage = ({ data }: MessageEvent<Answer>) => {
  if (data.kind === "failed") {
    status.textContent = `Something went wrong: ${data.reason}`;
  } else if (data.kind === "opened") {
    busy = false;
    versions = `keypoints ${data.versions.keypoints}, ${data.threads} thread${data.threads > 1 ? "s" : ""}`;
    [camera.disabled, file.disabled] = [false, false];
    status.textContent = `Ready: ${versions}.`;
  } else {
    busy = false;
    void handOver().then(() => show(data)); // drawn while the worker is at the next one
  }
};
worker.onerror = (event) => (status.textContent = `The networks could not be started: ${event.message}`);

function show(seen: Extract<Answer, { kind: "hands" }>): void {
  record.seen++;
  const [width, height] = sizeOf(seen.picture);
  drawPicture(picture, seen.picture, seen.hands, mirror.checked);
  space.draw(seen.hands);
  seen.picture.close();
  finished.push(performance.now());
  if (finished.length > RATE_WINDOW) finished.shift();
  const rate = (1000 * (finished.length - 1)) / (finished[finished.length - 1] - finished[0]);
  const hands = seen.hands.map((hand) => `${hand.side} ${hand.trackId}`).join(", ") || "no hand";
  status.textContent = `${rate.toFixed(0)} frames a second, ${seen.ms.toFixed(0)} ms each (${versions}): ${hands}`;
  if (record.frames.length < record.wanted) record.frames.push({ ...seen, width, height });
}

/** A frame is there: the worker gets it now, or when it is done, if no newer one has come then. */
function arrived(now: number, { mediaTime }: { mediaTime: number }): void {
  video.requestVideoFrameCallback(arrived);
  newestS = video.srcObject ? now / 1000 : mediaTime;
  void handOver();
}

/** Hand the newest frame to the worker, if that is idle and has not had it. */
async function handOver(): Promise<void> {
  if (busy || newestS === undefined || !video.videoWidth) return;
  const timeS = newestS;
  [busy, newestS] = [true, undefined];
  const picture = await taken().catch(() => undefined);
  if (!picture) return void (busy = false); // the video has just changed: its next frame is coming
  const withPixels = record.frames.length < record.wanted;
  ask({ kind: "frame", picture, timeS, diagonalDeg: Number(view.value), withPixels }, [picture]);
}

/** The frame that the video is at: by itself where browsers have that, else as a copy in RGB. */
async function taken(): Promise<VideoFrame | ImageBitmap> {
  return "VideoFrame" in window ? new VideoFrame(video) : createImageBitmap(video);
}

function begin(): void {
  ask({ kind: "begin", maxHands: Number(maxHands.value) });
  document.body.classList.add("running");
  void video.play();
}

async function startCamera(): Promise<void> {
  try {
    const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted });
    mirror.checked = !record.wanted;
    begin();
  } catch (error) {
    status.textContent = `The camera could not be opened: ${(error as Error).message}`;
  }
}

function startFile(): void {
  const chosen = file.files?.[0];
  if (!chosen) return;
  video.srcObject = null;
  video.src = URL.createObjectURL(chosen);
  video.loop = true;
  mirror.checked = false;
  begin();
}

camera.onclick = () => void startCamera();
file.onchange = startFile;
maxHands.onchange = () => ask({ kind: "begin", maxHands: Number(maxHands.value) });
video.requestVideoFrameCallback(arrived);

tell(await (await fetch("settings.json")).json());
view.value = String(told().constants.camera.ASSUMED_DIAGONAL_FOV_DEG);
const processors = Math.max(1, Math.min(navigator.hardwareConcurrency, MOST_THREADS));
// Threads of one engine share memory, which browsers allow only to pages sent with the right headers.
const threads = crossOriginIsolated ? Math.ceil(processors / 2) : 1;
ask({ kind: "open", threads, beside: processors > 1 });
