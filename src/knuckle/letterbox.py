"""A frame, or a tile of it, as the detector sees it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import cv2
import numpy as np

#: Distance of the samples where a frame is shrunk a lot, px: each is the mean of two by two.
_SAMPLED_PX = 2.5


@dataclass(frozen=True)
class Letterbox:
    """A frame or a tile of it, shrunk or grown to fit the middle of a box: what a detector sees.

    The box is a square. With ``step`` it is only as high, or as wide, as the frame needs: a wide
    frame fills half of a square, and the rest costs as much time.

    It follows the project's pixel convention (whole numbers are pixel centres), and so does
    ``cv2.resize``: the middle of the frame's top-left *corner* stays a corner.
    """

    frame_size: tuple[int, int]  # (W, H) of the frame, or of the tile of it that is shown
    size: int = 256  # side of the square, or longer side of the box
    #: None for a square; else the shorter side is the least multiple of ``step`` that holds the
    #: frame.
    step: int | None = None
    corner: tuple[int, int] = (0, 0)  # (x, y) of the tile's first pixel in the frame

    #: Grey of the bars beside or above the frame.
    FILL: ClassVar[int] = 114

    def __post_init__(self) -> None:
        if min(*self.frame_size, self.size, self.step or 1) < 1:
            raise ValueError(f"a letterbox needs positive sizes, got {self}")

    @classmethod
    def of(cls, image: np.ndarray, size: int, step: int | None = None) -> Letterbox:
        """The letterbox of an image (H, W, ...)."""
        return cls((image.shape[1], image.shape[0]), size, step)

    @cached_property
    def box_size(self) -> tuple[int, int]:
        """(W, H) of the box."""
        if self.step is None:
            return self.size, self.size
        width, height = (
            min(self.size, -(-side // self.step) * self.step) for side in self.content_size
        )
        return width, height

    @cached_property
    def content_size(self) -> tuple[int, int]:
        """(W, H) of the frame inside the box, whole pixels."""
        scale = self.size / max(self.frame_size)
        width, height = (max(1, round(side * scale)) for side in self.frame_size)
        return width, height

    @cached_property
    def offset(self) -> tuple[int, int]:
        """(left, top) of the frame inside the box."""
        (width, height), (inner_width, inner_height) = self.box_size, self.content_size
        return (width - inner_width) // 2, (height - inner_height) // 2

    @cached_property
    def scale(self) -> np.ndarray:
        """(2,) pixels of the box per pixel of the frame; rounding sets x and y apart a bit."""
        return np.divide(self.content_size, self.frame_size)

    def to_box(self, points_px: np.ndarray) -> np.ndarray:
        """Frame pixels to pixels of the box, (..., 2) -> (..., 2)."""
        return (points_px - self.corner + 0.5) * self.scale - 0.5 + self.offset

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """Pixels of the box to frame pixels, (..., 2) -> (..., 2)."""
        return (points - self.offset + 0.5) / self.scale - 0.5 + self.corner

    def cut(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8, the frame -> the box's pixels, averaged where the frame shrinks."""
        (x, y), (wide, high) = self.corner, self.frame_size
        image = image[y : y + high, x : x + wide]
        box = np.full((*self.box_size[::-1], 3), self.FILL, np.uint8)
        left, top = self.offset
        width, height = self.content_size
        # Written in place: the resized frame is never a picture of its own.
        content = box[top : top + height, left : left + width]
        shrink = max(self.frame_size) / self.size
        if shrink <= 1:
            cv2.resize(image, (width, height), dst=content, interpolation=cv2.INTER_LINEAR)
            return box
        # Averaging by a factor that is no whole number is slow. Far from the frame's size a
        # bilinear step comes first, whose samples are close enough to leave no gaps.
        factor = round(shrink / _SAMPLED_PX)
        if factor > 1:
            image = cv2.resize(image, (width * factor, height * factor))
        cv2.resize(image, (width, height), dst=content, interpolation=cv2.INTER_AREA)
        return box
