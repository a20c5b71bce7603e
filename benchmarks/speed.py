"""Seconds a frame, Knuckle and MediaPipe alternating on the same frames and processors.

    taskset -c 0,1 python benchmarks/speed.py --mediapipe-python PEERS/bin/python

Two ways of use: every picture on its own (detection on every frame), and video (tracking). Frames
are decoded before the clock starts. The systems alternate, ``repeats`` times, each in a fresh
process, so that a machine that slows down affects both; the figures are medians over the runs of
each run's median frame.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from board import KNUCKLE, PEER, PeerPython, Table, command
from peers.process import MediaPipe, MediaPipeSettings, PeerTimes

WIDTH, HEIGHT = 1280, 720


def read_720p(video: Path, count: int) -> list[np.ndarray]:
    """The first frames of a video at 1280 x 720, RGB; what is narrower gets its border repeated."""
    capture = cv2.VideoCapture(str(video))
    frames: list[np.ndarray] = []
    while len(frames) < count:
        more, bgr = capture.read()
        if not more:
            break
        frames.append(cv2.cvtColor(_to_720p(bgr), cv2.COLOR_BGR2RGB))
    if not frames:
        raise ValueError(f"expected a video with frames, but nothing can be read from {video}")
    return frames


def _to_720p(image: np.ndarray) -> np.ndarray:
    scale = min(WIDTH / image.shape[1], HEIGHT / image.shape[0])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    left, top = (WIDTH - size[0]) // 2, (HEIGHT - size[1]) // 2
    border = (top, HEIGHT - size[1] - top, left, WIDTH - size[0] - left)
    return cv2.copyMakeBorder(resized, *border, borderType=cv2.BORDER_REPLICATE)


# --------------------------------------------------------------------------------------------
# Knuckle, in a process of its own
# --------------------------------------------------------------------------------------------
def time_knuckle(frames: Sequence[np.ndarray], max_hands: int) -> PeerTimes:
    """Knuckle's seconds, measured in a fresh process by this same file."""
    with tempfile.TemporaryDirectory() as folder:
        job, result = Path(folder, "job.npz"), Path(folder, "result.npz")
        np.savez(job, frames=np.stack(frames), max_hands=max_hands)
        subprocess.run([sys.executable, __file__, "--child", job, result], check=True)
        with np.load(result) as r:
            return PeerTimes(
                r["detect_s"], r["track_s"], r["tracked"], float(r["first_s"]), float(r["rss_mb"])
            )


def _child(job: str, result: str) -> None:
    with np.load(job) as arrays:
        frames, max_hands = list(arrays["frames"]), int(arrays["max_hands"])
    started = time.perf_counter()
    from knuckle import HandEstimator, HandTracker

    estimator = HandEstimator()
    estimator(frames[0])
    first_s = time.perf_counter() - started
    detect_s, _ = _time_each(estimator, frames)
    tracker = HandTracker(max_hands=max_hands)
    tracker(frames[0])
    track_s, found = _time_each(tracker, frames)
    np.savez(
        result,
        detect_s=detect_s,
        track_s=track_s,
        tracked=found & np.concatenate([[False], found[:-1]]),
        first_s=first_s,
        rss_mb=_peak_mb() - _megabytes(frames),
    )


def _time_each(system, frames: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    seconds, found = [], []
    for frame in frames:
        started = time.perf_counter()
        hands = system(frame)
        seconds.append(time.perf_counter() - started)
        found.append(bool(hands))
    return np.array(seconds), np.array(found)


def _peak_mb() -> float:
    """Peak memory of this process; ``ru_maxrss`` would keep that of the process that began it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) / 1024


def _megabytes(frames: Sequence[np.ndarray]) -> float:
    return sum(frame.nbytes for frame in frames) / 2**20


# --------------------------------------------------------------------------------------------
# The table
# --------------------------------------------------------------------------------------------
TABLE = Table({
    "system": "",
    "a frame with detection, ms": "{:.1f}",
    "a tracked frame, ms (10th to 90th percentile)": "",
    "frames tracked": "{:.0%}",
    "import to first result, s": "{:.2f}",
    "memory, MB": "{:.0f}",
})  # fmt: skip


def table(runs: dict[str, list[PeerTimes]]) -> str:
    """Markdown, one line a system."""
    return TABLE.text(
        (
            name,
            np.median([np.median(1000 * run.detect_s) for run in times]),
            _spread([1000 * run.track_s[run.tracked] for run in times if run.tracked.any()]),
            np.mean([run.tracked.mean() for run in times]),
            np.median([run.first_s for run in times]),
            np.median([run.rss_mb for run in times]),
        )
        for name, times in runs.items()
    )


def _spread(runs: list[np.ndarray]) -> str:
    if not runs:
        return "–"
    low, middle, high = np.median([np.percentile(run, (10, 50, 90)) for run in runs], axis=0)
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


@dataclass(frozen=True)
class Speed:
    """Time Knuckle beside MediaPipe on the frames of a video."""

    video: Path = Path("../shared/data/stereo_video/cam0_test.mp4")
    """Any video; it is brought to 1280 x 720."""
    frames: int = 120
    """How many frames of it."""
    repeats: int = 5
    """Runs of each system."""
    max_hands: int = 1
    """Hands to follow."""
    mediapipe_python: PeerPython = None
    knuckle: bool = True
    """Time Knuckle."""

    def run(self) -> None:
        """Measure in turns and print."""
        frames = read_720p(self.video, self.frames)
        systems = {}
        if self.knuckle:
            systems[KNUCKLE] = lambda: time_knuckle(frames, self.max_hands)
        if self.mediapipe_python is not None:
            settings = MediaPipeSettings(max_hands=self.max_hands, threads=_processors())
            peer = MediaPipe(self.mediapipe_python, settings)
            systems[PEER] = lambda: peer.measure_times(frames)
        runs: dict[str, list[PeerTimes]] = {name: [] for name in systems}
        for _ in range(self.repeats):
            for name, measure in systems.items():
                runs[name].append(measure())
        print(f"{len(frames)} frames, {_processors()} processors, {self.repeats} runs")
        print(table(runs))


def _processors() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(*sys.argv[2:])
    else:
        command(Speed)
