"""Fingers that jump onto another hand are held; whatever a hand can do is not."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dot_world import bone_lengths_mm, right_hand_mm, true_hand, turn
from knuckle.camera import Camera
from knuckle.hand import Joint
from knuckle.results import HandPose
from knuckle.track.reach import Reach, out_of_reach
from knuckle.track.skeleton import BoneLengths
from knuckle.track.smoothing import OneEuroSmoother
from knuckle.track.track import Track

CAMERA = Camera(600, 600, 320, 240)
DEPTH = 500.0
HAND = true_hand(CAMERA, (0, 60, DEPTH))
THUMB = slice(Joint.THUMB_CMC, Joint.THUMB_TIP + 1)
AWAY = np.array([0.0, -180.0])

angles = st.floats(-180, 180)


def jumped(pose: HandPose, joints: slice = THUMB) -> HandPose:
    """Some joints are where those of a neighbour are, in the picture and in space."""
    joints_px, joints_mm = pose.joints_px.copy(), pose.joints_mm.copy()
    joints_px[joints] += AWAY
    joints_mm[joints, :2] += AWAY * DEPTH / CAMERA.fx
    return replace(pose, joints_px=joints_px, joints_mm=joints_mm)


def known(pose: HandPose = HAND, looks: int = 10) -> Reach:
    reach = Reach(BoneLengths())
    for _ in range(looks):
        assert reach(pose) is pose
    return reach


@given(st.integers(0, 2**32 - 1), st.tuples(angles, angles, angles), st.floats(300, 1500))
def test_no_hand_is_out_of_its_own_reach(
    seed: int, degrees: tuple[float, float, float], depth: float
) -> None:
    """Any pose, turned and bent in any way, at any distance."""
    flexion = np.random.default_rng(seed).uniform(0, 80, (5, 3))
    joints = right_hand_mm(flexion) @ turn(*degrees).T + (0, 0, depth)
    joints_px = CAMERA.project(joints)
    assert not out_of_reach(CAMERA.rays(joints_px), bone_lengths_mm(), depth).any()


@given(st.floats(0.3, 4))
def test_a_hand_that_comes_nearer_or_goes_is_not_out_of_reach(factor: float) -> None:
    middle = HAND.joints_px.mean(axis=0)
    larger = middle + (HAND.joints_px - middle) * factor
    assert not out_of_reach(CAMERA.rays(larger), bone_lengths_mm(), DEPTH).any()


@pytest.mark.parametrize("finger", range(5))
def test_a_finger_on_another_hand_is_out_of_reach_and_nothing_else_is(finger: int) -> None:
    joints = slice(1 + 4 * finger, 5 + 4 * finger)
    away = out_of_reach(CAMERA.rays(jumped(HAND, joints).joints_px), bone_lengths_mm(), DEPTH)
    assert away[joints].all() and away.sum() == 4


def test_a_hand_that_is_elsewhere_is_not_held_back() -> None:
    away = HAND.joints_px + AWAY
    away[Joint.WRIST] = HAND.joints_px[Joint.WRIST]
    assert not out_of_reach(CAMERA.rays(away), bone_lengths_mm(), DEPTH).any()


def test_a_finger_that_jumps_is_held_and_goes_unseen() -> None:
    held = known()(jumped(HAND))
    np.testing.assert_allclose(held.joints_px, HAND.joints_px)
    np.testing.assert_allclose(held.joints_mm, HAND.joints_mm)
    np.testing.assert_allclose(held.bone_lengths_mm, HAND.bone_lengths_mm)
    assert not held.visible[THUMB].any() and (held.joint_score[THUMB] < 0.1).all()
    assert (held.joint_sigma_mm[THUMB] >= 30).all()
    others = np.delete(np.arange(21), np.arange(21)[THUMB])
    np.testing.assert_array_equal(held.visible[others], HAND.visible[others])
    np.testing.assert_array_equal(held.joint_score[others], HAND.joint_score[others])


def test_what_is_held_goes_along_with_the_hand() -> None:
    reach = known()
    for i in range(1, 5):
        moved = true_hand(CAMERA, (8.0 * i, 60, DEPTH))
        held = reach(jumped(moved))
        np.testing.assert_allclose(held.joints_px, moved.joints_px, atol=3.0)  # perspective
        np.testing.assert_allclose(held.joints_mm, moved.joints_mm, atol=1e-6)


def test_what_stays_away_is_believed_in_the_end() -> None:
    reach, look = known(), jumped(HAND)
    held = [reach(look) is not look for _ in range(20)]
    assert held == [True] * 10 + [False] * 10


def test_what_was_back_in_between_is_held_anew() -> None:
    reach, look = known(looks=30), jumped(HAND)
    for _ in range(12):
        reach(look)
    assert reach(HAND) is HAND
    assert [reach(look) is not look for _ in range(11)] == [True] * 10 + [False]


def test_a_fast_spread_of_the_fingers_is_not_held() -> None:
    fist = true_hand(CAMERA, (0, 60, DEPTH), flexion_deg=70)
    reach = known(fist)
    assert reach(HAND) is HAND
    assert reach(fist) is fist


def test_neither_crop_nor_velocity_follow_a_finger_that_jumps() -> None:
    track = Track(HAND, 0.0, numbers=itertools.count(), smoother=OneEuroSmoother())
    for i in range(10):
        track.see(HAND, i / 30)
    look = jumped(HAND)
    told = track.see(look, 10 / 30)
    assert told is not None and told.raw is look
    np.testing.assert_allclose(told.joints_px, HAND.joints_px, atol=1.0)
    assert not told.visible[THUMB].any()
    np.testing.assert_allclose(track.predict(11 / 30), HAND.joints_px, atol=1e-6)
