"""Which looks are about the same hand, what is a piece of one, and what tells of two."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dot_world import true_hand, turn
from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.hand import FINGERS, Joint, extent_px, middle_px
from knuckle.pipeline import judge
from knuckle.pipeline.judge import beside, is_known, same_hand, shared_pixels
from knuckle.pose import Keypoints

HAND = true_hand(Camera(600, 600, 320, 240), (0, 60, 500), rotation=turn(20)).joints_px
MASK = 32
seeds = st.integers(0, 1000)


def answers(
    *joints_px: np.ndarray, sides: str = "", masked: bool = False, presence: float = 1.0
) -> Keypoints:
    """Answers with these joints, their masks empty or a disc around the middle of the joints.

    presence: of the first; all others are certain.
    """
    names = ["left" if side == "l" else "right" for side in sides.ljust(len(joints_px), "r")]
    crops = tuple(Crop.from_joints(j, s) for j, s in zip(joints_px, names, strict=True))
    n = len(crops)
    y, x = np.mgrid[:MASK, :MASK] - (MASK - 1) / 2
    disc = (np.hypot(x, y) < MASK / 3).astype(np.float32) * masked
    return Keypoints(
        crops=crops,
        points_crop=np.array([c.to_crop(j) for c, j in zip(crops, joints_px, strict=True)]).reshape(
            n, 21, 2
        ),
        sigma_crop=np.ones((n, 21)),
        visible=np.ones((n, 21)),
        presence=np.r_[presence, np.ones(n)][:n],
        side_score=np.ones(n),
        mask=np.broadcast_to(disc, (n, MASK, MASK)),
        on_border=np.zeros((n, 3)),
        pixels=np.zeros((n, MASK, MASK, 3), np.uint8),
        features=np.zeros((n, 21, 4)),
        neighbour=np.zeros((n, 6)),
        log_odds=np.zeros(n),
    )


@given(seeds)
def test_an_inexact_answer_is_still_the_same_hand(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.04 * extent_px(HAND), HAND.shape)
    pair = answers(HAND, HAND + noise)
    assert same_hand(pair, 0, pair, 1) and same_hand(pair, 1, pair, 0)


def test_hands_beside_each_other_are_two() -> None:
    for shift in ((0.3, 0), (0, -0.3), (0.2, 0.2)):
        pair = answers(HAND, HAND + np.array(shift) * extent_px(HAND), masked=True)
        assert not same_hand(pair, 0, pair, 1)


def test_fingers_named_the_other_way_round_on_the_same_pixels_are_one_hand() -> None:
    reversed_hand = HAND[np.r_[0, FINGERS[::-1].reshape(-1)]]
    for masked in (False, True):
        pair = answers(HAND, reversed_hand, sides="rl", masked=masked)
        assert same_hand(pair, 0, pair, 1) == masked


def test_a_doubtful_hand_within_a_certain_one_is_part_of_it() -> None:
    fingers = (HAND - HAND.mean(axis=0)) * 0.5 + HAND.mean(axis=0) + 0.15 * extent_px(HAND)
    for presence in (0.5, 1.0):
        pair = answers(fingers, HAND, masked=True, presence=presence)
        assert same_hand(pair, 0, pair, 1) == (presence < 1)
    assert not same_hand(answers(fingers, presence=0.5), 0, answers(HAND + 400), 0)


def test_a_finger_is_a_part_of_its_hand_however_much_it_looks_like_one() -> None:
    finger = (HAND - HAND.mean(axis=0)) * 0.3 + HAND.mean(axis=0) + 0.1 * extent_px(HAND)
    pair = answers(finger, HAND, masked=True)
    assert same_hand(pair, 0, pair, 1)
    assert not same_hand(pair, 1, pair, 0)  # the whole hand is not a part of its finger


def test_shared_pixels_are_those_of_discs_in_the_frame() -> None:
    pair = answers(HAND, HAND + 1000, masked=True)
    shared, first, second = shared_pixels(pair, 0, pair, 1)
    disc = np.pi * (pair.crops[0].size_px / 3) ** 2
    assert shared == 0
    np.testing.assert_allclose([first, second], disc, rtol=0.05)
    np.testing.assert_allclose(shared_pixels(pair, 0, pair, 0), disc, rtol=0.05)
    wider = (HAND - HAND.mean(axis=0)) * 1.5 + HAND.mean(axis=0)
    nested = answers(HAND, wider, masked=True)
    np.testing.assert_allclose(shared_pixels(nested, 0, nested, 1)[0], disc, rtol=0.1)


def test_a_detection_of_a_known_hand_is_no_news() -> None:
    crop = Crop.from_joints(HAND, "right", margin=1.0)
    detected = DetectedHand(crop.centre_px, crop.size_px, crop.angle, "right")
    assert is_known(detected, "right", HAND)
    assert not is_known(detected, "left", HAND)
    assert not is_known(detected, "right", HAND + 0.8 * extent_px(HAND))
    wavering = replace(detected, score=0.9, side_share=0.6)
    assert is_known(wavering, "left", HAND)


@given(st.floats(0, 3), st.floats(0, 360), st.floats(0.3, 3))
def test_beside_is_mutual_and_a_matter_of_distance(far: float, degrees: float, size: float) -> None:
    extent, middle = float(extent_px(HAND)), middle_px(HAND)
    way = far * extent * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    other = (HAND - middle) * size + middle + way
    assert beside(HAND, other) == beside(other, HAND)
    if abs(far / max(size, 1) - 1.25) > 0.01:
        assert beside(HAND, other) == (far < judge.BESIDE * max(size, 1))


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1))
def test_whatever_tells_of_a_second_hand_speaks_for_one(low: float, high: float, tell: int) -> None:
    tells = np.zeros((2, 2))
    tells[:, tell] = sorted((low, high))
    assert judge.second_odds(tells[0]) <= judge.second_odds(tells[1])


@given(st.floats(0.01, 0.99), st.floats(-3, 3), st.floats(-3, 3))
def test_odds_of_a_side_add_up_as_logits_do(right: float, first: float, second: float) -> None:
    both = judge.believed_side(judge.believed_side(right, np.exp(first)), np.exp(second))
    np.testing.assert_allclose(both, judge.believed_side(right, np.exp(first + second)))
    other = judge.believed_side(1 - right, np.exp(-first))
    np.testing.assert_allclose(judge.believed_side(right, np.exp(first)), 1 - other)


def test_what_shares_pixels_with_a_hand_is_worth_less_and_so_is_one_of_its_side() -> None:
    shift = np.array([0.5, 0.0]) * extent_px(HAND)
    looks = answers(HAND, HAND + shift, HAND + shift, HAND + 4 * shift, sides="rlrl", masked=True)
    half, like, far = (judge.apart(looks, i, looks, 0) for i in (1, 2, 3))
    assert 0 < like < half < 1 == far
    assert judge.apart(looks, 0, looks, 0) < 0.05


def fist(curl_deg: float) -> np.ndarray:
    """(21, 2) px of an upright right hand whose fingers are folded by so much."""
    camera = Camera(600, 600, 320, 240)
    return true_hand(camera, (0, 60, 600), flexion_deg=curl_deg).joints_px


def test_a_folded_hand_gets_room_for_its_fingers_and_a_stretched_one_has_it() -> None:
    stretched, folded = (Crop.from_joints(fist(deg), "right") for deg in (0, 80))
    assert judge.lacks_room(stretched, fist(0)) <= 0
    lacking = judge.lacks_room(folded, fist(80))
    assert 0.05 < lacking <= judge.BEYOND
    above = folded.grown(0.0, lacking, 0.0).to_crop(fist(0))[:, 1]
    assert above.min() > folded.to_crop(fist(0))[:, 1].min()


def test_a_crop_with_room_reaches_a_palm_beyond_the_knuckles() -> None:
    joints = fist(60)
    crop = Crop.from_joints(joints, "right")
    lacking = judge.lacks_room(crop, joints)
    assert 0 < lacking < judge.BEYOND
    wrist, knuckle = joints[[Joint.WRIST, Joint.MIDDLE_MCP]]
    palm_px = np.linalg.norm(knuckle - wrist)
    wide = crop.grown(0.0, lacking, 0.0)
    assert wide.below_top(knuckle.tolist()) * wide.size_px == pytest.approx(palm_px, rel=0.05)


@given(size=st.floats(0.2, 5), turned=st.floats(-3, 3))
def test_room_does_not_depend_on_size_or_direction(size: float, turned: float) -> None:
    sin, cos = np.sin(turned), np.cos(turned)
    other = size * fist(60) @ np.array([[cos, sin], [-sin, cos]])
    crops = Crop.from_joints(fist(60), "right"), Crop.from_joints(other, "right")
    lacking = [judge.lacks_room(c, j) for c, j in zip(crops, (fist(60), other), strict=True)]
    assert lacking[0] == pytest.approx(lacking[1], abs=1e-6)
