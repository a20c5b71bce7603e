// How many frames a second the page finds hands in, in headless Chromium with a video as camera.
//   node rate.mjs ADDRESS VIDEO SECONDS
// CHROMIUM names the browser. Prints JSON: what the page said last, frames and seconds.

import { chromium } from "playwright-core";

const [address, video, seconds] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    `--use-file-for-fake-video-capture=${video}`,
  ],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 760 } });
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
