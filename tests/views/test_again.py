"""A second look: every camera is shown where the others see a hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.hand import MEAN_LENGTHS_MM, extent_px
from knuckle.pipeline import HandTracker
from knuckle.results import HandPose, TrackedHand
from knuckle.views import Rig, RigTracker
from knuckle.views.again import places, shows
from knuckle.views.looks import Looks
from knuckle.views.meeting import Meeting
from rigs import SIZE, dots, hand_mm, look, pictures, wrong
from rigs import rig as make_rig

SIZES = [SIZE] * 3


def met(rig: Rig, looks: Looks, groups: list[list[int]]) -> list[Meeting]:
    return [Meeting(rig, looks, members) for members in groups]


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["left", "right"]), st.integers(0, 2))
def test_two_cameras_tell_the_third_exactly_where_to_look(seed: int, side: str, blind: int) -> None:
    rig, joints = make_rig(3), hand_mm(np.random.default_rng(seed), side=side)
    views = [[look(each, joints, side=side)] for each in rig.cameras]
    views[blind] = []
    looks = Looks.of(views)
    found = {p.camera: p for p in places(met(rig, looks, [[0, 1]]), MEAN_LENGTHS_MM, SIZES)}
    assert sorted(found) == [0, 1, 2] and found[blind].own is None
    assert {place.side for place in found.values()} == {side}
    for camera, place in found.items():
        (guess,) = place.guesses_px
        np.testing.assert_allclose(guess, rig.cameras[camera].project(joints), atol=1.0)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(0.85, 1.18))
def test_one_camera_tells_along_which_line(seed: int, scale: float) -> None:
    rig, joints = make_rig(2), hand_mm(np.random.default_rng(seed))
    looks = Looks.of([[look(rig.cameras[0], joints, scale=scale)], []])
    # The camera takes the hand for larger and farther, or smaller and nearer: bones say how much.
    lengths = MEAN_LENGTHS_MM * scale
    (place,) = places(met(rig, looks, [[0]]), lengths, SIZES[:2])
    assert place.camera == 1 and len(place.guesses_px) > 1
    true = rig.cameras[1].project(joints)
    gaps = np.linalg.norm(place.guesses_px.mean(axis=1) - true.mean(axis=0), axis=-1)
    assert gaps.min() < 0.4 * extent_px(true)


def test_what_lies_outside_or_has_no_picture_is_not_asked_for() -> None:
    rig, joints = make_rig(3), hand_mm(np.random.default_rng(0))
    looks = Looks.of([[look(each, joints)] for each in rig.cameras])
    some = places(met(rig, looks, [[0, 1]]), MEAN_LENGTHS_MM, [SIZE, None, (40, 30)])
    assert [place.camera for place in some] == [0]


def test_a_look_counts_if_it_shows_that_hand() -> None:
    rig, rng = make_rig(3), np.random.default_rng(0)
    joints, other = hand_mm(rng), hand_mm(rng, (150, 0, 0), "left")
    seen = [look(each, joints) for each in rig.cameras]
    neighbour = look(rig.cameras[2], other, side="left")
    looks = Looks.of([[seen[0]], [seen[1]], [neighbour]])
    (place,) = (
        p for p in places(met(rig, looks, [[0, 1], [2]]), MEAN_LENGTHS_MM, SIZES)
        if p.camera == 2 and 0 in p.members
    )  # fmt: skip
    good = seen[2].raw
    assert shows(rig, looks, place, good)
    assert not shows(rig, looks, place, replace(good, score=0.2))
    assert not shows(rig, looks, place, replace(good, side_score=0.05))
    assert not shows(rig, looks, place, wrong(seen[2], (90.0, 0.0)).raw)
    assert not shows(rig, looks, place, replace(neighbour.raw, side="right"))
    # What one camera sees alone must meet the other's rays in a hand.
    alone = Looks.of([[seen[0]], [], []])
    (_, place) = places(met(rig, alone, [[0]]), MEAN_LENGTHS_MM, SIZES)
    assert place.camera == 2
    assert shows(rig, alone, place, good)
    assert not shows(rig, alone, place, wrong(seen[2], (0.0, 60.0)).raw)


class Shortsighted(HandTracker):
    """Finds no hand by itself, follows what it is told of."""

    def __call__(self, *frame: object) -> list[TrackedHand]:
        known = {track.track_id for track in self._tracks}
        return [hand for hand in super().__call__(*frame) if hand.track_id in known]  # type: ignore[arg-type]

    def _detected(self, *_: object) -> tuple[None, list]:  # type: ignore[override]
        return None, []


@pytest.mark.parametrize("count", [2, 3])
def test_a_camera_that_misses_a_hand_is_shown_it(dot_weights: Path, count: int) -> None:
    lens = make_rig(2).cameras[1].camera
    rig = make_rig(count, 24.0, lenses=(lens,))
    tracker = RigTracker(rig, weights_dir=dot_weights, max_hands=1, workers=1)
    tracker._cameras.trackers[-1] = Shortsighted(weights_dir=dot_weights, max_hands=1)
    joints = dots(rig)
    found = [tracker(pictures(rig, joints + np.array((4.0 * i, 0, 0)))) for i in range(4)]
    for hands in found:
        assert [hand.seen_by for hand in hands] == [tuple(range(count))]
    ids = {hand.views[-1].track_id for (hand,) in found if hand.views[-1] is not None}
    assert len(ids) == 1  # it is followed from then on
    apart = found[-1][0].raw_mm - joints - np.array((12.0, 0, 0))
    assert np.median(np.linalg.norm(apart, axis=1)) < 12


def test_a_camera_whose_recording_begins_later_joins_in(dot_weights: Path) -> None:
    rig = make_rig(3, 24.0, lenses=(make_rig(2).cameras[1].camera,))
    tracker = RigTracker(rig, weights_dir=dot_weights, max_hands=1, workers=1)
    images = pictures(rig, dots(rig))
    for _ in range(2):
        (hand,) = tracker([*images[:2], None])
        assert hand.seen_by == (0, 1)
    (hand,) = tracker(images)
    assert hand.seen_by == (0, 1, 2)


def test_cameras_share_networks_and_nothing_else(dot_weights: Path) -> None:
    rig = make_rig(2, 24.0, lenses=(make_rig(2).cameras[1].camera,))
    tracker = RigTracker(rig, weights_dir=dot_weights, max_hands=1, workers=1)
    first, second = tracker._cameras.trackers
    assert first._networks is second._networks and first.settings == second.settings
    (hand,) = first(pictures(rig, dots(rig))[0])
    assert hand.joints_px.shape == (21, 2)
    with pytest.raises(RuntimeError, match="expected a frame before"):
        second.look_at([(hand.side, hand.joints_px[None])])


def test_cameras_begin_from_where_all_see_the_hand(dot_weights: Path) -> None:
    rig = make_rig(2, 24.0, lenses=(make_rig(2).cameras[1].camera,))
    tracker = RigTracker(rig, weights_dir=dot_weights, max_hands=1, workers=1)
    joints = dots(rig)
    for _ in range(3):
        (hand,) = tracker(pictures(rig, joints))
    for each, alone in zip(rig.cameras, tracker._cameras.trackers, strict=True):
        (track,) = alone._tracks
        _, time_s, _ = alone._last_frame()
        expected = track.predict(time_s + 1 / 30)
        apart = np.linalg.norm(expected - each.project(hand.raw_mm), axis=1)
        assert apart.max() < 1.5  # but for its velocity, which is nearly none


def test_a_tracker_that_has_seen_nothing_cannot_look_again(dot_weights: Path) -> None:
    tracker = HandTracker(weights_dir=dot_weights)
    with pytest.raises(RuntimeError, match="expected a frame before"):
        tracker.look_at([("right", np.zeros((1, 21, 2)))])


def test_what_is_adopted_takes_the_place_of_what_was_wrong(dot_weights: Path) -> None:
    rig = make_rig(2, 24.0, lenses=(make_rig(2).cameras[1].camera,))
    image = pictures(rig, dots(rig))[0]
    tracker = HandTracker(weights_dir=dot_weights, max_hands=1)
    for _ in range(3):
        (first,) = tracker(image)
    pose: HandPose = first.raw
    (same,) = tracker.look_at([(pose.side, pose.joints_px[None])])
    assert np.linalg.norm(same.joints_px - pose.joints_px, axis=1).max() < 2
    assert not tracker.would_see_more(same, same.side, same.joints_px)
    assert tracker.would_see_more(same, same.side, same.joints_px + 40.0)
    adopted = tracker.adopt(same, instead_of=first.track_id)
    assert adopted.track_id != first.track_id
    assert [hand.track_id for hand in tracker(image)] == [adopted.track_id]
