"""Hands in quick motion, as a shutter that stays open shows them: smeared along a line.

The camera's faults (``render/camera_faults.py``) blur by a few pixels, as a shaking phone does. A
hand that waves before a webcam in a room moves by a part of its own size in one exposure.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from knuckle.hand import extent_px
from knuckle.render.camera_faults import motion_kernel
from knuckle.sample import Sample

#: How far hands move in one exposure, as a share of their extent in the picture: the mean of an
#: exponential distribution, and its end. Beyond that eyes find no fingers either.
_MEAN_MOVE, _MOST_MOVE = 0.12, 0.35
#: Extent of what moves where there is no hand, as a share of the picture's longer side.
_NO_HAND = (0.1, 0.7)


def smear(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """The kernel (S, S) of a motion of the first hand of a sample, drawn anew."""
    share = min(float(rng.exponential(_MEAN_MOVE)), _MOST_MOVE)
    return motion_kernel(max(share * _extent_px(sample, rng), 1.0), float(rng.uniform(0, np.pi)))


def moving(sample: Sample, rng: np.random.Generator) -> Sample:
    """The same picture, all of it smeared as if its first hand, or the camera, moved quickly.

    Pictures without a hand are smeared as well: what is blurred must not tell that there is one.
    """
    return replace(sample, image=smeared(sample.image, smear(sample, rng)))


def smeared(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(H, W, ...) through a kernel; its border goes on outside."""
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)


def _extent_px(sample: Sample, rng: np.random.Generator) -> float:
    valid = sample.hands[0].valid if sample.hands else np.zeros(0, bool)
    if valid.any():
        return float(extent_px(sample.hands[0].joints_px[valid]))
    return max(sample.image.shape[:2]) * float(rng.uniform(*_NO_HAND))
