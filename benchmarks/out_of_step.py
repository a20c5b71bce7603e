"""Two cameras half a frame out of step, on real video: the effect that remains in the joints.

    python benchmarks/out_of_step.py --mediapipe-python PEERS/bin/python

``stereo_video`` at half its rate: the even frames of the first camera and the odd ones of the
second, 33 ms later. The even frames of both give the reference; compared with it are frames paired
by nearest number, and frames brought to one instant. MediaPipe's keypoints are treated the same
way, with plain least squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from board import PeerPython, Table, command
from knuckle import Rig, RigTracker
from knuckle.results import Frame, Instant
from peers.process import MediaPipe, MediaPipeSettings
from views import read, with_dlt

TABLE = Table({
    "system": "",
    "frames": "",
    "hands": "{}",
    "apart, mean": "{:.1f} mm",
    "median": "{:.1f} mm",
    "tenth that is worst": "{:.1f} mm",
    "the fastest quarter": "{:.1f} mm",
})  # fmt: skip


def instants(first: Sequence[Frame], second: Sequence[Frame], later_s: float) -> list[Instant]:
    """Frames that are taken for those of an instant, the second one so much later."""
    pairs = zip(first, second, strict=False)
    return [Instant(pair, pair[0].time_s, (0.0, later_s)) for pair in pairs]


def row(found: dict[int, np.ndarray], true: dict[int, np.ndarray]) -> tuple[float, ...]:
    """How far joints (21, 3) are from where they are: numbers of a line."""
    both = sorted(set(found) & set(true))
    apart = np.array([np.linalg.norm(found[k] - true[k], axis=1).mean() for k in both])
    moved = {k: np.linalg.norm(true[k] - true[k - 1], axis=1).mean() for k in both if k - 1 in true}
    fast = np.quantile(list(moved.values()), 0.75)
    fastest = [off for k, off in zip(both, apart, strict=True) if moved.get(k, 0) >= fast]
    worst = np.sort(apart)[-max(len(apart) // 10, 1) :]
    return len(both), apart.mean(), float(np.median(apart)), worst.mean(), float(np.mean(fastest))


@dataclass(frozen=True)
class OutOfStep:
    """Measure what half a frame between two cameras does."""

    data: Path = Path("../shared/data")
    mediapipe_python: PeerPython = None

    def run(self) -> None:
        """Measure and print."""
        rig = Rig.load(self.data / "stereo_video", unit=40)
        views = read(rig, [self.data / "stereo_video" / f"{name}_test.mp4" for name in rig.names])
        first, even, odd = views[0][::2], views[1][::2], views[1][1::2]
        half_s = float(np.median(np.diff([frame.time_s for frame in views[0]])))
        ways = {
            "in step": (even, instants(first, even, 0.0)),
            "nearest": (odd, instants(first, odd, 0.0)),
            "brought to one instant": (odd, instants(first, odd, half_s)),
        }
        said: dict[tuple[str, str], dict[int, np.ndarray]] = {}
        for way, (_, frames) in ways.items():
            tracker = RigTracker(rig, max_hands=1)
            for k, instant in enumerate(frames):
                for hand in tracker(instant):
                    said.setdefault(("Knuckle rig, each frame alone", way), {})[k] = hand.raw_mm
                    said.setdefault(("Knuckle rig", way), {})[k] = hand.joints_mm
        if self.mediapipe_python is not None:
            peer = MediaPipe(self.mediapipe_python, MediaPipeSettings(max_hands=1))
            of_first = peer.track([frame.image for frame in first])
            for way, (second, frames) in ways.items():
                # Both are counted anew: every second frame of a video is a video.
                counted = [
                    Instant([Frame(f.image, f.time_s, k) for f in pair], pair.time_s, pair.later_s)
                    for k, pair in enumerate(frames)
                ]
                of_second = peer.track([frame.image for frame in second])
                times = [np.array([f.time_s for f in view]) for view in (first, second)]
                hands = with_dlt(rig, counted, [of_first, of_second], times).hands
                said["MediaPipe + DLT", way] = {
                    k: joints for k, sides in hands for _, joints in sides.values()
                }
        print(
            TABLE.text(
                (name, way, *row(found, said[name, "in step"]))
                for (name, way), found in said.items()
                if way != "in step"
            )
        )


if __name__ == "__main__":
    command(OutOfStep)
