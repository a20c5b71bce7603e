"""What the detector says of a frame: where its hands are, how large, which way up, which side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from knuckle.codec import DetectedHand
from knuckle.crop import Letterbox


@dataclass(frozen=True, eq=False)
class Detections:
    """What the detector saw in one frame.

    Attributes:
        hands: best first, in pixels of the frame.
        side_masks: (2, H, W) float probability of left and right hand over the letterbox.
        letterbox: where the masks lie in the frame.
    """

    hands: tuple[DetectedHand, ...]
    side_masks: np.ndarray
    letterbox: Letterbox

    @cached_property
    def cells_px(self) -> np.ndarray:
        """(H, W, 2) where the cells of the masks lie in the frame, px."""
        height, width = self.side_masks.shape[1:]
        rows, columns = np.mgrid[:height, :width]
        cell = np.array(self.letterbox.box_size) / (width, height)
        return self.letterbox.to_frame((np.stack([columns, rows], axis=-1) + 0.5) * cell - 0.5)

    @cached_property
    def shows_hand(self) -> np.ndarray:
        """(H, W) bool, cells that show a hand; whose, is the lesser question."""
        return self.side_masks.sum(axis=0) > 0.5
