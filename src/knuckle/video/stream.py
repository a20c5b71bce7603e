"""Streams by URL: RTSP, HTTP and whatever else libav opens. Live ones are reconnected."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from knuckle.address import without_secrets
from knuckle.errors import InputError, reason_of
from knuckle.results import Frame
from knuckle.video import file
from knuckle.video.decode import DECODE_ERRORS, METADATA_ERRORS, pictures
from knuckle.video.errors import SourceBrokenError, SourceEmptyError, SourceNotFoundError
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions, resumed

#: Between two attempts to reconnect; doubled each time.
_PAUSE_S = 0.1
#: Formats without timestamps, for which libav invents 25 frames a second.
UNTIMED = frozenset({"mpjpeg", "mjpeg"})
#: Formats whose file is only a list of the files with the pictures: its length is not the video's.
_PLAYLISTS = frozenset({"hls", "applehttp", "dash", "sdp", "concat"})


@dataclass(frozen=True)
class Patience:
    """How long a stream may be silent."""

    connect_s: float = 10.0  # for an answer to the first call
    read_s: float = 5.0  # for the next packet, before the connection counts as lost
    #: Since the last picture, before the stream counts as ended. A sender that answers and has no
    #: picture is as lost as one that does not answer.
    reconnect_s: float = 20.0


def accepts(source: str) -> bool:
    """Anything with a scheme: ``rtsp://…``, ``http://…``."""
    return "://" in source


def open_source(source: str, options: SourceOptions, patience: Patience | None = None) -> Source:
    """Connect to a stream.

    One that has an end (a video file on a web server) is read frame by frame like a file. A live
    one hands out its newest frame; when the connection is lost it is opened again, and its time
    goes on by the clock. A sender that changes its size is scaled into the first. Its name is the
    URL without user, password and query.
    """
    patience, name, asked_s = patience or Patience(), without_secrets(source), time.monotonic()
    try:
        container = _connect(source, patience.connect_s, patience)
    except DECODE_ERRORS as error:
        silent = time.monotonic() - asked_s >= patience.connect_s
        found = f"silence for {patience.connect_s:g} s" if silent else reason_of(error)
        raise SourceNotFoundError(
            f"{name} does not answer with a video ({found}): expected an RTSP or HTTP stream; "
            f"{_advice(error)}"
        ) from None
    if _has_an_end(container):
        return file.from_container(container, name, options)
    if options.fps is not None:
        container.close()
        raise InputError(f"{name} brings its own times: an fps is only for folders and cameras")
    rate = file.video_stream(container, name).average_rate
    losses = Losses()
    frames = _frames(container, source, options, losses, patience)
    try:
        first = next(frames)
    except (StopIteration, SourceBrokenError):
        raise SourceEmptyError(
            f"{name} answers but sends no frame that can be decoded: check it in a player"
        ) from None
    height, width = first.image.shape[:2]
    info = SourceInfo(name, (width, height), float(rate) if rate else None, live=True)
    return Source(info, resumed(first, frames), losses)


def _has_an_end(container: InputContainer) -> bool:
    """Whether it is a file: the header tells its duration, or the server its length in bytes."""
    if container.duration:
        return True
    return container.size > 0 and _PLAYLISTS.isdisjoint(container.format.name.split(","))


def _advice(error: Exception) -> str:
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return "put the right user and password before the host, as in rtsp://USER:PASSWORD@host"
    if isinstance(error, av.error.HTTPNotFoundError):
        return "the host is there, check what comes after it in the address"
    return "check the address and the network"


def _connect(source: str, timeout_s: float, patience: Patience) -> InputContainer:
    options = {"rtsp_transport": "tcp"} if source.startswith("rtsp") else {}
    return av.open(
        source,
        options=options,
        timeout=(timeout_s, patience.read_s),
        metadata_errors=METADATA_ERRORS,
    )


def _live_video(container: InputContainer, source: str) -> VideoStream:
    """Its video, decoded without delay: threads that share out frames hold one back each."""
    stream = file.video_stream(container, without_secrets(source))
    stream.thread_type = "SLICE"
    return stream


def _frames(
    container: InputContainer | None,
    source: str,
    options: SourceOptions,
    losses: Losses,
    patience: Patience,
    now: Callable[[], float] = time.monotonic,
) -> Generator[Frame, None, None]:
    start_s = seen_s = now()
    last_s, index = -1e-3, 0
    size: tuple[int, int] | None = None
    while container is not None:
        joined_s, first_s = now() - start_s, None
        with closing(container):
            stream = _live_video(container, source)
            timed = container.format.name not in UNTIMED
            try:
                for image, time_s in pictures(container, stream, losses):
                    seen_s = now()
                    first_s = time_s if first_s is None else first_s
                    # Within a connection the sender's clock, between them ours.
                    shown_s = joined_s + time_s - first_s if timed else seen_s - start_s
                    last_s = max(shown_s, last_s + 1e-3)
                    size = size or (image.shape[1], image.shape[0])
                    yield Frame(file.scaled_into(image, size), last_s, index, options.camera)
                    index += 1
            except DECODE_ERRORS:
                pass  # a lost connection: the same as one that ends
        container = _reconnect(source, seen_s + patience.reconnect_s, patience, now)
    raise SourceBrokenError(
        f"{without_secrets(source)} stopped after {index} frames and did not come back within "
        f"{patience.reconnect_s:g} s: what came before is complete; check the sender"
    )


def _reconnect(
    source: str, deadline_s: float, patience: Patience, now: Callable[[], float]
) -> InputContainer | None:
    """The stream once it answers again, None if it does not in time."""
    pause_s = _PAUSE_S
    while (left_s := deadline_s - now()) > 0:
        time.sleep(min(pause_s, left_s))
        try:
            return _connect(source, max(deadline_s - now(), _PAUSE_S), patience)
        except DECODE_ERRORS:
            pause_s *= 2
    return None
