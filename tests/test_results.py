"""What a hand says of itself, to people and to other programs."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import knuckle
from fakes import INFO, frame, pose
from knuckle import Frame
from knuckle.errors import InputError
from knuckle.output.records import Recording, frame_record, hand_records


def test_a_hand_is_one_line() -> None:
    text = repr([pose(), pose(track_id=7)])
    assert "\n" not in text and len(text) < 400
    assert "right" in text and "hand 7" in text and "mm" in text


def test_what_holds_arrays_prints_as_one_line() -> None:
    """Whatever people get back and look at in a notebook."""
    hand = pose(track_id=1)
    recording = Recording(
        INFO,
        np.array([frame_record(frame(i), [hand]) for i in range(300)]),
        np.concatenate([hand_records(frame(i), [hand]) for i in range(300)]),
    )
    assert repr(recording) == "<recording of hands.mp4: frames 300, hands in them 300, tracks 1>"
    big = Frame(np.zeros((720, 1280, 3), np.uint8), 1.5, 45)
    assert repr(big) == "<frame 45 at 1.500 s, 1280 x 720>"
    assert len(repr(hand.mesh())) < 100


@pytest.mark.parametrize("asked", ["0", 77])
@pytest.mark.parametrize(("ids", "told"), [((3, 8), "its track_ids are 3, 8"), ((), "no hand")])
def test_a_track_that_is_not_there_is_no_empty_one(
    asked: object, ids: tuple[int, ...], told: str
) -> None:
    hands = [pose(track_id=number) for number in ids]
    frames = np.array([frame_record(frame(0), hands)])
    recording = Recording(INFO, frames, hand_records(frame(0), hands))
    for number in ids:
        assert recording.track(number)["track_id"].tolist() == [number]
    with pytest.raises(InputError, match=f"no track {asked!r}.*{told}"):
        recording.track(asked)  # type: ignore[arg-type]


def test_a_notebook_shows_a_small_drawing() -> None:
    html = pose(track_id=3)._repr_html_()
    assert html.count("<line") == 20 and "nan" not in html and "hand 3" in html


@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_a_notebook_draws_the_bones_whose_ends_are_known(unknown: float) -> None:
    for hidden, lines in ((4, 19), (0, 15), (slice(None), 0)):
        joints_px = pose().joints_px.copy()
        joints_px[hidden] = unknown
        html = replace(pose(), joints_px=joints_px)._repr_html_()
        assert html.count("<line") == lines and "nan" not in html and "inf" not in html


def test_numbers_for_other_programs() -> None:
    hand = pose(track_id=2)
    values = json.loads(hand.to_json())
    assert values["track_id"] == 2 and values["side"] == hand.side
    np.testing.assert_allclose(values["joints_mm"], hand.joints_mm)
    unknown = replace(hand, joint_sigma_mm=np.full(21, np.nan))
    assert json.loads(unknown.to_json())["joint_sigma_mm"] == [None] * 21


@pytest.mark.parametrize("kind", [Fraction, np.float32, np.float16, np.int64, int])
def test_times_of_every_kind_become_pythons_own(kind: type) -> None:
    """PyAV's are fractions (``pts * time_base``), those of arrays have few digits."""
    made = Frame(np.zeros((2, 2, 3), np.uint8), kind(3), np.int64(7))
    assert (made.time_s, made.index) == (3.0, 7)
    instant = knuckle.Instant((made, None), kind(3), (kind(0), kind(1)))
    times_s = (made.time_s, instant.time_s, *instant.later_s)
    assert {type(each) for each in times_s} == {float} and type(made.index) is int


def test_hands_are_followed_by_times_of_containers() -> None:
    """Sums of fractions have no square root in NumPy, and JSON knows no float32."""
    in_numbers, in_fractions = (knuckle.HandTracker(threads=1) for _ in range(2))
    with knuckle.open_source(knuckle.demo_clip()) as source:
        for shown, _ in zip(source, range(3), strict=False):
            time_s = Fraction(shown.index, 30)
            (expected,) = in_numbers(replace(shown, time_s=float(time_s)))
            (hand,) = in_fractions(replace(shown, time_s=time_s))
    assert json.dumps(hand.age_s) == json.dumps(expected.age_s)
    np.testing.assert_array_equal(hand.joints_mm, expected.joints_mm)


def test_hands_can_be_kept_by_the_thousand() -> None:
    """A mask is made from its crop when it is asked for, and the crop is what is large."""
    with knuckle.open_source(knuckle.demo_clip()) as source:
        (hand, *_) = knuckle.HandTracker(threads=1)(next(iter(source)))
    kept = hand.without_mask()
    assert len(pickle.dumps(kept)) < len(pickle.dumps(hand)) / 10
    assert kept.crop_mask is None and kept.raw.crop_mask is None
    assert kept.to_json() == hand.to_json()


def test_normalised_coordinates_reach_from_edge_to_edge() -> None:
    corners = np.zeros((21, 2)) - 0.5
    corners[1:] = (639.5, 479.5)
    shares = replace(pose(), joints_px=corners).joints_normalised(640, 480)
    np.testing.assert_allclose(shares[:2], [(0, 0), (1, 1)])


@pytest.mark.parametrize("size", [(0, 0), (640, -480), (float("nan"), 480)])
def test_no_share_of_a_picture_that_has_no_size(size: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="expected the width and height of the picture"):
        pose().joints_normalised(*size)  # type: ignore[arg-type]


def test_the_clip_that_ships() -> None:
    assert knuckle.demo_clip().is_file()
