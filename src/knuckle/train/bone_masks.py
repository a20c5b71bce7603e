"""What the joints of a photographed hand say about its mask, where nobody drew one.

What lies on a bone that is seen is the hand, what lies farther from all bones than flesh reaches is
not. Between, and where something may lie in front, it is not known.
"""

from __future__ import annotations

import cv2
import numpy as np

from knuckle.hand import BONES, KNUCKLES, MEAN_LENGTHS_MM, Joint, bone_lengths

#: So near to the line between two joints all is hand, and farther from all of them nothing is, mm
#: of a mean hand. Fingers are 8 mm thick on either side, the heel of the hand reaches 20 mm.
_CORE_MM, _REACH_MM = 4.0, 30.0
#: Of the bones, the longest seen, in mean lengths, says how large the hand is: the others lean. Of
#: the longest ones one is taken that labels, which are off by some pixels, may have lengthened.
_LONGEST = 0.9
#: Cells of the drawing in one of the mask, along each side, and the bits after the point in which
#: OpenCV takes coordinates.
_FINER, _BITS = 4, 4
#: The palm: within these joints all is hand, as on a bone.
_PALM = np.array([Joint.WRIST, Joint.THUMB_CMC, *KNUCKLES])


def bone_mask(points: np.ndarray, visible: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The mask of a hand as far as its joints tell it, and 1 where they do: (size, size) float32.

    The joints (21, 2) are in cells of the mask; those that are seen are ``visible`` (21,) bool.
    """
    mm = float(np.quantile(bone_lengths(points) / MEAN_LENGTHS_MM, _LONGEST))  # cells
    hand = _drawn(points, visible, _CORE_MM * mm, size) > 0.99
    near = _drawn(points, np.ones_like(visible), _REACH_MM * mm, size) > 0.0
    return hand.astype(np.float32), (hand | ~near).astype(np.float32)


def _drawn(points: np.ndarray, shown: np.ndarray, radius: float, size: int) -> np.ndarray:
    """(size, size) float32, the share of each cell within a radius of the bones that are shown."""
    canvas = np.zeros((size * _FINER, size * _FINER), np.uint8)
    # The middle of cell 0 is the middle of its finer ones.
    fine = (points + 0.5) * _FINER - 0.5
    at = np.round(fine.clip(-10 * size, 10 * size) * 2**_BITS).astype(np.int32)
    width = max(round(2 * radius * _FINER), 1)
    for start, end in BONES:
        if shown[start] and shown[end]:
            cv2.line(canvas, at[start].tolist(), at[end].tolist(), 255, width, shift=_BITS)
    if shown[_PALM].all():
        cv2.fillPoly(canvas, [cv2.convexHull(at[_PALM])], 255, shift=_BITS)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
