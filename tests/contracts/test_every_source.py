"""What holds for every kind of source in ``SOURCES``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from clips import FakeCapture, is_upright, picture, write_images, write_video
from knuckle.camera import Camera
from knuckle.video import SOURCES, SourceError, open_source


def _image(folder: Path) -> str:
    cv2.imwrite(str(folder / "a.png"), cv2.cvtColor(picture(0), cv2.COLOR_RGB2BGR))
    return str(folder / "a.png")


#: One example of each kind, and one that is missing.
EXAMPLES: dict[str, tuple[Callable[[Path], str], str]] = {
    "video": (lambda folder: str(write_video(folder / "a.mp4", 40)), "none.mp4"),
    "folder": (lambda folder: str(write_images(folder / "images", 40)), "none/"),
    "image": (_image, "none.png"),
    "stream": (lambda folder: write_video(folder / "a.mp4", 40).as_uri(), "http://127.0.0.1:9/"),
    "camera": (lambda folder: "0", "93"),
}


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(SOURCES)


@pytest.fixture(params=SOURCES)
def source_name(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    if request.param == "camera":
        monkeypatch.setattr(cv2, "VideoCapture", FakeCapture(n_frames=40))
        monkeypatch.setattr("knuckle.video.webcam._PAUSE_S", 0.001)
    name = EXAMPLES[request.param][0](tmp_path)
    first = next(kind for kind, module in SOURCES.items() if module.accepts(name))
    assert first == request.param
    return name


def test_frames_are_upright_rgb_in_order(source_name: str) -> None:
    camera = Camera(60.0, 60.0, 31.5, 23.5)
    frames = []
    with open_source(source_name, camera=camera) as source:
        try:
            for frame in source:
                frames.append(frame)
        except SourceError:
            assert source.info.live  # the only way in which a camera can end
    assert frames[0].index == 0 or source.info.live  # a newer one may have replaced the first
    assert all(is_upright(frame.image) for frame in frames)
    assert all(frame.image.shape[1::-1] == source.size for frame in frames)
    assert all(frame.image.flags.c_contiguous for frame in frames)
    assert all(frame.camera is camera for frame in frames)
    assert np.all(np.diff([frame.index for frame in frames]) >= 1)
    assert np.all(np.diff([frame.time_s for frame in frames]) > 0)


def test_leaving_early_frees_the_thread(source_name: str) -> None:
    before = threading.active_count()
    with open_source(source_name) as source:
        next(source)
    assert threading.active_count() <= before
    assert next(source, None) is None  # a loop that goes on ends
    with pytest.raises(SourceError, match="is read once: open it again"):
        list(source)  # one that begins would say nothing


def test_stop_ends_the_iteration(source_name: str) -> None:
    with open_source(source_name) as source:
        next(source)
        source.stop()
        started = time.monotonic()
        assert list(source) == []
        assert time.monotonic() - started < 1


@pytest.mark.parametrize("kind", SOURCES)
def test_a_missing_one_is_one_clear_sentence(kind: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(EXAMPLES[kind][1])
    message = str(caught.value)
    assert "\n" not in message
    assert EXAMPLES[kind][1].rstrip("/") in message
    assert "expected" in message
