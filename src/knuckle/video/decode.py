"""PyAV at work: from packets to upright RGB images with their times.

What a player would show is what comes out: turned as the metadata says, deinterlaced, with square
pixels, in 8-bit RGB whatever the codec, depth and colour matrix of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import av.error
import av.filter
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from knuckle.video.source import Losses

#: Errors of libav that mean "these bytes are wrong", as against a bug in the caller.
DECODE_ERRORS = (av.error.FFmpegError, OSError)


def file_name(path: str | Path) -> str:
    """A file as libav must be told of it: what stands before a colon would be its protocol."""
    return f"file:{path}"


def pictures(
    container: InputContainer, stream: VideoStream, losses: Losses
) -> Iterator[tuple[np.ndarray, float]]:
    """Upright RGB images and their presentation times, in order of time.

    Packets that cannot be decoded are counted in ``losses`` and passed over.

    Yields:
        ((H, W, 3) uint8 RGB, seconds).

    Raises:
        av.error.FFmpegError: the container itself broke; everything before has been yielded.
    """
    to_rgb, deinterlace = VideoReformatter(), Deinterlacer(stream)
    clock = Clock(stream)
    for coded in _decoded(container, stream, losses):
        for frame in deinterlace(coded):
            yield _upright(frame, stream, to_rgb), clock(frame.time)
    for frame in deinterlace(None):
        yield _upright(frame, stream, to_rgb), clock(frame.time)


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
    """Presentation times that never stand still, also where the file leaves them out."""

    def __init__(self, stream: VideoStream) -> None:
        rate = stream.average_rate or stream.guessed_rate
        self._period_s = float(1 / rate) if rate else 1 / 30
        self._last_s: float | None = None

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
    # libav gives the turn counter-clockwise, which is also the sense of rot90.
    return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90)))
