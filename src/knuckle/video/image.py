"""Single images."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from knuckle.errors import InputError
from knuckle.limits import check_picture
from knuckle.results import Frame
from knuckle.video.errors import SourceNotFoundError, SourceUnreadableError
from knuckle.video.quiet import quiet_opencv
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions

#: Bytes of a picture in which its size stands.
_HEAD = 1 << 20

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".avif"),
    *(".bmp", ".tif", ".tiff", ".jp2", ".ppm", ".pgm"),
)


def is_image(path: Path) -> bool:
    """Whether the name says that this is an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def accepts(source: str) -> bool:
    """Names that end like an image."""
    return is_image(Path(source))


def open_source(source: str, options: SourceOptions) -> Source:
    """Read one image: a source of one frame at time 0."""
    if options.fps is not None:
        raise InputError(f"{source} is a single image: an fps makes no sense for it")
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
        SourceUnreadableError: it is not an image that OpenCV can decode, or may not be opened.
    """
    if not path.is_file():
        raise SourceNotFoundError(f"{path} does not exist; expected an image: check the path")
    bgr = None
    try:
        data = np.fromfile(path, dtype=np.uint8)  # imread cannot open every name on every system
    except OSError as error:
        raise SourceUnreadableError(
            f"{path} cannot be opened ({(error.strerror or str(error)).lower()}): expected an "
            "image that this user may read; change its permissions"
        ) from None
    try:
        check_picture(data[:_HEAD].tobytes(), path)
    except InputError as error:
        raise SourceUnreadableError(str(error)) from None
    with quiet_opencv(), suppress(cv2.error):  # too many pixels for its limits
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if bgr is None:
        raise SourceUnreadableError(
            f"{path} is not an image that can be read ({data.size} bytes): expected a JPEG, PNG, "
            "WebP, TIFF or BMP of 8 or 16 bits; check that it opens in an image viewer"
        )
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
