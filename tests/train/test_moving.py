"""Hands in quick motion: smeared about where they are, so that their labels stay true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from test_training_examples import make_sample

from knuckle.render.camera_faults import motion_kernel
from knuckle.sample import Sample
from knuckle.train.mattes import recomposed
from knuckle.train.moving import moving, smear

lengths, angles = st.floats(1, 60), st.floats(0, np.pi)


@given(lengths, angles)
def test_a_point_in_motion_keeps_its_light_and_its_place(length: float, angle: float) -> None:
    kernel = motion_kernel(length, angle)
    assert abs(kernel.sum() - 1) < 1e-5
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-7)


@given(lengths, angles)
def test_it_reaches_as_far_as_it_moves_and_no_farther(length: float, angle: float) -> None:
    kernel = motion_kernel(length, angle)
    rows, columns = np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    lit = kernel > 0.02 / len(kernel)
    assert abs(np.ptp(along[lit]) - length) < 3
    assert np.abs(across[lit]).max() < 1.6


@given(st.integers(0, 2**32 - 1))
def test_labels_of_a_moving_hand_stay(seed: int) -> None:
    sample, rng = make_sample(), np.random.default_rng(seed)
    moved = moving(sample, rng)
    assert moved.image.shape == sample.image.shape and moved.image.dtype == np.uint8
    np.testing.assert_array_equal(moved.hands[0].joints_px, sample.hands[0].joints_px)


@given(st.integers(0, 2**32 - 1))
def test_pictures_without_a_hand_move_as_well(seed: int) -> None:
    """By lengths of all sizes, none of them beyond what hands do."""
    empty = replace(make_sample(), hands=(), hand_map=None)
    kernel = smear(empty, np.random.default_rng(seed))
    assert 3 <= len(kernel) < 0.35 * max(empty.image.shape[:2])


def test_only_the_hand_moves_before_another_background() -> None:
    size = 64
    image = np.full((size, size, 3), 200, np.uint8)
    sample = Sample(image=image, hands=(), key="one")
    background = np.random.default_rng(1).integers(0, 255, image.shape).astype(np.uint8)
    alpha = np.zeros((size, size), np.float32)
    alpha[28:36, 28:36] = 1
    kernel = motion_kernel(16.0, 0.0)  # to the left and to the right

    def placed(motion: np.ndarray | None) -> np.ndarray:
        return recomposed(sample, alpha, background, np.random.default_rng(2), motion).image

    still, moved = placed(None).astype(int), placed(kernel).astype(int)
    np.testing.assert_array_equal(moved[:24], background[:24])
    np.testing.assert_array_equal(moved[:, :18], background[:, :18])
    differs = np.abs(moved - still).max(axis=-1) > 8
    assert differs[30:34, 22:26].any() and differs[30:34, 38:42].any()  # it reaches both ways
    mirrored = placed(kernel[:, ::-1]).astype(int)
    assert np.abs(mirrored - moved).max() <= 2
