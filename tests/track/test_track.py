"""One hand from frame to frame: prediction, belief and side."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from dot_world import true_hand
from knuckle.camera import Camera
from knuckle.hand import extent_px
from knuckle.results import HandPose, TrackedHand
from knuckle.track.track import Track

CAMERA = Camera(600, 600, 320, 240)
HAND = true_hand(CAMERA, (0, 60, 500))
DT = 1 / 30


def follow(
    poses: Sequence[HandPose], least_votes: float = 0.0
) -> tuple[Track, list[TrackedHand | None]]:
    track = Track(poses[0], 0.0, ids=itertools.count(), smoother=None, least_votes=least_votes)
    return track, [track.see(pose, i * DT) for i, pose in enumerate(poses)]


def shifted(pose: HandPose, x: float, scale: float = 1.0, **changes: float) -> HandPose:
    middle = pose.joints_px.mean(axis=0)
    joints = (pose.joints_px - middle) * scale + middle + np.array([x, 0.0])
    return replace(pose, joints_px=joints, **changes)


def test_it_is_where_its_velocity_carries_it() -> None:
    track, _ = follow([shifted(HAND, 9.0 * i) for i in range(5)])
    for ahead in (1, 2):
        predicted = track.predict((4 + ahead) * DT)
        expected = shifted(HAND, 9.0 * (4 + ahead)).joints_px
        np.testing.assert_allclose(predicted, expected, atol=1e-6)


def test_it_is_not_carried_away() -> None:
    track, _ = follow([HAND, shifted(HAND, 200)])
    far = np.linalg.norm(track.predict(2.0).mean(axis=0) - HAND.joints_px.mean(axis=0) - (200, 0))
    assert far <= extent_px(HAND.joints_px) + 1e-6


@pytest.mark.parametrize(("score", "least"), [(0.3, 0.99), (0.5, 0.5), (1.0, 0.2)])
def test_keypoints_that_fall_together_do_not_pull_the_crop_along(
    score: float, least: float
) -> None:
    collapsing = [shifted(HAND, 0, 0.7**i, score=score) for i in range(1, 6)]
    track, _ = follow([HAND, *collapsing])
    predicted = track.predict(6 * DT)
    share = extent_px(predicted) / extent_px(HAND.joints_px)
    assert least < share < 1 + 1e-9
    np.testing.assert_allclose(
        (predicted.min(axis=0) + predicted.max(axis=0)) / 2,
        (collapsing[-1].joints_px.min(axis=0) + collapsing[-1].joints_px.max(axis=0)) / 2,
    )


def test_a_hand_that_comes_nearer_grows_at_once() -> None:
    track, _ = follow([HAND, shifted(HAND, 0, 1.4)])
    predicted = extent_px(track.predict(2 * DT))
    assert predicted == pytest.approx(1.4 * extent_px(HAND.joints_px))


def test_a_certain_hand_is_shown_at_once_and_a_doubtful_one_later() -> None:
    _, shown = follow([HAND])
    assert shown[0] is not None and shown[0].track_id == 0 and shown[0].raw is HAND
    _, shown = follow([replace(HAND, score=0.58)] * 5)
    assert [hand is not None for hand in shown] == [False, False, True, True, True]


def test_what_is_no_hand_is_dismissed_unshown() -> None:
    track, shown = follow([replace(HAND, score=score) for score in (0.55, 0.45, 0.4, 0.4)])
    assert track.rejected and not any(shown)


def test_a_hand_with_a_past_survives_bad_looks() -> None:
    track, shown = follow([HAND] * 10 + [replace(HAND, score=0.3)] * 12)
    assert not track.rejected and all(shown)
    track, _ = follow([HAND] * 10 + [replace(HAND, score=0.3)] * 30)
    assert track.rejected


def test_a_side_is_dismissed_only_by_many_looks() -> None:
    wrong = replace(HAND, side_score=0.02)
    track, _ = follow([HAND] * 10 + [wrong] * 5)
    assert not track.rejected and track.side == "right"
    track, _ = follow([HAND] * 10 + [wrong] * 20)
    assert track.rejected


def test_nobody_is_told_of_a_hand_before_its_side_is_likelier_than_the_other() -> None:
    unlike, like = replace(HAND, side_score=0.3), replace(HAND, side_score=0.9)
    _, shown = follow([unlike] * 3 + [like] * 3)
    assert [hand is not None for hand in shown] == [False] * 4 + [True] * 2
    assert all(hand.side_score > 0.5 for hand in shown if hand is not None)
    _, shown = follow([HAND] * 6, least_votes=16.0)  # four looks that are as sure as can be
    assert [hand is not None for hand in shown] == [False] * 3 + [True] * 3


def test_who_is_hidden_may_go_on_or_stop_or_be_where_its_hider_is() -> None:
    hider, _ = follow([shifted(HAND, 40)] * 3)
    track, _ = follow([shifted(HAND, 9.0 * i) for i in range(5)])
    track.lose()
    assert not track.hidden and len(track.whereabouts(5 * DT).places_px) == 1
    track.lose(hidden_by=hider)
    where = track.whereabouts(6 * DT)
    assert where.hidden and where.side == "right"
    assert where.unseen_s == pytest.approx(2 * DT)
    ahead = where.places_px.mean(axis=1)[:, 0] - HAND.joints_px.mean(axis=0)[0]
    np.testing.assert_allclose(ahead, [54, 36, 40], atol=1e-6)
    hider.lose()
    assert not track.whereabouts(6 * DT).hidden


def test_lost_and_found() -> None:
    track, _ = follow([HAND] * 3)
    track.lose()
    assert track.lost and track.score == 0 and track.unseen_s(0.5) == pytest.approx(0.5 - 2 * DT)
    found = track.see(HAND, 0.5)
    assert found is not None and found.track_id == 0 and not track.lost
    assert found.age_s == pytest.approx(0.5)


def test_all_looks_together_say_how_sure_the_side_is() -> None:
    doubtful = replace(HAND, side_score=0.8)
    _, shown = follow([doubtful] * 4)
    scores = [hand.side_score for hand in shown if hand is not None]
    assert scores[0] == pytest.approx(0.8) and scores[-1] > 0.99
    assert (np.diff(scores) > 0).all()
    assert shown[-1] is not None and shown[-1].raw.side_score == 0.8
