// A page of headless Chromium that has a video in the place of a camera. CHROMIUM names the browser.

import { chromium } from "playwright-core";

export async function withCamera(video) {
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
  return { browser, page };
}
