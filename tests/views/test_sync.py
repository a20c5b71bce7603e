"""What is looked at of each source to find when it began."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clips import write_images, write_video
from fakes import FakeTracker
from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.errors import InputError
from knuckle.views import recordings, sync


@pytest.fixture(autouse=True)
def _fake_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "HandTracker", lambda **_: FakeTracker())


@pytest.mark.parametrize("begins_ms", [0, 50_000])
def test_the_first_seconds_are_those_from_the_first_frame_on(
    begins_ms: int, tmp_path: Path
) -> None:
    times = [begins_ms + 100 * index for index in range(12)]
    video = write_video(tmp_path / "a.mkv", 12, times=times)
    seen = sync.follow(video, first_s=0.55)
    np.testing.assert_allclose(1000 * seen.times_s, times[:6])
    assert len(seen.hands) == 6


def test_a_folder_of_images_has_the_rate_that_is_given(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", 4)
    np.testing.assert_allclose(sync.follow(images, fps=60).times_s, np.arange(4) / 60)


@pytest.mark.parametrize("board", [False, True])
def test_a_rig_is_calibrated_at_the_rate_that_is_given(
    board: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def follow(source: str, *_: object, fps: float | None = None, **__: object) -> None:
        raise InputError(f"{source} is read at {fps}")

    monkeypatch.setattr(recordings, "follow", follow)
    Camera(64.0, 64.0, 31.5, 23.5).save(tmp_path / "lens.json")
    how = ["--intrinsics", str(tmp_path / "lens.json"), "-o", str(tmp_path / "rig.toml")]
    how += ["--charuco", "5x7"] if board else []
    assert main(["camera", "rig", "a", "b", "--fps", "60", *how]) == 2
    assert "a is read at 60" in capsys.readouterr().err
