"""Laws of what a hand is: orders, lengths, sides and angles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dot_world import bone_lengths_mm, right_hand_mm, turn
from knuckle import hand
from knuckle.hand import BONES, FINGERS, JOINT_NAMES, N_BONES, N_JOINTS, Joint

angles = st.floats(-180, 180)
flexions = st.lists(st.floats(-10, 80), min_size=15, max_size=15)


def test_tree_is_rooted_in_the_wrist() -> None:
    for joint in range(N_JOINTS):
        steps = 0
        while joint:
            joint, steps = int(hand.PARENTS[joint]), steps + 1
        assert steps <= 4
    assert [tuple(bone) for bone in BONES[:5]] == [(0, 1), (1, 2), (2, 3), (3, 4), (0, 5)]
    assert [Joint(tip).name for tip in hand.TIPS] == [
        "THUMB_TIP",
        "INDEX_TIP",
        "MIDDLE_TIP",
        "RING_TIP",
        "LITTLE_TIP",
    ]


@given(st.permutations(JOINT_NAMES))
def test_order_from_names_sorts_any_order(names: list[str]) -> None:
    order = hand.order_from_names([name.upper() for name in names])
    assert tuple(names[i] for i in order) == JOINT_NAMES


@pytest.mark.parametrize(
    "names", [JOINT_NAMES[:-1], ("palm", *JOINT_NAMES[1:]), (*JOINT_NAMES[:-1], "wrist")]
)
def test_order_from_names_refuses_other_joints(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="21 joint names"):
        hand.order_from_names(names)


def test_sides_mirror() -> None:
    assert hand.other_side("left") == "right"
    assert hand.other_side(hand.other_side("left")) == "left"
    with pytest.raises(ValueError, match="'left' or 'right', got 'both'"):
        hand.check_side("both")


@given(flexions, angles, angles, angles)
def test_bone_lengths_do_not_know_the_pose(
    flexion: list[float], a: float, b: float, c: float
) -> None:
    joints = right_hand_mm(np.reshape(flexion, (5, 3))) @ turn(a, b, c).T + (30, -50, 500)
    np.testing.assert_allclose(hand.bone_lengths(joints), bone_lengths_mm(), rtol=1e-9)


@given(flexions, angles, angles, angles)
def test_angles_do_not_know_the_side_or_the_place(
    flexion: list[float], a: float, b: float, c: float
) -> None:
    right = right_hand_mm(np.reshape(flexion, (5, 3)))
    turned = right @ turn(a, b, c).T + (3, 2, 1)
    expected = hand.joint_angles(right, "right")
    np.testing.assert_allclose(hand.joint_angles(turned, "right"), expected, atol=1e-6)
    mirrored = turned * (-1, 1, 1)
    np.testing.assert_allclose(hand.joint_angles(mirrored, "left"), expected, atol=1e-6)
    np.testing.assert_allclose(
        hand.palm_frame(mirrored, "left")[0], -hand.palm_frame(turned, "right")[0], atol=1e-9
    )


def straight_hand_bent(bends_deg: np.ndarray) -> np.ndarray:
    """A right hand, palm to -z, whose fingers go on from their metacarpals, bent in that plane.

    bends_deg: (5, 3) towards the palm.
    """
    joints = np.zeros((N_JOINTS, 3))
    inward = np.array([0.0, 0.0, -1.0])
    for finger, azimuth in enumerate(np.radians([60, 15, 2, -8, -20])):
        outward = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])  # thumb to the right
        place, bend = np.zeros(3), 0.0
        for k, length in enumerate((80, 40, 25, 20)):
            bend += np.radians(bends_deg[finger, k - 1]) if k else 0.0
            place = place + length * (np.cos(bend) * outward + np.sin(bend) * inward)
            joints[FINGERS[finger, k]] = place
    return joints


@given(flexions)
def test_known_bends_are_read_back(flexion: list[float]) -> None:
    bends = np.reshape(flexion, (5, 3))
    read = hand.joint_angles(straight_hand_bent(bends), "right").reshape(5, 3, 2)
    np.testing.assert_allclose(read[..., 0], bends, atol=1e-6)
    np.testing.assert_allclose(read[..., 1], 0, atol=1e-6)
    # Fingers that are spread as well bend out of the plane a little: the angles stay close.
    read = hand.joint_angles(right_hand_mm(bends), "right").reshape(5, 3, 2)
    np.testing.assert_allclose(read[1:, 1:, 0], bends[1:, 1:], atol=2)


def test_straight_hand_is_flat_and_a_fist_is_positive() -> None:
    flat = hand.joint_angles(right_hand_mm(np.zeros((5, 3))), "right").reshape(5, 3, 2)
    np.testing.assert_allclose(flat[1:, :, 0], 0, atol=1e-6)
    fist = hand.joint_angles(right_hand_mm(np.full((5, 3), 60.0)), "right").reshape(5, 3, 2)
    assert (fist[1:, :, 0] > 40).all()


def test_spread_is_positive_towards_the_thumb() -> None:
    joints = right_hand_mm(np.zeros((5, 3)))
    base = joints[Joint.INDEX_MCP].copy()
    for joint in FINGERS[1, 1:]:  # turn the index finger about its knuckle, towards the thumb
        joints[joint] = base + turn(-20) @ (joints[joint] - base)
    before = hand.joint_angles(right_hand_mm(np.zeros((5, 3))), "right")[3, 1]
    assert hand.joint_angles(joints, "right")[3, 1] == pytest.approx(before + 20, abs=1e-6)


@given(st.integers(0, 3), st.integers(1, 4))
def test_batches_are_computed_as_singles(n: int, m: int) -> None:
    rng = np.random.default_rng(n * 7 + m)
    joints = rng.normal(0, 50, (n, m, N_JOINTS, 3))
    together = hand.joint_angles(joints, "left")
    assert together.shape == (n, m, 15, 2)
    assert hand.bone_lengths(joints).shape == (n, m, N_BONES)
    for i in range(n):
        for k in range(m):
            np.testing.assert_allclose(together[i, k], hand.joint_angles(joints[i, k], "left"))


def test_a_collapsed_hand_gives_numbers() -> None:
    assert np.isfinite(hand.joint_angles(np.zeros((N_JOINTS, 3)), "right")).all()
