"""Cameras whose frames are of other instants: what each sees is brought to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.hand import MEAN_LENGTHS_MM
from knuckle.results import Frame, Instant, TrackedHand
from knuckle.video import Losses, SourceInfo, Together
from knuckle.views import Rig, RigHand, RigTracker
from knuckle.views.between import Brought, Moments
from rigs import hand_mm, look
from rigs import rig as make_rig

PICTURE = np.zeros((480, 640, 3), np.uint8)
AT_REST = hand_mm(np.random.default_rng(0))
EAST = np.array([1.0, 0.0, 0.0])


def truth(time_s: float) -> np.ndarray:
    """(21, 3) of a hand that goes to and fro at up to a metre a second, and turns meanwhile."""
    angle = 2 * np.pi * 1.5 * time_s
    turned, _ = cv2.Rodrigues(np.array([0.0, 0.3 * np.sin(angle), 0.4 * np.cos(angle)]))
    return AT_REST @ turned.T + 100 * np.array([np.sin(angle), 0.3 * np.cos(angle), 0.0])


class Camera:
    """A source of pictures, at the given times of its own clock."""

    losses = Losses()

    def __init__(self, times_s: np.ndarray, fps: float = 30.0, live: bool = False) -> None:
        self._frames = iter([Frame(PICTURE, float(at), i) for i, at in enumerate(times_s)])
        self.info = SourceInfo("a camera", (640, 480), fps, live=live)

    def __next__(self) -> Frame:
        return next(self._frames)


class Watching(RigTracker):
    """Its cameras see where the hand is when their frames are taken.

    Attributes:
        behind_s: by how much less than its clock shows, of each camera.
    """

    behind_s: Sequence[float]

    def look(self, frames: Sequence[Frame | np.ndarray | None]) -> list[list[TrackedHand]]:
        each = zip(self.rig.cameras, frames, self.behind_s, strict=True)
        return [
            [look(camera, truth(frame.time_s - s), noise=0.0)] if isinstance(frame, Frame) else []
            for camera, frame, s in each
        ]

    def _look_again(self, *_: object) -> bool:
        return False


def watching(rig: Rig, behind_s: Sequence[float]) -> Watching:
    known = tuple(MEAN_LENGTHS_MM)
    tracker = Watching(rig, bone_lengths_mm=known, smooth=None, max_hands=1, workers=1)
    tracker.behind_s = behind_s
    return tracker


def off_mm(hands: Sequence[RigHand], time_s: float) -> float:
    (hand,) = hands
    return float(np.linalg.norm(hand.joints_mm - truth(time_s), axis=1).mean())


def errors_mm(
    sources: Sequence[Camera], offsets_s: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean error in each instant, and where its frames are taken to be of one time."""
    exact, nearest = watching(make_rig(2), offsets_s), watching(make_rig(2), offsets_s)
    errors = []
    for now in Together(sources, offsets_s):  # type: ignore[arg-type]
        if all(frame is not None for frame in now):
            as_one = Instant(now.frames, now.time_s + float(np.mean(now.later_s)))
            errors.append((off_mm(exact(now), now.time_s), off_mm(nearest(as_one), as_one.time_s)))
    found = np.array(errors)[3:]  # who has just begun to look knows no way
    return found[:, 0], found[:, 1]


@settings(max_examples=10, deadline=None)
@given(st.floats(0.2, 0.8), st.sampled_from([-1, 1]), st.floats(-2, 2))
def test_a_fraction_of_a_frame_is_no_error(share: float, sign: int, apart_s: float) -> None:
    times = np.arange(25) / 30
    offset_s = apart_s + sign * share / 30
    exact, nearest = errors_mm([Camera(times), Camera(times + apart_s)], [0.0, offset_s])
    assert exact.mean() < 1.2 and nearest.mean() > 2.0
    assert exact.mean() < nearest.mean() / 3


def test_cameras_in_step_are_as_exact_as_ever() -> None:
    times = np.arange(12) / 30
    exact, nearest = errors_mm([Camera(times), Camera(times + 5.0)], [0.0, 5.0])
    np.testing.assert_allclose(exact, nearest, atol=1e-6)
    assert exact.max() < 0.1


@pytest.mark.parametrize(("first", "second"), [(30.0, 25.0), (30.0, 50.0), (24.0, 60.0)])
def test_cameras_of_other_rates_are_brought_to_one_instant(first: float, second: float) -> None:
    times = [np.arange(0, 1.2, 1 / fps) for fps in (first, second)]
    sources = [Camera(at, fps) for at, fps in zip(times, (first, second), strict=True)]
    exact, nearest = errors_mm(sources, [0.0, 0.0])
    assert len(exact) > 15
    assert exact.mean() < 1.2 and exact.mean() < nearest.mean() / 2.5


