"""HEIF: the pictures of phones (.heic), whose one picture is a grid of tiles, and AVIF.

A file is boxes within boxes (ISO/IEC 23008-12). ``meta`` lists items and their properties; the
primary item is a coded picture, or a grid that names others row by row. Turning and mirroring are
properties too, applied in their order; an orientation in EXIF beside them says the same and is not
followed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame

from knuckle.limits import check_size

#: Names that such files have.
SUFFIXES = (".heic", ".heif", ".hif")
#: Brands of a still picture, as against those of a sequence, which is a video.
_STILL = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avif")
#: Coded item -> (decoder, the box with its parameters).
_CODECS = {b"hvc1": ("hevc", b"hvcC"), b"av01": ("libdav1d", b"av1C")}
_GRID = b"grid"
#: Side of a tile, px, by the specification.
_MIN_TILE = 64
#: By so much a coded picture may be larger than what is shown of it: a block of the codec.
_BLOCK = 128
#: Matrix coefficients of a colour box: the planes are green, blue, red; none are given.
_GBR, _UNSPECIFIED = 0, 2


class HeifError(ValueError):
    """The boxes contradict each other, or ask for what is not read."""


@dataclass
class _Item:
    kind: bytes = b""
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    #: (where from, offset, length)
    extents: list[tuple[int, int, int]] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)

    def first(self, name: bytes) -> bytes | None:
        """The property of this name."""
        return next((body for kind, body in self.properties if kind == name), None)


def is_still(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a HEIF picture."""
    return head[4:8] == b"ftyp" and head[8:12] in _STILL


def read_heif(content: bytes, name: str | Path) -> np.ndarray:
    """The primary picture of a file, whole and upright; its name is for what is said.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        HeifError, av.error.FFmpegError, struct.error, LookupError: it is damaged, or of a kind that
            is not read.
        InputError: it claims to be too large.
    """
    file = _File(content)
    picture = file.picture(file.primary, name)
    for kind, body in file.items[file.primary].properties:
        picture = _transformed(picture, kind, body)
    return np.ascontiguousarray(picture)


class _File:
    """The items of a file."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        meta = dict(_boxes(dict(_boxes(content))[b"meta"][4:]))
        self._data = bytes(meta.get(b"idat", b""))
        self.items: dict[int, _Item] = {}
        self.primary = _number(meta[b"pitm"], 4, 2 if meta[b"pitm"][0] == 0 else 4)
        for _, entry in _boxes(meta[b"iinf"][6 if meta[b"iinf"][0] == 0 else 8 :]):
            wide = 4 if entry[0] >= 3 else 2
            kind = bytes(entry[4 + wide + 2 : 4 + wide + 6])
            self.items[_number(entry, 4, wide)] = _Item(kind)
        self._read_locations(meta[b"iloc"])
        self._read_properties(meta[b"iprp"])
        self._read_parts(meta.get(b"iref"))

    def picture(self, number: int, name: str | Path) -> np.ndarray:
        """(H, W, 3) RGB of an item, before it is turned."""
        item = self.items[number]
        width, height = _size(item)
        check_size(width, height, name)
        if item.kind == _GRID:
            return self._grid(item, name)
        if item.kind not in _CODECS:
            raise HeifError(f"a picture coded as {item.kind.decode('latin1')!r} is not read")
        return _decoded(item, self._bytes_of(item))[:height, :width]

    def _grid(self, grid: _Item, name: str | Path) -> np.ndarray:
        body = self._bytes_of(grid)
        rows, columns = body[2] + 1, body[3] + 1
        sides = body[4:12] if body[1] & 1 else body[4:8]
        width, height = struct.unpack(">II" if len(sides) == 8 else ">HH", sides)
        check_size(width, height, name)
        if len(grid.parts) != rows * columns:
            raise HeifError(f"a grid of {rows} x {columns} tiles names {len(grid.parts)}")
        whole = np.zeros((height, width, 3), np.uint8)
        across, down = _size(self.items[grid.parts[0]])
        if min(across, down) < _MIN_TILE:
            raise HeifError(f"tiles of {across} x {down} pixels")
        for place, number in enumerate(grid.parts):
            if self.items[number].kind == _GRID:
                raise HeifError("a grid of grids is not read")
            y, x = place // columns * down, place % columns * across
            room = whole[y : y + down, x : x + across]
            room[...] = self.picture(number, name)[: room.shape[0], : room.shape[1]]
        return whole

    def _bytes_of(self, item: _Item) -> bytes:
        sources = (self._content, self._data)
        pieces, left = [], len(self._content)
        for source, offset, length in item.extents:
            pieces.append(sources[source][offset : offset + length if length else None])
            left -= len(pieces[-1])
            if left < 0:
                raise HeifError("an item of more bytes than the file")
        return b"".join(pieces)

    def _read_locations(self, iloc: bytes) -> None:
        version = iloc[0]
        n_offset, n_length, n_base = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4
        n_index = iloc[5] & 15 if version else 0
        wide = 4 if version == 2 else 2
        at = 6 + wide
        for _ in range(_number(iloc, 6, wide)):
            number, at = _number(iloc, at, wide), at + wide
            source = 0
            if version:
                source, at = iloc[at + 1] & 15, at + 2
            at += 2  # which file: this one
            base, at = _number(iloc, at, n_base), at + n_base
            count, at = _number(iloc, at, 2), at + 2
            if count > 1 and not n_offset + n_length:
                raise HeifError("pieces without places")
            extents = []
            for _ in range(count):
                at += n_index
                offset = base + _number(iloc, at, n_offset)
                extents.append((source, offset, _number(iloc, at + n_offset, n_length)))
                at += n_offset + n_length
            if number in self.items:
                self.items[number].extents = extents

    def _read_properties(self, iprp: bytes) -> None:
        boxes = list(_boxes(iprp))
        properties = list(_boxes(dict(boxes)[b"ipco"]))
        for ipma in (body for kind, body in boxes if kind == b"ipma"):
            self._assign(properties, ipma)

    def _assign(self, properties: Sequence[tuple[bytes, bytes]], ipma: bytes) -> None:
        wide, long = 4 if ipma[0] else 2, 2 if ipma[3] & 1 else 1
        at = 8
        for _ in range(_number(ipma, 4, 4)):
            number, count, at = _number(ipma, at, wide), ipma[at + wide], at + wide + 1
            for _ in range(count):
                which = _number(ipma, at, long) & (0x7FFF if long == 2 else 0x7F)
                at += long
                if which and number in self.items:
                    self.items[number].properties.append(properties[which - 1])

    def _read_parts(self, iref: bytes | None) -> None:
        if iref is None:
            return
        wide = 4 if iref[0] else 2
        for kind, body in _boxes(iref[4:]):
            number, count = _number(body, 0, wide), _number(body, wide, 2)
            if kind == b"dimg" and number in self.items:
                starts = range(wide + 2, wide + 2 + count * wide, wide)
                self.items[number].parts = [_number(body, at, wide) for at in starts]


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, body) of each box, one after the other."""
    at = 0
    while at + 8 <= len(content):
        size, kind = _number(content, at, 4), bytes(content[at + 4 : at + 8])
        head = 8
        if size == 1:
            size, head = _number(content, at + 8, 8), 16
        size = size or len(content) - at  # 0: to the end
        if size < head:
            raise HeifError(f"a box of {size} bytes")
        yield kind, content[at + head : at + size]
        at += size


