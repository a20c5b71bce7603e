"""Files of images that hold several: pages of a TIFF, and what moves in PNG, WebP and AVIF.

GIF, PNG and sequences in HEIF and AVIF are videos to libav, whatever their names; WebP and TIFF are
OpenCV's.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from knuckle.errors import InputError
from knuckle.image import to_rgb
from knuckle.limits import check_gigabytes, check_picture, check_size, picture_size
from knuckle.quiet import quiet_decoders
from knuckle.results import Frame
from knuckle.video import heif, tiff
from knuckle.video.decode import DECODE_ERRORS, open_container
from knuckle.video.errors import SourceBrokenError, SourceError, SourceUnreadableError
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions, resumed

_PNG, _GIF = b"\x89PNG", b"GIF8"
#: How much of a file is searched for the chunk that marks an animated PNG.
_HEAD_BYTES = 1 << 16
_DEFAULT_STEP_S = 1 / 30
#: Pages of a TIFF are decoded in batches of this size: reaching a page means walking from the
#: first.
_BATCH_BYTES = 64 << 20


def is_sequence(path: Path) -> bool:
    """Whether libav takes a file for a video that is named like an image."""
    head = _head(path)
    if head[:4] == _PNG:
        return b"acTL" in head
    return head[:4] == _GIF or (head[4:8] == b"ftyp" and not heif.is_still(head))


def is_moving_gif(path: Path) -> bool:
    """Whether a file is a GIF of two pictures or more, or of a number that cannot be told."""
    if _head(path)[:4] != _GIF:
        return False
    with suppress(*DECODE_ERRORS), open_container(path) as container:
        packets = itertools.islice(container.demux(video=0), 2)
        return sum(packet.size > 0 for packet in packets) != 1  # an empty one marks the end
    return True


def holds_several(path: Path) -> bool:
    """Whether a file says that it is an animation or has several pages, whatever its name says.

    The second picture of a JPEG (a depth, a gain map) is not meant to be shown.
    """
    return is_sequence(path) or is_stack(path)


def is_stack(path: Path) -> bool:
    """Whether a file is a WebP that moves, or a TIFF of several pages."""
    head = _head(path)
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20:
        return bool(head[20] & 2)
    if head[:4] not in tiff.HEADS:
        return False
    pages = pages_of(path)
    return pages is not None and (pages.broken or len(pages.numbers) > 1)


def open_stack(source: str, options: SourceOptions) -> Source:
    """All pictures of a WebP or a TIFF, with their times; pages of a TIFF have none."""
    path = Path(source)
    try:
        pages = pages_of(path)
        if pages is not None:
            check_size(*pages.largest, path)
            return _open_pages(path, pages, options)
        head = _head(path)
        check_picture(head, path)
        return _open_webp(path, picture_size(head) or (1, 1), options)
    except InputError as error:
        raise SourceUnreadableError(str(error)) from None


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:  # told when it is read
        return b""


def pages_of(path: Path) -> tiff.Pages | None:
    """What a TIFF says of its pages; None for anything else, and where it cannot be told."""
    with suppress(OSError, struct.error, KeyError), path.open("rb") as file:
        return tiff.pages_in(file)
    return None


def _open_webp(path: Path, size: tuple[int, int], options: SourceOptions) -> Source:
    with quiet_decoders(), suppress(cv2.error):
        count = cv2.imcount(str(path))
        check_gigabytes(count * size[0] * size[1] * 4, path, f"{count} pictures at once")
        _, animation = cv2.imreadanimation(str(path))
        images = [cv2.cvtColor(to_rgb(each), cv2.COLOR_BGR2RGB) for each in animation.frames]
        if images:
            turned = orientation_of_webp(path)
            images = [np.ascontiguousarray(tiff.upright(each, turned)) for each in images]
            steps_s = [max(int(ms), 1) / 1000 for ms in animation.durations]
            if options.fps is not None:
                steps_s = [1 / options.fps] * len(images)
            return _moving(path, images, steps_s, options)
    raise SourceUnreadableError(
        f"{path} is an animation that cannot be read: expected a whole WebP; copy it again"
    )


def _moving(
    path: Path, images: list[np.ndarray], steps_s: list[float], options: SourceOptions
) -> Source:
    def frames() -> Generator[Frame, None, None]:
        for index, (image, time_s) in enumerate(zip(images, times_s, strict=True)):
            yield Frame(image, time_s, index, options.camera)

    times_s = [0.0, *np.cumsum(steps_s[:-1]).tolist()]
    height, width = images[0].shape[:2]
    info = SourceInfo(str(path), (width, height), options.fps, len(images), sum(steps_s))
    return Source(info, frames(), Losses())


def is_webp(head: bytes) -> bool:
    """Whether a file that begins so, with twelve bytes, is a WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def orientation_of_webp(path: Path) -> int:
    """EXIF's orientation of a WebP, 1 to 8; 1 where none is said."""
    return tiff.orientation_in(_exif_of_webp(path))


