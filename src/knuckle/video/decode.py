"""PyAV at work: from packets to upright RGB images with their times.

What a player would show is what comes out: turned as the metadata says, deinterlaced, with square
pixels, in 8-bit RGB whatever the codec, depth and colour matrix of the file.
"""

from __future__ import annotations

from collections.abc import Iterator

import av
import av.error
import av.filter
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideData
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from knuckle.video.source import Losses

#: Errors of libav that mean "these bytes are wrong", as against a bug in the caller.
DECODE_ERRORS = (av.error.FFmpegError, OSError)

#: Times that go ahead by more than this, s, may be wrong; so many in a row are right.
_LEAP_S, _MOST_ASTRAY = 2.0, 3


def pictures(
    container: InputContainer,
    stream: VideoStream,
    losses: Losses,
    clock: Clock | None = None,
) -> Iterator[tuple[np.ndarray, float]]:
    """Upright RGB images and their presentation times, in order of time.

    Packets that cannot be decoded are counted in ``losses`` and passed over. The times are those
    of ``clock``, by default one that doubts none of the stream's.

    Yields:
        ((H, W, 3) uint8 RGB, seconds).

    Raises:
        av.error.FFmpegError: the container itself broke; everything before has been yielded.
    """
    clock = clock or Clock(stream)
    yield from clock.timed(_shown(container, stream, losses))


def _shown(
    container: InputContainer, stream: VideoStream, losses: Losses
) -> Iterator[tuple[np.ndarray, float | None]]:
    """Upright RGB images and what their timestamps say."""
    to_rgb, deinterlace = VideoReformatter(), Deinterlacer(stream)
    for coded in _decoded(container, stream, losses):
        for frame in deinterlace(coded):
            yield _upright(frame, stream, to_rgb), frame.time
    for frame in deinterlace(None):
        yield _upright(frame, stream, to_rgb), frame.time


def _decoded(
    container: InputContainer, stream: VideoStream, losses: Losses
) -> Iterator[VideoFrame]:
    try:
        for packet in container.demux(stream):  # the last, empty one flushes the decoder
            if packet.is_corrupt:
                losses.damaged += 1
                continue
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                losses.damaged += 1
    except DECODE_ERRORS:
        yield from stream.decode(None)  # what the decoder still holds
        raise


