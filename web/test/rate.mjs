// How many frames a second the page finds hands in, in headless Chromium with a video as camera.
//   node rate.mjs ADDRESS VIDEO SECONDS
// CHROMIUM names the browser. Prints JSON: what the page said last, frames and seconds.

import { withCamera } from "./with_camera.mjs";

const [address, video, seconds] = process.argv.slice(2);
const { browser, page } = await withCamera(video);
await page.goto(address);
await page.locator("#camera:enabled").click({ timeout: 120_000 });
await page.waitForFunction(() => window.knuckleRecord.seen >= 20, null, { timeout: 240_000 });
const now = async () => [await page.evaluate(() => window.knuckleRecord.seen), performance.now() / 1000];
const [before, began] = await now();
await page.waitForTimeout(1000 * Number(seconds));
const [after, ended] = await now();
const status = await page.locator("#status").textContent();
console.log(JSON.stringify({ status, frames: after - before, seconds: ended - began }));
await browser.close();
