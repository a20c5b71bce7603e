"""Files as people have them: with one wrong time, a long pause, or no times at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clips import write_images, write_video
from knuckle.camera import Camera
from knuckle.video import open_source


def test_a_pause_is_believed(tmp_path: Path) -> None:
    times = [0, 33, 67, 60_000, 60_033]
    path = write_video(tmp_path / "pause.mkv", 5, times=times, codec="ffv1")
    with open_source(path) as source:
        found = [frame.time_s for frame in source]
    np.testing.assert_allclose(found, np.array(times) / 1000, atol=2e-3)


@pytest.mark.parametrize("fps", [30, 90])
def test_a_bare_stream_has_the_rate_it_is_given(fps: float, tmp_path: Path) -> None:
    path = write_video(tmp_path / "raw.h264", 5)
    with open_source(path, fps=fps) as source:
        found = [frame.time_s for frame in source]
    np.testing.assert_allclose(found, np.arange(5) / fps, atol=1e-6)
    assert source.fps == pytest.approx(fps)


def test_a_path_of_digits_is_never_a_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "7", 2)
    monkeypatch.chdir(tmp_path)
    with open_source(Path("7")) as source:
        assert not source.info.live and len(list(source)) == 2


def test_a_lens_that_turns_back_inside_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="turns back"):
        Camera(500, 500, 319.5, 239.5, (-1.5, 0, 0, 0)).check_fits(640, 480)
    Camera(300, 300, 319.5, 239.5, (0.3, 0, 0, 0)).check_fits(640, 480)


def test_a_lens_that_turns_back_in_the_very_corners_is_taken() -> None:
    """As calibrations of people often do, whose board never came there."""
    distortion = (-0.014, 1.42, -0.0035, -0.0036, -6.4)
    camera = Camera(926, 926, 356, 355, distortion)
    camera.check_fits(720, 720)
    corners = np.array([[0, 0], [719, 0], [0, 719], [719, 719]], float)
    assert np.isfinite(camera.rays(corners)).all()
