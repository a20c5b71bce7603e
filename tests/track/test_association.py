"""Which hands of this frame were there before."""

import numpy as np

from dot_world import true_hand, turn
from knuckle.camera import Camera
from knuckle.hand import Side, extent_px
from knuckle.track.association import Whereabouts, assign, is_inside

CAMERA = Camera(600, 600, 320, 240)
HAND = true_hand(CAMERA, (0, 60, 500), rotation=turn(20)).joints_px


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


def test_a_hand_is_in_the_picture_as_long_as_some_of_it_is() -> None:
    low, high = HAND.min(axis=0), HAND.max(axis=0)
    for rim, inwards in (((0, 0), high), ((639, 479), low)):
        for axis in (0, 1):
            shift = np.zeros(2)
            shift[axis] = rim[axis] - inwards[axis]  # by that only one joint is left at the rim
            assert is_inside(HAND + shift, (480, 640))
            assert not is_inside(HAND + shift + np.sign(shift), (480, 640))
    assert not is_inside(np.full((21, 2), np.nan), (480, 640))  # behind the camera


def test_the_nearest_of_the_places_where_a_hand_may_be_counts() -> None:
    away = HAND + np.array([5.0, 0]) * extent_px(HAND)
    both = Whereabouts("right", np.stack([away, HAND]), 0.05)
    assert assign([("right", HAND)], [lost_at("right", away), both]) == [1]
