"""Video files: whatever libav can decode."""

from __future__ import annotations

import math
import os
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from knuckle.errors import InputError, reason_of, warn
from knuckle.formats import RESULTS, SHOWN_BY
from knuckle.results import Frame
from knuckle.video import tail
from knuckle.video.decode import (
    DECODE_ERRORS,
    brings_times,
    frame_rate,
    open_container,
    pictures,
)
from knuckle.video.errors import (
    SourceBrokenError,
    SourceEmptyError,
    SourceNotFoundError,
    SourceUnreadableError,
)
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions, resumed

#: By the ends of their names; whether one can be read is told when it is opened.
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".mpg", ".mpeg"),
    *(".mts", ".m2ts", ".ts", ".3gp", ".ogv", ".mxf", ".h264", ".hevc", ".y4m"),
)
#: Where Android's cameras say it.
_RECORDED_RATE = "com.android.capture.fps"
#: Recorded over played rate, above which a video plays in slow motion.
_SLOW_MOTION_RATIO = 1.2


def is_video(path: Path) -> bool:
    """Whether the name says that this is a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def accepts(source: str) -> bool:
    """Whatever no other kind of source claims is taken for a video file."""
    return True


def open_source(source: str, options: SourceOptions) -> Source:
    """Open a video file and decode its first frame."""
    path = Path(source)
    if source == "-" and not path.exists():
        raise SourceNotFoundError(
            "- is no file: for a video through a pipe (.mkv or .ts) give /dev/stdin"
        )
    if not path.exists():
        raise SourceNotFoundError(
            f"{source} does not exist; expected a video file, a folder of images, an image, a "
            "camera index or a stream URL: check the path"
        )
    try:
        container = open_container(path)
    except DECODE_ERRORS as error:
        raise SourceUnreadableError(_why_unreadable(path, error)) from None
    return from_container(container, source, options)


def from_container(container: InputContainer, name: str, options: SourceOptions) -> Source:
    """The frames of an open container that has an end (also of one that a URL led to)."""
    if options.fps is not None and brings_times(container):
        container.close()
        raise InputError(
            f"{name} brings its own times: an fps is only for folders of images, cameras and files "
            "without times (such as .h264)"
        )
    stream = video_stream(container, name)
    losses = Losses()
    frames = _frames(container, stream, name, options, losses)
    try:
        first = next(frames)
    except StopIteration:
        raise SourceEmptyError(
            f"{name} holds no frame that can be decoded ({losses.damaged} damaged): expected a "
            "video with at least one; record or copy it again"
        ) from None
    height, width = first.image.shape[:2]
    rate = options.fps or frame_rate(container, stream)
    _warn_of_slow_motion(container, name, rate)
    duration_s = _declared_length_s(container, stream)
    n_frames = _plausible_count(container, stream.frames, (duration_s or 0.0) * (rate or 0.0))
    info = SourceInfo(name, (width, height), rate, n_frames, duration_s)
    return Source(info, resumed(first, frames), losses)


def _plausible_count(container: InputContainer, stated: int, by_length: float) -> int | None:
    """Frames in all, as the file states them or by its length; a frame takes a byte at least.

    A damaged index may state billions, for which ``list(source)`` would set memory aside.
    """
    most = container.size if container.size > 0 else math.inf
    return next((round(n) for n in (stated, by_length) if 0.5 < n <= most), None)


def _warn_of_slow_motion(container: InputContainer, name: str, rate: float | None) -> None:
    """Phones write how fast they recorded beside how fast it plays."""
    try:
        recorded = float(container.metadata.get(_RECORDED_RATE, "nan"))
    except ValueError:
        return
    if rate and rate * _SLOW_MOTION_RATIO < recorded < math.inf:
        warn(
            f"{name} plays slower than it was recorded ({recorded:g} frames a second, shown at "
            f"{rate:.4g}): its times, and all speeds, are those of the player; divide times by "
            f"{recorded / rate:.3g} for the true ones",
        )


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The container's video, or an error that says what it holds instead.

    Covers and previews are pictures too: of several, the one that the file names as default is
    taken, or else the largest.
    """
    videos = [each for each in container.streams.video if not is_cover(each)]
    if videos and all(each.disposition & Disposition.dependent for each in videos):
        container.close()
        raise SourceUnreadableError(
            f"{name} is a picture in {len(videos)} tiles: give it a name that ends in .heic"
        )
    if videos:
        stream = max(videos, key=_rank)
        stream.thread_type = "AUTO"
        return stream
    kinds = sorted(
        {"cover" if each.type == "video" else str(each.type) for each in container.streams}
    )
    container.close()
    found = f"only {' and '.join(kinds)}" if kinds else "nor anything else"
    raise SourceUnreadableError(f"{name} holds no video, {found}: give a file that has pictures")


