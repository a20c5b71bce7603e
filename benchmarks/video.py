"""Tracking on videos with full truth: identity, jitter, lag and error, beside MediaPipe.

    python benchmarks/video.py --mediapipe-python PEERS/bin/python

The clips are those of ``video_scenes.py``; every system gets the same decoded frames in order and
follows up to two hands. Knuckle is measured as its user gets it (filtered) and as each frame alone
gave it (raw). A missed hand counts as one whose joints all lie in one point.

MediaPipe runs in video mode; it gives neither ids nor positions in the camera, so measures that
need these are left out for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

import tracks
from board import KNUCKLE, PEER, RAW, PeerPython, Table, Weights, command
from knuckle import HandTracker
from knuckle.hand import Joint
from peers.process import MediaPipe, MediaPipeSettings
from speed import read_720p, time_knuckle
from tracks import NO_ID, Answer, Trace
from video_scenes import CROSSING, RETURNING, STILL, STORIES, Clip, load

MAX_HANDS = 2
#: What the hand does in each jump of the story "steps".
STEPS = ("across", "nearer", "fingers", "turned", "all at once")
#: Jumps that leave the shape as it is: hand-centred answers do not show them.
MOVES_ONLY = ("across", "nearer")
#: Frames after a step that count as the answer to it; the rest of the stop is rest.
SETTLE = 15
#: Stories with one hand that moves all the time: how late an answer is can be seen there.
MOVING = ("slow", "fast", "hand-held", "changing light")

Answers = list[list[Answer]]


# --- systems -------------------------------------------------------------------------------------


def ask_knuckle(clip: Clip, weights_dir: Path | None) -> dict[str, Answers]:
    """What the tracker says, filtered and raw."""
    tracker = HandTracker(max_hands=MAX_HANDS, weights_dir=weights_dir)
    hands = [tracker(frame) for frame in clip.frames]
    return {
        KNUCKLE: [[Answer(h.side, h.joints_px, h.joints_mm, h.track_id) for h in hs]
                   for hs in hands],
        RAW: [[Answer(h.raw.side, h.raw.joints_px, h.raw.joints_mm, h.track_id) for h in hs]
              for hs in hands],
    }  # fmt: skip


def ask_mediapipe(clip: Clip, python: Path) -> dict[str, Answers]:
    """What MediaPipe says in video mode."""
    peer = MediaPipe(python, MediaPipeSettings(max_hands=MAX_HANDS))
    hands = peer.track([frame.image for frame in clip.frames])
    return {PEER: [[Answer(h.side, h.joints_px, h.joints_mm, NO_ID) for h in hs] for hs in hands]}


# --- measures over several clips -----------------------------------------------------------------


@dataclass(frozen=True)
class Results:
    """The traces of one system, by story."""

    traces: dict[str, Trace]

    def over(self, stories: Iterable[str]) -> list[Trace]:
        """The traces of those of some stories that were run."""
        return [self.traces[name] for name in stories if name in self.traces]

    def per_thousand(self, count: Callable[[Trace], int], stories: Iterable[str]) -> float:
        """Events per 1,000 frames of video."""
        traces = self.over(stories)
        frames = sum(len(trace.found) for trace in traces)
        return 1000 * sum(count(trace) for trace in traces) / frames if frames else float("nan")

    def mean(self, measure: Callable[[Trace], np.ndarray], stories: Iterable[str]) -> float:
        """Mean of a measure over all its values in some stories."""
        values = [measure(trace).ravel() for trace in self.over(stories)]
        joined = np.concatenate(values) if values else np.empty(0)
        return float(joined.mean()) if joined.size else float("nan")

    @cached_property
    def identified(self) -> bool:
        """Whether the system says who is who."""
        return any((trace.track_id != NO_ID).any() for trace in self.traces.values())

    @cached_property
    def waits(self) -> list[int]:
        """Frames to find each hand that returned."""
        return [wait for trace in self.over(RETURNING) for wait in tracks.frames_to_find(trace)]

    def jitter(self, root: Joint | None) -> float:
        """Root mean square over the clips of hands at rest, mm/frame²."""
        values = [tracks.still_jitter(trace, root=root) for trace in self.over(STILL)]
        return float(np.sqrt(np.mean(np.square(values)))) if values else float("nan")

    def step_lags(self) -> list[float]:
        """Frames of delay of each jump of "steps"."""
        if "steps" not in self.traces:
            return []
        story, trace = STORIES["steps"], self.traces["steps"]
        joints = _held(trace.joints_mm[:, 0])
        if not self.identified:
            joints = joints - joints[:, :1]  # hand-centred: only the shape's steps can be seen
        length = story.jumps[0]
        return [
            tracks.step_lag(joints[jump - length : jump + length], length, SETTLE)
            for jump in story.jumps
        ]

    def motion_lag(self) -> float:
        """Frames by which joints come late in hands that move, mean of the clips."""
        lags = []
        for trace in self.over(MOVING):
            answered, true = _held(trace.joints_mm[:, 0]), trace.truth.joints_mm[:, 0]
            if not self.identified:
                answered, true = answered - answered[:, :1], true - true[:, :1]
            lags.append(tracks.motion_lag(answered, true))
        return float(np.mean(lags)) if lags else float("nan")


def _held(joints: np.ndarray) -> np.ndarray:
    """(F, 21, 3) in which a frame without an answer shows the last one (at first the next)."""
    known = np.isfinite(joints).all(axis=(-1, -2))
    if not known.any():
        return np.zeros_like(joints)
    last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
    return joints[np.where(last < 0, np.flatnonzero(known)[0], last)]


def _wrong_side(trace: Trace) -> np.ndarray:
    found = trace.asked & trace.found
    return ~trace.side_right[found]


def _missed(trace: Trace) -> np.ndarray:
    return ~trace.found[trace.asked]


def _relative_acceleration(trace: Trace) -> np.ndarray:
    return tracks.acceleration_errors(trace, root=Joint.WRIST)


def _absolute_acceleration(trace: Trace) -> np.ndarray:
    return tracks.acceleration_errors(trace, root=None)


def _bone_spread(trace: Trace) -> np.ndarray:
    return np.array([tracks.bone_spread(trace)])


# --- tables --------------------------------------------------------------------------------------


IDENTITY = Table({
    "system": "",
    "stories": "",
    "id switches / 1,000 frames": "{:.1f}",
    "side flips / 1,000": "{:.1f}",
    "wrong side": "{:.1%}",
    "missed": "{:.1%}",
    "spurious / 1,000": "{:.1f}",
})  # fmt: skip
ACCURACY = Table({
    "system": "",
    "MPJPE from wrist": "{:.1f} mm",
    "absolute": "{:.0f} mm",
    "acceleration error from wrist": "{:.2f} mm/frame²",
    "acceleration error, absolute": "{:.2f} mm/frame²",
    "tremble of a still hand, from wrist": "{:.3f} mm/frame²",
    "tremble, absolute": "{:.3f} mm/frame²",
    "lag in motion": "{:.2f} frames",
    "spread of bones in a track": "{:.2%}",
    "returning hand found after, frames": "",
})  # fmt: skip
STORY = Table({
    "story": "",
    "system": "",
    "missed": "{:.1%}",
    "spurious": "{}",
    "id switches": "{}",
    "side flips": "{}",
    "wrong side": "{:.1%}",
    "MPJPE from wrist": "{:.1f} mm",
    "absolute": "{:.0f} mm",
})  # fmt: skip
SPEED = Table({"system": "", "two hands, 720p, median": "{:.0f} fps", "slowest run": "{:.0f} fps"})


def identity_table(results: dict[str, Results]) -> str:
    """Who is who, per 1,000 frames."""
    return IDENTITY.text(
        (
            name,
            title,
            r.per_thousand(tracks.id_switches, stories) if r.identified else None,
            r.per_thousand(tracks.side_flips, stories),
            r.mean(_wrong_side, stories),
            r.mean(_missed, stories),
            r.per_thousand(lambda trace: trace.spurious, stories),
        )
        for name, r in results.items()
        for title, stories in {"crossing set": CROSSING, "all": tuple(STORIES)}.items()
    )


def accuracy_table(results: dict[str, Results]) -> str:
    """Error, steadiness and lag."""
    moving = [name for name in STORIES if name not in (*STILL, "steps")]

    def row(name: str, r: Results) -> tuple[object, ...]:
        placed = 1.0 if r.identified else np.nan  # only what has a place in the camera
        return (
            name,
            r.mean(tracks.wrist_errors, moving),
            placed * r.mean(tracks.absolute_errors, moving),
            r.mean(_relative_acceleration, moving),
            placed * r.mean(_absolute_acceleration, moving),
            r.jitter(Joint.WRIST),
            placed * r.jitter(None),
            r.motion_lag(),
            r.mean(_bone_spread, STORIES),
            f"{np.mean(r.waits):.1f}, at most {max(r.waits)}" if r.waits else None,
        )

    return ACCURACY.text(row(name, r) for name, r in results.items())


def step_table(results: dict[str, Results]) -> str:
    """Frames of delay, step by step."""

    def row(name: str, r: Results) -> tuple[object, ...]:
        lags = dict(zip(STEPS, r.step_lags(), strict=False))
        unseen = () if r.identified else MOVES_ONLY
        return (name, *(None if s in unseen else lags.get(s) for s in STEPS))

    columns = {"lag on a step, frames": "", **dict.fromkeys(STEPS, "{:.2f}")}
    return Table(columns).text(row(name, r) for name, r in results.items())


def story_table(results: dict[str, Results]) -> str:
    """Every story: what was missed, mixed up and wrong."""
    return STORY.text(
        (
            story,
            name,
            _missed(trace).mean(),
            trace.spurious,
            tracks.id_switches(trace) if r.identified else None,
            tracks.side_flips(trace),
            r.mean(_wrong_side, (story,)),
            tracks.wrist_errors(trace).mean(),
            r.mean(tracks.absolute_errors, (story,)) if r.identified else None,
        )
        for story in STORIES
        for name, r in results.items()
        for trace in r.over((story,))
    )


def speed_table(fps: dict[str, list[float]]) -> str:
    """Frames a second with two hands, median of the runs."""
    return SPEED.text((name, np.median(runs), min(runs)) for name, runs in fps.items())


@dataclass(frozen=True)
class Video:
    """Measure tracking on rendered videos."""

    mediapipe_python: PeerPython = None
    weights: Weights = None
    only: tuple[str, ...] = ()
    """These stories; none: all."""
    speed_repeats: int = 5
    """Runs in which two hands are timed; 0: do not time."""

    def run(self) -> None:
        """Measure and print."""
        traces: dict[str, dict[str, Trace]] = {}
        for story in self.only or STORIES:
            clip = load(story)
            answers = ask_knuckle(clip, self.weights)
            if self.mediapipe_python is not None:
                answers |= ask_mediapipe(clip, self.mediapipe_python)
            for system, given in answers.items():
                traces.setdefault(system, {})[story] = tracks.follow(clip.truth, given)
        results = {system: Results(of_stories) for system, of_stories in traces.items()}
        frames = sum(len(trace.found) for trace in results[KNUCKLE].traces.values())
        print(f"{len(results[KNUCKLE].traces)} rendered clips, {frames} frames, 640 x 480, 30 fps")
        for table in (identity_table, accuracy_table, step_table, story_table):
            print(f"\n{table(results)}")
        if self.speed_repeats:
            print(f"\n{speed_table(self._time_two_hands())}")

    def _time_two_hands(self) -> dict[str, list[float]]:
        """Frames a second of each run, the systems in turns."""
        frames = read_720p(load("touching").path, 120)
        runs: dict[str, list[float]] = {}
        for _ in range(self.speed_repeats):
            runs.setdefault(KNUCKLE, []).append(_fps(time_knuckle(frames, MAX_HANDS).track_s))
            if self.mediapipe_python is not None:
                peer = MediaPipe(self.mediapipe_python, MediaPipeSettings(max_hands=MAX_HANDS))
                runs.setdefault(PEER, []).append(_fps(peer.measure_times(frames).track_s))
        return runs


def _fps(seconds: Sequence[float]) -> float:
    return 1 / float(np.median(seconds))


if __name__ == "__main__":
    command(Video)
