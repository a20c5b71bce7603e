"""How far two hands are from each other, and how deep in each other, by their balls."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from knuckle.render.contact.balls import Balls, FlatHands
from knuckle.render.hand_model import HandParameters


@dataclass(frozen=True, eq=False)
class NearestBalls:
    """For every ball of either hand the nearest one of the other hand."""

    partner: np.ndarray  # (2, N, K) its number
    gap_mm: np.ndarray  # (2, N, K) the gap to it, negative where they overlap

    @classmethod
    def of(
        cls, one: np.ndarray, one_radius: np.ndarray, two: np.ndarray, two_radius: np.ndarray
    ) -> NearestBalls:
        """From centres (N, K, 3) in one frame, and radii (N, K)."""
        found = cls(
            np.zeros((2, *one_radius.shape), np.int64),
            np.full((2, *one_radius.shape), np.inf, np.float32),
        )
        columns = np.ascontiguousarray(two.transpose(0, 2, 1), np.float32)  # (N, 3, K)
        _find_nearest(
            one.astype(np.float32), one_radius, columns, two_radius, found.partner, found.gap_mm
        )
        return found


@numba.njit(cache=True, nogil=True, fastmath=True)
def _find_nearest(
    one: np.ndarray, one_radius: np.ndarray, two: np.ndarray, two_radius: np.ndarray,
    partner: np.ndarray, gap_mm: np.ndarray,
) -> None:  # fmt: skip
    """Fill ``NearestBalls``; the second hand's centres are (N, 3, K)."""
    n_balls = one.shape[1]
    row = np.empty(n_balls, np.float32)
    for n in range(one.shape[0]):
        x2, y2, z2, r2 = two[n, 0], two[n, 1], two[n, 2], two_radius[n]
        partner_of_two, gap_of_two = partner[1, n], gap_mm[1, n]
        for i in range(n_balls):
            x, y, z, r = one[n, i, 0], one[n, i, 1], one[n, i, 2], one_radius[n, i]
            for j in range(n_balls):  # apart from the search: this loop takes eight at a time
                dx, dy, dz = x2[j] - x, y2[j] - y, z2[j] - z
                row[j] = np.sqrt(dx * dx + dy * dy + dz * dz) - r2[j] - r
            best, least = 0, row[0]
            for j in range(n_balls):
                gap = row[j]
                if gap < least:
                    best, least = j, gap
                if gap < gap_of_two[j]:
                    gap_of_two[j], partner_of_two[j] = gap, i
            partner[0, n, i], gap_mm[0, n, i] = best, least


def gap_mm(first: HandParameters, second: HandParameters) -> np.ndarray:
    """(N,) least gap between two hands by their balls, mm; negative: how deep they overlap.

    Args:
        first: N hands of any side. Forearms count.
        second: N hands of any side, in the same frame.
    """
    placed = []
    for hand in (first, second):
        balls = Balls.of(hand.pose_deg, FlatHands.of(hand.shape))
        turn = hand.R_camera_from_right()
        at = balls.centre_mm @ turn.transpose(0, 2, 1) + hand.root_mm[:, None]
        placed += [at, balls.radius_mm]
    return NearestBalls.of(*placed).gap_mm[0].min(axis=1)


def penetration_mm(first: HandParameters, second: HandParameters) -> np.ndarray:
    """(N,) how deep two hands reach into each other by their balls, mm; 0 where they do not."""
    return np.maximum(-gap_mm(first, second), 0.0)
