"""Which hands of this frame were there before."""

from dataclasses import replace

import numpy as np

from dot_world import true_hand, turn
from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.pose.duplicates import extent_px
from knuckle.track.association import assign, is_known, is_piece

CAMERA = Camera(600, 600, 320, 240)
HAND = true_hand(CAMERA, (0, 60, 500), rotation=turn(20)).joints_px


def test_a_detection_of_a_known_hand_is_no_news() -> None:
    crop = Crop.from_joints(HAND, "right", margin=1.0)
    detected = DetectedHand(crop.centre_px, crop.size_px, crop.angle, "right")
    assert is_known(detected, "right", HAND)
    assert not is_known(detected, "left", HAND)
    assert not is_known(detected, "right", HAND + 0.8 * extent_px(HAND))
    wavering = replace(detected, score=0.9, side_share=0.6)
    assert is_known(wavering, "left", HAND)


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


def test_a_finger_where_a_hand_was_is_a_piece_of_it() -> None:
    middle = (HAND.min(axis=0) + HAND.max(axis=0)) / 2
    small = middle + (HAND - middle) * 0.3
    assert is_piece(small, HAND) and is_piece(small + np.array([0.5 * extent_px(HAND), 0]), HAND)
    assert not is_piece(small + np.array([extent_px(HAND), 0]), HAND)
    assert not is_piece(middle + (HAND - middle) * 0.7, HAND)
    assert not is_piece(HAND, small)
