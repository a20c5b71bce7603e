"""``overlay.mp4``: the video with the hands drawn onto it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import cast

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from knuckle.output.draw import draw_hands
from knuckle.output.sink import Sink
from knuckle.results import Frame, HandPose

#: First that this build of libav has. x264 is the better; MPEG-4 part 2 is always there.
CODECS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "superfast", "crf": "21", "tune": "zerolatency"},
    "mpeg4": {"qmin": "2", "qmax": "4"},
}
#: Longest side that each takes, px; a larger picture makes a smaller overlay.
_MAX_SIDE_PX = {"libx264": 16384, "mpeg4": 8190}
#: Every usual frame rate divides it, and MPEG-4 part 2 takes nothing beyond 65,535.
_TIME_BASE = Fraction(1, 60_000)
#: Colours are converted and labelled as those of HD video: players guess where there is no label.
_BT709, _LIMITED = 1, 1
#: Each frame is a fragment, so that what has been written can be played after a kill; when the
#: file is closed it is rewritten as an ordinary MP4.
_MUXER = {"movflags": "frag_every_frame+hybrid_fragmented", "flush_packets": "1"}


class OverlaySink(Sink):
    """An MP4 of the size and times of the source, without its sound.

    A side of odd length gets one more row or column; a picture of another size than the first (in
    a folder of images) is scaled into it. What is larger than the encoder takes is made smaller.
    """

    filename = "overlay.mp4"
    needs_pictures = True

    def _open(self) -> None:
        codec = next(name for name in CODECS if name in av.codecs_available)
        self._size = _encoded_size(*self.info.size, max_side_px=_MAX_SIDE_PX[codec])
        self._start_s: float | None = None
        self._last_pts = -1
        self._to_yuv = VideoReformatter()
        self.path.open("wb").close()  # libav would only find out later that it cannot
        self._container: OutputContainer = av.open(f"file:{self.path}", "w", options=dict(_MUXER))
        self._stream = _add_stream(self._container, codec, self._size, self.info.fps)

    def _write(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        self.encode(draw_hands(frame.image, hands), frame.time_s)

    def encode(self, image: np.ndarray, time_s: float) -> None:
        """Add a picture (H, W, 3) that is already drawn."""
        image = _fit(image, self._size)
        self._start_s = time_s if self._start_s is None else self._start_s
        coded = self._to_yuv.reformat(
            av.VideoFrame.from_ndarray(image, format="rgb24"),
            format="yuv420p",
            dst_colorspace=_BT709,
            dst_color_range=_LIMITED,
            interpolation="FAST_BILINEAR",
            threads=1,
        )
        pts = max(round((time_s - self._start_s) / _TIME_BASE), self._last_pts + 1)
        coded.pts, coded.time_base = pts, _TIME_BASE
        self._last_pts = pts
        self._container.mux(self._stream.encode(coded))

    def _close(self) -> None:
        try:
            if self._start_s is None:  # a container without a frame is no video
                self.encode(np.zeros((*self._size[::-1], 3), np.uint8), 0.0)
            self._container.mux(self._stream.encode())
        finally:
            self._container.close()


def _encoded_size(width: int, height: int, *, max_side_px: int) -> tuple[int, int]:
    """Even width and height, scaled down where a side is longer than that."""
    scale = min(max_side_px / max(width, height), 1.0)
    width, height = max(int(width * scale), 1), max(int(height * scale), 1)
    return width + width % 2, height + height % 2


def _add_stream(
    container: OutputContainer, codec: str, size: tuple[int, int], fps: float | None
) -> VideoStream:
    rate = Fraction(fps or 30).limit_denominator(1001)
    options = dict(CODECS[codec])
    stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options))
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = _TIME_BASE
    coder = stream.codec_context
    coder.colorspace = coder.color_primaries = coder.color_trc = _BT709
    coder.color_range = _LIMITED
    # Players seek to keyframes: one a second.
    coder.gop_size = max(round(rate), 1)
    return stream


def _fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Make a picture as large as the video: add an odd row, or scale and fill with black."""
    width, height = size
    if max(height - image.shape[0], width - image.shape[1]) > 1 or (
        image.shape[0] > height or image.shape[1] > width
    ):
        scale = min(height / image.shape[0], width / image.shape[1])
        shape = max(int(image.shape[1] * scale), 1), max(int(image.shape[0] * scale), 1)
        image = cv2.resize(image, shape, interpolation=cv2.INTER_AREA)
        border = cv2.BORDER_CONSTANT
    else:
        border = cv2.BORDER_REPLICATE
    below, right = height - image.shape[0], width - image.shape[1]
    return cv2.copyMakeBorder(image, 0, below, 0, right, border) if below or right else image
