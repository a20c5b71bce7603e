"""Single images."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from knuckle.image import warn_of_fewer_bits
from knuckle.results import Frame
from knuckle.video.errors import SourceNotFoundError, SourceUnreadableError
from knuckle.video.quiet import quiet_opencv
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".avif"),
    *(".bmp", ".tif", ".tiff", ".jp2", ".ppm", ".pgm"),
)

#: Formats that may have 16 bits; 12 of them come out no brighter than this in 8.
_OF_16_BITS = frozenset({".png", ".tif", ".tiff", ".jp2", ".ppm", ".pgm"})
_BLACK_12_BITS = 16


def is_image(path: Path) -> bool:
    """Whether the name says that this is an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def accepts(source: str) -> bool:
    """Names that end like an image."""
    return is_image(Path(source))


def open_source(source: str, options: SourceOptions) -> Source:
    """Read one image: a source of one frame at time 0."""
    if options.fps is not None:
        raise ValueError(f"{source} is a single image: an fps makes no sense for it")
    image = read_image(Path(source))
    height, width = image.shape[:2]
    info = SourceInfo(source, (width, height), n_frames=1, duration_s=0.0)
    return Source(info, _one(Frame(image, 0.0, 0, options.camera)), Losses())


def _one(frame: Frame) -> Generator[Frame, None, None]:
    yield frame


def read_image(path: Path) -> np.ndarray:
    """Read an image file, turned upright as its EXIF orientation says.

    Grey becomes RGB, transparency is dropped, 16 bits become 8.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        SourceNotFoundError: there is no such file.
        SourceUnreadableError: it is not an image that OpenCV can decode.
    """
    if not path.is_file():
        raise SourceNotFoundError(f"{path} does not exist; expected an image: check the path")
    bgr = None
    data = np.fromfile(path, dtype=np.uint8)  # imread cannot open every name on every system
    with quiet_opencv(), suppress(cv2.error):  # too many pixels for its limits
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if bgr is None:
        raise SourceUnreadableError(
            f"{path} is not an image that can be read ({data.size} bytes): expected a JPEG, PNG, "
            "WebP, TIFF or BMP of 8 or 16 bits; check that it opens in an image viewer"
        )
    _check_depth(data, path, bgr)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _check_depth(data: np.ndarray, path: Path, bgr: np.ndarray) -> None:
    """Warn of 10 or 12 bits in a file of 16, which come out nearly black."""
    if path.suffix.lower() not in _OF_16_BITS or bgr.max() > _BLACK_12_BITS:
        return
    with quiet_opencv(), suppress(cv2.error):
        deep = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
        if deep is not None and deep.dtype == np.uint16:
            warn_of_fewer_bits(int(deep.max()))
