"""Drawing touches what it should, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
from knuckle.draw import FINGER_COLOURS
from knuckle.hand import BONES, Joint
from knuckle.output import draw_hands
from knuckle.output.draw import DrawStyle, _label_scale, _plate, mask_outlines
from knuckle.results import HandPose
from knuckle.views import RigHand

GREY = np.full((fakes.SIZE[1], fakes.SIZE[0], 3), 120, np.uint8)
SURE = {"joint_score": np.ones(21), "visible": np.ones(21, bool)}
BARE = DrawStyle(mask=False, label=False)


def test_whatever_an_estimator_takes_is_drawn_onto() -> None:
    frame, hands = next(each for each in fakes.scene(6) if each[1])
    expected = draw_hands(frame.image, hands)
    np.testing.assert_array_equal(draw_hands(frame, hands), expected)
    np.testing.assert_array_equal(draw_hands(frame.image / 255, hands), expected)
    grey = draw_hands(frame.image[..., 0], hands)
    assert grey.shape == expected.shape
    for none in (None, fakes.pose(), [fakes.pose().joints_px]):
        with pytest.raises(TypeError, match="a list of HandPose"):
            draw_hands(frame, none)
    with pytest.raises(TypeError, match=r"hand\.seen_from.* got list of RigHand$"):
        draw_hands(frame, [object.__new__(RigHand)])


def test_the_picture_that_comes_in_is_left_alone() -> None:
    image = GREY.copy()
    drawn = draw_hands(image, [fakes.pose()])
    assert (image == GREY).all()
    assert (drawn != GREY).any()


def test_nothing_is_drawn_for_nothing() -> None:
    assert (draw_hands(GREY, []) == GREY).all()


def test_each_tip_has_the_colour_of_its_finger_where_it_lies() -> None:
    hand = replace(fakes.pose(centre_mm=(0, 0, 420)), **SURE)
    drawn = draw_hands(GREY, [hand], BARE)
    for finger, colour in enumerate(FINGER_COLOURS):
        x, y = np.round(hand.joints_px[4 * finger + 4]).astype(int)
        np.testing.assert_allclose(drawn[y, x], colour, atol=12)


def test_bones_run_between_their_joints() -> None:
    hand = replace(fakes.pose(centre_mm=(0, 0, 420)), **SURE)
    changed = (draw_hands(GREY, [hand], BARE) != GREY).any(axis=2)
    middles = hand.joints_px[BONES].mean(axis=1).round().astype(int)
    assert changed[middles[:, 1], middles[:, 0]].all()
    x0, y0, x1, y1 = hand.box_xyxy + np.array([-12, -12, 12, 12])
    inside = np.zeros_like(changed)
    inside[int(y0) : int(y1), int(x0) : int(x1)] = True
    assert not changed[~inside].any()


def test_a_hidden_joint_is_hollow_and_an_uncertain_one_faint() -> None:
    hand = replace(fakes.pose(centre_mm=(0, 0, 300)), **SURE)
    x, y = np.round(hand.joints_px[Joint.MIDDLE_TIP]).astype(int)
    sure = draw_hands(GREY, [hand], BARE)[y, x].astype(int)
    hidden = draw_hands(GREY, [replace(hand, visible=np.zeros(21, bool))], BARE)[y, x]
    faint = draw_hands(GREY, [replace(hand, joint_score=np.zeros(21))], BARE)[y, x]
    assert hidden.max() < 60
    assert np.abs(faint - 120.0).sum() < 0.5 * np.abs(sure - 120).sum()


def test_the_nearer_hand_is_on_top() -> None:
    near = replace(fakes.pose(side="right", centre_mm=(0, 0, 400)), **SURE)
    far = replace(fakes.pose(side="left", centre_mm=(0, 0, 500)), **SURE)
    orders = [draw_hands(GREY, pair, BARE) for pair in ([near, far], [far, near])]
    assert (orders[0] == orders[1]).all()


@pytest.mark.parametrize("x_mm", [-5000.0, -180.0, 180.0])
def test_hands_that_leave_the_picture(x_mm: float) -> None:
    drawn = draw_hands(GREY, [fakes.pose(centre_mm=(x_mm, 0, 500), track_id=3)])
    assert drawn.shape == GREY.shape


def test_joints_without_a_place_are_passed_over() -> None:
    nowhere = replace(fakes.pose(), joints_px=np.full((21, 2), np.nan))
    assert (draw_hands(GREY, [nowhere]) == GREY).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (8, 8)])
def test_any_size_of_picture(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    assert draw_hands(image, [fakes.pose(track_id=1)]).shape == image.shape


def test_the_outline_of_a_mask_follows_it() -> None:
    hand = fakes.pose()
    assert hand.crop_mask is not None
    (outline,) = mask_outlines(hand.crop_mask)
    radius = np.hypot(*(outline - hand.crop_mask.crop.centre_px).T)
    # The fake mask is a disc: 1.2 - 3 r = 1/2 at r = 0.233 of the crop's side.
    np.testing.assert_allclose(radius, 0.2333 * hand.crop_mask.crop.size_px, rtol=0.04)


def large_hand(times: int, *, label: bool) -> tuple[np.ndarray, HandPose]:
    """A hand with all its joints hidden, and the picture that shows it, so many times as large."""
    hand = fakes.pose(centre_mm=(0, 0, 250))
    size = (fakes.SIZE[1] * times, fakes.SIZE[0] * times, 3)
    hand = replace(
        hand,
        joints_px=(hand.joints_px + 0.5) * times - 0.5,
        joint_score=np.ones(21),
        visible=np.zeros(21, bool),
    )
    return draw_hands(np.full(size, 120, np.uint8), [hand], replace(BARE, label=label)), hand


def ring_and_label(times: int) -> np.ndarray:
    """Shares: of a joint's radius in its finger's colour, of the picture under the label."""
    bare, hand = large_hand(times, label=False)
    before, tip = hand.joints_px[[Joint.THUMB_IP, Joint.THUMB_TIP]]
    outwards = (tip - before) / np.linalg.norm(tip - before)
    x, y = np.round(tip + np.arange(0, 15 * times)[:, None] * outwards).astype(int).T
    ring = np.abs(bare[y, x].astype(int) - FINGER_COLOURS[0]).max(axis=1) < 60
    label = (large_hand(times, label=True)[0] != bare).any(axis=2).mean()
    return np.array([ring.sum() / np.flatnonzero(ring).max(), label])


def test_a_hidden_joint_and_a_label_are_as_large_in_a_large_picture() -> None:
    np.testing.assert_array_less(0.6 * ring_and_label(3), ring_and_label(9))


def test_a_hand_without_3d_is_drawn_as_one_that_is_evenly_far(
    recwarn: pytest.WarningsRecorder,
) -> None:
    """Labels of pictures need not know how far away joints are."""
    hand = fakes.pose()
    flat = replace(hand, joints_mm=np.full((21, 3), np.nan))
    even = replace(hand, joints_mm=np.concatenate([hand.joints_mm[:, :2], np.ones((21, 1))], 1))
    np.testing.assert_array_equal(draw_hands(GREY, [flat]), draw_hands(GREY, [even]))
    assert not len(recwarn)


@pytest.mark.parametrize(("size", "has_room"), [((64, 48), False), ((100, 480), True)])
def test_letters_take_no_more_room_than_there_is(size: tuple[int, int], has_room: bool) -> None:
    """On a tiny picture they covered the hand; on a narrow one their end was cut off."""
    image = np.full((size[1], size[0], 3), 120, np.uint8)
    small = fakes.pose()
    centred = small.joints_px - small.joints_px.min(axis=0)
    hand = replace(
        small, joints_px=centred * (0.3 * size[0] / np.ptp(centred[:, 0])) + 0.4 * size[0]
    )
    bare = draw_hands(image, [hand], replace(BARE, mask=False))
    corners = draw_hands(image, [hand], DrawStyle(mask=False))
    plate = (corners.astype(int) == 30).all(axis=2) & (bare == 120).all(axis=2)  # a quarter of 120
    assert plate.any() == has_room
    assert plate.sum() < 0.34 * plate.size


def test_letters_end_within_a_narrow_picture() -> None:
    image = np.full((480, 100, 3), 120, np.uint8)
    _plate(image, "right 0  100%", (30.0, 200.0, 300.0), (255, 0, 255), 1.0)
    letters = np.flatnonzero((image[..., 0] > 120).any(axis=0))
    assert 0 < letters[0] < letters[-1] < 97


@given(upper=st.floats(-40, 400), tall=st.floats(60, 300))
def test_letters_lie_beside_a_hand_where_there_is_room(upper: float, tall: float) -> None:
    """At the upper border they covered the fingertips."""
    image = np.full((480, 640, 3), 120, np.uint8)
    lower = upper + tall
    _plate(image, "right 0  100%", (200.0, upper, lower), (255, 0, 255), 1.0)
    rows = np.flatnonzero((image != 120).any(axis=(1, 2)))
    assert len(rows)
    room = max(upper, 480 - lower)
    if room > len(rows) + 8:
        assert rows[-1] < upper or rows[0] > lower


def test_letters_of_a_label_do_not_tremble_with_the_hand() -> None:
    thick = np.linspace(2.0, 12.0, 200)
    scales = [_label_scale(thickness) for thickness in thick]
    assert len(set(scales)) <= 5
    assert scales == sorted(scales)
    np.testing.assert_allclose(scales, np.clip(thick / 6, 0.5, None), rtol=0.2)
