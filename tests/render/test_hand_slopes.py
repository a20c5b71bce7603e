"""The slopes of the joints are those of the model itself."""

import numpy as np
import pytest

from knuckle.render.hand_model import HandModel, sample_shapes
from knuckle.render.hand_slopes import FREE_ANGLES, N_FREE, HandChain, hand_chain
from knuckle.render.poses import RANGES_DEG, sample_poses


@pytest.fixture(scope="module")
def hands() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    pose = sample_poses(rng, 6)
    shape = sample_shapes(rng, 6, HandModel.load().n_shape)
    angles = pose[:, FREE_ANGLES[:, 0], FREE_ANGLES[:, 1]]
    return pose, angles.astype(np.float64), shape.astype(np.float64)


def test_the_chain_is_the_model(hands: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    pose, angles, shape = hands
    model = HandModel.load()
    expected = model.joints_from_pose(pose, model.rest_joints(shape))
    assert np.abs(hand_chain().joints(angles, shape) - expected).max() < 1e-3
    joints, _ = hand_chain().joints_and_slopes(angles, shape)
    assert np.array_equal(joints, hand_chain().joints(angles, shape))


def test_every_angle_that_may_move_and_moves_a_joint_is_free() -> None:
    rows, columns = FREE_ANGLES.T
    assert (RANGES_DEG[rows, columns, 0] < RANGES_DEG[rows, columns, 1]).all()
    _, slopes = hand_chain().joints_and_slopes(np.full((1, N_FREE), 10.0), np.zeros((1, 16)))
    assert (np.abs(slopes[0, :, :, :N_FREE]).max(axis=(0, 1)) > 0.05).all()


def test_slopes_are_what_small_steps_find(
    hands: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    _, angles, shape = hands
    chain: HandChain = hand_chain()
    _, slopes = chain.joints_and_slopes(angles, shape)
    step = 1e-4
    for column in range(slopes.shape[-1]):
        probe = np.zeros(slopes.shape[-1])
        probe[column] = step
        ends = [
            chain.joints(angles + sign * probe[:N_FREE], shape + sign * probe[N_FREE:])
            for sign in (1, -1)
        ]
        found = (ends[0] - ends[1]) / (2 * step)
        assert np.abs(slopes[..., column] - found).max() < 1e-5, column
