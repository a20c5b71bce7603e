"""A slider may be pulled anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clips import number_of, write_video
from knuckle.video.seek import PicturesByTime

N_FRAMES = 150


@pytest.fixture(scope="module", params=["mp4", "mkv", "ts", "keyframes.mp4"])
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"g": "12"} if "keyframes" in request.param else {}
    path = tmp_path_factory.mktemp("seek") / f"a.{request.param}"
    return write_video(path, N_FRAMES, stream_options=options)


@given(rows=st.lists(st.integers(0, N_FRAMES - 1), min_size=1, max_size=6))
def test_the_picture_of_any_time(video: Path, rows: list[int]) -> None:
    start_s = 0.067 if video.suffix == ".ts" else 0.0  # it does not begin at 0
    pictures = PicturesByTime(str(video))
    for row in rows:
        image = pictures.at(start_s + row / 30 + 0.005)
        assert image is not None
        assert number_of(image) == row % 64
    pictures.close()


def test_before_the_start_there_is_none(video: Path) -> None:
    pictures = PicturesByTime(str(video))
    assert pictures.at(-1.0) is None
    pictures.close()
