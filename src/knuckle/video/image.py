"""Single images."""

from __future__ import annotations

import struct
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import av.error
import cv2
import numpy as np

from knuckle.errors import InputError, reading
from knuckle.image import to_rgb, warn_of_fewer_bits
from knuckle.limits import check_picture
from knuckle.quiet import quiet_decoders
from knuckle.results import Frame
from knuckle.video import heif
from knuckle.video.errors import SourceNotFoundError, SourceUnreadableError
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions

#: Bytes of a picture in which its size stands.
_HEAD = 1 << 20
_HEAD_OF_HEIF = 12

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".avif"),
    *(".bmp", ".tif", ".tiff", ".jp2", ".ppm", ".pgm"),
    *heif.SUFFIXES,
)

_PNG, _TIFF = b"\x89PNG", (b"II*\0", b"MM\0*")
#: So far from a file's beginning an animated PNG says what it is, whatever stands before.
_HEAD_OF_PNG = 1 << 16
#: Formats that may have 16 bits; 12 of them come out no brighter than this in 8.
_OF_16_BITS = frozenset({".png", ".tif", ".tiff", ".jp2", ".ppm", ".pgm"})
_BLACK_12_BITS = 16


def is_image(path: Path) -> bool:
    """Whether the name says that this is an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def accepts(source: str) -> bool:
    """Names that end like an image; a GIF, or a sequence in HEIF, is a video by any name."""
    path = Path(source)
    return is_image(path) and not _is_sequence(path)


def _is_sequence(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_OF_HEIF)
    except OSError:  # told when it is read
        return False
    if head[:4] == b"GIF8":
        return True
    named_heif = path.suffix.lower() in heif.SUFFIXES
    return named_heif and head[4:8] == b"ftyp" and not heif.is_still(head)


def open_source(source: str, options: SourceOptions) -> Source:
    """Read one image, a source of one frame at time 0, or all the pictures of its file."""
    if (several := _several(Path(source))) is not None:
        images, times_s = several
        if options.fps is not None:
            times_s = [i / options.fps for i in range(len(images))]
        height, width = images[0].shape[:2]
        info = SourceInfo(source, (width, height), options.fps, len(images))
        return Source(info, _all(images, times_s, options), Losses())
    if options.fps is not None:
        raise InputError(f"{source} is a single image: an fps makes no sense for it")
    image = read_image(Path(source))
    height, width = image.shape[:2]
    info = SourceInfo(source, (width, height), n_frames=1, duration_s=0.0)
    return Source(info, _one(Frame(image, 0.0, 0, options.camera)), Losses())


def _one(frame: Frame) -> Generator[Frame, None, None]:
    yield frame


def holds_several(path: Path) -> bool:
    """Whether a file says that it is an animation or has several pages, whatever its name says.

    The second picture of a JPEG (a depth, a gain map) is not meant to be shown.
    """
    try:
        with path.open("rb") as file:
            head = file.read(32)
            if head[:4] == _PNG:
                return b"acTL" in head + file.read(_HEAD_OF_PNG)
            if head[:4] in _TIFF:
                return _has_second_page(file, "<" if head[:2] == b"II" else ">")
    except (OSError, struct.error):  # told when it is read
        return False
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        return bool(head[20] & 2)
    return head[4:8] == b"ftyp" and b"avis" in head[8:]


def _has_second_page(file: BinaryIO, order: str) -> bool:
    """Of a TIFF: each page's table ends with the place of the next one's."""
    file.seek(4)
    (at,) = struct.unpack(order + "I", file.read(4))
    file.seek(at)
    (entries,) = struct.unpack(order + "H", file.read(2))
    file.seek(at + 2 + 12 * entries)
    return struct.unpack(order + "I", file.read(4)) != (0,)


def _several(path: Path) -> tuple[list[np.ndarray], list[float]] | None:
    """The RGB pictures of an animation or of a TIFF's pages, and their times; None for one."""
    if not path.is_file() or not holds_several(path):
        return None
    with quiet_decoders(), suppress(cv2.error):
        if cv2.imcount(str(path)) < 2:
            return None
        ok, animation = cv2.imreadanimation(str(path))
        if not ok or len(animation.frames) < 2:
            return None
        images = [cv2.cvtColor(to_rgb(each), cv2.COLOR_BGR2RGB) for each in animation.frames]
        # Pages of a TIFF have no durations.
        with path.open("rb") as file:
            pages = file.read(4) in _TIFF
        steps_s = [1 / 30 if pages else max(int(ms), 1) / 1000 for ms in animation.durations]
        return images, [0.0, *np.cumsum(steps_s[:-1]).tolist()]
    return None


def _all(
    images: list[np.ndarray], times_s: list[float], options: SourceOptions
) -> Generator[Frame, None, None]:
    for index, (image, time_s) in enumerate(zip(images, times_s, strict=True)):
        yield Frame(image, time_s, index, options.camera)


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
    if heif.is_still(data[:_HEAD_OF_HEIF].tobytes()):
        return _read_heif(data.tobytes(), path)
    with quiet_decoders(), suppress(cv2.error):  # too many pixels for its limits
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size and not _of_floats(data) else None
    if bgr is None:
        raise SourceUnreadableError(
            f"{path} is not an image that can be read ({data.size} bytes): expected a JPEG, PNG, "
            "HEIC, WebP, TIFF or BMP of 8 or 16 bits; check that it opens in an image viewer"
        )
    _check_depth(data, path, bgr)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _read_heif(content: bytes, path: Path) -> np.ndarray:
    what, then = "a picture as phones write them (HEIC)", "copy it again, or save it as a JPEG"
    with reading(
        path,
        what,
        then,
        error=SourceUnreadableError,
        also=(av.error.FFmpegError, struct.error),
    ):
        return heif.read_heif(content, path)


def _of_floats(data: np.ndarray) -> bool:
    """Whether a TIFF holds floating point numbers, of which older OpenCV makes nonsense."""
    if data[:4].tobytes() not in (b"II*\0", b"MM\0*"):
        return False
    deep = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    return deep is not None and deep.dtype.kind == "f"


def _check_depth(data: np.ndarray, path: Path, bgr: np.ndarray) -> None:
    """Warn of 10 or 12 bits in a file of 16, which come out nearly black."""
    if path.suffix.lower() not in _OF_16_BITS or bgr.max() > _BLACK_12_BITS:
        return
    with quiet_decoders(), suppress(cv2.error):
        deep = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
        if deep is not None and deep.dtype == np.uint16:
            warn_of_fewer_bits(int(deep.max()))
