"""The teacher's joints are moved along the hand, whatever its place, size, turn and side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis.extra import numpy as arrays

from knuckle.data.convention import own_bone_depth, own_joints, teachers_joints
from knuckle.hand import BONES, FINGERS, KNUCKLES, TIPS, Joint
from knuckle.render.hand_model import HandModel, HandParameters

HANDS = arrays.arrays(np.float64, (21, 2), elements=strategies.floats(-200, 200))
LINEAR = arrays.arrays(np.float64, (2, 2), elements=strategies.floats(-3, 3))
SHIFT = arrays.arrays(np.float64, (2,), elements=strategies.floats(-500, 500))


@given(HANDS, LINEAR, SHIFT)
def test_moving_commutes_with_every_affine_map(joints, linear, shift):
    np.testing.assert_allclose(
        own_joints(joints @ linear.T + shift), own_joints(joints) @ linear.T + shift, atol=1e-6
    )


@given(arrays.arrays(np.float32, (3, 21, 2), elements=strategies.floats(-200, 200, width=32)))
def test_each_hand_is_moved_alone_and_keeps_its_type(joints):
    together = own_joints(joints)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, [own_joints(hand) for hand in joints], atol=1e-3)


@given(HANDS)
def test_what_is_moved_back_is_where_it_was(joints):
    np.testing.assert_allclose(own_joints(teachers_joints(joints)), joints, atol=1e-9)


@pytest.fixture(scope="module")
def flat_hand() -> np.ndarray:
    """(21, 2) of a flat hand, wrist at the origin, fingers along y, mm."""
    model = HandModel.load()
    return model.joints(HandParameters.at_rest(1, model.n_shape))[0, :, :2].astype(float)


def test_fingertips_move_out_and_the_long_fingers_knuckles_in(flat_hand):
    moved = own_joints(flat_hand) - flat_hand
    fingertips = TIPS[1:]
    assert (moved[fingertips, 1] > 2).all()  # mm
    assert (moved[fingertips, 1] < 10).all()
    assert (moved[KNUCKLES[1:3], 1] < 0).all()


def test_the_wrist_moves_towards_the_middle_of_its_knuckles(flat_hand):
    wrist, to_knuckles = flat_hand[Joint.WRIST], flat_hand[KNUCKLES].mean(axis=0)
    share = np.linalg.norm(own_joints(flat_hand)[Joint.WRIST] - wrist)
    share /= np.linalg.norm(to_knuckles - wrist)
    assert 0.01 < share < 0.1
    np.testing.assert_allclose(
        own_joints(flat_hand)[Joint.WRIST], wrist + share * (to_knuckles - wrist), atol=1e-6
    )


def test_depth_is_told_of_the_fingers_phalanges_only(flat_hand):
    depth = own_bone_depth(np.column_stack([flat_hand, np.zeros(21)]))
    phalanges = np.isin(BONES[:, 1], FINGERS[1:, 1:])
    np.testing.assert_array_equal(np.isfinite(depth), phalanges)
    assert (np.abs(depth[phalanges]) < 0.1).all()  # a hand flat in the picture


@given(strategies.floats(10, 80), strategies.floats(0.5, 2))
def test_fingers_towards_the_camera_come_out_negative_at_any_size(angle, size):
    pointing = np.zeros((21, 3))
    for finger in FINGERS:
        steps = np.arange(4)[:, None]
        turn = np.radians(angle)
        pointing[finger] = size * 25 * steps * (0, -np.cos(turn), -np.sin(turn))
    towards = own_bone_depth(pointing)
    away = own_bone_depth(pointing * (1, 1, -1))
    known = np.isfinite(towards)
    assert (towards[known] < away[known]).all()
    np.testing.assert_allclose(towards[known], own_bone_depth(pointing * 3)[known])
