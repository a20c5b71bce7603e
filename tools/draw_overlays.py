"""A sheet of real frames with the hands found by the shipped networks: docs/real_overlays.jpg.

    python tools/draw_overlays.py [--video FILE] [--out FILE]

Frames are evenly spaced over the video, not picked by hand. No face is in it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

import knuckle

_COLUMNS, _ROWS, _SIZE = 5, 2, 320


def frames_with_hands(video: Path, count: int) -> list[np.ndarray]:
    """``count`` evenly spaced frames of a video with its tracked hands drawn on."""
    tracker = knuckle.HandTracker(max_hands=2)
    with knuckle.open_source(video) as source:
        drawn = [knuckle.draw_hands(frame.image, tracker(frame)) for frame in source]
    return [drawn[int(i)] for i in np.linspace(0.05, 0.95, count) * (len(drawn) - 1)]


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    video = Path("../shared/data/stereo_video/cam0_test.mp4")
    parser.add_argument("--video", type=Path, default=video)
    parser.add_argument("--out", type=Path, default=Path("docs/real_overlays.jpg"))
    options = parser.parse_args()
    drawn = frames_with_hands(options.video, _COLUMNS * _ROWS)
    tiles = [cv2.resize(t, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA) for t in drawn]
    rows = [np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    sheet = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(options.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(f"{options.out}: {options.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
