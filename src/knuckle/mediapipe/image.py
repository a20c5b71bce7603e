"""``mp.Image``: an array that knows how many channels it has."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

import numpy as np

from knuckle.errors import InputError
from knuckle.image import check_array, to_rgb


class ImageFormat(IntEnum):
    """How pixels are stored; of MediaPipe's formats those that a camera or a file gives."""

    SRGB = 1
    SRGBA = 2
    GRAY8 = 3


_CHANNELS = {ImageFormat.SRGB: 3, ImageFormat.SRGBA: 4, ImageFormat.GRAY8: 1}


class Image:
    """A picture, RGB in any format; ``image_format`` is as it was given."""

    def __init__(self, image_format: ImageFormat, data: np.ndarray) -> None:
        """Copy a picture: a camera's next frame is often written over the one before.

        Raises:
            TypeError: ``data`` is no array, or ``image_format`` no ``ImageFormat``.
            ValueError: ``data`` is not uint8 or has not the channels of the format.
        """
        check_array(data)
        if image_format not in _CHANNELS:
            known = ", ".join(f"ImageFormat.{each.name}" for each in _CHANNELS)
            raise TypeError(f"image_format must be one of {known}, got {image_format!r:.80}")
        self.image_format, expected = ImageFormat(image_format), _CHANNELS[image_format]
        channels = 1 if data.ndim == 2 else data.shape[-1]
        if data.dtype != np.uint8 or data.ndim not in (2, 3) or channels != expected:
            raise InputError(
                f"expected uint8 with {expected} channels for {self.image_format.name}, "
                f"got {data.shape} {data.dtype}"
            )
        self._data = np.array(data, order="C")

    @classmethod
    def create_from_file(cls, path: str | Path) -> Image:
        """Read a picture.

        Raises:
            SourceError: there is none, or it cannot be read.
        """
        from knuckle.video import open_source

        with open_source(str(path)) as source:
            return cls(ImageFormat.SRGB, next(iter(source)).image)

    @property
    def width(self) -> int:
        """Columns."""
        return int(self._data.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self._data.shape[0])

    @property
    def channels(self) -> int:
        """Numbers a pixel."""
        return _CHANNELS[self.image_format]

    @property
    def step(self) -> int:
        """Bytes a row."""
        return int(self._data.strides[0])

    def is_contiguous(self) -> bool:
        """Always: it was copied so."""
        return True

    def is_empty(self) -> bool:
        """Whether it has no pixels."""
        return self._data.size == 0

    def __getitem__(self, place: tuple[int, ...]) -> int:
        """The number at a row, a column and a channel."""
        return int(self._data[place])

    def numpy_view(self) -> np.ndarray:
        """The array itself, which may not be written into."""
        view = self._data.view()
        view.flags.writeable = False
        return view

    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return to_rgb(self._data)
