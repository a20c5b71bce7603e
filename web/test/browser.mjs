// Opens the page in Chromium with a video in the place of a camera, and keeps what it saw.
//   node browser.mjs ADDRESS VIDEO FRAMES FOLDER
// CHROMIUM names the browser. Writes hands.json, the frames' RGBA bytes, page.png and requests.json.

import { writeFile } from "node:fs/promises";

import { withCamera } from "./with_camera.mjs";

const [address, video, frames, folder] = process.argv.slice(2);
const { browser, page } = await withCamera(video);
const requests = [];
const complaints = [];
page.on("request", (request) => requests.push(request.url()));
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
await page.goto(`${address}?record=${frames}`);
await page.locator("#camera:enabled").click({ timeout: 120_000 });
await page.waitForFunction((n) => window.knuckleRecord.frames.length >= n, Number(frames), { timeout: 240_000 });
await page.screenshot({ path: `${folder}/page.png` });
const isolated = await page.evaluate(() => crossOriginIsolated);
const seen = [];
for (let i = 0; i < Number(frames); i++) {
  const frame = await page.evaluate((k) => {
    const { pixels, width, height, timeS, ms, hands } = window.knuckleRecord.frames[k];
    let text = "";
    for (let at = 0; at < pixels.length; at += 32768) {
      text += String.fromCharCode(...pixels.subarray(at, at + 32768));
    }
    return { width, height, timeS, ms, hands, pixels: btoa(text) };
  }, i);
  await writeFile(`${folder}/frame-${i}`, Buffer.from(frame.pixels, "base64"));
  seen.push({ ...frame, pixels: undefined });
}
const status = await page.locator("#status").textContent();
await writeFile(`${folder}/hands.json`, JSON.stringify({ isolated, status, requests, complaints, seen }));
await browser.close();
