"""Several sources at once: one frame of each, of the same instant."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from knuckle.closable import Closable
from knuckle.errors import InputError
from knuckle.results import Frame, Instant, check_time
from knuckle.video.clocks import JointClock
from knuckle.video.errors import SourceError
from knuckle.video.source import Losses, Source, SourceInfo

#: Largest ratio of rates that count as one: such sources wait for each other; a faster one drops
#: frames.
_SAME_RATE = 1.2
#: Rate of a source that does not say it.
_DEFAULT_FPS = 30.0
#: Sources that end this much apart, seconds or share of the longest, probably began apart as well.
_APART_S, _APART = 0.5, 0.02
#: Largest difference between the first times of one recording, s.
_MAX_CLOCK_OFFSET_S = 1.0


class Together(Closable):
    """Iterates over instants: one frame of each source, None where one has none, and one time.

    Frames belong together by their times, after each source's offset was taken off. That is the
    clock of all: an instant has the time on it of its earliest frame, and says how much later each
    other was taken. Live sources hand out what they see now; their clocks are set by the instants
    that they share. A source that ends or breaks off is None from then on; the others go on, and
    what broke is raised at the end.

    Attributes:
        sources: those that are read.
        info: of all: the size of the first, the slowest rate, the longest duration.
    """

    def __init__(
        self, sources: Sequence[Source], offsets_s: Sequence[float] | np.ndarray | None = None
    ) -> None:
        """Read sources together; they are closed with this.

        ``offsets_s``: of each, its time when that of the others is 0; by default all began at once.

        Raises:
            ValueError: there are not as many offsets as sources.
        """
        self.sources = list(sources)
        offsets = [0.0] * len(self.sources) if offsets_s is None else list(offsets_s)
        if len(offsets) != len(self.sources):
            raise InputError(
                f"expected an offset for each of {len(self.sources)} sources, got {len(offsets)}"
            )
        for offset_s in offsets:
            check_time(offset_s)
        self._readers = [_Reader(s, o) for s, o in zip(self.sources, offsets, strict=True)]
        self._period_s = max(reader.period_s for reader in self._readers)
        self.info = _info_of([source.info for source in self.sources])

    def __repr__(self) -> str:
        return f"<sources together: {', '.join(map(repr, self.sources))}>"

    @property
    def losses(self) -> Losses:
        """What could not be delivered so far, of all sources."""
        each = [source.losses for source in self.sources]
        return Losses(
            sum(x.damaged for x in each),
            sum(x.dropped for x in each),
            where=[s.info.name for s, x in zip(self.sources, each, strict=True) if x.damaged],
        )

    @property
    def remarks(self) -> list[str]:
        """What looks as if the sources were not of one recording; a sentence each."""
        return [*(self._clocks_apart() or self._lengths_apart()), *self.paces_apart()]

    def paces_apart(self) -> list[str]:
        """A sentence if frames of the faster sources are left out."""
        if self.info.live:
            return []
        paces = [(1 / reader.period_s, reader.name) for reader in self._readers]
        (slow, first), (fast, last) = min(paces), max(paces)
        if fast <= _SAME_RATE * slow:
            return []
        return [
            f"{last} has {fast:.4g} frames a second and {first} {slow:.4g}: hands are found as "
            "often as in the slowest, and the frames of the others in between are left out"
        ]

    def _clocks_apart(self) -> list[str]:
        begins = [
            (reader.time_s, source.info.name)
            for reader, source in zip(self._readers, self.sources, strict=True)
            if not source.info.live and reader.head is not None
        ]
        if len(begins) < 2:
            return []
        (early, first), (late, last) = min(begins), max(begins)
        if late - early <= _MAX_CLOCK_OFFSET_S:
            return []
        return [
            f"the clock of {last} begins at {late:.1f} s and that of {first} at {early:.1f} s, and "
            "frames of one instant are those of one time: if the clocks are not the same, --sync "
            "finds by how much they differ from the hands' motion"
        ]

    def _lengths_apart(self) -> list[str]:
        ends = [
            (reader.duration_s, source.info.name)
            for reader, source in zip(self._readers, self.sources, strict=True)
            if reader.duration_s is not None
        ]
        if len(ends) < 2:
            return []
        (short, first), (long, last) = min(ends), max(ends)
        if long - short <= max(_APART_S, _APART * long):
            return []
        return [
            f"{last} is {long - short:.1f} s longer than {first}: if they did not begin at the "
            "same instant, --sync finds by how much from the hands' motion"
        ]

    def __iter__(self) -> Iterator[Instant]:
        live = any(source.info.live for source in self.sources)
        yield from self._in_arrival_order() if live else self._by_time()
        errors = [reader.error for reader in self._readers if reader.error is not None]
        if errors:
            raise errors[0]

    def _in_arrival_order(self) -> Iterator[Instant]:
        clock = JointClock()
        while any(reader.head is not None for reader in self._readers):
            frames = [reader.take() for reader in self._readers]
            time_s = clock.read(frames)
            assert time_s is not None
            yield Instant(tuple(frames), time_s)

    def _by_time(self) -> Iterator[Instant]:
        now_s = time_s = -math.inf
        while heads := [reader for reader in self._readers if reader.head is not None]:
            slow = [r for r in heads if r.period_s * _SAME_RATE >= self._period_s]
            # Once the slow ones have ended, the others go on at their pace.
            earliest_s = min(reader.time_s for reader in slow or heads)
            now_s = earliest_s if slow else max(earliest_s, now_s + self._period_s)
            taken = [reader.take_at(now_s, self._period_s / 2) for reader in self._readers]
            if any(taken):
                time_s = max(min(at_s for at_s, _ in filter(None, taken)), time_s)
                later_s = tuple(each[0] - time_s if each else 0.0 for each in taken)
                yield Instant(tuple(each and each[1] for each in taken), time_s, later_s)

    def stop(self) -> None:
        """End the iteration at the next instant; safe in signal handlers and other threads."""
        for source in self.sources:
            source.stop()

    def close(self) -> None:
        """Stop decoding and free everything."""
        for source in self.sources:
            source.close()


class _Reader:
    """One source and the frame that comes next."""

    def __init__(self, source: Source, offset_s: float) -> None:
        self._source, self._offset_s = source, offset_s
        self.name = source.info.name
        self.period_s = 1 / (source.info.fps or _DEFAULT_FPS)
        duration_s, count = source.info.duration_s, source.info.n_frames
        if duration_s is None and count is not None and source.info.fps:
            duration_s = count / source.info.fps
        self.duration_s = None if duration_s is None else duration_s - offset_s
        self.error: SourceError | None = None
        self._head: Frame | None = None
        self._read = False

    @property
    def head(self) -> Frame | None:
        """The next frame; None at the end."""
        if not self._read:
            self._read = True
            try:
                self._head = next(self._source, None)
            except SourceError as error:
                self._head, self.error = None, error
        return self._head

    @property
    def time_s(self) -> float:
        """That of the next frame on the clock of all."""
        assert self._head is not None
        return self._head.time_s - self._offset_s

    def take(self) -> Frame | None:
        """The next frame, which is then taken."""
        frame = self.head
        self._read = frame is None
        return frame

    def take_at(self, now_s: float, within_s: float) -> tuple[float, Frame] | None:
        """The frame of an instant, if there is one, and its time on the clock of all.

        What lies before it is given up.
        """
        while self.head is not None and self.time_s < now_s - self.period_s / 2:
            self.take()
        if self.head is None or abs(self.time_s - now_s) > within_s:
            return None
        time_s, frame = self.time_s, self.take()
        return None if frame is None else (time_s, frame)


def _info_of(infos: Sequence[SourceInfo]) -> SourceInfo:
    rates = [info.fps for info in infos if info.fps]
    counts = [info.n_frames for info in infos if info.n_frames]
    durations = [info.duration_s for info in infos if info.duration_s]
    return SourceInfo(
        name=" + ".join(Path(info.name).name for info in infos),
        size=infos[0].size,
        fps=min(rates) if rates else None,
        n_frames=max(counts) if counts else None,
        duration_s=max(durations) if durations else None,
        live=any(info.live for info in infos),
    )
