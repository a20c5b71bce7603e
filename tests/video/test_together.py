"""Several sources at once: which frames are of one instant."""

from __future__ import annotations

from pathlib import Path

import pytest

from clips import number_of, write_video
from knuckle.results import Frame
from knuckle.video import SourceNotFoundError, Together, open_sources


def numbers(frames: list[Frame | None]) -> list[int | None]:
    return [None if frame is None else number_of(frame.image) for frame in frames]


def write(folder: Path, name: str, count: int, fps: int = 30) -> Path:
    return write_video(folder / name, count, times=[round(1000 * i / fps) for i in range(count)])


def test_frames_of_one_instant_come_together(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"{name}.mp4", 12) for name in "abc"]
    with open_sources(paths) as sources:
        assert sources.info.n_frames == 12 and sources.remarks == []
        assert [numbers(frames) for frames in sources] == [[i] * 3 for i in range(12)]


def test_an_offset_shifts_and_nothing_is_lost(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"{name}.mp4", 8) for name in "ab"]
    with open_sources(paths, offsets_s=[0.0, 2 / 30]) as sources:
        found = [numbers(frames) for frames in sources]
    assert found == [[None, 0], [None, 1], *[[i, i + 2] for i in range(6)], [6, None], [7, None]]


def test_a_faster_source_gives_up_frames(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.mp4", 6, fps=15), write(tmp_path, "b.mp4", 12, fps=30)]
    with open_sources(paths) as sources:
        assert sources.info.fps == pytest.approx(15, rel=0.2)  # six frames tell no better
        assert [numbers(frames) for frames in sources] == [[i, 2 * i] for i in range(6)]


def test_another_length_is_told(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.mp4", 8), write(tmp_path, "b.mp4", 50)]
    with open_sources(paths) as sources:
        (remark,) = sources.remarks
        assert "b.mp4 is 1.4 s longer than" in remark and "--sync" in remark
        found = [numbers(frames) for frames in sources]
    assert found[7] == [7, 7] and found[8] == [None, 8] and len(found) == 50


def test_clocks_that_begin_elsewhere_are_told(tmp_path: Path) -> None:
    late = write_video(tmp_path / "b.ts", 8, times=[900_000 + 33 * i for i in range(8)])
    with open_sources([write(tmp_path, "a.mp4", 8), late]) as sources:
        (remark,) = sources.remarks
        assert "the clock of" in remark and "b.ts begins at 90" in remark and "--sync" in remark
        assert all(numbers(frames).count(None) == 1 for frames in sources)


def test_offsets_that_are_no_times_are_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"{name}.mp4", 2) for name in "ab"]
    with pytest.raises(ValueError, match="must be a finite number"):
        open_sources(paths, offsets_s=[0.0, float("nan")])
    with pytest.raises(TypeError, match="must be a number"):
        open_sources(paths, offsets_s=["0", 0.0])
    with pytest.raises(ValueError, match=r"a list of two or more sources, got 'a\.mp4' alone"):
        open_sources("a.mp4")


def test_one_that_is_missing_is_named_and_the_others_are_closed(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"nowhere\.mp4 does not exist"):
        open_sources([write(tmp_path, "a.mp4", 3), tmp_path / "nowhere.mp4"])
    with pytest.raises(ValueError, match="expected two or more"):
        open_sources([])
    with (
        open_sources([write(tmp_path, "a.mp4", 3)]) as sources,
        pytest.raises(ValueError, match="an offset for each of 1"),
    ):
        Together(sources.sources, [0.0, 1.0])


def test_one_that_breaks_off_ends_alone(tmp_path: Path) -> None:
    from knuckle.video import SourceBrokenError

    whole, cut = write(tmp_path, "a.mkv", 40), write(tmp_path, "b.mkv", 120)
    data = cut.read_bytes()
    cut.write_bytes(data[: len(data) // 3])
    seen = []
    with (
        open_sources([whole, cut]) as sources,
        pytest.raises(SourceBrokenError, match=r"b\.mkv breaks off"),
    ):
        for frames in sources:
            seen.append(numbers(frames))
    assert [frames[0] for frames in seen][:40] == [i % 64 for i in range(40)]
