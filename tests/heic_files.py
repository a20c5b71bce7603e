"""Pictures as phones write them, small: a grid of tiles in plain colours."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import av
import numpy as np

TILE = 64
ROWS, COLUMNS = 2, 3
SIZE = 170, 100  # cut off from 192 x 128
#: A flat colour for each tile, which no loss of the encoder changes much.
COLOURS = np.array(
    [(200, 40, 40), (40, 180, 40), (50, 60, 210), (220, 220, 60), (30,) * 3, (230,) * 3]
)


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, body: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, bytes([version]) + flags.to_bytes(3) + body)


@cache
def coded(colour: tuple[int, ...]) -> tuple[bytes, bytes]:
    """(picture, parameters) of a tile in one colour."""
    encoder = av.CodecContext.create("libx265", "w")
    encoder.width = encoder.height = TILE
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.options = {"x265-params": "log-level=none:keyint=1"}
    image = np.full((TILE, TILE, 3), colour, np.uint8)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
    stream = b"".join(map(bytes, [*encoder.encode(frame), *encoder.encode(None)]))
    units = [unit for unit in re.split(rb"\x00?\x00\x00\x01", stream) if unit]
    kind = {unit: unit[0] >> 1 & 63 for unit in units}
    heads = [unit for unit in units if kind[unit] in (32, 33, 34)]  # VPS, SPS, PPS
    parameters = bytes([1, *[0] * 20, 3, len(heads)]) + b"".join(
        struct.pack(">BHH", kind[unit], 1, len(unit)) + unit for unit in heads
    )
    picture = b"".join(struct.pack(">I", len(unit)) + unit for unit in units if kind[unit] < 32)
    return picture, parameters


def heic(properties: Sequence[bytes] = (), *, wide: bool = False, missing: int = 0) -> bytes:
    """A file whose primary item is a grid of tiles, with more properties in this order."""
    tiles = [coded(tuple(int(c) for c in colour)) for colour in COLOURS]
    grid = bytes([0, wide, ROWS - 1, COLUMNS - 1]) + struct.pack(">II" if wide else ">HH", *SIZE)
    ids = list(range(2, 2 + len(tiles)))
    infos = [(1, b"grid"), *((number, b"hvc1") for number in ids)]
    iinf = full(
        b"iinf",
        struct.pack(">H", len(infos))
        + b"".join(full(b"infe", struct.pack(">HH4sx", n, 0, kind), 2) for n, kind in infos),
    )
    listed = [
        full(b"ispe", struct.pack(">II", *SIZE)),
        full(b"ispe", struct.pack(">II", TILE, TILE)),
        *properties,
        *(box(b"hvcC", parameters) for _, parameters in tiles),
    ]
    first = 3 + len(properties)
    used = [(1, [1, *range(3, first)]), *((n, [2, first + i]) for i, n in enumerate(ids))]
    ipma = struct.pack(">I", len(used)) + b"".join(
        struct.pack(">HB", number, len(which)) + bytes(which) for number, which in used
    )
    iprp = box(b"iprp", box(b"ipco", b"".join(listed)) + full(b"ipma", ipma))
    named = ids[: len(ids) - missing]
    iref = full(b"iref", box(b"dimg", struct.pack(f">HH{len(named)}H", 1, len(named), *named)))

    def meta(start: int) -> bytes:
        places, at = [struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(grid))], start
        for number, (data, _) in zip(ids, tiles, strict=True):
            places.append(struct.pack(">HHHHII", number, 0, 0, 1, at, len(data)))
            at += len(data)
        iloc = full(b"iloc", b"\x44\x00" + struct.pack(">H", len(places)) + b"".join(places), 1)
        pitm = full(b"pitm", struct.pack(">H", 1))
        return full(b"meta", pitm + iloc + iinf + iprp + iref + box(b"idat", grid))

    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", b"".join(data for data, _ in tiles))


def whole() -> np.ndarray:
    colours = COLOURS.reshape(ROWS, COLUMNS, 3).repeat(TILE, axis=0).repeat(TILE, axis=1)
    return colours[: SIZE[1], : SIZE[0]]


def irot(quarters: int) -> bytes:
    return box(b"irot", bytes([quarters]))


def imir(left_right: int) -> bytes:
    return box(b"imir", bytes([left_right]))
