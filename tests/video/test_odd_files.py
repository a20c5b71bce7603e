"""Files as people have them: with one wrong time, a long pause, or no times at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clips import write_video
from knuckle.video import open_source


def test_one_time_far_ahead_does_not_move_the_others(tmp_path: Path) -> None:
    times = [0, 33, 67, 1_000_100, 133, 167, 200]
    path = write_video(tmp_path / "glitch.mkv", 7, times=times, codec="ffv1")
    with open_source(path) as source:
        found = [frame.time_s for frame in source]
    np.testing.assert_allclose(found, np.arange(7) / 30, atol=2e-3)


def test_a_pause_is_believed(tmp_path: Path) -> None:
    times = [0, 33, 67, 60_000, 60_033]
    path = write_video(tmp_path / "pause.mkv", 5, times=times, codec="ffv1")
    with open_source(path) as source:
        found = [frame.time_s for frame in source]
    np.testing.assert_allclose(found, np.array(times) / 1000, atol=2e-3)


@pytest.mark.parametrize("fps", [30, 90])
def test_a_bare_stream_has_the_rate_it_is_given(fps: float, tmp_path: Path) -> None:
    path = write_video(tmp_path / "raw.h264", 5, times=[0, 33, 67, 100, 133])
    with open_source(path, fps=fps) as source:
        found = [frame.time_s for frame in source]
    np.testing.assert_allclose(found, np.arange(5) / fps, atol=1e-6)
    assert source.fps == pytest.approx(fps)
