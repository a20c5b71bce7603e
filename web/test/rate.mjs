// How many frames a second the page finds hands in, in headless Chromium with a video as camera.
//   node rate.mjs ADDRESS VIDEO SECONDS
// CHROMIUM names the browser. Prints what the page says of itself, once a second.

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
await page.waitForFunction(() => /frames a second/.test(document.getElementById("status").textContent), null, {
  timeout: 120_000,
});
for (let second = 0; second < Number(seconds); second++) {
  await page.waitForTimeout(1000);
  console.log(await page.locator("#status").textContent());
}
await browser.close();