def is_cover(stream: VideoStream) -> bool:
    """Whether this is a still picture that was attached to a file (its cover, a thumbnail)."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _rank(stream: VideoStream) -> tuple[bool, int, int, int]:
    """What a player would choose: what the file says, the largest, the longest, the first."""
    default = bool(stream.disposition & Disposition.default)
    # Without a decoder a stream has no size.
    area = stream.width * stream.height if stream.codec_context is not None else 0
    return default, area, stream.frames, -stream.index


def _frames(
    container: InputContainer,
    stream: VideoStream,
    name: str,
    options: SourceOptions,
    losses: Losses,
) -> Generator[Frame, None, None]:
    index, time_s, broken = 0, 0.0, False
    with closing(container):
        end_s = declared_end_s(container, stream) if brings_times(container) else None
        rate = options.fps or frame_rate(container, stream)
        period_s = 1 / rate if rate else 1 / 30
        shown = pictures(container, stream, losses, options.fps)
        size: tuple[int, int] | None = None
        try:
            for index, (image, time_s) in enumerate(shown, start=1):
                size = size or (image.shape[1], image.shape[0])
                yield Frame(scaled_into(image, size), time_s, index - 1, options.camera)
        except DECODE_ERRORS:
            # A server that does not say how long a file is seems to break off at its very end.
            broken = end_s is None or time_s + 1.5 * period_s < end_s
        broken = broken or tail.is_truncated(Path(name), container.format.name)
    if index and (broken or _is_truncated(time_s + period_s, period_s, end_s, losses)):
        of = f" of {end_s:.2f} s" if end_s else ""
        raise SourceBrokenError(
            f"{name} breaks off after {index} frames at {time_s:.2f} s{of}: the file is cut off "
            "or damaged; what came before is complete, copy the file again for the rest"
        )


def scaled_into(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture of a video that changes size, in the (width, height) of the first one.

    Its proportions stay: what is left over on the right or below is black.
    """
    width, height = size
    if image.shape[:2] == (height, width):
        return image
    scale = min(height / image.shape[0], width / image.shape[1])
    shape = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    image = cv2.resize(
        image, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    return cv2.copyMakeBorder(image, 0, height - shape[1], 0, width - shape[0], cv2.BORDER_CONSTANT)


def _is_truncated(at_s: float, period_s: float, end_s: float | None, losses: Losses) -> bool:
    """Whether the last frame ended long before the header says."""
    if end_s is None or losses.mistimed:  # the end in the header comes from the same clock
        return False
    # With damage, any gap; without, only one that no rounding of durations explains.
    gap_s = 2 * period_s if losses.damaged else max(1.0, 0.05 * end_s)
    return end_s - at_s > gap_s


def _declared_length_s(container: InputContainer, stream: VideoStream) -> float | None:
    """From the first frame to the end of the last one: clocks of broadcasters begin anywhere."""
    end_s = declared_end_s(container, stream)
    return None if end_s is None else max(end_s - _start_s(stream), 0.0)


def declared_end_s(container: InputContainer, stream: VideoStream) -> float | None:
    """When the last frame should end, from the header; None where the header does not say."""
    if stream.duration and stream.time_base:
        return _start_s(stream) + float(stream.duration * stream.time_base)
    if "DURATION" in stream.metadata:  # Matroska: 00:00:04.000000000
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration and len(container.streams) == 1:  # else it may be that of the sound
        return _start_s(stream) + container.duration / av.time_base
    return None


def _start_s(stream: VideoStream) -> float:
    return float((stream.start_time or 0) * stream.time_base) if stream.time_base else 0.0


def _why_unreadable(path: Path, error: Exception) -> str:
    if path.name in RESULTS:
        return f"{path} is a result and no video: {SHOWN_BY}"
    reason = reason_of(error)
    if not path.is_file():  # opening a pipe once more may wait for ever
        return (
            f"{path} gives no video that can be read ({reason}): through a pipe expected a format "
            "that is read from start to end, such as .mkv or .ts; give an .mp4 as a file"
        )
    if not os.access(path, os.R_OK):
        return (
            f"{path} cannot be opened ({reason}): expected a video that this user may read; change "
            "its permissions"
        )
    if path.stat().st_size == 0:
        return f"{path} is empty (0 bytes): expected a video; record or copy it again"
    with path.open("rb") as file:
        if file.read(12)[4:8] == b"ftyp":
            return (
                f"{path} is an MP4 without its index: the recording or the copy was cut off "
                "before its end; copy it again, or rebuild the index with a repair tool"
            )
    return (
        f"{path} is not a video that can be read ({reason}): expected a file such as .mp4, .mov, "
        ".mkv, .webm or .avi; check that it plays in a video player"
    )
