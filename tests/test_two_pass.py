"""Two passes over a source: what comes out, what stays if they are broken off."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import knuckle.pipeline
from clips import write_video
from fakes import FakeTracker
from knuckle.cli import main
from knuckle.hand import bone_lengths
from knuckle.job import open_sinks
from knuckle.output import RunInfo, open_recording
from knuckle.results import Frame, HandPose, TrackedHand
from knuckle.two_pass import FIRST_PASS, run_offline
from knuckle.video import Losses, Source, SourceInfo

MISSED = (14, 15)
NOISE_MM = 4.0


class TremblingTracker(FakeTracker):
    """A raw tracker: the hands tremble, and two looks at each fail."""

    def __call__(self, frame: Frame) -> list[HandPose]:
        rng = np.random.default_rng(frame.index)
        return [
            TrackedHand(
                **{item.name: getattr(hand, item.name) for item in fields(HandPose)}
                | {"joints_mm": hand.joints_mm + rng.normal(0, NOISE_MM, (21, 3)) * (0.1, 0.1, 1)},
                track_id=i,
                age_s=0.0,
                raw=hand,
                velocity_mm_s=np.zeros(3),
            )
            for i, hand in enumerate(super().__call__(frame))
            if frame.index not in MISSED
        ]


@pytest.fixture(autouse=True)
def _tracker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(knuckle.pipeline, "HandTracker", lambda **options: TremblingTracker())
    monkeypatch.chdir(tmp_path)
    write_video(Path("clip.mp4"), 30)


def tremor(hands: np.ndarray) -> float:
    return float(np.sqrt((np.diff(hands["joints_mm"], 2, axis=0) ** 2).sum(axis=-1).mean()))


def test_it_writes_smoothed_hands_and_fills_the_gap(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["track", "clip.mp4", "-o", "raw", "--raw"]) == 0
    assert main(["track", "clip.mp4", "-o", "out", "--offline", "--overlay"]) == 0
    assert "30 frames" in capsys.readouterr().out
    raw, smoothed = open_recording("raw"), open_recording("out")
    assert len(smoothed.frames) == 30
    np.testing.assert_array_equal(smoothed.track_ids, raw.track_ids)
    for track_id in smoothed.track_ids:
        hands = smoothed.track(track_id)
        assert len(hands) == 30
        np.testing.assert_array_equal(hands["frame"][hands["score"] == 0], MISSED)
        lengths = bone_lengths(hands["joints_mm"])
        assert (np.ptp(lengths, axis=0) < 2e-3).all()  # stored in single precision
        assert tremor(hands) < 0.3 * tremor(raw.track(track_id))
    for name in ("hands.jsonl", "hands.csv", "overlay.mp4"):
        assert (Path("out") / name).is_file()
    assert not (Path("out") / FIRST_PASS).exists()


def test_a_video_that_breaks_off_is_smoothed_as_far_as_it_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = write_video(Path("whole.mp4"), 300)
    data = whole.read_bytes()
    Path("cut.mp4").write_bytes(data[: len(data) * 6 // 10])
    assert main(["track", "cut.mp4", "--offline", "--format", "npz"]) == 2
    assert re.search("breaks off after", capsys.readouterr().err)
    recording = open_recording("cut-hands")
    assert len(recording.frames) > 100
    assert len(recording.track(0)) == len(recording.frames)


def test_what_was_seen_stays_when_the_first_pass_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Impatient(TremblingTracker):
        def __call__(self, frame: Frame) -> list[HandPose]:
            if frame.index == 9:
                raise KeyboardInterrupt
            return super().__call__(frame)

    monkeypatch.setattr(knuckle.pipeline, "HandTracker", lambda **options: Impatient())
    assert main(["track", "clip.mp4", "-o", "out", "--offline"]) == 130
    assert len(open_recording(f"out/{FIRST_PASS}").frames) == 9
    assert [path.name for path in Path("out").iterdir()] == [FIRST_PASS]  # no empty results


def test_an_older_result_outlives_a_first_pass_that_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Impatient(TremblingTracker):
        def __call__(self, frame: Frame) -> list[HandPose]:
            raise KeyboardInterrupt

    assert main(["track", "clip.mp4", "-o", "out", "--format", "json"]) == 0
    monkeypatch.setattr(knuckle.pipeline, "HandTracker", lambda **options: Impatient())
    assert main(["track", "clip.mp4", "-o", "out", "--offline", "--format", "json"]) == 130
    assert len(open_recording("out/hands.jsonl").frames) == 30


def test_a_wrong_format_shows_before_the_first_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["track", "clip.mp4", "-o", "out", "--offline", "--format", "npz,xml"]) == 2
    assert "no format 'xml'" in capsys.readouterr().err
    assert not Path("out").exists()


def test_raw_and_offline_contradict_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["track", "clip.mp4", "--raw", "--offline"]) == 2
    assert "contradict each other" in capsys.readouterr().err


def test_a_live_source_has_no_second_pass(tmp_path: Path) -> None:
    def frames() -> Generator[Frame, None, None]:
        yield from ()

    info = RunInfo.of("0", (64, 48))
    with pytest.raises(ValueError, match="0 is live: record it first"):
        run_offline(
            Source(SourceInfo("0", (64, 48), live=True), frames(), Losses()),
            lambda: pytest.fail("opened again"),
            TremblingTracker(),
            partial(open_sinks, ["npz"], info=info),
            info,
            tmp_path / "out",
        )
