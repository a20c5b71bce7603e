"""Who is who before a rig, whatever cameras drop, and whatever their clocks show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.results import Frame, HandPose, Instant
from knuckle.views import Rig, RigTracker
from knuckle.views.again import Place
from rigs import Views, follow, hand_mm, views_of
from rigs import rig as make_rig


def test_ids_outlive_cameras_that_come_and_go() -> None:
    rig, rng = make_rig(3), np.random.default_rng(0)
    tracker = RigTracker(rig, max_hands=1, workers=1)
    joints = hand_mm(rng)

    def frames(i: int) -> Views:
        views = views_of(rig, {"right": joints + np.array((2.0 * i, 0, 0))}, rng)
        if i >= 5:
            views[0] = []
        if 10 <= i < 15:
            views[1] = []  # one camera is left
        if 15 <= i < 18:
            views = [[], [], []]
        return views

    found = follow(tracker, frames, 25)
    seen = [[hand.track_id for hand in hands] for hands in found]
    assert seen == [[0]] * 15 + [[]] * 3 + [[0]] * 7
    assert [len(found[i][0].seen_by) for i in (2, 7, 12, 20)] == [3, 2, 1, 2]
    alone = found[12][0]
    assert np.linalg.norm(alone.joints_mm - (joints + np.array((24.0, 0, 0))), axis=1).mean() < 12
    assert alone.sigma_mm.mean() > 1.5 * found[7][0].sigma_mm.mean()


class Fed(RigTracker):
    """Told what its cameras see of a hand that stands still, where they have a frame."""

    def look(self, frames: Sequence[Frame | np.ndarray | None]) -> Views:
        views = views_of(self.rig, {"right": hand_mm(np.random.default_rng(0))})
        return [
            view if frame is not None else [] for view, frame in zip(views, frames, strict=True)
        ]

    def _look_again(self, *_: object) -> bool:
        return False


PICTURE = np.zeros((480, 640, 3), np.uint8)
kept = st.lists(st.booleans(), min_size=20, max_size=20)


@settings(max_examples=15, deadline=None)
@given(kept, st.floats(-5, 5))
def test_dropped_frames_change_no_identity_whatever_the_clocks(
    kept: list[bool], apart_s: float
) -> None:
    tracker = Fed(make_rig(2), least_views=1, workers=1, max_hands=1)
    for i, there in enumerate([True, *kept]):
        first = Frame(PICTURE, i / 30, i) if there else None
        (hand,) = tracker([first, Frame(PICTURE, i / 30 + apart_s, i)])
        assert hand.track_id == 0
        assert hand.age_s == pytest.approx(i / 30, abs=1e-6)


@pytest.mark.parametrize(
    "time_s",
    [
        pytest.param(lambda i: i // 2 / 15, id="equal in pairs"),
        pytest.param(lambda i: i / 30 - (0.04 if i % 5 == 4 else 0), id="now and then back"),
        pytest.param(lambda i: 7.0, id="standing still"),
    ],
)
@pytest.mark.filterwarnings("ignore:expected frames in the order")
def test_what_one_camera_forgives_a_rig_forgives(time_s: Callable[[int], float]) -> None:
    tracker = Fed(make_rig(2), workers=1, max_hands=1)
    found = [tracker([Frame(PICTURE, time_s(i), i)] * 2) for i in range(20)]
    assert {hand.track_id for hands in found for hand in hands} == {0}
    assert np.all(np.diff([hands[0].age_s for hands in found]) > 0)


def test_an_instant_says_its_time_and_another_recording_has_other_hands() -> None:
    tracker = Fed(make_rig(2), workers=1, max_hands=1)
    frames = (Frame(PICTURE, 3.2, 0), Frame(PICTURE, 99.0, 0))
    found = [tracker(Instant(frames, at))[0] for at in (1.0, 1.5, 1.6, 0.0, 0.1)]
    assert [hand.track_id for hand in found] == [0, 0, 0, 1, 1]
    assert [hand.age_s for hand in found] == pytest.approx([0, 0.5, 0.6, 0, 0.1])


def test_looks_in_vain_are_not_remembered_for_ever() -> None:
    class Blind(Fed):
        """The last camera sees nothing, and the others give hands a new number each time."""

        def look(self, frames: Sequence[Frame | np.ndarray | None]) -> Views:
            self.count = getattr(self, "count", 0) + 1
            views = super().look(frames)
            return [[replace(h, track_id=self.count) for h in view] for view in views[:2]] + [[]]

        _look_again = RigTracker._look_again

    def in_vain(asked: Sequence[Sequence[Place]]) -> list[list[HandPose]]:
        pose = replace(tracker.look([PICTURE] * 3)[0][0].raw, score=0.0)
        return [[pose for _ in of_camera] for of_camera in asked]

    tracker = Blind(make_rig(3), workers=1, max_hands=1)
    for each in tracker._cameras.trackers:
        each.would_see_more = lambda *_: True  # type: ignore[method-assign]
    tracker._cameras.look_at = in_vain  # type: ignore[method-assign]
    for i in range(40):
        tracker([Frame(PICTURE, i / 30, i)] * 3)
        assert len(tracker._vain) <= 3 * 5


def of_sides(rig: Rig, right: float) -> Views:
    """A hand that every camera has for a right one with some probability."""
    side = "right" if right >= 0.5 else "left"
    views = views_of(rig, {side: hand_mm(np.random.default_rng(0))})
    surely = max(right, 1 - right)
    return [
        [replace(h, side_score=surely, raw=replace(h.raw, side_score=surely)) for h in view]
        for view in views
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=25))
def test_a_hand_keeps_its_side_whatever_is_said_later(said: list[float]) -> None:
    rig = make_rig(2)
    tracker = RigTracker(rig, workers=1, max_hands=1)
    sides: dict[int, set[str]] = {}
    for i, right in enumerate(said):
        for hand in tracker.put_together(of_sides(rig, right), i / 30):
            sides.setdefault(hand.track_id, set()).add(hand.side)
    assert all(len(each) == 1 for each in sides.values())


def test_a_side_is_told_when_votes_agree_and_given_up_with_its_hand() -> None:
    rig = make_rig(2)
    tracker = RigTracker(rig, workers=1, max_hands=1)
    said = [0.55, 0.45, 0.45, 0.2] + [0.97] * 20
    found = [tracker.put_together(of_sides(rig, right), i / 30) for i, right in enumerate(said)]
    told = [[(hand.track_id, hand.side) for hand in hands] for hands in found]
    assert told[:3] == [[], [], []] and told[3] == told[6] == [(0, "left")]
    assert told[-1] == [(1, "right")]
