"""Where another hand may be: beside a known one, where the mask goes on, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_overlooked import Eyes, detected, hand, middle_of

from knuckle.codec import DetectedHand
from knuckle.hand import SIDES
from knuckle.pipeline.guesses import (
    beside,
    is_without_partner,
    on_top_of,
    turned,
    unexplained,
)
from knuckle.pose import Keypoints


def known(*hands: Any) -> Keypoints:
    return Eyes(hands).seen(*hands)


@given(st.sampled_from(SIDES), st.floats(-4, 4))
def test_a_guess_is_turned_to_all_ways_up_as_both_sides(side: Any, angle: float) -> None:
    guess = DetectedHand((300.0, 240.0), 100.0, angle, side)
    ways = turned(guess)
    assert guess in ways and {way.side for way in ways} == set(SIDES)
    assert len({(way.side, round(way.angle % (2 * np.pi), 6)) for way in ways}) == 8
    assert all((way.centre_px, way.size_px) == (guess.centre_px, guess.size_px) for way in ways)


def test_hands_that_touch_are_beside_each_other_and_others_are_alone() -> None:
    hands = known(hand(-60), hand(60, "left"), hand(400))
    assert beside(hands, hands, 0) == beside(hands, hands, 1) == [0, 1]
    assert [is_without_partner(hands, k) for k in range(3)] == [False, False, True]


@pytest.mark.parametrize("shift", [-130, 130])
def test_a_piece_of_mask_is_a_hand_there(shift: float) -> None:
    first, second = hand(0), hand(shift, "left")
    guess = unexplained(detected([first, second], [first]), known(first), 0, 0.12)
    assert guess is not None
    beyond = np.subtract(guess.centre_px, middle_of(first))
    assert np.sign(beyond[0]) == np.sign(shift) and abs(beyond[1]) < 0.2 * abs(beyond[0])
    assert guess.size_px >= 0.8 * np.ptp(first.joints_px, axis=0).max()


def test_what_is_explained_far_away_or_too_little_is_no_guess() -> None:
    first, second = hand(0), hand(130, "left")
    whole = detected([first, second], [first])
    assert unexplained(detected([first], [first]), known(first), 0, 0.12) is None
    assert unexplained(whole, known(first, second), 0, 0.12) is None
    assert unexplained(detected([first, hand(450)], [first]), known(first), 0, 0.12) is None
    assert unexplained(whole, known(first), 0, 2.0) is None


def test_a_hand_on_top_is_as_large_and_in_the_same_place() -> None:
    first = hand(-60, "left")
    guess = on_top_of(known(first), 0)
    np.testing.assert_allclose(guess.centre_px, middle_of(first), atol=1e-6)
    assert guess.side == "left"
    assert guess.size_px == pytest.approx(np.ptp(first.joints_px, axis=0).max())
