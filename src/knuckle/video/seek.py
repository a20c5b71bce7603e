"""Pictures of a video at any time, for people who pull a slider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from knuckle.results import Frame
from knuckle.video.animation import open_stack
from knuckle.video.decode import DECODE_ERRORS, open_container, pictures
from knuckle.video.errors import SourceError
from knuckle.video.file import video_stream
from knuckle.video.source import Losses, SourceOptions

#: Further ahead than this, seeking is quicker than decoding on.
_SEEK_AHEAD_S = 2.0
#: Containers without an index land near a time, not at the keyframe before it: try earlier ones.
_RETRIES_BACK_S = (0.0, 2.0, 15.0, float("inf"))


class PicturesByTime:
    """A video file that gives the picture shown at a time. Going on is as quick as decoding."""

    def __init__(self, path: str) -> None:
        """Open a video.

        Raises:
            SourceError: it holds no video.
            FFmpegError: it cannot be opened.
        """
        self._path = path
        self._container = open_container(path)
        self._stream = video_stream(self._container, path)
        self._pictures: Iterator[tuple[np.ndarray, float]] | None = None
        self._next: tuple[np.ndarray, float] | None = None
        self._shown: tuple[np.ndarray, float] | None = None

    def at(self, time_s: float) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB: the last picture that begins at or before ``time_s``.

        None where there is none, as before the start or in a damaged stretch.
        """
        time_s += 1e-4  # times are stored rounded
        if self._must_seek(time_s):
            self._seek(time_s)
        while self._next is not None and self._next[1] <= time_s:
            self._shown = self._next
            self._advance()
        return self._shown[0] if self._shown is not None else None

    def close(self) -> None:
        """Free the decoder."""
        self._pictures = None
        self._container.close()

    def _must_seek(self, time_s: float) -> bool:
        if self._pictures is None:
            return True
        if self._shown is not None and time_s < self._shown[1]:
            return True
        return self._next is not None and time_s > self._next[1] + _SEEK_AHEAD_S

    def _seek(self, time_s: float) -> None:
        """Start decoding at a keyframe before ``time_s``."""
        for step_back_s in _RETRIES_BACK_S:
            self._start_at(time_s - step_back_s)
            if self._next is not None and self._next[1] <= time_s:
                return

    def _start_at(self, time_s: float) -> None:
        base = float(self._stream.time_base or 1)
        first_s = (self._stream.start_time or 0) * base
        self._shown = self._next = None
        try:
            at_s = max(time_s, first_s - 1.0)  # well before the first: its decoding time is earlier
            self._container.seek(int(at_s / base), stream=self._stream)
        except DECODE_ERRORS:  # no way back in this file: it starts anew
            self._container.close()
            self._container = open_container(self._path)
            self._stream = video_stream(self._container, self._path)
        self._pictures = pictures(self._container, self._stream, Losses())
        self._advance()

    def _advance(self) -> None:
        assert self._pictures is not None
        try:
            self._next = next(self._pictures, None)
        except DECODE_ERRORS:
            self._next = None


class PicturesInOrder:
    """A file of pages that gives the picture of a number; going back begins anew."""

    def __init__(self, path: str) -> None:
        """Open it; ``SourceError`` if it holds no pages that can be read."""
        self._path = path
        self._frames = open_stack(path, SourceOptions())
        self._shown: Frame | None = None

    def at(self, index: int) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB; None where there is none, as of a damaged page."""
        if self._shown is not None and self._shown.index > index:
            self._frames.close()
            self._frames, self._shown = open_stack(self._path, SourceOptions()), None
        with suppress(SourceError):
            while self._shown is None or self._shown.index < index:
                if (following := next(self._frames, None)) is None:
                    break
                self._shown = following
        there = self._shown is not None and self._shown.index == index
        return self._shown.image if self._shown is not None and there else None
