"""caliscope's ``camera_array.toml`` and older ``config.toml``: rotations as matrices, metres."""

from __future__ import annotations

from pathlib import Path

from knuckle.views.dialects import aniposelib
from knuckle.views.dialects.parts import Calibration

_NAMES = ("cam_id", "port")


def _cameras(path: Path) -> dict[str, dict]:
    found = aniposelib.tables(path)
    return {
        key: table
        for key, table in {**found, **found.get("cameras", {})}.items()
        if isinstance(table, dict) and any(name in table for name in _NAMES)
    }


def accepts(path: Path) -> bool:
    """A toml whose cameras have a ``cam_id`` or a ``port``."""
    return aniposelib.accepts(path) and bool(_cameras(path))


def read(path: Path) -> Calibration:
    """The cameras that are not ignored and have a place, called ``cam_<id>``."""
    cameras = []
    for table in _cameras(path).values():
        number = next(table[name] for name in _NAMES if name in table)
        if not table.get("ignore", False) and table.get("translation") is not None:
            cameras.append(aniposelib.camera_of(f"cam_{number}", table))
    return Calibration(tuple(cameras), 1000.0)