def _exif_of_webp(path: Path) -> bytes:
    content = path.read_bytes()
    at = 12
    while at + 8 <= len(content):
        (length,) = struct.unpack_from("<I", content, at + 4)
        if content[at : at + 4] == b"EXIF":
            return content[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    return b""


def _open_pages(path: Path, pages: tiff.Pages, options: SourceOptions) -> Source:
    losses = Losses()
    frames = _frames(path, pages, options, losses)
    try:
        first = next(frames)
    except SourceUnreadableError:  # says why
        raise
    except (StopIteration, SourceError):
        raise SourceUnreadableError(
            f"{path} is a TIFF of {len(pages.numbers)} pages of which none can be read: expected "
            "pictures of 8 or 16 bits; check that they open in an image viewer"
        ) from None
    height, width = first.image.shape[:2]
    count, step_s = len(pages.numbers), 1 / options.fps if options.fps else _DEFAULT_STEP_S
    info = SourceInfo(str(path), (width, height), options.fps, count, count * step_s)
    return Source(info, resumed(first, frames), losses)


def _frames(
    path: Path, pages: tiff.Pages, options: SourceOptions, losses: Losses
) -> Generator[Frame, None, None]:
    """A page that cannot be read leaves a gap; one of another size keeps it."""
    content = np.memmap(path, np.uint8, "r")
    width, height = pages.largest
    together = max(_BATCH_BYTES // max(width * height * 6, 1), 1)
    step_s = 1 / options.fps if options.fps else _DEFAULT_STEP_S
    index = 0
    for first, last in tiff.runs_of(pages.numbers, together):
        for image in _decoded(content, first, last, path):
            if image is None:
                losses.damaged += 1
            else:
                yield Frame(image, index * step_s, index, options.camera)
            index += 1
    if pages.broken:
        raise SourceBrokenError(
            f"{path} breaks off after {index} pages: the file is cut off; what came before is "
            "complete, copy the file again for the rest"
        )


def rgb_of(pixels: np.ndarray, path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB of what OpenCV has decoded: grey, BGR or BGRA, of any depth."""
    try:
        return cv2.cvtColor(to_rgb(pixels), cv2.COLOR_BGR2RGB)
    except InputError:
        raise SourceUnreadableError(
            f"{path} holds {pixels.dtype} numbers from {pixels.min():g} to {pixels.max():g}: "
            "expected 8 or 16 bits, or floating point in 0..1; save it so"
        ) from None


def _decoded(content: np.ndarray, first: int, last: int, path: Path) -> list[np.ndarray | None]:
    """(H, W, 3) RGB of pages; None for one that cannot be read."""
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR
    with quiet_decoders(), suppress(cv2.error):
        _, images = cv2.imdecodemulti(content, flags, range=(first, last))
        if len(images) == last - first:
            return [rgb_of(each, path) for each in images]
    if last - first == 1:
        return [None]
    return [image for k in range(first, last) for image in _decoded(content, k, k + 1, path)]
