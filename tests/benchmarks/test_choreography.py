"""Stories of hands: where they are told to be, they are."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from choreography import Part, move, placed, through, turn_towards_camera, with_grain
from knuckle.hand import palm_frame
from knuckle.render.hand_model import HandModel


@given(st.integers(0, 2**32 - 1))
def test_paths_meet_their_keys_and_never_overshoot(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys = np.column_stack([np.cumsum(rng.uniform(0.2, 1.0, 6)), rng.normal(0, 100, (6, 3))])
    np.testing.assert_allclose(through(keys[:, 0], keys), keys[:, 1:], atol=1e-9)
    for k in range(5):
        between = through(np.linspace(keys[k, 0], keys[k + 1, 0], 30), keys)
        low, high = np.sort(keys[k : k + 2, 1:], axis=0)
        assert (between >= low - 1e-9).all()
        assert (between <= high + 1e-9).all()


def test_between_equal_keys_there_is_rest() -> None:
    keys = np.array([[0.0, 0.0], [1.0, 5.0], [2.0, 5.0], [3.0, -1.0]])
    np.testing.assert_allclose(through(np.linspace(1.0, 2.0, 20), keys), 5.0, atol=1e-12)
    held = through(np.array([-1.0, 9.0]), keys)[:, 0]  # before the first key and after the last
    np.testing.assert_allclose(held, [0.0, -1.0], atol=1e-12)


@pytest.mark.parametrize("side", ["right", "left"])
def test_at_zero_turn_the_palm_faces_the_camera_with_its_fingers_up(side: str) -> None:
    here = (10.0, 20.0, 500.0, 0.0, 0.0, 0.0)
    part = Part(side, 3, ((0.0, *here), (1.0, *here)), wander=0.0, poses={"flat": 1.0})
    hands = placed(move(part, np.zeros(HandModel.load().n_shape), 5, 10.0))
    for hand in hands:
        np.testing.assert_allclose(hand.root_mm, (10.0, 20.0, 500.0), atol=1e-4)
        axes = palm_frame(hand.joints_mm, side)
        assert axes[1, 1] < -0.8  # wrist to knuckles is up in the picture
        assert axes[2, 2] < -0.8  # out of the palm is towards the camera


def test_turns_go_the_way_they_are_described() -> None:
    fingers = np.array([0.0, 1.0, 0.0])  # in the hand's frame
    clockwise = turn_towards_camera(90.0, 0.0, 0.0) @ fingers
    np.testing.assert_allclose(clockwise, (1.0, 0.0, 0.0), atol=1e-12)  # points right now
    np.testing.assert_allclose(np.linalg.det(turn_towards_camera(10, 20, 30)), 1.0)


def test_the_same_part_is_the_same_movement() -> None:
    part = Part("right", 8, ((0.0, 0, 0, 500.0, 0, 0, 0), (1.0, 50.0, 0, 500.0, 0, 0, 0)))
    shape = np.zeros(HandModel.load().n_shape)
    first, second = (move(part, shape, 12, 30.0) for _ in range(2))
    np.testing.assert_array_equal(first.pose_deg, second.pose_deg)
    np.testing.assert_array_equal(first.root_mm, second.root_mm)
    assert np.ptp(first.root_mm[:, 0]) > 5


def test_grain_is_noise_without_a_shift() -> None:
    grey = np.full((60, 80, 3), 120, np.uint8)
    noisy = with_grain(grey, 4)
    assert abs(float(noisy.mean()) - 120) < 0.1
    assert 1.8 < noisy.std() < 2.3
    np.testing.assert_array_equal(noisy, with_grain(grey, 4))
    assert (noisy != with_grain(grey, 5)).any()