def _number(content: bytes, at: int, n_bytes: int) -> int:
    if at + n_bytes > len(content):
        raise HeifError("a box ends too early")
    return int.from_bytes(content[at : at + n_bytes])


def _size(item: _Item) -> tuple[int, int]:
    """(width, height) px of an item, before it is turned."""
    body = item.first(b"ispe")
    if body is None:
        raise HeifError("a picture without a size")
    width, height = _number(body, 4, 4), _number(body, 8, 4)
    if not width or not height:
        raise HeifError("a picture without pixels")
    return width, height


def _decoded(item: _Item, coded: bytes) -> np.ndarray:
    """(H, W, 3) RGB of a coded picture."""
    codec, parameters = _CODECS[item.kind]
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.extradata = item.first(parameters)
    decoder.thread_count = 1
    width, height = _size(item)
    decoder.options = {"max_pixels": str((width + _BLOCK) * (height + _BLOCK))}
    frames = [*decoder.decode(av.Packet(coded)), *decoder.decode(None)]
    if not frames:
        raise HeifError("a tile without a picture")
    frame = frames[0]
    return _in_rgb(frame, item.first(b"colr") or b"")


def _in_rgb(frame: VideoFrame, colr: bytes) -> np.ndarray:
    """(H, W, 3) RGB; what the file says of colours goes before what the coded picture says."""
    if colr[:4] == b"nclx":
        matrix = _number(colr, 8, 2)
        if matrix == _GBR and frame.format.name == "yuv444p":
            return np.moveaxis(frame.to_ndarray()[[2, 0, 1]], 0, -1)
        if matrix not in (_GBR, _UNSPECIFIED):
            frame.colorspace = matrix
        frame.color_range = 2 if colr[10] & 0x80 else 1
    return frame.to_ndarray(format="rgb24")


def _transformed(picture: np.ndarray, kind: bytes, body: bytes) -> np.ndarray:
    """A property of the whole picture, applied; others change nothing."""
    if kind == b"irot":  # quarters of a turn, anticlockwise
        return np.rot90(picture, body[0] & 3)
    if kind == b"imir":  # 0: top and bottom change places, 1: left and right
        return picture[:, ::-1] if body[0] & 1 else picture[::-1]
    if kind == b"clap":
        return _clean_aperture(picture, body)
    return picture


def _clean_aperture(picture: np.ndarray, clap: bytes) -> np.ndarray:
    """The part that is to be seen: its size, and how far its centre is off the picture's."""
    values = struct.unpack(">IIIIiIiI", clap[:32])
    numbers = zip(values[::2], values[1::2], strict=True)
    width, height, right, down = (numerator / (below or 1) for numerator, below in numbers)
    x = (picture.shape[1] - width) / 2 + right
    y = (picture.shape[0] - height) / 2 + down
    cut = picture[max(round(y), 0) : round(y + height), max(round(x), 0) : round(x + width)]
    if not cut.size:
        raise HeifError("nothing of the picture is to be seen")
    return cut
