"""Bones of constant length: what a look says of them, and hands that have exactly these."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dot_world import bone_lengths_mm, right_hand_mm, turn
from knuckle.hand import BONES, MEAN_LENGTHS_MM, MIDDLE_RAY, bone_lengths
from knuckle.render.hand_model import HandModel, HandParameters
from knuckle.render.looks import place
from knuckle.track.skeleton import (
    BoneLengths,
    joints_from_bones,
    lengths_from,
    scale_to,
)

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


@given(st.floats(0.5, 2))
def test_a_mean_hand_of_any_size_has_the_lengths_that_it_shows(size: float) -> None:
    np.testing.assert_allclose(lengths_from(size * MEAN_LENGTHS_MM), size * MEAN_LENGTHS_MM)


@given(seeds, st.floats(0.5, 2))
def test_lengths_keep_the_size_of_a_look_and_are_nearer_to_a_likely_hand(
    seed: int, size: float
) -> None:
    off = np.exp(np.random.default_rng(seed).normal(0, 0.1, 20))
    seen = size * MEAN_LENGTHS_MM * off
    lengths = lengths_from(seen)
    assert lengths.sum() == pytest.approx(seen.sum())
    spread = np.log(lengths / MEAN_LENGTHS_MM).std()
    assert 0 < spread < 0.5 * np.log(off).std()


@given(seeds, st.floats(0.5, 2))
def test_lengths_are_agreed_on_by_most_looks_and_then_locked(seed: int, scale: float) -> None:
    rng, truth = np.random.default_rng(seed), scale * bone_lengths_mm()
    bones = BoneLengths(looks=60)
    for i in range(60):
        wild = i % 5 == 2  # one look in five is nonsense
        assert not bones.locked
        bones.learn(truth * (10 if wild else rng.uniform(0.97, 1.03)))
    assert bones.locked
    lengths = bones.mm
    drawn = lengths_from(truth, to_mean=0.7 / 6.9)
    np.testing.assert_allclose(lengths, drawn, rtol=0.03)
    bones.learn(truth * 3)
    np.testing.assert_array_equal(bones.mm, lengths)


@given(seeds, st.floats(80, 260))
def test_a_known_hand_length_is_kept_exactly(seed: int, length: float) -> None:
    seen = MEAN_LENGTHS_MM * np.exp(np.random.default_rng(seed).normal(0, 0.1, 20))
    assert lengths_from(seen, length)[MIDDLE_RAY].sum() == pytest.approx(length)


def test_the_mean_hand_is_that_of_the_training_data() -> None:
    model = HandModel.load()
    flat = HandParameters(
        pose_deg=np.zeros((1, 17, 3)), shape=np.zeros((1, model.n_shape)),
        R_camera_from_hand=np.eye(3)[None], root_mm=np.zeros((1, 3)), side="right",
    )  # fmt: skip
    lengths = bone_lengths(place(model, flat)[0].joints_mm)
    np.testing.assert_allclose(MEAN_LENGTHS_MM, lengths, rtol=0.01)


@given(seeds, st.floats(0.5, 2))
def test_scale_ignores_a_few_wild_bones(seed: int, scale: float) -> None:
    observed = bone_lengths_mm() / scale
    observed[np.random.default_rng(seed).integers(0, 20, 4)] *= 5
    assert scale_to(bone_lengths_mm(), observed) == pytest.approx(scale)
