"""Which hands are the same hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dot_world import true_hand, turn
from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.track.association import assign, extent_px, is_known, same_hand, without_duplicates

CAMERA = Camera(600, 600, 320, 240)
HAND = true_hand(CAMERA, (0, 60, 500), rotation=turn(20)).joints_px
seeds = st.integers(0, 1000)


@given(seeds)
def test_an_inexact_answer_is_still_the_same_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    other = HAND + rng.normal(0, 0.04 * extent_px(HAND), HAND.shape)
    assert same_hand(HAND, other) and same_hand(other, HAND)


def test_hands_beside_each_other_are_two() -> None:
    for shift in ((0.3, 0), (0, -0.3), (0.2, 0.2)):
        assert not same_hand(HAND, HAND + np.array(shift) * extent_px(HAND))
    mirrored = true_hand(CAMERA, (0, 60, 500), side="left", rotation=turn(-60)).joints_px
    assert not same_hand(HAND, mirrored)


@given(seeds, st.permutations(range(5)))
def test_the_best_of_the_same_is_kept(seed: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    three = np.stack([HAND, HAND + 200, HAND - 200])
    five = np.concatenate([three, three[:2] + rng.normal(0, 2, (2, 21, 2))])[list(order)]
    kept = without_duplicates(five)
    assert kept == sorted(kept) and len(kept) == 3
    groups = [order[k] % 3 for k in kept]
    assert sorted(groups) == [0, 1, 2]
    assert without_duplicates(five[:0]) == []


def test_a_detection_of_a_known_hand_is_no_news() -> None:
    crop = Crop.from_joints(HAND, "right", margin=1.0)
    detected = DetectedHand(crop.centre_px, crop.size_px, crop.angle, "right")
    assert is_known(detected, "right", HAND)
    assert not is_known(detected, "left", HAND)
    assert not is_known(detected, "right", HAND + 0.8 * extent_px(HAND))


def test_lost_hands_are_found_again_by_side_place_and_size() -> None:
    extent = float(extent_px(HAND))
    lost = [("right", HAND), ("left", HAND + 300)]
    near = HAND + np.array([0.5, 0]) * extent
    assert assign([("right", near)], lost, [0.1, 0.1]) == [0]
    assert assign([("left", near)], lost, [0.1, 0.1]) == [None]
    assert assign([("left", near + 300), ("right", HAND)], lost, [0.1, 0.1]) == [1, 0]
    middle = HAND.mean(axis=0)
    assert assign([("right", (HAND - middle) * 2.5 + middle)], lost, [0.1, 0.1]) == [None]


def test_the_nearer_of_two_takes_the_lost_one() -> None:
    extent = float(extent_px(HAND))
    far, near = HAND + np.array([0.7, 0]) * extent, HAND + np.array([0.2, 0]) * extent
    assert assign([("right", far), ("right", near)], [("right", HAND)], [0.1]) == [None, 0]
    assert assign([], [("right", HAND)], [0.1]) == []
    assert assign([("right", HAND)], [], []) == [None]


def test_the_longer_lost_the_farther_it_may_be() -> None:
    far = HAND + np.array([2.0, 0]) * extent_px(HAND)
    assert assign([("right", far)], [("right", HAND)], [0.05]) == [None]
    assert assign([("right", far)], [("right", HAND)], [0.5]) == [0]
