"""A synthetic capture in InterHand2.6M's format: how long it takes, and whether it reads back.

    python benchmarks/capture.py --frames 20000 --cameras 16

Writes the capture with one process per processor, opens it with the reader of InterHand2.6M,
decodes every picture through it, and checks for faults.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from board import Table
from knuckle.data.capture import write_capture
from knuckle.data.capture_plan import CaptureSettings
from knuckle.data.check import check
from knuckle.data.datasets import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20000)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--keep", type=Path, help="folder for the capture, else it is deleted")
    options = parser.parse_args()
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        root = options.keep or Path(folder) / "capture"
        started = time.perf_counter()
        write_capture(root, CaptureSettings(options.frames, options.cameras), workers=workers)
        written = time.perf_counter()
        dataset = open_dataset(root, "all")
        hands = [len(dataset[i].hands) for i in range(len(dataset))]
        read = time.perf_counter()
        report = check(root)
        checked = time.perf_counter()
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    print(f"{options.frames} pictures, {options.cameras} cameras, {workers} processes")
    each_ms = (written - started) * 1000 * workers / len(hands)
    rows = {
        "written": f"{(written - started) / 60:.1f} min",
        "per picture and process": f"{each_ms:.0f} ms",
        "read back, masks and visibility too": f"{(read - written) / 60:.1f} min",
        "pictures read; of two hands": f"{len(hands)}; {hands.count(2) / len(hands):.0%}",
        f"faults found in {(checked - read) / 60:.1f} min": str(len(report.faults)),
        "room": f"{size / 1e9:.2f} GB",
    }
    print(Table({"": "", " ": ""}).text(rows.items()))


if __name__ == "__main__":
    main()
