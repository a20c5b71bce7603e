"""TIFF: the pages of a file, found before any is decoded, and EXIF, which is written like one.

A table of tags for each page ends with the place of the next page's table. BigTIFF has the same
with longer numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

import numpy as np

#: First bytes of a file -> byte order, and whether its places have 64 bits.
HEADS = {
    b"II*\0": ("<", False),
    b"MM\0*": (">", False),
    b"II+\0": ("<", True),
    b"MM\0+": (">", True),
}
_SUBFILE_TYPE, _WIDTH, _HEIGHT, _ORIENTATION = 254, 256, 257, 274
#: Of ``_SUBFILE_TYPE``: a smaller copy of another page, or a mask of it.
_NO_PICTURE = 1 | 4


@dataclass(frozen=True)
class Pages:
    """What is said of a file's pages."""

    numbers: tuple[int, ...]  # those that are pictures of their own, counted from 0 with all others
    largest: tuple[int, int]  # (width, height) px of the one with the most pixels
    broken: bool  # the file ends before the table of its next page


def pages_in(file: BinaryIO) -> Pages:
    """The pages of an open TIFF.

    Raises:
        struct.error: it ends before the table of its first page.
        KeyError: it is no TIFF.
    """
    numbers: list[int] = []
    largest = 0, 0
    order, places = _first_place(file)
    wide = places == "Q"
    (at,) = _read(file, order + places)
    seen = set[int]()
    while at and at not in seen:
        seen.add(at)
        try:
            tags, at = _table(file, at, order, wide=wide)
        except struct.error:
            if not numbers:
                raise
            return Pages(tuple(numbers), largest, broken=True)
        if not tags.get(_SUBFILE_TYPE, 0) & _NO_PICTURE:
            numbers.append(len(seen) - 1)
            size = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
            largest = max(largest, size, key=lambda each: each[0] * each[1])
    return Pages(tuple(numbers), largest, broken=False)


def orientation_in(exif: bytes) -> int:
    """EXIF's orientation, 1 to 8; 1 where none is said."""
    with suppress(struct.error, KeyError):
        file = BytesIO(exif.removeprefix(b"Exif\0\0"))
        order, places = _first_place(file)
        (at,) = _read(file, order + places)
        tags, _ = _table(file, at, order, wide=places == "Q")
        if 1 <= tags.get(_ORIENTATION, 1) <= 8:
            return tags.get(_ORIENTATION, 1)
    return 1


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """A picture (H, W, ...) as it is to be shown, given EXIF's orientation."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    mirrored = orientation in (2, 3, 6, 7)
    return image[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if mirrored else 1]


def runs_of(numbers: Sequence[int], longest: int) -> Iterator[tuple[int, int]]:
    """(first, behind the last) of stretches without a gap, none longer than ``longest``."""
    first = 0
    for k in range(1, len(numbers) + 1):
        ends = k == len(numbers) or numbers[k] != numbers[k - 1] + 1 or k - first == longest
        if ends:
            yield numbers[first], numbers[k - 1] + 1
            first = k


def _first_place(file: BinaryIO) -> tuple[str, str]:
    """Byte order and the kind of number that places are; the first place is read next."""
    order, big = HEADS[file.read(4)]
    if big:
        file.read(4)
    return order, "Q" if big else "I"


def _table(file: BinaryIO, at: int, order: str, *, wide: bool) -> tuple[dict[int, int], int]:
    """The tags that hold one short or long number, and the place of the next table."""
    file.seek(at)
    (count,) = _read(file, order + ("Q" if wide else "H"))
    length, room = (20, 12) if wide else (12, 8)
    entries = file.read(length * min(count, 1 << 16))
    tags = {}
    for start in range(0, len(entries) - length + 1, length):
        tag, kind = struct.unpack_from(order + "HH", entries, start)
        if kind in (3, 4):
            form = order + ("H" if kind == 3 else "I")
            (tags[tag],) = struct.unpack_from(form, entries, start + room)
    return tags, _read(file, order + ("Q" if wide else "I"))[0]


def _read(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))
