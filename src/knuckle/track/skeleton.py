"""Bones do not grow: one set of bone lengths per track, and hands that have exactly these."""

from __future__ import annotations

import numpy as np

from knuckle.hand import MEAN_LENGTHS_MM, MIDDLE_RAY, N_BONES, N_JOINTS, PARENTS
from knuckle.median import median

#: (21, 21) the sum of which joints' bones leads to each joint; the wrist's own is its place.
PATHS = np.zeros((N_JOINTS, N_JOINTS))
PATHS[:, 0] = 1
for _joint in range(1, N_JOINTS):
    PATHS[_joint] = PATHS[PARENTS[_joint]]
    PATHS[_joint, _joint] = 1


#: How far the proportions that a single look shows are drawn to the mean ones. People's differ by
#: 4 % (standard deviation), what one look says of them is off by 7 %. After so many looks more,
#: half as far.
_TO_MEAN, _HALVED_AFTER = 0.7, 10


class BoneLengths:
    """A robust running estimate of a hand's bone lengths, locked after enough looks.

    Each look's lengths are off mostly by a common factor, as scale is what a single camera sees
    worst, and by more where a bone points at the camera. The median over many looks is unmoved by
    the bad ones. Once locked, the lengths stay for as long as the track lives.
    """

    def __init__(self, looks: int = 60, hand_length_mm: float | None = None) -> None:
        """Lock after so many looks. A hand's length is from wrist to middle fingertip, if known."""
        self.mm = MEAN_LENGTHS_MM  # (20,) the lengths to use
        self.learnt = 0  # looks that have taught them
        self._logs = np.empty((N_BONES, looks))
        self._hand_length_mm = hand_length_mm

    @property
    def locked(self) -> bool:
        """Whether the lengths will change no more."""
        return self.learnt == self._logs.shape[1]

    def learn(self, lengths_mm: np.ndarray) -> None:
        """Take a look's (20,) lengths into account."""
        if self.locked:
            return
        self._logs[:, self.learnt] = np.log(np.maximum(lengths_mm, 1e-3))
        agreed_mm = np.exp(median(self._logs[:, : self.learnt + 1], axis=1))
        to_mean = _TO_MEAN / (1 + self.learnt / _HALVED_AFTER)
        self.mm = lengths_from(agreed_mm, self._hand_length_mm, to_mean)
        self.learnt += 1


def lengths_from(
    observed_mm: np.ndarray, hand_length_mm: float | None = None, to_mean: float = _TO_MEAN
) -> np.ndarray:
    """The bone lengths (20,) of a hand of which lengths have been observed.

    Its size is the observed one, its proportions lie between the observed and the mean ones.

    ``to_mean``, 0..1, is how far proportions are drawn to the mean ones. The length of the hand is
    known or not, wrist to tip of the middle finger along the bones.
    """
    ratios = np.maximum(observed_mm, 1e-3) / MEAN_LENGTHS_MM
    lengths = MEAN_LENGTHS_MM * ratios ** (1 - to_mean)  # the size is put right below
    if hand_length_mm is not None:
        return lengths * (hand_length_mm / lengths[MIDDLE_RAY].sum())
    return lengths * (observed_mm.sum() / lengths.sum())


def robust_lengths(lengths_mm: np.ndarray) -> np.ndarray:
    """The lengths (20,) that many looks (N, 20) agree on: medians of their logarithms."""
    return np.exp(median(np.log(np.maximum(lengths_mm, 1e-3))))


def scale_to(lengths_mm: np.ndarray, observed_mm: np.ndarray) -> float:
    """The common factor that turns observed bone lengths (20,) into the given ones, robustly."""
    ratios = np.sort(lengths_mm / np.maximum(observed_mm, 1e-3))
    return float(np.sqrt(ratios[N_BONES // 2 - 1] * ratios[N_BONES // 2]))


def joints_from_bones(directions: np.ndarray, lengths_mm: np.ndarray) -> np.ndarray:
    """The joints from the wrist (21, 3) of a hand whose bones point along vectors (20, 3).

    The vectors may have any length; the bones get exactly the given ones.
    """
    length = np.sqrt(np.maximum((directions * directions).sum(axis=-1), 1e-18))
    return PATHS[:, 1:] @ (directions * (lengths_mm / length)[:, None])
