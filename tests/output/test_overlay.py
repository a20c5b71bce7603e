"""The overlay video has the source's size, times and colours."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from clips import is_upright, number_of, picture
from fakes import CAMERA
from knuckle.output import RunInfo
from knuckle.output import overlay as overlay_module
from knuckle.output.overlay import OverlaySink
from knuckle.results import Frame
from knuckle.video import open_source


def write(folder: Path, frames: list[Frame], size: tuple[int, int]) -> Path:
    with OverlaySink(folder, RunInfo("x", size, CAMERA, fps=30.0)) as sink:
        for frame in frames:
            sink.write(frame, [])
    return sink.path


@pytest.mark.parametrize("size", [(64, 48), (65, 47), (1, 1), (720, 1280)])
def test_size_and_content(size: tuple[int, int], tmp_path: Path) -> None:
    images = [
        picture(i, size) if min(size) > 8 else np.zeros((*size[::-1], 3), np.uint8)
        for i in range(4)
    ]
    path = write(tmp_path, [Frame(image, i / 30, i) for i, image in enumerate(images)], size)
    with open_source(path) as source:
        frames = list(source)
    assert source.size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    if min(size) > 8:
        assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 3]
        assert all(is_upright(frame.image) for frame in frames)


def test_times_are_those_of_the_source_from_zero(tmp_path: Path) -> None:
    times_s = [12.5, 12.533, 12.6, 14.0, 14.0]  # the last one stands still
    frames = [Frame(picture(i), time_s, i) for i, time_s in enumerate(times_s)]
    with av.open(str(write(tmp_path, frames, (64, 48)))) as container:
        found = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(found, np.array(times_s) - 12.5, atol=1e-3)
    assert np.all(np.diff(found) > 0)


def test_colours_survive(tmp_path: Path) -> None:
    colours = np.array([(220, 30, 30), (30, 220, 30), (30, 30, 220), (240, 200, 20)], np.uint8)
    image = colours.reshape(2, 2, 3).repeat(64, axis=0).repeat(64, axis=1)
    with open_source(write(tmp_path, [Frame(image, 0.0, 0)], (128, 128))) as source:
        (frame,) = source
    np.testing.assert_allclose(
        frame.image[32::64, 32::64].reshape(4, 3).astype(int), colours, atol=8
    )


def test_pictures_of_other_sizes_are_fitted_in(tmp_path: Path) -> None:
    frames = [Frame(picture(0), 0.0, 0), Frame(np.full((200, 100, 3), 200, np.uint8), 0.1, 1)]
    with open_source(write(tmp_path, frames, (64, 48))) as source:
        _, fitted = source
    assert fitted.image.shape == (48, 64, 3)
    assert fitted.image[24, 10].mean() > 180
    assert fitted.image[24, 60].mean() < 20


def test_without_x264_mpeg4_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codecs = {"no such codec": {}, "mpeg4": overlay_module.CODECS["mpeg4"]}
    monkeypatch.setattr(overlay_module, "CODECS", codecs)
    path = write(tmp_path, [Frame(picture(i), i / 30, i) for i in range(5)], (64, 48))
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
        assert len(list(container.decode(video=0))) == 5
