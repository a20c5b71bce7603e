"""The clip of ``make demo`` and the truth about it, both made by ``tools/make_demo_clip.py``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def demo_clip() -> Path:
    """A short rendered video of hands that comes with the package."""
    return Path(str(files("knuckle") / "demo" / "hands.mp4"))
