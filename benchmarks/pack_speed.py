"""Hands a second from packed shards, and from loose pictures cropped on every read.

    python benchmarks/pack_speed.py [--pictures 800]

Both give the same training crops. The pictures have InterHand2.6M's size and generated content;
everything is in the page cache, so this measures decoding and cropping, not the disk: a spinning or
networked disk widens the gap further, by a seek for every loose file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from board import Table
from knuckle.data import shards
from knuckle.data.datasets import open_dataset
from knuckle.data.pack import PackSettings, crops_of, pack
from knuckle.hand import JOINT_NAMES

HEIGHT, WIDTH = 512, 334


def write_pictures(root: Path, count: int) -> None:
    """A folder of our own labels: two hands a picture on a natural-looking spectrum."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    lines = [{"format": "knuckle-labels", "version": 1, "joint_order": list(JOINT_NAMES)}]
    for number in range(count):
        octaves = [rng.normal(0, 30, (HEIGHT >> k, WIDTH >> k, 3)) for k in range(2, 8)]
        image = 110 + sum(cv2.resize(octave, (WIDTH, HEIGHT)) for octave in octaves)
        name = f"images/{number:06d}.jpg"
        cv2.imwrite(str(root / name), np.clip(image, 0, 255).astype(np.uint8))
        hands = [
            {"side": side, "joints_px": rng.uniform((x - 60, 190), (x + 60, 310), (21, 2)).tolist()}
            for side, x in (("left", 110), ("right", 220))
        ]
        lines.append({"file": name, "hands": hands})
    (root / "labels.jsonl").write_text("\n".join(json.dumps(line) for line in lines))


def rate(samples: Iterable[object]) -> tuple[int, float]:
    """How many there are, and how many come a second."""
    started = time.perf_counter()
    count = sum(1 for _ in samples)
    return count, count / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=800)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_pictures(root / "set", options.pictures)
        dataset = open_dataset(root / "set")
        settings = PackSettings()
        started = time.perf_counter()
        paths = pack(dataset, root / "shards", settings)
        packing = time.perf_counter() - started
        loose = (crop for sample in dataset for crop in crops_of(sample, settings))
        n_loose, loose_rate = rate(loose)
        n_packed, packed_rate = rate(shards.read(paths))
        assert n_loose == n_packed
        rates = {
            "loose pictures, cut when read": loose_rate,
            "packed shards": packed_rate,
            "packing, once": n_packed / packing,
        }
        of = f"{n_packed} hands of {options.pictures} pictures, one core"
        print(Table({of: "", "hands a second": "{:.0f}"}).text(rates.items()))


if __name__ == "__main__":
    main()
