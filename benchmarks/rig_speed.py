"""Instants a second that a rig can process: two cameras and one hand, four and two hands.

    python benchmarks/rig_speed.py

Real videos, decoded in advance; the first instants, in which hands are detected, do not count.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from board import SHARED, Data, Table, command
from knuckle import Rig, RigTracker, open_source

TABLE = Table(
    {"cameras": "{}", "hands": "{}", "instants a second, mean": "{:.1f}", "median": "{:.1f}"}
)


def instants_s(rig: Rig, videos: Sequence[Path], hands: int, first: int, last: int) -> np.ndarray:
    """Seconds for each instant from ``first`` to ``last``."""
    views = []
    for camera, video in zip(rig.cameras, videos, strict=True):
        with open_source(video, camera=camera.camera) as source:
            views.append([frame for frame, _ in zip(source, range(last), strict=False)])
    tracker, seconds = RigTracker(rig, max_hands=hands), []
    for instant in zip(*views, strict=True):
        start = time.perf_counter()
        tracker(instant)
        seconds.append(time.perf_counter() - start)
    return np.array(seconds[first:])


@dataclass(frozen=True)
class RigSpeed:
    """Measure how fast a rig follows hands."""

    data: Data = SHARED

    def run(self) -> None:
        """Measure and print."""
        stereo, four = self.data / "stereo_video", self.data / "views_two_hands"
        pair = Rig.load(stereo, unit=40)
        webcams = Rig.load(four / "charuco_calibration" / "camera_array.toml")
        folder = four / "charuco_calibration/calibration/extrinsic"
        sets = (
            (pair, [stereo / f"{name}_test.mp4" for name in pair.names], 1, 30, 300),
            (webcams, [folder / f"{name}.mp4" for name in webcams.names], 2, 9, 55),
        )
        rows = []
        for rig, videos, hands, first, last in sets:
            seconds = instants_s(rig, videos, hands, first, last)
            rows.append((len(videos), hands, 1 / seconds.mean(), 1 / np.median(seconds)))
        print(TABLE.text(rows))


if __name__ == "__main__":
    command(RigSpeed)
