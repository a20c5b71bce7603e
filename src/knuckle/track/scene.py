"""Sees cuts, and motion since the last search, in thumbnails of the frames."""

from __future__ import annotations

import math

import cv2
import numpy as np

from knuckle.median import median
from knuckle.track.decisions import DECISIONS


class Scene:
    """Compares each frame with the one before it and with the last one that was searched."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._last: np.ndarray | None = None
        self._searched: np.ndarray | None = None
        self._known_then = np.empty((0, 4))
        self._moved_then = np.empty((0, 0), bool)
        self._restless_until_s = np.empty((0, 0))

    def see(self, image: np.ndarray) -> bool:
        """Take in the next image (H, W, 3); returns whether there was a cut before it."""
        before, self._last = self._last, _thumbnail(image)
        same_shape, self._shape = self._shape == image.shape, image.shape
        cut = before is not None and not (same_shape and _goes_on(before, self._last))
        if before is None or cut:
            self._searched = None
            self._moved_then = np.ones(self._last.shape, bool)
            self._restless_until_s = np.full(self._last.shape, -np.inf)
        return cut

    def searched(self, known_boxes: np.ndarray) -> None:
        """The last image is being searched, while hands are known at these places, (N, 4) px."""
        self._moved_then = self._moved(known_boxes)
        self._searched, self._known_then = self._last, known_boxes

    def nothing_found(self, time_s: float) -> None:
        """Note that the search found no new hand: what had moved is no hand, for a while."""
        if self._moved_then.all():
            return  # the first search: everything was new
        side = 2 * DECISIONS.restless_cells + 1
        moved = cv2.dilate(self._moved_then.astype(np.uint8), np.ones((side, side), np.uint8))
        self._restless_until_s[moved > 0] = time_s + DECISIONS.vain_s

    def has_news(self, known_boxes: np.ndarray, time_s: float) -> bool:
        """Whether something has moved since the last search, where it was not searched in vain.

        Outside of the boxes (N, 4) px of hands that are being followed, in the last image.
        """
        return bool((self._moved(known_boxes) & (self._restless_until_s < time_s)).any())

    def moved_in(self, box_xyxy: np.ndarray) -> bool:
        """Whether anything had moved in a box, (4,) px, when the last search was made."""
        box = box_xyxy * (self._moved_then.shape[1] / self._shape[1])
        return bool(self._moved_then[_cells_in(box)].any())

    def _moved(self, known_boxes: np.ndarray) -> np.ndarray:
        """Cells that have changed since the last search and that no known hand explains."""
        if self._searched is None or self._last is None:
            return np.ones_like(self._moved_then)
        moved = np.abs(self._last - self._searched) > DECISIONS.change
        cells_per_px = moved.shape[1] / self._shape[1]
        # Where a known hand is now, and where it was and has uncovered the background.
        for box in np.concatenate([known_boxes, self._known_then]) * cells_per_px:
            moved[_cells_in(box)] = False
        return moved


def _cells_in(box_xyxy: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the cells that a box, (4,) in cells, touches."""
    x0, y0, x1, y1 = box_xyxy.tolist()
    rows = slice(max(int(y0), 0), max(math.ceil(y1), 0))
    return rows, slice(max(int(x0), 0), max(math.ceil(x1), 0))


def _goes_on(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether two thumbnails in a row show the same scene."""
    difference = now - before
    if _changed(difference, DECISIONS.change / 2) < 0.5:
        return True  # half of the cells are as they were: the light has not changed either
    return _changed(difference - median(difference.ravel())) <= DECISIONS.cut_share


def _changed(difference: np.ndarray, least: float = DECISIONS.change) -> float:
    """Share of the cells that have changed by more than so many grey levels."""
    return np.count_nonzero(np.abs(difference) > least) / difference.size


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """Small float32 picture of the green channel."""
    height, width = image.shape[:2]
    scale = DECISIONS.cells / max(height, width)
    step = max(1, int(0.4 / scale))  # every cell still averages some pixels
    sparse = np.ascontiguousarray(image[::step, ::step, 1])
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(sparse, size, interpolation=cv2.INTER_AREA).astype(np.float32)
