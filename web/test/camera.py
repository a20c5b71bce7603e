"""A video in the place of a camera."""

from __future__ import annotations

from pathlib import Path

import av


def write_y4m(source: Path, target: Path, fps: int | None = None) -> None:
    """Write a video as Chromium's fake camera reads it, at its own rate or at another."""
    with av.open(str(source)) as read, av.open(str(target), "w", format="yuv4mpegpipe") as written:
        video = read.streams.video[0]
        stream = written.add_stream("rawvideo", rate=fps or video.average_rate)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        for frame in read.decode(video):
            frame.pts = None
            written.mux(stream.encode(frame.reformat(format="yuv420p")))
        written.mux(stream.encode())
