"""``knuckle bench SOURCE``: where the time of a frame goes, from decoding to drawing.

The run is the one that ``knuckle track`` makes: frames are decoded in a thread of their own while
the tracker works on the one before. MediaPipe can be timed on the same file beside it, in a process
of its own, because it needs other versions of the same libraries.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.errors import InputError
from knuckle.output import OutputError, RunInfo, draw_hands
from knuckle.output.overlay import OverlaySink
from knuckle.pipeline import HandTracker
from knuckle.video import Source, SourceError

#: Methods of the pipeline's stages, and what the table calls them.
STAGES = {"detect": "detect", "look": "keypoints", "poses": "lift and place"}
WAIT, TRACK, DRAW, ENCODE, FRAME = "wait for decoder", "tracker, all", "draw", "encode", "whole"


@dataclass
class Stopwatch:
    """Seconds of each stage, per frame; a stage that did not run in a frame has no entry."""

    frames: list[dict[str, float]] = field(default_factory=list)

    def next_frame(self) -> None:
        """Count what follows to a new frame."""
        self.frames.append({})

    def time(self, stage: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do some work of a stage and add its time."""
        started_s = time.perf_counter()
        try:
            return work(*arguments)
        finally:
            frame = self.frames[-1]
            frame[stage] = frame.get(stage, 0.0) + time.perf_counter() - started_s

    def watch(self, owner: object, method: str, stage: str) -> None:
        """Time every call of a method from now on."""
        work = getattr(owner, method)
        setattr(owner, method, lambda *arguments: self.time(stage, work, *arguments))

    def seconds(self, stage: str) -> np.ndarray:
        """(n,) of the frames in which the stage ran."""
        return np.array([frame[stage] for frame in self.frames if stage in frame])


@dataclass(frozen=True)
class Measurement:
    """What a run took."""

    stages: dict[str, np.ndarray]  # seconds (n,) per stage, of the frames in which it ran
    n_frames: int  # frames in all
    wall_s: float  # of the whole run, decoding included
    first_s: float  # to the first result: opening the networks, one frame
    memory_mb: float  # resident at the end
    growth_mb: float  # resident at the end beyond what it was after a quarter of the run
    error: SourceError | None = None  # why the source broke off, if it did

    @property
    def fps(self) -> float:
        """Frames per second of the whole run."""
        return self.n_frames / self.wall_s


