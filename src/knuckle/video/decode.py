"""PyAV at work: from packets to upright RGB images with their times.

What a player would show is what comes out: turned as the metadata says, deinterlaced, with square
pixels, in 8-bit RGB whatever the codec, depth and colours of the file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
import av.filter
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from knuckle.video.hdr import tone_mapped
from knuckle.video.source import Losses

#: Errors of libav that mean "these bytes are wrong", as against a bug in the caller.
DECODE_ERRORS = (av.error.FFmpegError, OSError)
#: Titles in other alphabets than UTF-8's are no reason to refuse a video.
METADATA_ERRORS = "replace"
#: Formats that say when pictures are decoded and not when they are shown. Where libav derives the
#: one from the other, pictures that refer to later ones (B-frames) get each other's times.
_BY_DECODING_TIME = frozenset({"avi"})
#: Widest believable pixel, width over height: a file that says more is wrong.
_MAX_PIXEL_ASPECT = 10.0
#: ``AVFMT_NOTIMESTAMPS``.
_NO_TIMESTAMPS = 0x80
#: The usual rate over the mean one, above which the mean one averages over pauses.
_MAX_OVER_NOMINAL = 1.1
#: Number of index entries from which the usual rate is measured.
_MAX_INDEX_ENTRIES = 10_000
#: Longest step between frames that is no pause, s.
_MAX_STEP_S = 1.0
#: Longest run of implausible timestamps that is taken for errors; a longer one is a pause.
_MAX_WRONG_IN_A_ROW = 3


def file_name(path: str | Path) -> str:
    """A file as libav must be told of it: what stands before a colon would be its protocol."""
    return f"file:{path}"


def open_container(path: str | Path) -> InputContainer:
    """Open a video file.

    Raises:
        av.error.FFmpegError, OSError: it is none, or cannot be read.
    """
    return av.open(file_name(path), metadata_errors=METADATA_ERRORS)


def pictures(
    container: InputContainer, stream: VideoStream, losses: Losses, rate: float | None = None
) -> Iterator[tuple[np.ndarray, float]]:
    """Upright RGB images and their presentation times, in order of time.

    Packets that cannot be decoded are counted in ``losses`` and passed over.

    ``rate``, frames a second, is for a file without times, whatever it says.

    Raises:
        av.error.FFmpegError: the container itself broke; everything before has been yielded.

    Yields:
        ((H, W, 3) uint8 RGB, seconds).
    """
    to_rgb = VideoReformatter()
    coded = _decoded(container, stream, losses)
    if container.format.name in _BY_DECODING_TIME:
        coded = _timed_as_decoded(coded)
    frames = _deinterlaced(coded, stream)
    shown: Iterator[tuple[VideoFrame, float]]
    if not rate and not brings_times(container):
        rate = frame_rate(container, stream)
    if rate:  # parsers of raw streams make times up
        shown = ((frame, index / rate) for index, frame in enumerate(frames))
    else:
        shown = timed(frames, frame_rate(container, stream), losses)
    for frame, time_s in shown:
        yield _upright(frame, stream, to_rgb), time_s


def brings_times(container: InputContainer) -> bool:
    """Whether the format has timestamps at all; a raw elementary stream (.h264, .m4v) has none."""
    return not container.format.flags & _NO_TIMESTAMPS


def frame_rate(container: InputContainer, stream: VideoStream) -> float | None:
    """Frames a second, as the container says, or the coded stream itself where no times are."""
    if not brings_times(container):
        said = stream.codec_context.framerate or stream.guessed_rate
        return float(said) if said else None
    said, usual = stream.average_rate or stream.guessed_rate, _usual_rate(stream)
    if said and usual and usual > _MAX_OVER_NOMINAL * said:
        return usual
    return float(said) if said else None


def _usual_rate(stream: VideoStream) -> float | None:
    """Frames a second between pauses, by the container's index (of keyframes alone in some).

    What a container says is the mean over pauses too (of a recorder that waits for motion, of a
    screen where nothing moves).
    """
    entries = itertools.islice(getattr(stream, "index_entries", None) or (), _MAX_INDEX_ENTRIES)
    steps = np.diff(np.sort([entry.timestamp for entry in entries]))
    steps = steps[steps > 0]
    if not len(steps) or not stream.time_base:
        return None
    steady = steps[steps <= 1.5 * np.median(steps)]
    return float(1 / (steady.mean() * stream.time_base))


def _deinterlaced(coded: Iterator[VideoFrame], stream: VideoStream) -> Iterator[VideoFrame]:
    deinterlace = Deinterlacer(stream)
    for frame in coded:
        yield from deinterlace(frame)
    yield from deinterlace(None)


def _timed_as_decoded(coded: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Frames with the times of the packets after which they came out, which are even.

    The last ones come out when there are no more packets.
    """
    last, step = 0, 1
    for frame in coded:
        if frame.dts is None:
            frame.pts = last + step
        else:
            step = max(frame.dts - last, 1)
            frame.pts = frame.dts
        last = frame.pts
        yield frame