@pytest.mark.parametrize("late_s", [0.01, 0.088, 0.2])
def test_a_rig_knows_which_camera_is_late(late_s: float) -> None:
    """Live: all hands are where they were when the latest camera saw them."""
    sources = [Camera(np.arange(20) / 30, live=True) for _ in range(3)]
    rig = make_rig(3).with_late([0.0, late_s, 0.0])
    told, unaware = (watching(each, [0.0, late_s, 0.0]) for each in (rig, rig.in_step()))
    errors = []
    for now in Together(sources):  # type: ignore[arg-type]
        hands = told(now)
        errors.append(
            (off_mm(hands, now.time_s - late_s), off_mm(unaware(now), now.time_s - late_s / 3))
        )
    assert not hands[0].moved_mm[1].any() and hands[0].moved_mm[[0, 2]].any(axis=1).all()
    exact, as_given = np.array(errors)[8:].mean(axis=0)
    assert exact < 1.2 and exact < as_given / 2.5


def test_a_picture_shows_the_hand_where_it_was_when_that_was_taken() -> None:
    rig, later_s = make_rig(2), np.array([0.0, 0.02])
    tracker = RigTracker(rig, bone_lengths_mm=tuple(MEAN_LENGTHS_MM), smooth=None, workers=1)
    for i in range(8):
        when = i / 30 + later_s
        seen = [
            [look(each, AT_REST + 900 * at * EAST, noise=0.0)]
            for each, at in zip(rig.cameras, when, strict=True)
        ]
        hands = tracker.put_together(seen, i / 30, later_s)
    for number, camera in enumerate(rig.cameras):
        own = hands[0].seen_from(number, camera)
        np.testing.assert_allclose(own.joints_px, seen[number][0].joints_px, atol=2.0)
    left = camera.project(hands[0].joints_mm) - seen[1][0].joints_px
    assert np.linalg.norm(left, axis=1).min() > 8


def brought(gap_s: float, later_s: float, seen_before: bool = True) -> Brought:
    """Of the first camera, whose last two looks are so far apart."""
    camera, moments = make_rig(2).cameras[0], Moments(2)
    for at_s in (10 - gap_s, 10.0):
        moments.turn_to(at_s - later_s, np.array([later_s, 0.0]))
        hand = look(camera, AT_REST + 600 * (at_s - 10) * EAST, noise=0.0)
        found = moments.bring(0, hand)
        if seen_before:
            moments.keep([[hand], []])
    return found


def test_what_is_farther_from_a_frame_is_less_sure() -> None:
    near, middle = brought(1 / 30, 2e-3).doubt, brought(1 / 30, 0.5 / 30).doubt
    longer = brought(0.2, 0.1).doubt
    assert (near > 0).all() and (near < middle).all() and (middle < longer / 5).all()
    assert not brought(1 / 30, 0.0).doubt.any()


def test_a_hand_that_was_not_there_before_stays_where_it_is_seen_and_is_unsure() -> None:
    at_rest = look(make_rig(2).cameras[0], AT_REST, noise=0.0).raw
    for alone in (brought(1 / 30, 0.01, seen_before=False), brought(0.5, 0.01)):
        np.testing.assert_array_equal(alone.pose.joints_px, at_rest.joints_px)
        assert (alone.doubt > brought(1 / 30, 0.01).doubt).all()
    # Both looks at it are later than now: it stays where it was first seen.
    first = look(make_rig(2).cameras[0], AT_REST - 20 * EAST, noise=0.0).raw
    np.testing.assert_allclose(brought(1 / 30, 0.1).pose.joints_px, first.joints_px)


def test_behind_its_last_frame_a_hand_goes_straight_on() -> None:
    later = brought(1 / 30, -0.01)
    there = look(make_rig(2).cameras[0], AT_REST + 6 * EAST, noise=0.0).raw
    np.testing.assert_allclose(later.pose.joints_px, there.joints_px, atol=0.2)
    assert (later.doubt > 0).all()


def test_who_is_too_late_to_wait_for_is_told() -> None:
    rig = make_rig(2).with_late([0.0, 0.8])
    with pytest.raises(ValueError, match=r"cam_1 is 0\.8 s later than cam_0.*rig\.in_step\(\)"):
        RigTracker(rig)
    RigTracker(rig.in_step(), workers=1)
    with pytest.raises(ValueError, match="must be a finite number"):
        replace(rig.cameras[0], late_s=float("nan"))
