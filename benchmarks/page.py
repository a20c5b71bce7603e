"""How many frames a second the page of ``knuckle web`` finds hands in, in headless Chromium.

    make web
    python benchmarks/page.py --seconds 20

The demo clip stands in the place of a camera. The processor time of all of Chromium (the fake
camera, networks, drawing) is given beside the rate, since that does not hang on other programs.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

import knuckle
from knuckle.web import page_files, serve

WEB = Path(__file__).resolve().parent.parent / "web" / "test"
sys.path.insert(0, str(WEB))

from test_in_browser import write_y4m  # noqa: E402

_SAID = re.compile(r"(\d+) frames a second, (\d+) ms each \((.*?)\): (.*)")


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
    lines = [match for match in map(_SAID.match, said.splitlines()) if match]
    rate, ms = (np.array([int(line[n]) for line in lines]) for n in (1, 2))
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{lines[-1][3]}; {lines[-1][4]}")
    print(
        f"{np.median(rate):.0f} frames a second, at least {rate.min()}; {np.median(ms):.0f} ms each"
    )
    print(f"{spent.ru_utime + spent.ru_stime:.0f} s of processor time in all, with the start")


if __name__ == "__main__":
    main()
