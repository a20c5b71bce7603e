"""The clip of ``make demo`` and the truth about it, both made by ``tools/make_demo_clip.py``."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path


@cache
def demo_clip() -> Path:
    """Path of a short rendered video of hands that comes with the package.

    If the package is in a zip file, a temporary copy that exists until Python exits.
    """
    kept = ExitStack()
    atexit.register(kept.close)
    return kept.enter_context(as_file(files("knuckle") / "demo" / "hands.mp4"))
