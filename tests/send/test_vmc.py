from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fakes import open_hand, pose
from knuckle.bones import quaternions
from knuckle.hand import FINGERS, Side
from knuckle.send.vmc import bone_rotations, wrist_pose


def flat(side: Side, bend_deg: float = 0.0) -> np.ndarray:
    """(21, 3) mm: parallel fingers up, the palm towards the camera, fingers bent at the PIP."""
    joints = np.zeros((21, 3))
    towards_thumb = 1.0 if side == "right" else -1.0  # a right thumb is on the right then
    for finger, x in enumerate((45.0, 30.0, 10.0, -10.0, -30.0)):
        joints[FINGERS[finger], 0] = towards_thumb * x
        joints[FINGERS[finger], 1] = -np.array([80.0, 120.0, 145.0, 165.0])
    bend = np.radians(bend_deg)
    for tip, length in ((2, 25.0), (3, 45.0)):  # bent towards the palm: towards the camera
        joints[FINGERS[1:, tip], 1] = -120 - length * np.cos(bend)
        joints[FINGERS[1:, tip], 2] = -length * np.sin(bend)
    return np.add(joints, (0, 60, 600))


def hand_of(side: Side, joints_mm: np.ndarray):
    return replace(pose(side=side), joints_mm=joints_mm)


def test_quaternions_are_those_of_scipy() -> None:
    for rotation in Rotation.random(50, random_state=1):
        expected = rotation.as_quat(canonical=True)
        np.testing.assert_allclose(quaternions(rotation.as_matrix()), expected, atol=1e-9)


@pytest.mark.parametrize("side", ["left", "right"])
def test_straight_fingers_are_those_of_the_t_pose(side: Side) -> None:
    turns = bone_rotations(hand_of(side, flat(side)))
    assert len(turns) == 15
    assert f"{side.title()}LittleDistal" in turns
    fingers = [turn for name, turn in turns.items() if "Thumb" not in name]
    np.testing.assert_allclose(fingers, np.tile([0, 0, 0, 1], (12, 1)), atol=0.02)


@pytest.mark.parametrize(("side", "sign"), [("right", -1), ("left", 1)])
def test_a_bent_finger_turns_about_the_axis_to_the_front(side: Side, sign: int) -> None:
    """Palms down, fingers to the sides: a right hand's bend about -z, a left one's about z."""
    turn = bone_rotations(hand_of(side, flat(side, 60)))[f"{side.title()}MiddleIntermediate"]
    expected = Rotation.from_euler("z", sign * 60, degrees=True).as_quat(canonical=True)
    np.testing.assert_allclose(turn, expected, atol=0.02)


@pytest.mark.parametrize("finger", ["Thumb", "Ring"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_chain_of_turns_leads_to_where_fingers_point(side: Side, finger: str) -> None:
    """The wrist's turn and the bones' turns together give the directions in the camera."""
    rng = np.random.default_rng(3)
    joints = open_hand(side) + rng.normal(0, 8, (21, 3))
    hand = hand_of(side, joints)
    turns = bone_rotations(hand)
    place, wrist = wrist_pose(hand)
    np.testing.assert_allclose(place, joints[0] * (0.001, -0.001, 0.001))
    ahead = (0.5**0.5, 0, 0.5**0.5) if finger == "Thumb" else (1, 0, 0)
    rest = np.multiply(ahead, (1 if side == "right" else -1, 1, 1))
    of_finger = FINGERS[("Thumb", "Index", "Middle", "Ring").index(finger)]
    turn = Rotation.from_quat(wrist)
    for k, bone in enumerate(("Proximal", "Intermediate", "Distal")):
        turn = turn * Rotation.from_quat(turns[f"{side.title()}{finger}{bone}"])
        along = joints[of_finger[k + 1]] - joints[of_finger[k]]
        expected = along / np.linalg.norm(along) * (1, -1, 1)
        np.testing.assert_allclose(turn.apply(rest), expected, atol=1e-6)
