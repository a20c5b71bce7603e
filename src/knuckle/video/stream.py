"""Streams by URL: RTSP, HTTP and whatever else libav opens. Live ones are reconnected."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import av
from av.container import InputContainer

from knuckle.results import Frame
from knuckle.video import file
from knuckle.video.decode import DECODE_ERRORS, pictures
from knuckle.video.errors import SourceBrokenError, SourceEmptyError, SourceNotFoundError
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions, resumed

#: Formats without timestamps, for which libav invents 25 frames a second.
UNTIMED = frozenset({"mpjpeg", "mjpeg"})


@dataclass(frozen=True)
class Patience:
    """How long a stream may be silent.

    Attributes:
        connect_s: for an answer to the first call.
        read_s: for the next packet, before the connection counts as lost.
        reconnect_s: for a lost stream to come back, before it counts as ended.
    """

    connect_s: float = 10.0
    read_s: float = 5.0
    reconnect_s: float = 20.0


def accepts(source: str) -> bool:
    """Anything with a scheme: ``rtsp://…``, ``http://…``."""
    return "://" in source


def open_source(source: str, options: SourceOptions, patience: Patience | None = None) -> Source:
    """Connect to a stream.

    One that has an end (a video file on a web server) is read frame by frame like a file. A live
    one hands out its newest frame; when the connection is lost it is opened again, and its time
    goes on by the clock.
    """
    patience = patience or Patience()
    try:
        container = _connect(source, patience.connect_s, patience)
    except DECODE_ERRORS as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise SourceNotFoundError(
            f"{source} does not answer with a video ({reason}): expected an RTSP or HTTP stream; "
            "check the address, the network and the password"
        ) from None
    if container.duration:
        return file.from_container(container, source, options)
    if options.fps is not None:
        container.close()
        raise ValueError(f"{source} brings its own times: an fps is only for folders and cameras")
    file.video_stream(container, source)
    losses = Losses()
    frames = _frames(container, source, options, losses, patience)
    try:
        first = next(frames)
    except (StopIteration, SourceBrokenError):
        raise SourceEmptyError(
            f"{source} answers but sends no frame that can be decoded: check it in a player"
        ) from None
    height, width = first.image.shape[:2]
    rate = container.streams.video[0].average_rate
    info = SourceInfo(source, (width, height), float(rate) if rate else None, live=True)
    return Source(info, resumed(first, frames), losses)


def _connect(source: str, timeout_s: float, patience: Patience) -> InputContainer:
    options = {"rtsp_transport": "tcp"} if source.startswith("rtsp") else {}
    return av.open(source, options=options, timeout=(timeout_s, patience.read_s))


def _frames(
    container: InputContainer | None,
    source: str,
    options: SourceOptions,
    losses: Losses,
    patience: Patience,
    now: Callable[[], float] = time.monotonic,
) -> Generator[Frame, None, None]:
    start_s, last_s, index = now(), -1e-3, 0
    while container is not None:
        joined_s, first_s = now() - start_s, None
        with closing(container):
            stream = file.video_stream(container, source)
            timed = container.format.name not in UNTIMED
            try:
                for image, time_s in pictures(container, stream, losses):
                    first_s = time_s if first_s is None else first_s
                    # Within a connection the sender's clock, between them ours.
                    shown_s = joined_s + time_s - first_s if timed else now() - start_s
                    last_s = max(shown_s, last_s + 1e-3)
                    yield Frame(image, last_s, index, options.camera)
                    index += 1
            except DECODE_ERRORS:
                pass  # a lost connection: the same as one that ends
        container = _reconnect(source, patience, now)
    raise SourceBrokenError(
        f"{source} stopped after {index} frames and did not come back within "
        f"{patience.reconnect_s:g} s: what came before is complete; check the sender"
    )


def _reconnect(source: str, patience: Patience, now: Callable[[], float]) -> InputContainer | None:
    """The stream once it answers again, None if it does not in time."""
    deadline_s, pause_s = now() + patience.reconnect_s, 0.1
    while (left_s := deadline_s - now()) > 0:
        try:
            return _connect(source, left_s, patience)
        except DECODE_ERRORS:
            time.sleep(min(pause_s, left_s))
            pause_s *= 2
    return None
