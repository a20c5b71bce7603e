"""What a rig's tracker says at the end of recordings that cannot be right."""

from __future__ import annotations

import numpy as np
import pytest

from knuckle.views import RigTracker
from rigs import Views, follow, hand_mm, met, views_of
from rigs import rig as make_rig


def test_a_rig_of_the_wrong_unit_is_told() -> None:
    rng = np.random.default_rng(0)
    rig = make_rig(2)
    tracker = RigTracker(rig.scaled(3.0), workers=1, max_hands=1)
    # Frames are matched in spite of the size only where the hand is known already.
    for i in range(8):
        tracker._bones.see(met(3.0 * hand_mm(rng), 1.0), i / 2)
    assert "which no hand is" in tracker.remarks[0] and "--unit hands" in tracker.remarks[0]


@pytest.mark.parametrize(("unit", "told"), [(1.0, False), (0.25, True)])
def test_hands_that_are_never_one_are_told(unit: float, told: bool) -> None:
    """A rig in centimetres whose squares are of 40 mm found no hand, and said nothing."""
    rig, rng = make_rig(2), np.random.default_rng(0)
    tracker = RigTracker(rig.scaled(unit), workers=1, max_hands=1)
    assert tracker.remarks == []
    hand = hand_mm(rng)
    found = follow(tracker, lambda i: views_of(rig, {"right": hand}), 12)
    assert bool(found[-1]) is not told
    assert bool(tracker.remarks) is told
    assert all("--unit hands" in remark for remark in tracker.remarks)


@pytest.mark.parametrize(("late", "told"), [(0, False), (12, True)])
def test_cameras_out_of_step_are_told_if_hands_move(late: int, told: bool) -> None:
    """The second camera shows what the first did so many frames before."""
    rig, hand = make_rig(2), hand_mm(np.random.default_rng(0))

    def seen(i: int) -> Views:
        # It rests at first, and what cameras see then is one; after that it moves to and fro.
        across = 250 * np.sin(max(i - 12, 0) / 4)
        return views_of(rig, {"right": hand + np.array((across, across, 0))})

    tracker = RigTracker(rig, workers=1, max_hands=1)
    found = follow(tracker, lambda i: [seen(i)[0], seen(i - late)[1]], 60)
    assert found[10]
    assert any("--sync" in remark for remark in tracker.remarks) is told


@pytest.mark.parametrize(("late", "told"), [(0, False), (12, True)])
def test_one_camera_of_three_that_sees_other_hands_is_named(late: int, told: bool) -> None:
    """The other two went on, and nothing was said: not of seconds of delay, nor of a mirror."""
    rig, hand = make_rig(3), hand_mm(np.random.default_rng(0))

    def seen(i: int) -> Views:
        across = 250 * np.sin(i / 4)
        return views_of(rig, {"right": hand + np.array((across, across, 0))})

    tracker = RigTracker(rig, workers=1, max_hands=1)
    follow(tracker, lambda i: [seen(i)[0], seen(i - late)[1], seen(i)[2]], 60)
    assert bool(tracker.remarks) is told
    assert all("camera cam_1 saw hands" in r and "mirrored" in r for r in tracker.remarks)
