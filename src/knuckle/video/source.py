"""A source of frames: an iterator that decodes in a thread of its own, in flat memory."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import NoReturn

from knuckle.address import without_secrets
from knuckle.camera import Camera
from knuckle.closable import Closable
from knuckle.errors import InputError
from knuckle.results import Frame
from knuckle.video.background import Background
from knuckle.video.errors import SourceError

#: Decoded frames that wait for the tracker: enough to even out keyframes, 25 MB at 1080p.
FRAMES_AHEAD = 4


@dataclass(frozen=True)
class SourceOptions:
    """What a caller may say about any source."""

    camera: Camera | None = None  # intrinsics to hand on with every frame
    #: Frame rate of a folder of images, or the rate asked of a camera. Videos and streams bring
    #: their own times and refuse it.
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.camera is not None and not isinstance(self.camera, Camera):
            raise TypeError(
                f"camera must be a knuckle.Camera or None, got {type(self.camera).__name__}: read "
                "a file with Camera.load(path)"
            )
        if self.fps is not None and not isinstance(self.fps, Real):
            raise TypeError(
                f"fps must be a number, got {self.fps!r:.80} ({type(self.fps).__name__}): convert "
                "it with float(...)"
            )
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise InputError(f"fps must be a positive number, got {self.fps}")


@dataclass(frozen=True)
class SourceInfo:
    """What is known about a source before it is read.

    Attributes:
        name: as given by the caller.
        size: (width, height) px of the upright image.
        fps: nominal frame rate, if there is one; times come from the frames.
        n_frames: estimate from the container, None if there is no end.
        duration_s: estimate from the container, None if there is no end.
        live: True for cameras and live streams, which deliver the newest frame, not the next one.
    """

    name: str
    size: tuple[int, int]
    fps: float | None = None
    n_frames: int | None = None
    duration_s: float | None = None
    live: bool = False


@dataclass
class Losses:
    """Counts of lost and repaired frames, updated while a source is read.

    Attributes:
        damaged: packets or images that could not be decoded.
        dropped: frames of a live source that were outdated before they were asked for.
        mistimed: frames with an impossible time stamp, which was replaced by a plausible one.
        where: names of what was damaged, if there are any: images of a folder, or which of several
            cameras' sources.
    """

    damaged: int = 0
    dropped: int = 0
    mistimed: int = 0
    where: list[str] = field(default_factory=list)


class Source(Closable):
    """Iterates over the frames of one source, once.

    Use it in a ``with`` block, or iterate to the end; either frees the decoder. A source that is
    left open is closed when it is garbage-collected, or when Python exits.

    Attributes:
        info: what is known about it beforehand.
        losses: frames lost or repaired so far.

    Raises:
        SourceBrokenError: while iterating, after the last good frame, if it breaks off.
        SourceError: while iterating in a process that was forked after it was opened, or on a
            second iteration after the end.
    """

    def __init__(
        self, info: SourceInfo, frames: Generator[Frame, None, None], losses: Losses
    ) -> None:
        self.info = info
        self._losses = losses
        self._process = os.getpid()
        self._ended = False
        self._background = Background(frames, depth=FRAMES_AHEAD, newest=info.live)
        # A thread that still decodes when Python ends takes the process down with it.
        weakref.finalize(self, self._background.close)

    def __repr__(self) -> str:
        width, height = self.size
        known = ", live" if self.info.live else ""
        known += f", {self.fps:.4g} frames/s" if self.fps else ""
        known += f", {self.duration_s:.1f} s" if self.duration_s else ""
        ended = ", read to its end or closed" * self._ended
        return f"<source {without_secrets(self.info.name)}: {width} x {height}{known}{ended}>"

    def __iter__(self) -> Source:
        if self._ended:
            raise SourceError(
                f"{self.info.name} was read to its end or closed, and is read once: open it again "
                "with knuckle.open_source"
            )
        return self

    def __next__(self) -> Frame:
        if os.getpid() != self._process:  # a fork takes no threads along: nobody decodes here
            raise SourceError(
                f"{self.info.name} was opened in another process: expected to be read where it "
                "was opened; open the source in this one, after the fork"
            )
        try:
            return next(self._background)
        except StopIteration:
            self._ended = True
            raise

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"the source {self.info.name} cannot be copied or sent to another process: send its "
            "name, and open it there"
        )

    def __length_hint__(self) -> int:
        """Estimate of the frames in all, for ``operator.length_hint`` and progress bars."""
        return self.info.n_frames or 0

    @property
    def losses(self) -> Losses:
        """What could not be delivered so far."""
        dropped = self._losses.dropped + self._background.dropped
        return replace(self._losses, dropped=dropped, where=list(self._losses.where))

    @property
    def fps(self) -> float | None:
        """Nominal frame rate, if there is one."""
        return self.info.fps

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) px of the upright picture."""
        return self.info.size

    @property
    def duration_s(self) -> float | None:
        """Estimated length; None for live sources."""
        return self.info.duration_s

    def stop(self) -> None:
        """End the iteration at the next frame; safe in signal handlers and other threads."""
        self._background.stop()

    def close(self) -> None:
        """Stop decoding and free everything."""
        self._ended = True
        self._background.close()


def resumed(first: Frame, rest: Generator[Frame, None, None]) -> Generator[Frame, None, None]:
    """The whole, after its first frame was taken to look at it."""
    with closing(rest):
        yield first
        yield from rest
