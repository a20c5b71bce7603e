"""How deep fingers are in fingers: nothing where they are apart, the same wherever the hand is."""

import numpy as np

from knuckle.render.hand_model import FINGER_ROWS, SPREAD, HandModel
from knuckle.render.poses import finger_penetration_mm, sample_poses

MODEL = HandModel.load()


def joints_of(pose_deg: np.ndarray) -> np.ndarray:
    return MODEL.joints_from_pose(pose_deg, np.tile(MODEL.joints_mm, (len(pose_deg), 1, 1)))


def test_a_flat_hand_has_no_overlap():
    assert finger_penetration_mm(MODEL.joints_mm[None])[0] == 0


def test_crossed_fingers_in_one_plane_overlap():
    pose = np.zeros((1, 17, 3))
    pose[0, FINGER_ROWS[1, 0], SPREAD] = -15
    pose[0, FINGER_ROWS[2, 0], SPREAD] = 15
    assert finger_penetration_mm(joints_of(pose))[0] > 8


def test_overlap_scales_with_the_hand_and_ignores_where_it_is():
    joints = joints_of(sample_poses(np.random.default_rng(6), 50, {"fist": 1.0}))
    depth = finger_penetration_mm(joints)
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    np.testing.assert_allclose(
        finger_penetration_mm(1.5 * joints @ q + [10, 20, 300]), 1.5 * depth, atol=1e-2
    )
