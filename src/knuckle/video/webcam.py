"""Cameras on this machine, by index or device file. The newest frame is always preferred."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np

from knuckle.quiet import quiet_opencv
from knuckle.results import Frame
from knuckle.video.errors import SourceBrokenError, SourceNotFoundError
from knuckle.video.file import scaled_into
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions

#: Indices have no more digits than this; OpenCV takes no number beyond 31 bits.
_MAX_DIGITS = 9
#: Reads in a row that may fail before a camera counts as gone: about a second of pauses.
_MAX_FAILURES = 30
_PAUSE_S = 0.03
_DEVICES = Path("/dev")


def accepts(source: str) -> bool:
    """A whole number (a camera's index; a file called 0 is ``./0``) or ``/dev/video…``."""
    return source.isdecimal() or re.fullmatch(r"/dev/video\d+", source) is not None


def open_source(source: str, options: SourceOptions) -> Source:
    """Open a camera and wait for its first picture. Time counts from that picture."""
    if len(re.sub(r"\D", "", source).lstrip("0")) > _MAX_DIGITS:
        raise SourceNotFoundError(
            f"there is no camera {source:.40}: expected the index of one, counted from 0, or a "
            "device such as /dev/video0; a file of that name is ./NAME"
        )
    with quiet_opencv():
        capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
        if options.fps is not None:
            capture.set(cv2.CAP_PROP_FPS, options.fps)
        # Some drivers queue frames; a queue is delay. Not every backend knows the property.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        image = _read(capture) if capture.isOpened() else None
    if image is None:
        capture.release()
        raise SourceNotFoundError(f"camera {source} gives no picture: {_why_dark(source)}")
    height, width = image.shape[:2]
    fps = float(capture.get(cv2.CAP_PROP_FPS)) or None
    info = SourceInfo(source, (width, height), fps, live=True)
    return Source(info, _frames(capture, image, source, options), Losses())


def _frames(
    capture: cv2.VideoCapture, first: np.ndarray, name: str, options: SourceOptions
) -> Generator[Frame, None, None]:
    start_s, size = time.monotonic(), (first.shape[1], first.shape[0])
    try:
        yield Frame(first, 0.0, 0, options.camera)
        index, failures = 1, 0
        while failures < _MAX_FAILURES:
            image = _read(capture)
            if image is None:
                failures += 1
                time.sleep(_PAUSE_S)
                continue
            failures = 0
            seen_s = time.monotonic() - start_s
            # Another program may have changed the camera's mode.
            yield Frame(scaled_into(image, size), seen_s, index, options.camera)
            index += 1
    finally:
        capture.release()
    raise SourceBrokenError(
        f"camera {name} stopped after {index} frames: it was unplugged or another program took "
        "it; what came before is complete, plug it in and start again"
    )


def _read(capture: cv2.VideoCapture) -> np.ndarray | None:
    """(H, W, 3) uint8 RGB, or None if the camera has nothing to give."""
    ok, bgr = capture.read()
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) if ok else None


def _why_dark(source: str) -> str:
    device = _DEVICES / f"video{source}" if source.isdecimal() else Path(source)
    if device.exists() and not os.access(device, os.R_OK | os.W_OK):
        return (
            f"expected a camera that this user may open, found {device} closed to them; join its "
            "group, most often video, and log in again"
        )
    devices = ", ".join(sorted(str(path) for path in _DEVICES.glob("video*")))
    return (
        "expected a camera that no other program uses, found "
        f"{devices or f'no {_DEVICES}/video* on this machine'}; plug it in, close other programs, "
        "or try another index"
    )
