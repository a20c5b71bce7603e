"""Names and lenses as people have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clips import write_images, write_video
from knuckle.camera import Camera
from knuckle.video import open_source


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


def test_a_fisheye_that_sees_more_than_a_half_space_is_taken() -> None:
    """As that of a RealSense T265: its corners are beyond all directions that x/z, y/z can say."""
    lens = (-0.0081, 0.0451, -0.0424, 0.0083)
    camera = Camera(286, 286, 423.5, 399.5, lens, fisheye=True)
    camera.check_fits(848, 800)
    middle = np.array([[60.0, 399.5], [423.5, 399.5], [780, 300]])
    np.testing.assert_allclose(camera.pixels_from_rays(camera.rays(middle)), middle, atol=1e-6)
    with pytest.raises(ValueError, match="turns back"):
        Camera(286, 286, 423.5, 399.5, (-0.3, 0, 0, 0), fisheye=True).check_fits(848, 800)


def test_a_title_in_another_alphabet_is_no_reason_to_refuse_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "titled.mkv", 3)
    data = path.read_bytes()
    assert data.count(b"Lavf") >= 1  # who wrote it stands in the metadata
    path.write_bytes(data.replace(b"Lavf", b"L\xe9\xbcf", 2))
    with open_source(path) as source:
        assert len(list(source)) == 3