def _decoded(
    container: InputContainer, stream: VideoStream, losses: Losses
) -> Iterator[VideoFrame]:
    try:
        for packet in container.demux(stream):  # the last, empty one flushes the decoder
            if packet.is_corrupt:
                losses.damaged += 1
                continue
            if not packet.size and packet.dts is not None:  # the last picture once more
                continue
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                losses.damaged += 1
    except DECODE_ERRORS:
        for frame in stream.decode(None):  # what the decoder still holds
            frame.time_base = stream.time_base  # told by packets, of which this is none
            yield frame
        raise


def timed(
    frames: Iterator[VideoFrame], rate: float | None, losses: Losses
) -> Iterator[tuple[VideoFrame, float]]:
    """Frames with their presentation times, which grow.

    Timestamps that leap ahead of those before *and* after them are errors of the recorder's, and
    are not followed. To know, a few more frames are awaited after a leap, and only then.
    """
    clock, held = Clock(rate), list[VideoFrame]()
    for frame in frames:
        if held:
            astray = frame.time is not None and frame.time < held[0].time
            if not astray and len(held) < _MAX_WRONG_IN_A_ROW:
                held.append(frame)
                continue
            losses.mistimed += len(held) if astray else 0
            for each in held:
                yield each, clock(None if astray else each.time)
            held = []
        if clock.jumps(frame.time):
            held = [frame]
        else:
            yield frame, clock(frame.time)
    for each in held:
        yield each, clock(each.time)


class Clock:
    """Presentation times that never stand still, also where the file leaves them out."""

    def __init__(self, rate: float | None) -> None:
        self._period_s = 1 / rate if rate else 1 / 30
        self._last_s: float | None = None

    def jumps(self, time_s: float | None) -> bool:
        """Whether a timestamp is so far ahead that it is a pause or an error."""
        if time_s is None:
            return False
        return time_s - (self._last_s or 0.0) > max(_MAX_STEP_S, 10 * self._period_s)

    def __call__(self, time_s: float | None) -> float:
        """The time of the next frame, given what its timestamp says."""
        if self._last_s is None:
            self._last_s = 0.0 if time_s is None else time_s
        elif time_s is None or time_s <= self._last_s:
            self._last_s += self._period_s
        else:
            self._last_s = time_s
        return self._last_s


class Deinterlacer:
    """Passes progressive video through; from the first interlaced frame on, filters (bwdif)."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._graph: av.filter.Graph | None = None
        self._kind: tuple[int, int, str] | None = None

    def __call__(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """Frames that are ready once ``frame`` is in; None flushes."""
        if self._graph is not None and frame is not None and _kind_of(frame) != self._kind:
            yield from self._filtered(None)  # a graph takes frames of one size and format
            self._graph = None
        if self._graph is None:
            if frame is None:
                return
            if not frame.interlaced_frame:
                yield frame
                return
            self._graph = _deinterlacing_graph(self._stream, frame)
            self._kind = _kind_of(frame)
        yield from self._filtered(frame)

    def _filtered(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        assert self._graph is not None
        self._graph.vpush(frame)
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def _kind_of(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _deinterlacing_graph(stream: VideoStream, first: VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=first.width,
        height=first.height,
        format=first.format,
        time_base=first.time_base or stream.time_base,
    )
    # One frame out per frame in, and only frames that are marked as interlaced are touched.
    bwdif = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    graph.link_nodes(source, bwdif, sink).configure()
    return graph


def _upright(frame: VideoFrame, stream: VideoStream, to_rgb: VideoReformatter) -> np.ndarray:
    """(H, W, 3) uint8 RGB as a player shows it."""
    aspect = float(stream.sample_aspect_ratio or 1)  # width of a pixel over its height
    if not 1 / _MAX_PIXEL_ASPECT < aspect < _MAX_PIXEL_ASPECT:
        aspect = 1.0
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
    return np.ascontiguousarray(_as_displayed(tone_mapped(rgb, frame), frame))


def _as_displayed(image: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """A view of the coded picture, turned and mirrored as its frame says."""
    try:
        # Not ``frame.side_data``, which ties the frame into a circle: dozens of pictures would wait
        # in memory for the garbage collector.
        matrix: Any = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    except ValueError:  # PyAV does not know a kind of data beside it, such as EXIF
        return np.rot90(image, round(frame.rotation / 90))
    return image if matrix is None else _moved(image, bytes(matrix))


def _moved(image: np.ndarray, matrix: bytes) -> np.ndarray:
    """A coded (x, y) is shown at (a x + c y, b x + d y).

    Phones and editors write multiples of 90 degrees, mirrored or not.
    """
    linear = np.frombuffer(matrix, np.int32).reshape(3, 3)[:2, :2]
    (a, b), (c, d) = linear
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, x, y = image.swapaxes(0, 1), c, b
    else:
        x, y = a, d
    return image[:: -1 if y < 0 else 1, :: -1 if x < 0 else 1]
