"""Several sources at once: which frames are of one instant."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clips import number_of, write_images, write_video
from knuckle.results import Frame, Instant
from knuckle.video import Losses, SourceInfo, SourceNotFoundError, Together, open_sources


def numbers(frames: Instant) -> list[int | None]:
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
        (remark,) = sources.remarks
        assert "b.mp4 has 29" in remark and "in between are left out" in remark
        assert [numbers(frames) for frames in sources] == [[i, 2 * i] for i in range(6)]


def test_losses_name_the_sources_that_have_damaged_pictures(tmp_path: Path) -> None:
    for name in "ab":
        write_images(tmp_path / name, 4)
    (tmp_path / "b" / "frame 2.png").write_bytes(b"broken")
    with open_sources([tmp_path / name for name in "ab"]) as sources:
        assert len(list(sources)) == 4
        assert sources.losses.damaged == 1
        assert sources.losses.where == [str(tmp_path / "b")]


def test_sources_say_what_they_are(tmp_path: Path) -> None:
    paths = [write_video(tmp_path / f"{name}.mp4", 6) for name in "ab"]
    with open_sources(paths) as together:
        told = f"<source {paths[0]}: 64 x 48, {together.sources[0].fps:.4g} frames/s, 0.2 s>"
        assert repr(together.sources[0]) == told
        assert repr(together).startswith(f"<sources together: {told}, <source {paths[1]}: ")
    assert repr(together.sources[0]).endswith("0.2 s, read to its end or closed>")


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


class Recorded:
    """A source of pictures at the given times of its own clock."""

    losses = Losses()

    def __init__(self, times_s: Iterable[float], live: bool = False) -> None:
        picture = np.zeros((2, 2, 3), np.uint8)
        self._frames = iter([Frame(picture, time_s, i) for i, time_s in enumerate(times_s)])
        self.info = SourceInfo("a camera", (2, 2), 30.0, live=live)

    def __next__(self) -> Frame:
        return next(self._frames)


def instants(*sources: Recorded, offsets_s: list[float] | None = None) -> list[Instant]:
    return list(Together(sources, offsets_s))  # type: ignore[arg-type]


kept = st.lists(st.booleans(), min_size=30, max_size=30)


@given(kept, kept, st.floats(-5, 5), st.floats(-0.01, 0.01))
def test_time_goes_on_evenly_whichever_camera_drops_a_frame(
    a: list[bool], b: list[bool], offset_s: float, late_s: float
) -> None:
    times = np.arange(30) / 30
    first, second = times[a], times[b] + late_s + offset_s
    found = instants(Recorded(first), Recorded(second), offsets_s=[0.0, offset_s])
    for instant in found:
        each = zip(instant, instant.later_s, (0.0, offset_s), strict=True)
        later = [(s, frame.time_s - own_s - instant.time_s) for frame, s, own_s in each if frame]
        assert all(said == pytest.approx(true, abs=1e-9) for said, true in later)
        assert min(said for said, _ in later) == 0 and max(said for said, _ in later) < 1 / 30
    at_s = [instant.time_s for instant in found]
    assert len(at_s) == sum(x or y for x, y in zip(a, b, strict=True))
    assert (np.diff(at_s) > 0.01).all()


@given(st.integers(2, 30), st.integers(2, 30), st.floats(-5, 5))
def test_live_cameras_that_began_apart_are_on_one_clock(a: int, b: int, apart_s: float) -> None:
    """Each hands out what it sees now; one of them is unplugged at some time."""
    times = np.arange(30) / 30
    found = instants(Recorded(times[:a], live=True), Recorded(times[:b] + apart_s, live=True))
    np.testing.assert_allclose([instant.time_s for instant in found], times[: max(a, b)], atol=1e-9)


def test_an_instant_is_a_sequence_of_frames() -> None:
    frame = Frame(np.zeros((2, 2, 3), np.uint8), 3.0, 0)
    instant = Instant((None, frame), 1.5)
    assert list(instant) == [None, frame] and len(instant) == 2
    assert instant[1] is frame and instant[:1] == (None,)
    assert repr(instant) == "<instant at 1.500 s, frames of 1 of 2 cameras>"
    with pytest.raises(ValueError, match="must be a finite number"):
        Instant((frame,), float("nan"))
    assert instant.later_s == (0.0, 0.0)
    with pytest.raises(ValueError, match="later_s of each of the 2 frames, got 1"):
        Instant((None, frame), 1.5, (0.01,))
    with pytest.raises(ValueError, match="must be a finite number"):
        Instant((None, frame), 1.5, (0.0, float("inf")))
