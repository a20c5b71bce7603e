"""Where a hand may be that nobody has found: beside a known one, before anybody has looked.

Two things tell of it: the look at the known hand shows a neighbour, and the detector's mask shows
more than the known hands explain.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from knuckle.codec import DetectedHand
from knuckle.detect import Detections
from knuckle.hand import SIDES
from knuckle.pose import Keypoints
from knuckle.pose.duplicates import covered, extent_px

#: A hand that touches another lies within so many of that one's extents around its middle.
_REACH = 1.25
#: Much of a hand that is overlooked is hidden: it is at least this large beside the one found.
_LEAST_SIZE = 0.8
#: Which way up a hand is, nobody knows: it is tried in these directions beside the guessed one.
_TURNS = (0.0, np.pi / 2, np.pi, -np.pi / 2)


def beside(looks: Keypoints, known: Keypoints, k: int) -> list[int]:
    """The looks at what may touch hand ``k`` of ``known``, or is it."""
    gaps = np.linalg.norm(_middles_px(looks) - _middles_px(known)[k], axis=-1)
    return np.flatnonzero(gaps <= _REACH * extent_px(known.points_px[k])).tolist()


def is_without_partner(known: Keypoints, k: int) -> bool:
    """Whether hand ``k`` touches no other known hand."""
    return beside(known, known, k) == [k]


def unexplained(
    detections: Detections, known: Keypoints, k: int, share: float
) -> DetectedHand | None:
    """A hand that would explain the largest piece of mask beside hand ``k``, but for its side.

    Args:
        detections: with the mask.
        known: all known hands: what they cover is explained.
        k: beside whom.
        share: a piece no larger than this share of the hand's own mask is none.
    """
    cells_px, is_hand = detections.cells_px, detections.shows_hand  # (H, W, 2), (H, W)
    own = [is_hand & covered(known, i, cells_px) for i in range(len(known))]
    extent = float(extent_px(known.points_px[k]))
    near = np.linalg.norm(cells_px - _middles_px(known)[k], axis=-1) < _REACH * extent
    piece = _largest_piece(is_hand & near & ~np.any(own, axis=0))
    if piece.sum() <= share * own[k].sum():
        return None
    piece_px = cells_px[piece]  # (C, 2)
    x, y = piece_px.mean(axis=0).tolist()
    size = max(float(np.ptp(piece_px, axis=0).max()), _LEAST_SIZE * extent)
    return DetectedHand((x, y), size, known.crops[k].angle, known.side(k))


def on_top_of(known: Keypoints, k: int) -> DetectedHand:
    """A hand that lies on hand ``k``, as large as that one."""
    x, y = _middles_px(known)[k].tolist()
    extent = float(extent_px(known.points_px[k]))
    return DetectedHand((x, y), extent, known.crops[k].angle, known.side(k))


def turned(guess: DetectedHand) -> list[DetectedHand]:
    """The guess as either side, in four directions: 8 guesses."""
    return [
        replace(guess, angle=guess.angle + turn, side=side) for side in SIDES for turn in _TURNS
    ]


def _middles_px(known: Keypoints) -> np.ndarray:
    """(N, 2) middles of the boxes around the joints."""
    return (known.points_px.min(axis=1) + known.points_px.max(axis=1)) / 2


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool, the largest connected part of a mask, but for what is a single cell wide."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    _, label, stats, _ = cv2.connectedComponentsWithStats(opened)
    if len(stats) == 1:  # nothing but background
        return np.zeros(mask.shape, bool)
    return label == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
