"""Whole corpora: what holds whatever engine hands over the paths."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pytest

import knuckle
from knuckle.corpus import Track, as_table, folder_name
from knuckle.output import open_recording
from knuckle.video import open_source

CLIP = Path(knuckle.__file__).parent / "demo" / "hands.mp4"
FRAMES = 6


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two short videos and one that is none."""
    folder = tmp_path_factory.mktemp("videos")
    for name, first in (("a", 0), ("b", 60)):
        with open_source(CLIP) as source, av.open(str(folder / f"{name}.mp4"), "w") as written:
            stream = written.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
            for frame in source:
                if first <= frame.index < first + FRAMES:
                    written.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image)))
            written.mux(stream.encode())
    (folder / "broken.mp4").write_text("no video")
    return [str(folder / f"{name}.mp4") for name in ("a", "broken", "b")]


@pytest.fixture(scope="module")
def tracked(
    videos: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Track, pa.Table, Path]:
    out = tmp_path_factory.mktemp("hands")
    track = Track(out)
    return track, track(videos), out


def test_a_row_for_each_video_in_order(videos: list[str], tracked: tuple) -> None:
    _, table, _ = tracked
    assert table["path"].to_pylist() == videos
    assert table["frames"].to_pylist() == [FRAMES, 0, FRAMES]


def test_what_is_wrong_with_a_video_is_told_in_its_row(tracked: tuple) -> None:
    errors = tracked[1]["error"].to_pylist()
    assert errors[0] is None and errors[2] is None
    assert "broken.mp4 is not a video" in errors[1]


def test_one_parquet_file_a_video(videos: list[str], tracked: tuple) -> None:
    _, table, out = tracked
    for path, result in zip(videos, table["result"].to_pylist(), strict=True):
        if result is None:
            continue
        assert Path(result) == out / folder_name(path) / "hands.parquet"
        recording = open_recording(result)
        assert len(recording.frames) == FRAMES
        assert recording.info.source == path


def test_ids_do_not_hang_on_what_was_tracked_before(tracked: tuple) -> None:
    _, table, _ = tracked
    for result in filter(None, table["result"].to_pylist()):
        hands = open_recording(result).hands
        assert len(hands) and hands["track_id"].min() == 0


@pytest.mark.parametrize("form", ["array", "table", "dictionary"])
def test_batches_come_as_engines_hand_them_over(
    videos: list[str], tracked: tuple, form: str
) -> None:
    track, table, _ = tracked
    array = pa.array(videos)
    batch = {"array": array, "table": pa.table({"path": array}), "dictionary": {"path": array}}
    assert track(batch[form]).equals(table)


def test_what_is_done_is_not_done_again(
    videos: list[str], tracked: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, table, out = tracked

    def refuse(*_: object) -> None:
        raise AssertionError("it was tracked again")

    monkeypatch.setattr(Track, "_track", refuse)
    assert Track(out)(videos[::2]).equals(table.take([0, 2]))
    other = Track(out, max_hands=1).track(videos[0])
    assert other.error is not None and "it was tracked again" in other.error


def test_what_was_interrupted_is_done_again(videos: list[str], tmp_path: Path) -> None:
    track = Track(tmp_path)
    row = track.track(videos[0])
    mark = tmp_path / folder_name(videos[0]) / "video.json"
    assert json.loads(mark.read_text())["row"]["frames"] == FRAMES
    mark.write_text('{"row": ')  # as a full disk leaves it
    assert track.track(videos[0]) == row


def test_videos_of_one_name_have_results_of_their_own() -> None:
    assert folder_name("x/clip.mp4") != folder_name("y/clip.mp4")


def test_no_videos_give_a_table_of_the_same_columns(tracked: tuple) -> None:
    assert as_table([]).schema == tracked[1].schema


def test_each_video_may_have_a_camera_of_its_own(videos: list[str], tmp_path: Path) -> None:
    """Millimetres need the lens; a result of another lens is made again."""
    long, short = knuckle.Camera(1500, 1500, 319.5, 239.5), knuckle.Camera(500, 500, 319.5, 239.5)
    one = [videos[0]]
    depths = []
    for camera in (short, lambda path: {videos[0]: long}[path]):
        (result,) = Track(tmp_path, camera=camera)(one)["result"].to_pylist()
        recording = open_recording(result)
        depths.append(np.median(recording.hands["joints_mm"][:, 0, 2]))
    assert recording.info.camera == long
    assert depths[1] == pytest.approx(3 * depths[0], rel=0.1)
