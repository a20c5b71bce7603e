"""Which hands of this frame were there before."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dot_world import true_hand, turn
from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.hand import Side
from knuckle.pose.duplicates import extent_px
from knuckle.track.association import Whereabouts, assign, is_beside, is_known, is_piece

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


def lost_at(side: Side, joints_px: np.ndarray, unseen_s: float = 0.1, **more: bool) -> Whereabouts:
    return Whereabouts(side, joints_px[None], unseen_s, **more)


def test_lost_hands_are_found_again_by_side_place_and_size() -> None:
    extent = float(extent_px(HAND))
    lost = [lost_at("right", HAND), lost_at("left", HAND + 300)]
    near = HAND + np.array([0.5, 0]) * extent
    assert assign([("right", near)], lost) == [0]
    assert assign([("left", near)], lost) == [None]
    assert assign([("left", near + 300), ("right", HAND)], lost) == [1, 0]
    middle = HAND.mean(axis=0)
    assert assign([("right", (HAND - middle) * 2.5 + middle)], lost) == [None]


def test_the_nearer_of_two_takes_the_lost_one() -> None:
    extent = float(extent_px(HAND))
    far, near = HAND + np.array([0.7, 0]) * extent, HAND + np.array([0.2, 0]) * extent
    assert assign([("right", far), ("right", near)], [lost_at("right", HAND)]) == [None, 0]
    assert assign([], [lost_at("right", HAND)]) == []
    assert assign([("right", HAND)], []) == [None]


def test_the_longer_lost_the_farther_it_may_be() -> None:
    far = HAND + np.array([2.0, 0]) * extent_px(HAND)
    assert assign([("right", far)], [lost_at("right", HAND, 0.05)]) == [None]
    assert assign([("right", far)], [lost_at("right", HAND, 0.5)]) == [0]


def test_who_was_hidden_may_come_out_farther_away_and_of_another_size_but_not_anywhere() -> None:
    middle, extent = HAND.mean(axis=0), np.array([1.0, 0]) * extent_px(HAND)
    hidden = lost_at("right", HAND, 0.05, hidden=True)
    half_seen = (HAND - middle) * 0.45 + middle + extent
    assert assign([("right", half_seen)], [hidden]) == [0]
    assert assign([("right", half_seen)], [lost_at("right", HAND, 0.05)]) == [None]
    assert assign([("left", half_seen)], [hidden]) == [None]
    assert assign([("right", HAND + 1.5 * extent)], [hidden]) == [0]
    assert assign([("right", HAND + 1.5 * extent)], [lost_at("right", HAND, 0.05)]) == [None]
    assert assign([("right", half_seen + 2 * extent)], [hidden]) == [None]


def test_the_nearest_of_the_places_where_a_hand_may_be_counts() -> None:
    away = HAND + np.array([5.0, 0]) * extent_px(HAND)
    both = Whereabouts("right", np.stack([away, HAND]), 0.05)
    assert assign([("right", HAND)], [lost_at("right", away), both]) == [1]


@given(st.floats(0, 3), st.floats(0, 360), st.floats(0.3, 3))
def test_beside_is_mutual_and_a_matter_of_distance(far: float, degrees: float, size: float) -> None:
    extent, middle = float(extent_px(HAND)), (HAND.min(axis=0) + HAND.max(axis=0)) / 2
    way = far * extent * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    other = (HAND - middle) * size + middle + way
    assert is_beside(HAND, other) == is_beside(other, HAND)
    if abs(far / max(size, 1) - 1.25) > 0.01:
        assert is_beside(HAND, other) == (far < 1.25 * max(size, 1))


def test_a_finger_where_a_hand_was_is_a_piece_of_it() -> None:
    middle = (HAND.min(axis=0) + HAND.max(axis=0)) / 2
    small = middle + (HAND - middle) * 0.3
    assert is_piece(small, HAND) and is_piece(small + np.array([0.5 * extent_px(HAND), 0]), HAND)
    assert not is_piece(small + np.array([extent_px(HAND), 0]), HAND)
    assert not is_piece(middle + (HAND - middle) * 0.7, HAND)
    assert not is_piece(HAND, small)
