"""Small videos made on the spot, whose frames can be told apart."""

from __future__ import annotations

import io
import itertools
import struct
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

N_BITS = 6


def picture(index: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """(H, W, 3) RGB: red at the top left, blue at the bottom right, its number as bars."""
    width, height = size
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    image[: height // 3, : width // 3] = (220, 30, 30)
    image[-(height // 3) :, -(width // 3) :] = (30, 30, 220)
    for bit, (left, right) in enumerate(_bars(width)):
        image[height // 3 : -(height // 3), left:right] = 230 if index >> bit & 1 else 20
    return image


def number_of(image: np.ndarray) -> int:
    """The number that ``picture`` painted (modulo 64)."""
    height, width = image.shape[:2]
    row = image[height // 2 - 1 : height // 2 + 2].mean(axis=(0, 2))
    bars = [row[left + 2 : right - 2].mean() > 125 for left, right in _bars(width)]
    return sum(int(lit) << bit for bit, lit in enumerate(bars))


def _bars(width: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, width, N_BITS + 1).astype(int)
    return list(itertools.pairwise(edges))


def is_upright(image: np.ndarray) -> bool:
    """Red at the top left and blue at the bottom right."""
    red, blue = image[3, 3].astype(int), image[-4, -4].astype(int)
    return bool(red[0] > red[2] + 80 and blue[2] > blue[0] + 80)


def write_video(
    path: Path,
    n_frames: int = 30,
    *,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times: list[int] | None = None,
    rotation: int = 0,
    stream_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write ``picture(0), picture(1), …`` at 30 fps, or at ``times`` in 1/1000 s.

    With a ``rotation`` the stored pixels lie on their side, as a phone writes them, and the
    metadata says by how many degrees counter-clockwise a player has to turn them.
    """
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    options.update(container_options or {})
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=30, options=stream_options or {})
        stream.width, stream.height = size if rotation % 180 == 0 else size[::-1]
        stream.pix_fmt = pixel_format
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(n_frames):
            stored = np.ascontiguousarray(np.rot90(picture(index, size), -rotation // 90))
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
            frame = frame.reformat(format=pixel_format)
            frame.pts = times[index] if times else round(index * 1000 / 30)
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if rotation:
        _turn(path, rotation)
    return path


def _turn(path: Path, degrees: int) -> None:
    """Have an MP4 say that a player turns it counter-clockwise: the matrix of its track's head."""
    cos, sin = {90: (0, 1), 180: (-1, 0), -90: (0, -1)}[degrees]
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    one = 1 << 16
    struct.pack_into(">5i", content, at, cos * one, -sin * one, 0, sin * one, cos * one)
    path.write_bytes(content)


def write_images(folder: Path, n_images: int = 12) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(n_images):
        bgr = cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR)
        assert cv2.imwrite(str(folder / f"frame {index}.png"), bgr)
    return folder


class FakeCapture:
    """Stands in for ``cv2.VideoCapture``: a camera that counts, and can be unplugged."""

    def __init__(self, n_frames: int | None = None) -> None:
        self.n_frames, self.index, self.released = n_frames, 0, False

    def __call__(self, index: int | str) -> FakeCapture:
        self.opened = index
        return self

    def isOpened(self) -> bool:
        return True

    def set(self, key: int, value: float) -> bool:
        return True

    def get(self, key: int) -> float:
        return 30.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.n_frames is not None and self.index >= self.n_frames:
            return False, None
        image = cv2.cvtColor(picture(self.index), cv2.COLOR_RGB2BGR)
        self.index += 1
        return True, image

    def release(self) -> None:
        self.released = True


class MotionJpeg(BaseHTTPRequestHandler):
    """A web camera that hangs up after ten pictures, and answers again.

    Attributes:
        calls: how often it was asked.
        sizes: (width, height) of its pictures at each call, the last one from then on.
    """

    calls = 0
    sizes: tuple[tuple[int, int], ...] = ((64, 48),)

    def do_GET(self) -> None:
        type(self).calls += 1
        size = self.sizes[min(type(self).calls, len(self.sizes)) - 1]
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for index in range(10):
            file = io.BytesIO()
            Image.fromarray(picture(index, size)).save(file, "jpeg", quality=95)
            body = file.getvalue()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + body + b"\r\n")
            except (BrokenPipeError, ConnectionResetError):
                return
            time.sleep(0.01)

    def log_message(self, *args: object) -> None:
        pass
