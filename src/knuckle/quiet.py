"""Libraries without their own lines on stderr: what went wrong is told in one sentence, ours."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

#: Older builds of OpenCV have these calls in its main module.
_LOGGING = getattr(cv2.utils, "logging", cv2)
_SILENT = 0
_STDERR = 2
#: How the decoders inside OpenCV begin what they print, past every setting.
_OF_DECODERS = re.compile(rb"(libpng |Corrupt JPEG data|Premature end of JPEG|Invalid SOS |TIFF)")
#: stderr belongs to the process: one thread at a time.
_TURN = threading.RLock()


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Nothing is logged inside; cameras that are not there and odd images would be, at length."""
    level = _LOGGING.getLogLevel()
    _LOGGING.setLogLevel(_SILENT)
    try:
        yield
    finally:
        _LOGGING.setLogLevel(level)


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """As ``quiet_opencv``, and what libpng, libjpeg and libtiff print of damaged pictures is lost.

    What anybody else prints meanwhile comes out at the end.
    """
    with _TURN, quiet_opencv(), tempfile.TemporaryFile() as printed:
        try:
            stderr = os.dup(_STDERR)
        except OSError:  # closed: nothing can be printed
            yield
            return
        os.dup2(printed.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            printed.seek(0)
            for line in printed:
                if not _OF_DECODERS.match(line):
                    os.write(_STDERR, line)
