"""Single images."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from pathlib import Path

import av.error
import cv2
import numpy as np

from knuckle.errors import InputError, reading, reason_of
from knuckle.image import warn_of_fewer_bits
from knuckle.limits import check_picture, check_size
from knuckle.quiet import quiet_decoders
from knuckle.results import Frame
from knuckle.video import animation, heif, tiff
from knuckle.video.errors import SourceNotFoundError, SourceUnreadableError
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions

_HEAD_OF_HEIF, _HEAD_OF_PNM = 12, 4096

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".avif"),
    *(".bmp", ".tif", ".tiff", ".jp2", ".ppm", ".pgm"),
    *heif.SUFFIXES,
)

_PNM = re.compile(rb"P[2356](?:(?:\s+|#[^\n]*\n)+(\d+)){3}\s")
#: Formats that may have 16 bits; 12 of them come out no brighter than this in 8.
_OF_16_BITS = frozenset({".png", ".tif", ".tiff", ".jp2", ".ppm", ".pgm"})
_BLACK_12_BITS = 16


def is_image(path: Path) -> bool:
    """Whether the name says that this is an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def accepts(source: str) -> bool:
    """Names that end like an image; what moves and libav reads is a video by any name."""
    path = Path(source)
    return is_image(path) and not animation.is_sequence(path)


def open_source(source: str, options: SourceOptions) -> Source:
    """Read one image, a source of one frame at time 0, or all the pictures of its file."""
    if animation.is_stack(Path(source)):
        return animation.open_stack(source, options)
    if options.fps is not None:
        raise InputError(f"{source} is a single image: an fps makes no sense for it")
    image = read_image(Path(source))
    height, width = image.shape[:2]
    info = SourceInfo(source, (width, height), n_frames=1, duration_s=0.0)
    frame = Frame(image, 0.0, 0, options.camera, Path(source).name)
    return Source(info, (each for each in [frame]), Losses())


def read_image(path: Path) -> np.ndarray:
    """Read an image file, turned upright as its EXIF orientation says, or HEIF's own.

    Grey becomes RGB, transparency is dropped, 16 bits become 8.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        SourceNotFoundError: there is no such file.
        SourceUnreadableError: it is not an image that can be decoded, or may not be opened.
    """
    if not path.is_file():
        raise SourceNotFoundError(f"{path} does not exist; expected an image: check the path")
    try:
        data = np.fromfile(path, dtype=np.uint8)  # imread cannot open every name on every system
    except OSError as error:
        raise SourceUnreadableError(
            f"{path} cannot be opened ({reason_of(error)}): expected an image that "
            "this user may read; change its permissions"
        ) from None
    try:
        check_picture(data.data, path)
        if (pages := animation.pages_of(path)) is not None:
            check_size(*pages.largest, path)
    except InputError as error:
        raise SourceUnreadableError(str(error)) from None
    if heif.is_still(data[:_HEAD_OF_HEIF].tobytes()):
        return _read_heif(data.tobytes(), path)
    bgr = None
    with quiet_decoders(), suppress(cv2.error):  # too many pixels for its limits
        deep = _of_other_numbers(data)
        if deep is not None:
            return animation.rgb_of(deep, path)
        bgr = _decoded(data, path) if data.size else None
    if bgr is None:
        raise SourceUnreadableError(
            f"{path} is not an image that can be read ({data.size} bytes): expected a JPEG, PNG, "
            "HEIC, WebP, TIFF or BMP; check that it opens in an image viewer"
        )
    _check_depth(data, path, bgr)
    return cv2.cvtColor(_stretched_to_full_range(data, bgr), cv2.COLOR_BGR2RGB)


def _decoded(data: np.ndarray, path: Path) -> np.ndarray | None:
    """(H, W, 3) BGR, upright."""
    if not animation.is_webp(data[:_HEAD_OF_HEIF].tobytes()):
        return cv2.imdecode(data, cv2.IMREAD_COLOR)
    # Older OpenCV does not know that a WebP may be turned.
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if bgr is None:
        return None
    return np.ascontiguousarray(tiff.upright(bgr, animation.orientation_of_webp(path)))


def _max_value(data: np.ndarray) -> int | None:
    """The largest number of a PNM, where it says so and it is not that of its bytes."""
    head = _PNM.match(data[:_HEAD_OF_PNM].tobytes())
    white = int(head[1]) if head else 0
    return white if 0 < white < 2**16 - 1 and white != 2**8 - 1 else None


def _stretched_to_full_range(data: np.ndarray, bgr: np.ndarray) -> np.ndarray:
    """A PNM's pixels out of 255, whatever its head says is white."""
    white = _max_value(data)
    deep = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR) if white else None
    if not white or deep is None:
        return bgr
    return np.round(deep.clip(0, white) * (255.0 / white)).astype(np.uint8)


def _read_heif(content: bytes, path: Path) -> np.ndarray:
    what, then = "a picture as phones write them (HEIC)", "copy it again, or save it as a JPEG"
    broken = (av.error.FFmpegError, struct.error)
    with reading(path, what, then, error=SourceUnreadableError, also=broken):
        return heif.read_heif(content, path)


def _of_other_numbers(data: np.ndarray) -> np.ndarray | None:
    """A TIFF's pixels that are not of 8 or 16 bits, as programs for the sciences write them."""
    if data[:4].tobytes() not in tiff.HEADS:
        return None
    deep = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    return None if deep is None or deep.dtype in (np.uint8, np.uint16) else deep


def _check_depth(data: np.ndarray, path: Path, bgr: np.ndarray) -> None:
    """Warn of 10 or 12 bits in a file of 16, which come out nearly black."""
    if path.suffix.lower() not in _OF_16_BITS or bgr.max() > _BLACK_12_BITS or _max_value(data):
        return
    with quiet_decoders(), suppress(cv2.error):
        deep = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
        if deep is not None and deep.dtype == np.uint16:
            warn_of_fewer_bits(int(deep.max()))