class Clock:
    """Presentation times that never stand still, also where the file leaves them out.

    Attributes:
        distrusted: timestamps that were far ahead of those that came after them.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._period_s = period_s(stream)
        self._last_s: float | None = None
        self.distrusted = 0

    def timed(
        self, shown: Iterator[tuple[np.ndarray, float | None]]
    ) -> Iterator[tuple[np.ndarray, float]]:
        """Give each picture the time that its timestamp says, if it goes on from the last."""
        for image, time_s in shown:
            yield image, self(time_s)

    def __call__(self, time_s: float | None) -> float:
        """The time of the next frame, given what its timestamp says."""
        if self._last_s is None:
            self._last_s = 0.0 if time_s is None else time_s
        elif time_s is None or time_s <= self._last_s:
            self._last_s += self._period_s
        else:
            self._last_s = time_s
        return self._last_s


class DoubtingClock(Clock):
    """For files: a leap is believed only when the pictures after it do not go back behind it.

    A leap holds its picture back until the next ones have come, so live streams do without.
    """

    def timed(
        self, shown: Iterator[tuple[np.ndarray, float | None]]
    ) -> Iterator[tuple[np.ndarray, float]]:
        """As for any clock, with timestamps that leap ahead and back made good."""
        held: list[tuple[np.ndarray, float | None]] = []  # from a leap on
        try:
            for image, time_s in shown:
                if held and self._is_behind(time_s, held[0][1]):
                    yield from self._spread(held, time_s)
                    held = []
                elif held and self._last_s is None:  # the first is in doubt until the second
                    yield from self._believed(held)
                    held = []
                if not held and not self._leaps(time_s):
                    yield image, self(time_s)
                    continue
                held.append((image, time_s))
                if len(held) > _MOST_ASTRAY:
                    yield from self._believed(held)
                    held = []
        except DECODE_ERRORS:  # the container breaks: what was decoded is handed out
            yield from self._believed(held)
            raise
        yield from self._believed(held)

    def _leaps(self, time_s: float | None) -> bool:
        if time_s is None:
            return False
        return self._last_s is None or time_s - self._last_s > max(_LEAP_S, 10 * self._period_s)

    @staticmethod
    def _is_behind(time_s: float | None, leap_s: float | None) -> bool:
        return time_s is not None and leap_s is not None and time_s < leap_s - _LEAP_S / 2

    def _believed(
        self, held: list[tuple[np.ndarray, float | None]]
    ) -> Iterator[tuple[np.ndarray, float]]:
        for image, time_s in held:
            yield image, self(time_s)

    def _spread(
        self, held: list[tuple[np.ndarray, float | None]], next_s: float | None
    ) -> Iterator[tuple[np.ndarray, float]]:
        """Times between those before and after; at the start, one period apart."""
        self.distrusted += len(held)
        assert next_s is not None
        n = len(held)
        if self._last_s is None:
            step_s, first_s = self._period_s, next_s - n * self._period_s
        else:
            step_s = max(next_s - self._last_s, 0.0) / (n + 1) or self._period_s
            first_s = self._last_s + step_s
        for k, (image, _) in enumerate(held):
            yield image, self(first_s + k * step_s)


class CountingClock(Clock):
    """For files without times: so many pictures a second."""

    def __init__(self, stream: VideoStream, fps: float) -> None:
        super().__init__(stream)
        self._fps, self._count = fps, 0

    def __call__(self, time_s: float | None) -> float:
        """The time of the next frame, whatever libav has made up for it."""
        self._count += 1
        return (self._count - 1) / self._fps


def period_s(stream: VideoStream) -> float:
    """From one picture to the next, as far as the stream says."""
    rate = stream.average_rate or stream.guessed_rate
    return float(1 / rate) if rate else 1 / 30


class Deinterlacer:
    """Passes progressive video through; from the first interlaced frame on, filters (bwdif)."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._graph: av.filter.Graph | None = None

    def __call__(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """Frames that are ready once ``frame`` is in; None flushes."""
        if self._graph is None:
            if frame is None:
                return
            if not frame.interlaced_frame:
                yield frame
                return
            self._graph = _deinterlacing_graph(self._stream)
        self._graph.vpush(frame)
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def _deinterlacing_graph(stream: VideoStream) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(template=stream)
    # One frame out per frame in, and only frames that are marked as interlaced are touched.
    bwdif = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    graph.link_nodes(source, bwdif, sink).configure()
    return graph


def _upright(frame: VideoFrame, stream: VideoStream, to_rgb: VideoReformatter) -> np.ndarray:
    """(H, W, 3) uint8 RGB as a player shows it."""
    aspect = float(stream.sample_aspect_ratio or 1)  # width of a pixel over its height
    rgb = to_rgb.reformat(
        frame,
        width=max(round(frame.width * aspect), 1),
        height=frame.height,
        format="rgb24",
        # Four times as fast as the default where nothing is scaled; the image is the same but for
        # the interpolation of chroma. One thread: this one runs beside the tracker.
        interpolation="FAST_BILINEAR",
        threads=1,
    ).to_ndarray()
    return np.ascontiguousarray(_turned(rgb, frame))


def _turned(image: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """The image after the display matrix, if there is one: one of eight turns and mirrorings."""
    try:
        given = frame.side_data.get(SideData.DISPLAYMATRIX)
    except ValueError:  # beside it stands something that PyAV has no name for, such as EXIF
        # libav gives the turn counter-clockwise, which is also the sense of rot90.
        return np.rot90(image, round(frame.rotation / 90))
    if given is None:
        return image
    # Row vectors: x' = a x + c y, y' = b x + d y, in pixels with y down.
    a, b, _, c, d = np.frombuffer(given, np.int32)[:5].astype(float)
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, x_sign, y_sign = image.swapaxes(0, 1), c, b
    else:
        x_sign, y_sign = a, d
    if x_sign < 0:
        image = image[:, ::-1]
    return image[::-1] if y_sign < 0 else image
