"""Whether a file without an index ends as its format does, or was cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

_GIF_END = b";"
_TS_SYNC, _TS_SIZES = 0x47, (188, 192, 204)
#: Packets in a row that must begin as one does.
_TS_PACKETS_CHECKED = 5


def is_truncated(path: Path, format: str) -> bool:
    """Whether a file's last piece is not whole, where its format, as libav calls it, tells."""
    check = _CHECKS.get(format)
    if check is None or not path.is_file():
        return False
    with path.open("rb") as file:
        return check(file, path.stat().st_size)


def _gif_is_truncated(file: IO[bytes], size: int) -> bool:
    file.seek(max(size - 4096, 0))
    return not file.read().rstrip(b"\0").endswith(_GIF_END)  # some fill up with zeros


def _ts_is_truncated(file: IO[bytes], size: int) -> bool:
    """Packets have one length, and what was received may begin within one."""
    head = file.read(_TS_PACKETS_CHECKED * max(_TS_SIZES))
    for length in _TS_SIZES:
        for first in range(length):
            if set(head[first::length][: _TS_PACKETS_CHECKED - 1]) == {_TS_SYNC}:
                stamp = length - 188 if length == 192 else 0  # stands before the packet
                return (size - first + stamp) % length != 0
    return False


_CHECKS: dict[str, Callable[[IO[bytes], int], bool]] = {
    "gif": _gif_is_truncated,
    "mpegts": _ts_is_truncated,
}
