"""What a file may claim before it is decoded: a hundred kilobytes can stand for terabytes.

Sizes are read from headers, where they cost nothing. The limits are settings of the process:
``KNUCKLE_MAX_MEGAPIXELS`` (100) a picture, ``KNUCKLE_MAX_GIGABYTES`` (4) a packed array,
or all pictures of an animation that must be decoded at once.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from knuckle.errors import InputError, reading

_DEFAULTS = {"KNUCKLE_MAX_MEGAPIXELS": 100.0, "KNUCKLE_MAX_GIGABYTES": 4.0}
_PNG = b"\x89PNG\r\n\x1a\n"
#: JPEG's markers of a frame: what follows them has the size of the picture.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: JPEG's markers that stand alone.
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_PNM = re.compile(rb"P[1-7](?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")


def check_picture(content: bytes | memoryview, name: str | Path) -> None:
    """Refuse a picture that is too large by what its header says.

    The beginning of the content is enough, but for a PNG.

    Raises:
        InputError: it has more pixels than the limit, or a piece that has no room in it.
    """
    size = picture_size(bytes(content[: 1 << 20]))
    if size is None:
        return
    check_size(*size, name)
    if content[:8] == _PNG and _largest_chunk(content) > max(len(content), _raw_bytes(*size)):
        raise InputError(f"{name} is damaged, it claims more than there is: copy or save it again")


def check_size(width: int, height: int, name: str | Path) -> None:
    """Refuse a picture that would be too large.

    Raises:
        InputError: it has more pixels than the limit.
    """
    limit = _limit("KNUCKLE_MAX_MEGAPIXELS")
    if width * height > limit * 1e6:
        raise InputError(
            f"{name} claims to be a picture of {width} x {height} pixels, expected at most "
            f"{limit:g} million: make it smaller, or set KNUCKLE_MAX_MEGAPIXELS if it is meant so"
        )


def check_gigabytes(n_bytes: int, name: str | Path, what: str) -> None:
    """Refuse what would take more memory than it may.

    Raises:
        InputError: it takes more than the limit.
    """
    limit = _limit("KNUCKLE_MAX_GIGABYTES")
    if n_bytes > limit * 1e9:
        raise InputError(
            f"{name} needs {n_bytes / 1e9:,.3g} GB for {what}, expected at most {limit:g}: make it "
            "smaller, or set KNUCKLE_MAX_GIGABYTES if it is meant so"
        )


def picture_size(head: bytes) -> tuple[int, int] | None:
    """(width, height) px that a picture's first bytes claim; None where they do not tell."""
    try:
        if head[:8] == _PNG:
            width, height = struct.unpack(">II", head[16:24])
            return width, height
        if head[:2] == b"\xff\xd8":
            return _jpeg_size(head)
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _webp_size(head)
        if head[:3] == b"GIF":
            width, height = struct.unpack("<HH", head[6:10])
            return width, height
        if head[:2] == b"BM":
            width, height = struct.unpack("<ii", head[18:26])
            return abs(width), abs(height)
        if head[:4] in (b"II*\0", b"MM\0*"):
            return _tiff_size(head)
        for box, offset in ((b"ihdr", 4), (b"ispe", 8)):  # JPEG 2000; AVIF and HEIF
            if (at := head.find(box)) > 0 and b"ftyp" in head[:64]:
                first, second = struct.unpack(">II", head[at + offset : at + offset + 8])
                return (second, first) if box == b"ihdr" else (first, second)
    except (struct.error, IndexError):
        return None
    found = _PNM.match(head)
    return (int(found[1]), int(found[2])) if found else None


def _largest_chunk(content: bytes | memoryview) -> int:
    """Bytes that the largest chunk of a PNG claims; decoders make room before they read it."""
    at, largest = len(_PNG), 0
    while at + 8 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        largest = max(largest, length)
        at += length + 12
    return largest


def _raw_bytes(width: int, height: int) -> int:
    """What a PNG holds at most, of four channels of 16 bits: packing makes it hardly larger."""
    return (width * 8 + 1) * height + (1 << 16)


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head):
        if head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        alone = marker == 0xFF or marker in _JPEG_ALONE
        at += (1 if marker == 0xFF else 2) if alone else 2 + int.from_bytes(head[at + 2 : at + 4])
    return None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8X":
        return (
            1 + int.from_bytes(head[24:27], "little"),
            1 + int.from_bytes(head[27:30], "little"),
        )
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", head[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _tiff_size(head: bytes) -> tuple[int, int] | None:
    order: str = "<" if head[:2] == b"II" else ">"
    (at,) = struct.unpack(f"{order}I", head[4:8])
    (count,) = struct.unpack(f"{order}H", head[at : at + 2])
    sides = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack(f"{order}HH", head[entry : entry + 4])
        if tag in (256, 257):
            form, length = ("H", 2) if kind == 3 else ("I", 4)
            (sides[tag],) = struct.unpack(f"{order}{form}", head[entry + 8 : entry + 8 + length])
    return (sides[256], sides[257]) if len(sides) == 2 else None


@contextmanager
def open_npz(path: Path, what: str, then: str) -> Iterator[np.lib.npyio.NpzFile]:
    """An npz whose arrays are no larger than they may be; nothing in it is unpickled.

    ``what`` and ``then`` as in ``errors.reading``.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is no npz, an array in it is damaged, or claims too much.
    """
    with reading(path, what, then, also=(zipfile.BadZipFile,)):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_member(archive, member, path)
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays


def load_npy(path: Path) -> np.ndarray:
    """An array that is no larger than its file; nothing in it is unpickled.

    Raises:
        InputError: it claims more, or is damaged.
    """
    what = "an array that Knuckle wrote"
    with reading(path, what, "run again what wrote it"), path.open("rb") as file:
        claimed = _claimed_bytes(file)
        if claimed > path.stat().st_size:
            raise InputError(f"{path} claims {claimed:,} bytes and has fewer: it is damaged")
        file.seek(0)
        return np.load(file, allow_pickle=False)


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """Refuse an array before it is unpacked."""
    limit = _limit("KNUCKLE_MAX_GIGABYTES")
    with archive.open(member) as file:
        claimed = _claimed_bytes(file)
    packed = member.compress_type != zipfile.ZIP_STORED
    most = limit * 1e9 if packed else min(member.file_size, path.stat().st_size)
    if max(claimed, member.file_size) > most:
        claim = max(claimed, member.file_size) / 1e9
        raise InputError(
            f"{path} claims {claim:,.3g} GB for {member.filename}, expected at most "
            f"{most / 1e9:,.3g}: it is damaged or a trap; KNUCKLE_MAX_GIGABYTES raises the limit "
            "of packed arrays"
        )


def _claimed_bytes(file: IO[bytes]) -> int:
    """Bytes of the array that a header of NumPy's describes."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, kind = read(file)
    count = 1
    for length in shape:
        count *= int(length)
    return count * kind.itemsize


def _limit(name: str) -> float:
    given = os.environ.get(name)
    try:
        limit = _DEFAULTS[name] if given is None else float(given)
    except ValueError:
        limit = 0.0
    if not limit > 0:
        raise InputError(f"{name} must be a positive number, got {given!r}: unset it or mend it")
    return limit
