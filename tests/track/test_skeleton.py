"""Bones of constant length: exact, and reached by moving in depth rather than in the picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dot_world import bone_lengths_mm, right_hand_mm, turn
from knuckle.hand import bone_lengths
from knuckle.track.skeleton import BoneLengths, scale_to, with_bone_lengths

seeds = st.integers(0, 2**32 - 1)
ACROSS, ALONG = np.full(21, 1.0), np.full(21, 8.0)


def some_hand(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    joints = right_hand_mm(rng.uniform(0, 60, (5, 3))) @ turn(*rng.uniform(-180, 180, 3)).T
    return joints + np.array([rng.uniform(-150, 150), rng.uniform(-150, 150), 500])


def noisy(seed: int) -> np.ndarray:
    """Joints that are off as a camera sees them: little across the line of sight, more along it."""
    joints, rng = some_hand(seed), np.random.default_rng(seed + 1)
    ray = joints / np.linalg.norm(joints, axis=1, keepdims=True)
    return joints + rng.normal(0, 0.7, joints.shape) + ray * rng.normal(0, 6, (21, 1))


@given(seeds)
def test_lengths_are_met_exactly(seed: int) -> None:
    solved = with_bone_lengths(noisy(seed), bone_lengths_mm(), ACROSS, ALONG)
    np.testing.assert_allclose(bone_lengths(solved), bone_lengths_mm(), rtol=1e-9)


@given(seeds)
def test_a_hand_that_is_right_stays_as_it_is(seed: int) -> None:
    joints = some_hand(seed)
    solved = with_bone_lengths(joints, bone_lengths_mm(), ACROSS, ALONG)
    np.testing.assert_allclose(solved, joints, atol=1e-6)


@given(seeds)
def test_joints_move_in_depth_not_in_the_picture(seed: int) -> None:
    joints = noisy(seed)
    solved = with_bone_lengths(joints, bone_lengths_mm(), ACROSS, ALONG)
    shift = solved - joints
    ray = joints / np.linalg.norm(joints, axis=1, keepdims=True)
    along = (shift * ray).sum(axis=1)
    across = np.linalg.norm(shift - along[:, None] * ray, axis=1)
    assert np.sqrt((across**2).mean()) < 2.5
    assert np.sqrt((along**2).mean()) > np.sqrt((across**2).mean())


def test_bone_lengths_bring_joints_nearer_to_the_truth() -> None:
    errors = []
    for seed in range(60):
        joints, truth = noisy(seed), some_hand(seed)
        solved = with_bone_lengths(joints, bone_lengths_mm(), ACROSS, ALONG)
        errors.append([np.linalg.norm(x - truth, axis=1).mean() for x in (joints, solved)])
    before, after = np.mean(errors, axis=0)
    assert after < 0.9 * before


@given(seeds)
def test_no_hand_with_these_bones_is_nearer(seed: int) -> None:
    joints, rng = noisy(seed), np.random.default_rng(seed)
    solved = with_bone_lengths(joints, bone_lengths_mm(), ACROSS, ALONG)
    ray = joints / np.linalg.norm(joints, axis=1, keepdims=True)

    def distance2(points: np.ndarray) -> float:
        shift = points - joints
        along = (shift * ray).sum(axis=1)
        across2 = (shift**2).sum(axis=1) - along**2
        return float((across2 / ACROSS**2 + along**2 / ALONG**2).sum())

    for _ in range(10):  # other hands with these bones, nearby
        moved = solved + rng.normal(0, 1, (21, 3))
        other = with_bone_lengths(moved, bone_lengths_mm(), ACROSS, ACROSS)
        assert distance2(other) > distance2(solved) - 0.02 * distance2(solved) - 0.01


def test_a_collapsed_hand_gets_bones() -> None:
    joints = np.tile([[10.0, 20.0, 400.0]], (21, 1))
    joints += np.random.default_rng(0).normal(0, 1e-3, joints.shape)
    solved = with_bone_lengths(joints, bone_lengths_mm(), ACROSS, ALONG)
    np.testing.assert_allclose(bone_lengths(solved), bone_lengths_mm(), rtol=1e-6)


@given(seeds, st.floats(0.5, 2))
def test_lengths_are_the_median_and_then_locked(seed: int, scale: float) -> None:
    rng, truth = np.random.default_rng(seed), bone_lengths_mm()
    bones = BoneLengths(frames=15)
    for i in range(15):
        wild = i % 5 == 2  # one look in five is nonsense
        assert not bones.locked
        lengths = bones.update(truth * (10 * scale if wild else rng.uniform(0.97, 1.03)))
    assert bones.locked
    np.testing.assert_allclose(lengths, truth, rtol=0.03)
    np.testing.assert_array_equal(bones.update(truth * 3), lengths)


@given(seeds, st.floats(0.5, 2))
def test_scale_ignores_a_few_wild_bones(seed: int, scale: float) -> None:
    observed = bone_lengths_mm() / scale
    observed[np.random.default_rng(seed).integers(0, 20, 4)] *= 5
    assert scale_to(bone_lengths_mm(), observed) == pytest.approx(scale)
