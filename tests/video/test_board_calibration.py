"""Error bars of ``knuckle camera calibrate`` come true, and what they leave out is said."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from boards import COLUMNS, ROWS, Studio, in_sigmas
from knuckle.camera import Camera
from knuckle.video.calibrate import Calibration, solve
from knuckle.video.calibration_error import CalibrationError

STUDIO = Studio()
BOARD = np.pad(np.mgrid[:COLUMNS, :ROWS].T.reshape(-1, 2).astype(float), ((0, 0), (0, 1)))


def corners(rng: np.random.Generator, smooth_px: float) -> np.ndarray:
    """Of a board somewhere in the picture; in error each for itself, and all of a view together."""
    turn = np.array([*rng.uniform(-0.5, 0.5, 2), rng.uniform(-0.3, 0.3)])
    centred = BOARD - BOARD.mean(axis=0)
    while True:
        place = np.array([rng.uniform(-4, 4), rng.uniform(-3, 3), rng.uniform(11, 16)])
        matrix, distortion = STUDIO.camera.matrix, np.array(STUDIO.camera.distortion)
        points = cv2.projectPoints(centred, turn, place, matrix, distortion)[0][:, 0]
        if ((points > 5) & (points < np.array(STUDIO.size) - 5)).all():
            break
    x, y, _ = (centred / np.ptp(centred)).T
    bends = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    return points + rng.normal(0, 0.05, points.shape) + bends @ rng.normal(0, smooth_px, (6, 2))


@pytest.mark.parametrize("smooth_px", [0.0, 0.1])
@pytest.mark.parametrize("n", [7, 15])
def test_error_bars_come_true(n: int, smooth_px: float) -> None:
    errors = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        found = solve([corners(rng, smooth_px) for _ in range(n)], COLUMNS, ROWS, STUDIO.size)
        errors.append(np.abs(in_sigmas(found, STUDIO.camera)))
        assert not found.error.bend
    # Of a normal distribution 68 % and 95 %; few views make its tails longer.
    assert 0.55 < np.mean(np.array(errors) < 1) < 0.85
    assert np.mean(np.array(errors) < 2) > 0.85


def test_a_rendered_board_is_within_its_error_bars() -> None:
    found = STUDIO.calibrated(0, views=14)
    assert (np.abs(in_sigmas(found, STUDIO.camera)) < 3).all()
    assert not found.doubts


def test_a_bent_board_is_told() -> None:
    found = replace(STUDIO, bend=0.008).calibrated(1, views=14)
    assert 0.004 < found.error.bend < 0.02
    (doubt,) = (text for text in found.doubts if "bent" in text)
    assert "fix the board to something flat" in doubt
    assert f"not to be trusted: {doubt}" in str(found)


@pytest.mark.parametrize(
    ("sigma_px", "covered", "told"),
    [
        (2.0, 0.8, []),
        (20.0, 0.8, ["decided to ± 5.0 % alone: record the board again in more views, tilted"]),
        (np.inf, 0.8, ["decided by a single view"]),
        (2.0, 0.3, ["seen in 30 % of the picture"]),
        (20.0, 0.3, ["± 5.0 %", "move it into all four corners"]),
    ],
)
def test_what_is_not_to_be_trusted_is_told(sigma_px: float, covered: float, told: list) -> None:
    error = CalibrationError(np.full(4, sigma_px))
    found = Calibration(Camera(400.0, 400.0, 319.5, 239.5), error, covered, 0.1, 12, (640, 480))
    assert len(found.doubts) == len(told)
    assert all(part in doubt for part, doubt in zip(told, found.doubts, strict=True))
    assert str(found).count("not to be trusted") == len(told)


def test_the_field_of_view_is_that_of_the_lens() -> None:
    size, error = (640, 480), CalibrationError(np.ones(4))
    bent = Camera(400, 400, 330, 250, (-0.2, 0.02, 0.0, 0.0))
    for camera in (Camera.from_fov(*size, 80), replace(bent, distortion=()), bent):
        a, b = camera.rays(np.array([[-0.5, -0.5], [639.5, 479.5]]))
        cosine = (a @ b + 1) / np.sqrt((a @ a + 1) * (b @ b + 1))
        told = f"diagonal field of view {np.degrees(np.arccos(cosine)):.1f}°"
        assert told in str(Calibration(camera, error, 1.0, 0.1, 20, size))
