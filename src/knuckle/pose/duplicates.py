"""Which answers about a frame are about one and the same hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from knuckle.pose.keypoints import Keypoints

#: Two answers about one hand agree to within this share of its extent; the keypoints of two hands
#: that lie on each other are farther apart.
_SAME_JOINTS = 0.15
#: Two answers that outline the same pixels are about one hand, even if one took it for the other
#: side and so named its fingers the other way round. Hands that touch share no pixels.
_SAME_PIXELS = 0.7
#: In a video the side is known from many looks. If both answers say this surely that their sides
#: are right, they are two hands that touch or cross, whose outlines have run together.
_SURE_SIDE = 0.85
#: A part of a hand is sometimes taken for another, smaller hand. It lies by this share within the
#: whole one and is trusted by less than this share as much, or has less than this share of its
#: area: a finger on its own may look very much like a hand.
_PART_PIXELS, _PART_TRUST, _PART_AREA = 0.7, 0.75, 0.15


def extent_px(joints_px: np.ndarray) -> np.ndarray:
    """Longer side of the box around the joints: (..., 21, 2) -> (...)."""
    return np.ptp(joints_px, axis=-2).max(axis=-1)


def without_duplicates(keypoints: Keypoints, *, sides_known: bool = False) -> list[int]:
    """Indices of the hands, best first as given, of which no better one is the same hand."""
    kept: list[int] = []
    for i in range(len(keypoints)):
        if not any(same_hand(keypoints, i, keypoints, k, sides_known) for k in kept):
            kept.append(i)
    return kept


def same_hand(
    weaker: Keypoints, i: int, better: Keypoints, k: int, sides_known: bool = False
) -> bool:
    """Whether hand ``i`` of ``weaker`` is a second answer about hand ``k`` of ``better``.

    ``sides_known`` says that the sides of the crops come from more than these looks.
    """
    first, second = weaker.points_px[i], better.points_px[k]
    extent = max(extent_px(first), extent_px(second))
    gap = np.linalg.norm(first - second, axis=-1).mean() / extent
    if gap < _SAME_JOINTS:
        return True
    if gap > 1.0:  # hands that are an extent apart share no pixels: the masks need not be asked
        return False
    opposite = sides_known and weaker.side(i) != better.side(k)
    if opposite and min(weaker.right[i], better.right[k]) > _SURE_SIDE:
        return False
    shared, own, other = shared_pixels(weaker, i, better, k)
    is_less = weaker.trust[i] < _PART_TRUST * better.trust[k] or own < _PART_AREA * other
    is_part = shared > _PART_PIXELS * own and is_less
    return bool(is_part or shared > _SAME_PIXELS * (own + other - shared))


def shared_pixels(a: Keypoints, i: int, b: Keypoints, k: int) -> tuple[float, float, float]:
    """Areas in the frame, px²: what two hands' masks share, the first mask, the second.

    The cells of one crop's mask are looked up in the other's, so that no picture of the frame's
    size is made.
    """
    here = a.mask[i] > 0.5
    crop_here = replace(a.crops[i], out_size=here.shape[0])
    rows, columns = np.nonzero(here)
    inside = covered(b, k, crop_here.to_frame(np.stack([columns, rows], axis=-1)))
    cell_here, cell_there = _cell_px(a, i), _cell_px(b, k)
    other = float((b.mask[k] > 0.5).sum()) * cell_there
    return float(inside.sum()) * cell_here, len(rows) * cell_here, other


def covered(keypoints: Keypoints, i: int, points_px: np.ndarray) -> np.ndarray:
    """Which places in the frame, (..., 2) px, the mask of hand ``i`` covers: (...) bool."""
    mask = keypoints.mask[i] > 0.5
    size = mask.shape[0]
    points = replace(keypoints.crops[i], out_size=size).to_crop(points_px)
    x, y = np.moveaxis(np.rint(points).astype(int), -1, 0)
    inside = (x >= 0) & (y >= 0) & (x < size) & (y < size)
    inside[inside] = mask[y[inside], x[inside]]
    return inside


def _cell_px(keypoints: Keypoints, i: int) -> float:
    """Area in the frame of a cell of the mask of hand ``i``, px²."""
    return (keypoints.crops[i].size_px / keypoints.mask[i].shape[0]) ** 2
