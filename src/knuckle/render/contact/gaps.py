"""How far two hands are from each other, and how deep in each other, by their balls."""

from __future__ import annotations

import numpy as np

from knuckle.render.contact.balls import Balls, FlatHands
from knuckle.render.hand_model import HandParameters

_MIRROR = np.array([-1.0, 1.0, 1.0], dtype=np.float32)


def turns_of(hand: HandParameters) -> np.ndarray:
    """(N, 3, 3) from each hand's own right-handed frame to the common one, mirror included."""
    left = hand.is_left()[:, None, None]
    return np.where(left, hand.R_camera_from_hand * _MIRROR, hand.R_camera_from_hand)


def gaps_between(one: np.ndarray, one_radius: np.ndarray, two: np.ndarray, two_radius: np.ndarray
          ) -> np.ndarray:  # fmt: skip
    """(N, K, K) gap between every ball of one hand and every ball of another, mm."""
    middle = one.mean(axis=1, keepdims=True)  # near zero, squares keep their digits
    a, b = one - middle, two - middle
    squared = -2.0 * (a @ b.transpose(0, 2, 1))
    squared += (a * a).sum(-1)[:, :, None]
    squared += (b * b).sum(-1)[:, None, :]
    gaps = np.sqrt(np.maximum(squared, 0.0, out=squared), out=squared)
    gaps -= one_radius[:, :, None]
    gaps -= two_radius[:, None, :]
    return gaps


def gap_mm(first: HandParameters, second: HandParameters) -> np.ndarray:
    """(N,) least gap between two hands by their balls, mm; negative: how deep they overlap.

    Args:
        first: N hands of any side. Forearms count.
        second: N hands of any side, in the same frame.
    """
    placed = []
    for hand in (first, second):
        balls = Balls.of(hand.pose_deg, FlatHands.of(hand.shape))
        at = balls.centre_mm @ turns_of(hand).transpose(0, 2, 1) + hand.root_mm[:, None]
        placed += [at, balls.radius_mm]
    return gaps_between(*placed).min(axis=(1, 2))


def penetration_mm(first: HandParameters, second: HandParameters) -> np.ndarray:
    """(N,) how deep two hands reach into each other by their balls, mm; 0 where they do not."""
    return np.maximum(-gap_mm(first, second), 0.0)
