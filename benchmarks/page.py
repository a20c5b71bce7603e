"""Speed of the page of ``knuckle web``: its code in Node.js, and all of it in Chromium.

    make web
    python benchmarks/page.py --seconds 20

In Node.js only the search for hands is measured, on one thread and in processor time, which other
programs hardly affect. In headless Chromium the demo clip replaces the camera, and the frames that
the page has processed are counted; that needs two processors of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

import knuckle
from knuckle.web import lay_out, page_files, serve

WEB = Path(__file__).resolve().parent.parent / "web" / "test"
sys.path.insert(0, str(WEB))

from camera import write_y4m  # noqa: E402


def in_node(folder: Path) -> np.ndarray:
    """Processor time of each frame of the demo clip, ms."""
    with knuckle.open_source(str(knuckle.demo_clip())) as source:
        images = [frame.image for frame in source]
        width, height = source.size
    pixels = [np.dstack([image, np.full((height, width), 255, np.uint8)]) for image in images]
    (folder / "frames").write_bytes(np.stack(pixels).tobytes())
    program = [WEB.parent / "build" / "track.mjs", lay_out(folder / "page"), folder / "frames"]
    command = ["node", *program, str(width), str(height), "30"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return np.array([frame["spentMs"] for frame in json.loads(said)])


def in_chromium(folder: Path, seconds: int) -> tuple[str, float]:
    """What the page says last, and frames a second."""
    video = folder / "camera.y4m"
    write_y4m(knuckle.demo_clip(), video)
    with page_files() as files, serve(files, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://localhost:{server.server_address[1]}/"
        command = ["node", WEB / "rate.mjs", address, video, str(seconds)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        server.shutdown()
    seen = json.loads(said)
    return seen["status"], seen["frames"] / seen["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--only-node", action="store_true", help="where processors are busy")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ms = in_node(folder)
        print(f"Node.js, one thread, {len(ms)} frames, processor time of one: median", end=" ")
        print(f"{np.median(ms):.0f} ms, 9 of 10 within {np.percentile(ms, 90):.0f} ms")
        if not options.only_node:
            status, rate = in_chromium(folder, options.seconds)
            print(f"Chromium: {rate:.1f} frames a second; {status}")


if __name__ == "__main__":
    main()
