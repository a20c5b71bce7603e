"""Placement: exact where the evidence is exact, sane where it is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dot_world import right_hand_mm, turn
from knuckle.hand import hand_length
from knuckle.pose.placement import (
    MAX_DEPTH_MM,
    MIN_DEPTH_MM,
    Evidence,
    fuse,
    place,
    place_together,
    with_hand_length,
)

seeds = st.integers(0, 2**32 - 1)


def some_hands(seed: int, n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """(n, 21, 3) joints from the wrist, of any pose and turn, and (n, 3) wrists."""
    rng = np.random.default_rng(seed)
    joints = [
        right_hand_mm(rng.uniform(-10, 80, (5, 3))) @ turn(*rng.uniform(-180, 180, 3)).T
        for _ in range(n)
    ]
    depth = rng.uniform(250, 2500, n)
    x, y = rng.uniform(-0.7, 0.7, (2, n)) * depth
    return np.stack(joints), np.stack([x, y, depth], axis=1)


def evidence_of(joints: np.ndarray, roots: np.ndarray, **changes: np.ndarray) -> Evidence:
    """Exact evidence."""
    absolute = joints + roots[:, None]
    n = len(joints)
    exact = {
        "joints_root_mm": joints,
        "sigma_mm": np.full((n, 21), 5.0),
        "rays": absolute[..., :2] / absolute[..., 2:],
        "sigma_rays": np.full((n, 21), 0.003),
    }
    return Evidence(**exact | changes)


@given(seeds, seeds)
def test_exact_evidence_gives_the_exact_place(seed: int, noise: int) -> None:
    joints, roots = some_hands(seed)
    sigma = np.random.default_rng(noise).uniform(0.5, 30, (4, 21))
    evidence = evidence_of(joints, roots, sigma_mm=sigma, sigma_rays=sigma[::-1] / 2000)
    found = place(evidence)
    np.testing.assert_allclose(found, roots, atol=1e-5)
    np.testing.assert_allclose(fuse(evidence, found), joints + roots[:, None], atol=1e-5)


@given(seeds)
def test_hands_do_not_disturb_each_other(seed: int) -> None:
    joints, roots = some_hands(seed)
    rays = np.random.default_rng(seed).normal(0, 0.01, (4, 21, 2)) + evidence_of(joints, roots).rays
    together = place(evidence_of(joints, roots, rays=rays))
    for i in range(4):
        alone = place(evidence_of(joints[i : i + 1], roots[i : i + 1], rays=rays[i : i + 1]))
        np.testing.assert_allclose(alone[0], together[i])


@given(seeds)
def test_a_wild_keypoint_hardly_matters(seed: int) -> None:
    joints, roots = some_hands(seed)
    rng = np.random.default_rng(seed)
    rays = evidence_of(joints, roots).rays.copy()
    wild = rng.integers(1, 21, 4)
    rays[np.arange(4), wild] += rng.choice([-0.5, 0.5], (4, 2))
    evidence = evidence_of(joints, roots, rays=rays)
    found = place(evidence)
    error = np.linalg.norm(found - roots, axis=1) / roots[:, 2]
    assert error.max() < 0.05
    # The joint itself stays with its hand rather than with its wild keypoint.
    off = fuse(evidence, found)[np.arange(4), wild] - (joints + found[:, None])[np.arange(4), wild]
    assert np.linalg.norm(off, axis=1).max() < 25


@given(seeds)
def test_a_keypoint_said_to_be_unsure_matters_less(seed: int) -> None:
    joints, roots = some_hands(seed)
    rays = evidence_of(joints, roots).rays.copy()
    rays[:, 7] += 0.05
    sure, unsure = np.full((4, 21), 0.003), np.full((4, 21), 0.003)
    unsure[:, 7] = 0.3
    errors = [
        np.linalg.norm(place(evidence_of(joints, roots, rays=rays, sigma_rays=s)) - roots, axis=1)
        for s in (sure, unsure)
    ]
    assert (errors[1] <= errors[0]).all()


@given(seeds)
def test_noise_gives_an_error_of_its_own_size(seed: int) -> None:
    rng = np.random.default_rng(seed)
    joints, roots = some_hands(seed, 8)
    evidence = evidence_of(joints, roots)
    noisy = evidence_of(joints, roots, rays=evidence.rays + rng.normal(0, 1e-4, (8, 21, 2)))
    error = np.linalg.norm(place(noisy) - roots, axis=1) / roots[:, 2]
    assert error.max() < 0.02


@given(seeds, st.floats(0, 1))
def test_every_joint_is_always_in_front_of_the_camera(seed: int, flip: float) -> None:
    """Even where 2D and 3D contradict each other, or all keypoints fall on one place."""
    joints, roots = some_hands(seed)
    rng = np.random.default_rng(seed)
    exact = evidence_of(joints, roots).rays
    mean = exact.mean(axis=1, keepdims=True)
    for rays in (
        mean - flip * (exact - mean),
        np.broadcast_to(mean, exact.shape),
        rng.normal(0, 1, exact.shape),
        exact * 1e-9,
    ):
        found = place(evidence_of(joints, roots, rays=rays))
        depth = (joints + found[:, None])[..., 2]
        assert np.isfinite(found).all()
        assert depth.min() >= MIN_DEPTH_MM - 1e-6
        assert found[:, 2].max() <= MAX_DEPTH_MM


@given(seeds)
def test_sure_keypoints_are_reprojected_closely_and_depth_is_kept(seed: int) -> None:
    joints, roots = some_hands(seed)
    rng = np.random.default_rng(seed)
    exact = evidence_of(joints, roots)
    bent = joints + rng.normal(0, 2, joints.shape) * (np.arange(21) > 0)[:, None]
    evidence = evidence_of(bent, roots, rays=exact.rays, sigma_rays=np.full((4, 21), 2e-4))
    found = place(evidence)
    placed, fused = bent + found[:, None], fuse(evidence, found)

    def gap(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[..., :2] / points[..., 2:] - exact.rays, axis=-1).mean(axis=1)

    assert (gap(fused) < 0.35 * gap(placed)).all()
    np.testing.assert_array_equal(fused[..., 2], placed[..., 2])


@given(seeds, st.floats(50, 300))
def test_a_known_hand_length_sets_the_scale(seed: int, length: float) -> None:
    joints, _ = some_hands(seed)
    sigma = np.linalg.norm(joints, axis=-1) / 10
    scaled, scaled_sigma = with_hand_length(joints, sigma, length)
    np.testing.assert_allclose(hand_length(scaled), length)
    np.testing.assert_allclose(scaled_sigma, np.linalg.norm(scaled, axis=-1) / 10)
    np.testing.assert_allclose(
        scaled / np.linalg.norm(scaled[:, 9], axis=1)[:, None, None],
        joints / np.linalg.norm(joints[:, 9], axis=1)[:, None, None],
    )


def test_hand_length_does_not_know_the_pose() -> None:
    flat, fist = right_hand_mm(np.zeros((5, 3))), right_hand_mm(np.full((5, 3), 70.0))
    assert hand_length(flat) == pytest.approx(hand_length(fist))
    assert hand_length(flat) == pytest.approx(90.14 + 44 + 28 + 21, abs=0.1)


def test_evidence_checks_its_shapes() -> None:
    joints, roots = some_hands(0)
    with pytest.raises(ValueError, match=r"rays must have shape \(4, 21, 2\), got \(4, 21, 3\)"):
        evidence_of(joints, roots, rays=np.zeros((4, 21, 3)))


@given(seeds)
def test_two_hands_that_are_known_to_be_apart_are_placed_exactly(seed: int) -> None:
    joints, roots = some_hands(seed, 2)
    evidence = evidence_of(joints, roots)
    start = place(evidence)
    found = place_together(evidence, (0, 1), start, float(roots[1, 2] - roots[0, 2]))
    np.testing.assert_allclose(found, roots, atol=1e-4)


@given(seeds)
def test_a_hand_that_tells_little_takes_the_depth_that_the_other_tells(seed: int) -> None:
    joints, roots = some_hands(seed, 2)
    unsure = np.full((2, 21), 0.003)
    unsure[1] = 0.3
    wrong = joints * np.array([1.0, 1.15])[:, None, None]  # 15 % too large: too far away
    evidence = evidence_of(joints, roots, joints_root_mm=wrong, sigma_rays=unsure)
    behind = float(roots[1, 2] - roots[0, 2])
    alone = place(evidence)
    together = place_together(evidence, (0, 1), alone, behind)
    assert together[1, 2] - together[0, 2] == pytest.approx(behind)
    assert abs(together[1, 2] - roots[1, 2]) < 0.5 * abs(alone[1, 2] - roots[1, 2])


def test_hands_that_would_come_to_lie_behind_the_camera_stay_where_they_were() -> None:
    joints, roots = some_hands(3, 2)
    evidence = evidence_of(joints, roots)
    np.testing.assert_array_equal(place_together(evidence, (0, 1), roots, -1e5), roots)
