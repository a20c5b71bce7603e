"""How many frames a second the page of ``knuckle web`` finds hands in, in headless Chromium.

    make web
    python benchmarks/page.py --seconds 20

The demo clip stands in the place of a camera. The processor time of all of Chromium (the fake
camera, networks, drawing) stands beside the rate: other programs change it less.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import knuckle
from knuckle.web import page_files, serve

WEB = Path(__file__).resolve().parent.parent / "web" / "test"
sys.path.insert(0, str(WEB))

from camera import write_y4m  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, page_files() as files, serve(files, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        video = Path(folder) / "camera.y4m"
        write_y4m(knuckle.demo_clip(), video)
        address = f"http://localhost:{server.server_address[1]}/"
        command = ["node", WEB / "rate.mjs", address, video, str(options.seconds)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        server.shutdown()
    seen = json.loads(said)
    print(seen["status"])
    print(f"{seen['frames'] / seen['seconds']:.1f} frames a second over {seen['seconds']:.0f} s")
    print(f"{1000 * seen['spent'] / seen['frames']:.0f} ms of processor time a frame")


if __name__ == "__main__":
    main()
