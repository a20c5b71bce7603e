"""Which hands become labels: those found alike in the picture and in its mirror image."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fakes import SIZE, pose
from knuckle.data.convention import own_joints
from knuckle.hand import other_side
from knuckle.results import HandPose

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import missed_hands

IMAGE = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
NOTHING: dict = {"hands": [], "uncertain": [], "empty": True}
SURE = replace(pose(), score=0.95)


def in_the_mirror(hand: HandPose, off_px: float = 0.0) -> HandPose:
    joints_px = [SIZE[0] - 1, 0] + hand.joints_px * [-1, 1] + [off_px, 0]
    return replace(hand, joints_px=joints_px, side=other_side(hand.side))


def found(here: list[HandPose], mirrored: list[HandPose], record: dict = NOTHING) -> list[dict]:
    """What is added when the network says these things of the picture and its mirror image."""
    answers = iter([here, mirrored])
    return missed_hands.missed_hands(lambda image: next(answers), IMAGE, record)


def test_a_hand_seen_alike_both_ways_is_a_label_in_the_teachers_convention():
    (label,) = found([SURE], [in_the_mirror(SURE, off_px=4.0)])
    assert label["side"] == SURE.side
    assert label["by"] == "knuckle"
    middle = SURE.joints_px - [2.0, 0]  # half way between the two answers
    np.testing.assert_allclose(own_joints(np.array(label["joints_px"])), middle, atol=0.05)
    assert min(label["spread_px"]) >= 3.9
    assert np.isnan(np.array(label["world_mm"], np.float32)).all()


@pytest.mark.parametrize(
    ("here", "mirrored"),
    [
        ([SURE], []),
        ([SURE], [in_the_mirror(SURE, off_px=40.0)]),
        ([SURE], [replace(in_the_mirror(SURE), side=SURE.side)]),
        ([SURE], [replace(in_the_mirror(SURE), score=0.6)]),
        ([replace(SURE, score=0.6)], [in_the_mirror(SURE)]),
    ],
    ids=["only one way", "elsewhere", "as the other side", "unsure there", "unsure here"],
)
def test_what_is_seen_otherwise_in_the_mirror_is_no_label(here, mirrored):
    assert found(here, mirrored) == []


def test_a_hand_that_the_teacher_has_is_not_labelled_again():
    known = NOTHING | {"hands": [{"joints_px": (SURE.joints_px + 3).tolist()}]}
    assert found([SURE], [in_the_mirror(SURE)], known) == []


def test_the_doubt_that_a_label_settles_goes_and_others_stay():
    (label,) = found([SURE], [in_the_mirror(SURE)])
    low, high = SURE.joints_px.min(axis=0), SURE.joints_px.max(axis=0)
    record = NOTHING | {"uncertain": [[*low, *high], [0, 0, 5, 5]]}
    settled = missed_hands.without_explained(record, [label])
    assert settled["uncertain"] == [[0, 0, 5, 5]]
    assert settled["hands"] == [label]
    assert not settled["empty"]
