"""Bones do not grow: one set of bone lengths per track, and hands that have exactly these."""

from __future__ import annotations

import numpy as np

from knuckle.hand import N_BONES, N_JOINTS, PARENTS

#: (21, 21) the sum of which joints' bones leads to each joint; the wrist's own is its place.
PATHS = np.zeros((N_JOINTS, N_JOINTS))
PATHS[:, 0] = 1
for _joint in range(1, N_JOINTS):
    PATHS[_joint] = PATHS[PARENTS[_joint]]
    PATHS[_joint, _joint] = 1


class BoneLengths:
    """A robust running estimate of a hand's bone lengths, locked after enough frames.

    Each frame's lengths are off mostly by a common factor, as scale is what a single camera sees
    worst, and by more where a bone points at the camera. The median over many frames is unmoved by
    the bad ones. Once locked, the lengths stay for as long as the track lives.
    """

    def __init__(self, frames: int = 60) -> None:
        """Lock after so many frames."""
        self._looks = np.empty((frames, N_BONES))
        self._seen = 0
        self._lengths = np.ones(N_BONES)

    @property
    def locked(self) -> bool:
        """Whether the lengths will change no more."""
        return self._seen == len(self._looks)

    def update(self, lengths_mm: np.ndarray) -> np.ndarray:
        """Take a frame's (20,) lengths into account; returns the (20,) lengths to use."""
        if not self.locked:
            self._looks[self._seen] = lengths_mm
            self._seen += 1
            self._lengths = robust_lengths(self._looks[: self._seen])
        return self._lengths


def robust_lengths(lengths_mm: np.ndarray) -> np.ndarray:
    """The lengths (20,) that many looks (N, 20) agree on: medians of their logarithms."""
    return np.exp(np.median(np.log(np.maximum(lengths_mm, 1e-3)), axis=0))


def scale_to(lengths_mm: np.ndarray, observed_mm: np.ndarray) -> float:
    """The common factor that turns observed bone lengths (20,) into the given ones, robustly."""
    ratios = np.sort(lengths_mm / np.maximum(observed_mm, 1e-3))
    return float(np.sqrt(ratios[N_BONES // 2 - 1] * ratios[N_BONES // 2]))


def joints_from_bones(directions: np.ndarray, lengths_mm: np.ndarray) -> np.ndarray:
    """The joints from the wrist (21, 3) of a hand whose bones point along vectors (20, 3).

    The vectors may have any length; the bones get exactly the given ones.
    """
    length = np.maximum(np.linalg.norm(directions, axis=-1), 1e-9)
    return PATHS[:, 1:] @ (directions * (lengths_mm / length)[:, None])
