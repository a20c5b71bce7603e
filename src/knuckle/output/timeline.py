"""A recording resampled to one left and one right hand at a constant rate, for animation formats.

Of several hands of a side, each sample takes the one whose track is seen most often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from knuckle.errors import warn
from knuckle.hand import N_JOINTS, SIDES, Side
from knuckle.output.errors import OutputError
from knuckle.output.records import Recording
from knuckle.up import to_y_up

#: Longest gap between two sightings that is interpolated, s.
MAX_GAP_S = 0.25
_DEFAULT_RATE = 30.0
#: Share of a side's hands that may be left out without a warning.
_MAX_DROPPED = 0.05
#: The measured rate over the nominal one, above which the nominal one averages over pauses.
_MAX_OVER_NOMINAL = 1.1
#: More samples for each frame mean that the nominal rate is wrong.
_MAX_SAMPLES_PER_FRAME = 4
#: Most samples of a recording that mostly pauses: some two hours.
_MAX_SAMPLES = 200_000


@dataclass(frozen=True, eq=False)
class Motion:
    """A hand over time."""

    joints_mm: np.ndarray  # (T, 21, 3) y up; where it is not seen, as it was seen last
    seen: np.ndarray  # (T,) bool


@dataclass(frozen=True, eq=False)
class Timeline:
    """Both hands over time."""

    rate: float  # samples a second
    times_s: np.ndarray  # (T,) from the first frame's time on
    motions: Mapping[Side, Motion]  # of each side that was seen at all, left first

    @classmethod
    def of(cls, recording: Recording) -> Timeline:
        """Resample a recording to its nominal frame rate, or else to its usual one.

        Raises:
            OutputError: nearly all of it would be pauses, or its times go back.
        """
        at_s = recording.frames["time_s"]
        if len(back := np.flatnonzero(np.diff(at_s) < 0)):
            raise OutputError(
                f"the time of the frames goes back, from {at_s[back[0]]:.2f} to "
                f"{at_s[back[0] + 1]:.2f} s: expected one that grows, as of one video; write each "
                "video into a folder of its own, or take a table (npz, csv, json)"
            )
        rate = _rate(recording)
        count = round((at_s[-1] - at_s[0]) * rate) + 1 if len(at_s) else 0
        if count > max(_MAX_SAMPLES, _MAX_SAMPLES_PER_FRAME * len(at_s)):
            raise OutputError(
                f"{len(at_s)} frames lie between {at_s[0]:.1f} and {at_s[-1]:.1f} s, which are "
                f"{count:,} moments at {rate:g} a second: expected a recording without such "
                f"pauses (the longest has {np.diff(at_s).max():.1f} s); cut the video there, or "
                "take a table (npz, csv, json), which holds times as they are"
            )
        times_s = at_s[:1].sum() + np.arange(count) / rate
        motions: dict[Side, Motion] = {}
        for side in SIDES:
            hands = main_hands(recording, side)
            if len(hands):
                motions[side] = _resampled(hands, times_s, rate, to_y_up(recording.info.up))
        return cls(rate, times_s, motions)


def main_hands(recording: Recording, side: Side) -> np.ndarray:
    """(n,) ``HAND``: of each frame that shows a hand of this side, the one seen most often.

    Warns where that leaves out more than a hand that was mistaken for two now and then.
    """
    hands = recording.hands[recording.hands["side"] == side]
    _, track, counts = np.unique(hands["track_id"], return_inverse=True, return_counts=True)
    order = np.lexsort((-hands["score"], -counts[track], hands["frame"]))
    taken = hands[order[np.unique(hands["frame"][order], return_index=True)[1]]]
    if len(hands) - len(taken) > _MAX_DROPPED * len(hands):
        warn(
            f"{len(hands) - len(taken)} of {len(hands)} {side} hands are left out of files for "
            "other programs, which hold one of a side at a time: tables (npz, csv, json) and coco "
            "have them all",
        )
    return taken


def _rate(recording: Recording) -> float:
    at_s, fps = recording.frames["time_s"], recording.info.fps
    steps_s = np.diff(at_s)
    steps_s = steps_s[steps_s > 0]
    steady_s = steps_s[steps_s <= 1.5 * np.median(steps_s)] if len(steps_s) else steps_s
    usual = 1 / float(steady_s.mean()) if len(steady_s) else _DEFAULT_RATE
    if not fps or usual > _MAX_OVER_NOMINAL * fps:
        return round(usual, 3)
    if len(at_s) and (at_s[-1] - at_s[0]) * fps > _MAX_SAMPLES_PER_FRAME * len(at_s):
        return round(usual, 3)
    return float(fps)


def _resampled(hands: np.ndarray, times_s: np.ndarray, rate: float, turn: np.ndarray) -> Motion:
    at_s, joints_mm = hands["time_s"], hands["joints_mm"]
    after = np.searchsorted(at_s, times_s + 1e-9)
    before = np.clip(after - 1, 0, len(at_s) - 1)
    after = np.clip(after, 0, len(at_s) - 1)
    step_s = at_s[after] - at_s[before]
    bridged = (step_s > 0) & (step_s <= max(MAX_GAP_S, 1.5 / rate))
    share = np.where(bridged, (times_s - at_s[before]) / np.where(bridged, step_s, 1), 0.0)
    share = share.astype(np.float32)[:, None, None]
    moved = joints_mm[before] + share * (joints_mm[after] - joints_mm[before])
    seen = bridged | (np.abs(times_s - at_s[before]) <= 0.5 / rate)
    return Motion(moved.reshape(-1, N_JOINTS, 3).astype(np.float64) @ turn.T, seen)
