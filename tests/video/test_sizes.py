"""A recording has one size from first to last; pictures of a folder have their own."""

from __future__ import annotations

import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clips import MotionJpeg, is_upright, number_of, picture
from knuckle.camera import Camera
from knuckle.video import SourceBrokenError, open_source
from knuckle.video.file import scaled_into

FIRST, LATER = (64, 48), (128, 96)
sides = st.integers(1, 60)


@given(sides, sides, sides, sides)
def test_whatever_comes_is_fitted_into_the_first_size(
    width: int, height: int, other_width: int, other_height: int
) -> None:
    image = np.full((other_height, other_width, 3), 200, np.uint8)
    fitted = scaled_into(image, (width, height))
    assert fitted.shape == (height, width, 3)
    lit = fitted[..., 0] > 100
    rows, columns = lit.any(axis=1).sum(), lit.any(axis=0).sum()
    assert rows == height or columns == width  # as large as it can be
    assert lit[:rows, :columns].all()  # at the top left, where pixels keep their unit
    scale = min(width / other_width, height / other_height)
    assert abs(columns - scale * other_width) <= 1 and abs(rows - scale * other_height) <= 1


class Changing:
    """A camera of OpenCV's whose mode another program changes after three pictures."""

    index = -1

    def isOpened(self) -> bool:
        return True

    def set(self, *_: object) -> bool:
        return True

    def get(self, _: int) -> float:
        return 30.0

    def release(self) -> None:
        pass

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.index += 1
        if self.index >= 6:
            return False, None
        time.sleep(0.02)
        return True, picture(self.index, FIRST if self.index < 3 else LATER)[..., ::-1].copy()


def test_a_webcam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: Changing())
    monkeypatch.setattr("knuckle.video.webcam._PAUSE_S", 0.001)
    frames = []
    with pytest.raises(SourceBrokenError, match="unplugged"), open_source(0) as source:
        for frame in source:
            frames.append(frame)
    assert source.size == FIRST
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert all(is_upright(frame.image) for frame in frames)
    assert number_of(frames[-1].image) >= 3


class Stream(MotionJpeg):
    """Pictures of one size, and of another when it is asked again."""

    sizes = (FIRST, LATER)


def test_a_stream_that_comes_back_in_another_size() -> None:
    Stream.calls = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with open_source(f"http://127.0.0.1:{server.server_port}/camera.mjpg") as source:
            shapes = set()
            for frame in source:
                shapes.add(frame.image.shape)
                assert is_upright(frame.image)
                if Stream.calls >= 3:
                    source.stop()
    finally:
        server.shutdown()
        server.server_close()
    assert source.info.live and source.size == FIRST
    assert shapes == {(48, 64, 3)}


def write_pictures(folder: Path) -> None:
    for index, size in enumerate((FIRST, FIRST, LATER)):
        cv2.imwrite(str(folder / f"{index}.png"), picture(index, size))


def test_pictures_of_a_folder_keep_their_own(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    with open_source(tmp_path) as source:
        assert [frame.image.shape[1::-1] for frame in source] == [FIRST, FIRST, LATER]


def test_a_camera_holds_for_pictures_of_one_size(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    frames = []
    with (
        pytest.raises(SourceBrokenError, match=r"2\.png is 128 x 96 px, those before it 64 x 48"),
        open_source(tmp_path, camera=Camera(60, 60, 31.5, 23.5)) as source,
    ):
        for frame in source:
            frames.append(frame)
    assert len(frames) == 2
