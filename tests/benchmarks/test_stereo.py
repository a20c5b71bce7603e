"""Triangulation and what is measured by it, on hands whose places are known."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import stereo
from knuckle.camera import Camera
from knuckle.hand import bone_lengths
from knuckle.rigid import RigidTransform

LENS = Camera(900.0, 910.0, 355.0, 350.0, (-0.02, 1.4, -0.003, -0.003, -6.0))
HAND = np.random.default_rng(0).uniform(-60, 60, (21, 3))


def view(turn_deg: float) -> stereo.View:
    rotation = cv2.Rodrigues(np.radians([0.0, turn_deg, 0.0]))[0]
    return stereo.View(Path(), LENS, RigidTransform(rotation, np.array([10.0, -20.0, 700.0])))


VIEWS = (view(-40.0), view(45.0))


def keypoints(world_mm: np.ndarray) -> np.ndarray:
    return np.stack([v.project(world_mm) for v in VIEWS])


def test_two_rays_meet_in_the_point_they_come_from():
    np.testing.assert_allclose(stereo.triangulate(VIEWS, keypoints(HAND)), HAND, atol=1e-6)


def test_a_point_that_one_view_lacks_is_not_known():
    points = keypoints(HAND)
    points[1, 3] = np.nan
    found = stereo.triangulate(VIEWS, points)
    assert np.isnan(found[3]).all()
    np.testing.assert_allclose(np.delete(found, 3, 0), np.delete(HAND, 3, 0), atol=1e-6)


def test_noise_is_shared_fairly_between_the_views():
    rng = np.random.default_rng(1)
    points = keypoints(HAND)
    noisy = points + rng.normal(0, 1.0, points.shape)
    found = stereo.triangulate(VIEWS, noisy)
    best = sum(np.sum((v.project(found) - p) ** 2) for v, p in zip(VIEWS, noisy, strict=True))
    for step in rng.normal(0, 0.3, (20, 21, 3)):
        images = [v.project(found + step) for v in VIEWS]
        assert sum(np.sum((i - p) ** 2) for i, p in zip(images, noisy, strict=True)) > best


def test_rays_that_do_not_meet_and_bones_of_the_wrong_length_are_left_out():
    world = np.stack([HAND] * 5)
    points = keypoints(world)
    points[0, 0, 7, 1] += 60.0  # across the epipolar lines: the rays miss each other
    far = HAND[12] + np.array([0.0, 0.0, 80.0])
    points[:, 1, 12] = keypoints(far)  # meets, 80 mm from where it is in every other frame
    result = stereo.Triangulated.from_keypoints(VIEWS, points)
    wrong = np.zeros((5, 21), bool)
    wrong[0, 7] = wrong[1, 12] = True
    assert not result.valid[wrong].any()
    assert result.valid[~wrong].mean() > 0.97
    np.testing.assert_allclose(result.world_mm[2], HAND, atol=1e-6)


def test_errors_see_scale_place_and_missed_hands():
    reference = stereo.Triangulated.from_keypoints(VIEWS, keypoints(np.stack([HAND] * 4)))
    seen = np.stack([reference.seen_from(v) for v in VIEWS])  # (V, F, 21, 3)
    pixels = keypoints(np.stack([HAND] * 4))

    exact = stereo.errors(VIEWS[0], 0, stereo.Follow(pixels, seen, absolute=True), reference)
    assert exact.hands == 4
    assert exact.missed == 0
    assert (exact.pa_mm, exact.wrist_mm, exact.absolute_mm) == pytest.approx((0, 0, 0), abs=1e-5)

    larger = stereo.Follow(pixels, 1.1 * seen, absolute=True)
    scaled = stereo.errors(VIEWS[1], 1, larger, reference)
    assert scaled.scale == pytest.approx(1.1)
    assert scaled.pa_mm == pytest.approx(0, abs=1e-5)
    from_wrist = np.linalg.norm(HAND - HAND[0], axis=1).mean()
    assert scaled.wrist_mm == pytest.approx(0.1 * from_wrist)

    lost = seen.copy()
    lost[0, 1] = np.nan
    missed = stereo.errors(VIEWS[0], 0, stereo.Follow(pixels, lost, absolute=True), reference)
    assert missed.missed == 1
    assert missed.wrist_mm == pytest.approx(from_wrist / 4)


def test_two_views_that_agree_do_so_after_turning_by_the_calibration():
    world = np.stack([HAND] * 3)
    seen = np.stack([v.T_camera_from_world(world) for v in VIEWS])
    agreed = stereo.agreement(VIEWS, stereo.Follow(keypoints(world), seen, absolute=True))
    assert (agreed.found, agreed.both, agreed.outliers) == (1.0, 3, 0.0)
    assert (agreed.miss_px, agreed.pa_mm, agreed.turned_mm) == pytest.approx((0, 0, 0), abs=1e-5)


def test_spread_is_relative_to_each_bone():
    lengths = bone_lengths(np.stack([HAND, HAND]))
    assert stereo.spread(lengths) == pytest.approx(0)
    lengths = np.stack([0.9 * lengths[0], 1.1 * lengths[0]])
    assert stereo.spread(lengths) == pytest.approx(0.1)
    lengths[:, 4] = np.nan
    assert stereo.spread(lengths) == pytest.approx(0.1)


def test_the_real_calibration_reads(shared_data: Path):
    views = [stereo.View.read(shared_data / "stereo_video", number, 40.0) for number in (0, 1)]
    assert [round(v.camera.fx) for v in views] == [926, 924]
    for v in views:
        np.testing.assert_allclose(
            v.T_camera_from_world.rotation @ v.T_camera_from_world.rotation.T, np.eye(3), atol=1e-6
        )