def measure(source: Source, tracker: HandTracker, *, overlay: bool, limit: int) -> Measurement:
    """Run a fresh tracker over a source, which is closed at the end, and time it.

    With ``overlay`` hands are drawn and the video is encoded as well.

    Raises:
        ValueError: the limit leaves no frame.
    """
    if limit < 1:
        raise InputError(f"expected at least 1 frame to measure, got {limit}")
    watch, first_s, error = Stopwatch(), 0.0, None
    memory: list[float] = []
    started_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, source:
        info = RunInfo.of(source.info.name, source.size, fps=source.fps, weights=tracker.versions)
        sink = OverlaySink(Path(folder), info) if overlay else None
        for method, stage in STAGES.items():
            # The pipeline hides its stages from users; a stopwatch is no user.
            watch.watch(tracker._networks, method, stage)
        try:
            while len(watch.frames) < limit and _time_frame(watch, source, tracker, sink):
                first_s = first_s or time.perf_counter() - started_s
                memory.append(resident_mb())
        except SourceError as broke_off:  # what was measured is worth showing
            error = broke_off
        wall_s = time.perf_counter() - started_s
        if sink is not None:
            sink.close()
    names = [WAIT, *STAGES.values(), TRACK, DRAW, ENCODE, FRAME]
    return Measurement(
        stages={name: seconds for name in names if (seconds := watch.seconds(name)).size},
        n_frames=len(watch.frames),
        wall_s=wall_s,
        first_s=first_s,
        memory_mb=memory[-1],
        growth_mb=memory[-1] - memory[len(memory) // 4],
        error=error,
    )


def _time_frame(
    watch: Stopwatch, source: Source, tracker: HandTracker, sink: OverlaySink | None
) -> bool:
    """Time the next frame; returns whether there was one."""
    watch.next_frame()
    started_s, frame = time.perf_counter(), None
    try:
        frame = watch.time(WAIT, next, source, None)
    finally:
        if frame is None:
            watch.frames.pop()
    if frame is None:
        return False
    hands = watch.time(TRACK, tracker, frame)
    if sink is not None:
        picture = watch.time(DRAW, draw_hands, frame.image, hands)
        watch.time(ENCODE, sink.encode, picture, frame.time_s)
    watch.frames[-1][FRAME] = time.perf_counter() - started_s
    return True


def resident_mb() -> float:
    """Memory of this process that is in use now, MB (Linux; elsewhere the most it ever was)."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def table(measured: Measurement) -> str:
    """Lines for people: milliseconds per stage, then the run as a whole."""
    lines = [f"{'stage':<18}{'of frames':>10}{'median':>9}{'90 %':>8}{'99 %':>8}  ms"]
    for name, seconds in measured.stages.items():
        share = f"{len(seconds) / measured.n_frames:.0%}"
        middle, most, nearly_all = 1000 * np.percentile(seconds, (50, 90, 99))
        lines.append(f"{name:<18}{share:>10}{middle:>9.2f}{most:>8.2f}{nearly_all:>8.2f}")
    lines += [
        f"{measured.n_frames} frames, {measured.fps:.1f} frames/s with decoding",
        f"first result after {measured.first_s:.2f} s; {measured.memory_mb:.0f} MB resident "
        f"({measured.growth_mb:+.1f} MB since a quarter of the run)",
    ]
    return "\n".join(lines)


# --------------------------------------------------------------------------------------------
# MediaPipe beside it
# --------------------------------------------------------------------------------------------
_MEDIAPIPE = """
import json, sys, time
import cv2, mediapipe
path, hands, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
capture, seconds, found = cv2.VideoCapture(path), [], 0
with mediapipe.solutions.hands.Hands(max_num_hands=hands, model_complexity=1) as model:
    while len(seconds) < limit:
        more, bgr = capture.read()
        if not more:
            break
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        started = time.perf_counter()
        found += bool(model.process(rgb).multi_hand_landmarks)
        seconds.append(time.perf_counter() - started)
print(json.dumps({"version": mediapipe.__version__, "seconds": seconds, "found": found}))
"""


@dataclass(frozen=True)
class PeerMeasurement:
    """What MediaPipe took on the same file."""

    version: str  # of MediaPipe
    seconds: np.ndarray  # (n,) per frame, without decoding
    n_found: int  # frames with a hand

    def __str__(self) -> str:
        """One line for people."""
        middle, most, nearly_all = 1000 * np.percentile(self.seconds, (50, 90, 99))
        return (
            f"MediaPipe {self.version} (full, video mode, without decoding): median {middle:.2f}, "
            f"90 % {most:.2f}, 99 % {nearly_all:.2f} ms; hands in {self.n_found} of "
            f"{len(self.seconds)} frames"
        )


def measure_mediapipe(path: Path, *, python: Path, max_hands: int, limit: int) -> PeerMeasurement:
    """Time MediaPipe's tracking on a video file.

    ``python`` is that of an environment with ``mediapipe==0.10.21``, the last with
    ``mp.solutions``.

    Raises:
        OutputError: it did not run.
    """
    command = [str(python), "-c", _MEDIAPIPE, str(path), str(max_hands), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise OutputError(
            f"MediaPipe did not run in {python} ({reason}): expected an environment with "
            "mediapipe==0.10.21"
        )
    values = json.loads(done.stdout.splitlines()[-1])
    if not values["seconds"]:
        raise OutputError(f"MediaPipe's OpenCV reads no frame of {path}: give a video file")
    return PeerMeasurement(values["version"], np.array(values["seconds"]), values["found"])
