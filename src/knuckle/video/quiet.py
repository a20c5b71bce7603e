"""OpenCV without its own lines on stderr: what went wrong is told in one sentence, ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

#: Older builds of OpenCV have these calls in its main module.
_LOGGING = getattr(cv2.utils, "logging", cv2)
_SILENT = 0


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Nothing is logged inside; cameras that are not there and odd images would be, at length."""
    level = _LOGGING.getLogLevel()
    _LOGGING.setLogLevel(_SILENT)
    try:
        yield
    finally:
        _LOGGING.setLogLevel(level)
