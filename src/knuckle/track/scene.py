"""Notices cuts, and whether something has come into the picture, from a thumbnail."""

from __future__ import annotations

import cv2
import numpy as np

#: Cells along the longer side of the thumbnail: a hand that the detector can find covers a few.
_CELLS = 48
#: A cell has changed if its grey level has, by more than noise and compression do.
_CHANGE = 12.0
#: In a cut most of the picture changes; a hand, or a person, covers less.
_CUT_SHARE = 0.6


class Scene:
    """Compares each frame with the one before, and with the one that was last searched."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._last: np.ndarray | None = None
        self._searched: np.ndarray | None = None
        self._known_then = np.empty((0, 4))

    def see(self, image: np.ndarray) -> bool:
        """Take in the next image (H, W, 3); returns whether there was a cut before it."""
        before, self._last = self._last, _thumbnail(image)
        same_shape, self._shape = self._shape == image.shape, image.shape
        if before is None:
            return False
        if not same_shape:
            self._searched = None
            return True
        difference = self._last - before
        difference -= np.median(difference)  # the light may flicker
        return bool(np.mean(np.abs(difference) > _CHANGE) > _CUT_SHARE)

    def searched(self, known_boxes: np.ndarray) -> None:
        """The detector has searched the last image, while hands were known at these places."""
        self._searched, self._known_then = self._last, known_boxes

    def changed_since_search(self, known_boxes: np.ndarray) -> bool:
        """Whether anything has changed since the last search, but for the hands that are known.

        Args:
            known_boxes: (N, 4) px, of the hands that are being followed.
        """
        if self._searched is None or self._last is None:
            return True
        changed = np.abs(self._last - self._searched) > _CHANGE
        cells_per_px = changed.shape[1] / self._shape[1]
        # Where a known hand is now, and where it was and has uncovered the background.
        for x0, y0, x1, y1 in np.concatenate([known_boxes, self._known_then]) * cells_per_px:
            rows = slice(max(int(y0), 0), max(int(np.ceil(y1)), 0))
            changed[rows, max(int(x0), 0) : max(int(np.ceil(x1)), 0)] = False
        return bool(changed.any())


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """Small float32 picture of the green channel."""
    height, width = image.shape[:2]
    scale = _CELLS / max(height, width)
    step = max(1, int(0.25 / scale))  # every cell still averages some 16 pixels
    sparse = np.ascontiguousarray(image[::step, ::step, 1])
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(sparse, size, interpolation=cv2.INTER_AREA).astype(np.float32)
