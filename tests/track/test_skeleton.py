"""Bones of constant length: what many looks agree on, and hands that have exactly these."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dot_world import bone_lengths_mm, right_hand_mm, turn
from knuckle.hand import BONES, bone_lengths
from knuckle.track.skeleton import BoneLengths, joints_from_bones, scale_to

seeds = st.integers(0, 2**32 - 1)


def some_hand(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return right_hand_mm(rng.uniform(0, 60, (5, 3))) @ turn(*rng.uniform(-180, 180, 3)).T


@given(seeds, st.floats(0.1, 9))
def test_a_hand_is_put_together_from_its_bones(seed: int, factor: float) -> None:
    joints = some_hand(seed)
    bones = factor * (joints[BONES[:, 1]] - joints[BONES[:, 0]])
    np.testing.assert_allclose(joints_from_bones(bones, bone_lengths(joints)), joints, atol=1e-9)


@given(seeds)
def test_bones_get_exactly_the_lengths_that_are_given(seed: int) -> None:
    rng = np.random.default_rng(seed)
    joints = joints_from_bones(rng.normal(0, 1, (20, 3)), bone_lengths_mm())
    np.testing.assert_allclose(bone_lengths(joints), bone_lengths_mm(), rtol=1e-12)


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
