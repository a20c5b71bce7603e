"""Several cameras at a time: nothing else comes out, and nobody is still at work afterwards."""

from __future__ import annotations

import copy
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from knuckle.results import Frame
from knuckle.views import Rig, RigHand, RigTracker
from rigs import dots, pictures
from rigs import rig as make_rig


def make(dot_weights: Path, workers: int, count: int = 3) -> tuple[Rig, RigTracker]:
    rig = make_rig(count, 24.0, lenses=(make_rig(2).cameras[1].camera,))
    return rig, RigTracker(rig, weights_dir=dot_weights, max_hands=1, workers=workers)


def instant(rig: Rig, number: int) -> list[Frame | np.ndarray | None]:
    """A hand that moves on; the second camera has no picture of every third instant."""
    images = pictures(rig, dots(rig) + np.array((25.0 * number, 0, 0)))
    frames: list[Frame | np.ndarray | None] = [Frame(i, number / 10, number) for i in images]
    if number % 3 == 2:
        frames[1] = None
    return frames


def assert_same(here: list[RigHand], there: list[RigHand]) -> None:
    assert [hand.track_id for hand in here] == [hand.track_id for hand in there]
    for one, two in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.joints_mm, two.joints_mm)
        np.testing.assert_array_equal(one.sigma_mm, two.sigma_mm)
        assert one.seen_by == two.seen_by


def test_as_many_at_a_time_as_one_likes(dot_weights: Path) -> None:
    rig, alone = make(dot_weights, 1)
    others = [make(dot_weights, workers)[1] for workers in (2, 3)]
    for number in range(5):
        frames = instant(rig, number)
        hands = alone(frames)
        assert hands
        for tracker in others:
            assert_same(tracker(frames), hands)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_copy_goes_on_as_the_original(
    dot_weights: Path, copied: Callable[[RigTracker], RigTracker], workers: int
) -> None:
    rig, tracker = make(dot_weights, workers)
    tracker(instant(rig, 0))
    other = copied(tracker)
    assert_same(other(instant(rig, 1)), tracker(instant(rig, 1)))
    assert len({id(each._networks) for each in other._cameras.trackers}) == 1


def test_where_one_camera_fails_all_have_stopped(dot_weights: Path) -> None:
    rig, tracker = make(dot_weights, 2)
    frames = instant(rig, 0)
    ended: list[float] = []

    def slow(*_: object) -> list:
        time.sleep(0.2)
        ended.append(time.perf_counter())
        return []

    def broken(*_: object) -> list:
        raise OSError("the picture is torn")

    first, second, third = tracker._cameras.trackers
    tracker._cameras.trackers[:] = [broken, slow, slow]  # type: ignore[list-item]
    with pytest.raises(OSError, match="torn"):
        tracker(frames)
    raised = time.perf_counter()
    assert all(end < raised for end in ended)
    time.sleep(0.3)
    assert len(ended) <= 1 or ended[-1] < raised  # the third was not begun, or has ended too
    tracker._cameras.trackers[:] = [first, second, third]
    assert tracker(frames)


@pytest.mark.parametrize(
    ("frames", "got"),
    [
        (Frame(np.zeros((480, 640, 3), np.uint8), 0.0, 0), "got Frame"),
        (np.zeros((480, 640, 3), np.uint8), "got one image"),
        ((None for _ in range(3)), "got generator"),
        ({"cam_0": None}, "got dict"),
    ],
)
def test_what_is_no_list_of_frames_is_told(dot_weights: Path, frames: object, got: str) -> None:
    with pytest.raises(TypeError, match=f"a frame of each of the 3 cameras cam_0, .*{got}"):
        make(dot_weights, 1)[1](frames)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"least_views": 4}, "least_views is 4, the rig has 3 cameras"),
        ({"bone_lengths_mm": (0.03,) * 20}, r"must be in 40\.\.400 mm"),
        ({"bone_lengths_mm": (float("nan"),) * 20}, "20 positive lengths"),
    ],
)
def test_options_with_which_no_hand_would_come_out_are_refused(option: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RigTracker(make_rig(3), **option)


if hasattr(os, "fork"):

    def test_a_forked_child_has_threads_of_its_own(dot_weights: Path) -> None:
        rig, tracker = make(dot_weights, 2)
        tracker(instant(rig, 0))
        before = tracker._cameras._here()
        tracker._cameras._pool_of = -1  # as a child finds it
        assert tracker(instant(rig, 1))
        assert tracker._cameras._here() is not before
