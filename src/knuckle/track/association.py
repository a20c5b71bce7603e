"""Which hands of this frame are hands that were lost before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knuckle.hand import Side, box_px, extent_px
from knuckle.track.decisions import DECISIONS

#: Side and (21, 2) joints of a hand, px.
Sighting = tuple[Side, np.ndarray]


def reach(unseen_s: float) -> float:
    """How far a hand may be by now from where it was last seen, in its extents."""
    return DECISIONS.reach + DECISIONS.reach_per_s * unseen_s


def is_inside(joints_px: np.ndarray, frame_shape: tuple[int, int]) -> bool:
    """Whether the box around a hand (21, 2) meets a frame of (H, W); else it has left."""
    x0, y0, x1, y1 = box_px(joints_px)
    height, width = frame_shape
    return x1 > -0.5 and y1 > -0.5 and x0 < width - 0.5 and y0 < height - 0.5


@dataclass(frozen=True, eq=False)
class Whereabouts:
    """Where a lost hand may be by now."""

    side: Side  # of the hand
    places_px: np.ndarray  # (P, 21, 2) its joints at each place where it may be
    unseen_s: float  # how long it has been lost
    #: Whether another hand hides it; then its size may have changed by any amount.
    hidden: bool = False

    def gap(self, joints_px: np.ndarray) -> float | None:
        """Cost of taking a hand (21, 2) for this one, in its extents; None if it cannot be.

        Distance of the middles plus the change of size as a logarithm.
        """
        extents = extent_px(self.places_px)  # (P,)
        offset = joints_px.mean(axis=0) - self.places_px.mean(axis=1)
        off = float((np.linalg.norm(offset, axis=-1) / extents).min())
        grown = float(abs(np.log(extent_px(joints_px) / extents[0])))
        farthest = reach(self.unseen_s) + (DECISIONS.reach if self.hidden else 0.0)
        if off >= farthest or (grown >= DECISIONS.log_size and not self.hidden):
            return None
        return off + grown


def assign(found: Sequence[Sighting], lost: Sequence[Whereabouts]) -> list[int | None]:
    """For each hand found, the index of the lost one that it is, each at most once, or None.

    Greedy: the cheapest pairs first.
    """
    pairs = []
    for i, (side, joints_px) in enumerate(found):
        for k, hand in enumerate(lost):
            gap = hand.gap(joints_px) if side == hand.side else None
            if gap is not None:
                pairs.append((gap, i, k))
    matches: list[int | None] = [None] * len(found)
    for _, i, k in sorted(pairs):
        if matches[i] is None and k not in matches:
            matches[i] = k
    return matches
