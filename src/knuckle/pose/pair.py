"""Two hands near each other, placed together.

A right and a left hand that are near each other in the picture, and may be at one distance, are
taken for the hands of one person. The further apart they are, the less their places are changed, so
that nothing jumps when hands meet. Other hands stay where they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from knuckle.pose import placement
from knuckle.pose.keypoints import Keypoints
from knuckle.pose.placement import Evidence

#: Least distance of the joints of two hands in the picture, as a share of the larger hand: up to
#: the first they are a pair, from the second on they are none.
_NEAR, _FAR = 0.4, 0.9
#: The same for the ratio of their distances, each hand placed by itself: its logarithm.
_SAME_DEPTH, _OTHER_DEPTH = 0.7, 1.0


@dataclass(frozen=True)
class HandPair:
    """A right and a left hand that are near each other."""

    #: ``right``, ``left``: which hands of the frame.
    right: int
    left: int
    nearness: float  # 0..1, weight of the common placement

    @property
    def hands(self) -> tuple[int, int]:
        """Both."""
        return self.right, self.left


def find_pairs(keypoints: Keypoints, evidence: Evidence) -> list[HandPair]:
    """Pairs of hands, each hand in one at most, the nearest ones first."""
    sides = [keypoints.side(i) for i in range(len(keypoints))]
    found = [
        HandPair(right, left, _picture_nearness(keypoints, right, left))
        for right, side in enumerate(sides)
        for left, other in enumerate(sides)
        if (side, other) == ("right", "left")
    ]
    found = [pair for pair in found if pair.nearness > 0]
    if not found:
        return []
    depths = placement.weak_perspective_depth(evidence.joints_root_mm, evidence.rays)
    pairs: list[HandPair] = []
    for pair in sorted(found, key=lambda each: -each.nearness):
        if any(pair.right == c.right or pair.left == c.left for c in pairs):
            continue
        times = abs(float(np.log(depths[pair.right] / depths[pair.left])))
        share = pair.nearness * _falling(times, _SAME_DEPTH, _OTHER_DEPTH)
        if share > 0:
            pairs.append(replace(pair, nearness=share))
    return pairs


def _picture_nearness(keypoints: Keypoints, i: int, k: int) -> float:
    """0..1, how near two hands are in the picture: 1 where they touch or overlap."""
    x, y = keypoints.points_px[i].T[..., None] - keypoints.points_px[k].T[:, None]  # (21, 21)
    extent = max(keypoints.extents_px[i], keypoints.extents_px[k], 1.0)
    return _falling(math.sqrt((x * x + y * y).min()) / extent, _NEAR, _FAR)


def _falling(value: float, start: float, end: float) -> float:
    """1 up to ``start``, 0 from ``end`` on."""
    return min(max((end - value) / (end - start), 0.0), 1.0)


def place_pairs(
    evidence: Evidence, pairs: Sequence[HandPair], offsets_mm: np.ndarray
) -> np.ndarray:
    """The wrists of N hands (N, 3); those of P pairs have the given offset (P, 3) in depth.

    Across the line of sight both hands follow their rays, which are more exact.

    It is that from the right wrist to the left one in the camera frame.
    """
    roots = placement.place(evidence)
    for pair, offset in zip(pairs, offsets_mm, strict=True):
        both = list(pair.hands)
        alone = roots[both]
        behind = alone[1, 2] - alone[0, 2]
        behind += pair.nearness * (offset[2] - behind)
        together = placement.place_together(evidence, both, alone, float(behind))
        roots[both] = alone + pair.nearness * (together - alone)
    return roots
