"""A hand that one camera alone goes on seeing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from knuckle.results import TrackedHand
from knuckle.views import RigHand, RigTracker
from rigs import hand_mm, look
from rigs import rig as make_rig

seeds = st.integers(0, 2**31 - 1)
FPS = 30.0
#: So many instants all cameras see, before one is left.
TOGETHER = 12
#: How far off a camera alone may be: its distance, as a share, and its tilt, degrees.
distances, tilts = st.floats(-0.25, 0.25), st.floats(-15, 15)


def misplaced(hand: TrackedHand, farther: float, tilt_deg: float) -> TrackedHand:
    """The same keypoints, of a hand that is taken for farther away, and for tilted."""
    seen = hand.raw.joints_mm
    middle = seen.mean(axis=0)
    turned = Rotation.from_euler("x", tilt_deg, degrees=True).as_matrix()
    raw = replace(hand.raw, joints_mm=(seen - middle) @ turned.T + (1 + farther) * middle)
    return replace(hand, joints_mm=raw.joints_mm, raw=raw)


def left_alone(
    truth: Callable[[float], np.ndarray],
    *,
    farther: float = 0.0,
    tilt_deg: float = 0.0,
    instants: int = 15,
    camera: int = 0,
    cameras: int = 2,
    smooth: str | None = None,
) -> list[RigHand]:
    """The hand of each instant: all cameras see it, then one alone, and then again all."""
    rig = make_rig(cameras)
    tracker = RigTracker(rig, max_hands=1, workers=1, smooth=smooth)
    found = []
    for i in range(TOGETHER + instants + 3):
        looks = [look(each, truth(i / FPS)) for each in rig.cameras]
        views = [[misplaced(each, farther, tilt_deg)] for each in looks]
        if TOGETHER <= i < TOGETHER + instants:
            views = [view if v == camera else [] for v, view in enumerate(views)]
        found += tracker.put_together(views, i / FPS)
    return found


def off_mm(found: list[RigHand], truth: Callable[[float], np.ndarray]) -> np.ndarray:
    """(N,) how far the middle of the hand is from where it is, in each instant."""
    middles = [hand.joints_mm.mean(axis=0) - truth(i / FPS).mean(0) for i, hand in enumerate(found)]
    return np.linalg.norm(middles, axis=1)


@settings(max_examples=15, deadline=None)
@given(seeds, distances, tilts, st.integers(2, 3), st.data())
def test_a_hand_stays_where_it_is_when_one_camera_is_left(
    seed: int, farther: float, tilt_deg: float, cameras: int, data: st.DataObject
) -> None:
    joints = hand_mm(np.random.default_rng(seed))
    found = left_alone(
        lambda _: joints,
        farther=farther,
        tilt_deg=tilt_deg,
        cameras=cameras,
        camera=data.draw(st.integers(0, cameras - 1)),
        smooth=data.draw(st.sampled_from([None, "one_euro"])),
    )
    assert len(found) == TOGETHER + 18 and {hand.track_id for hand in found} == {0}
    assert [len(hand.seen_by) for hand in found[TOGETHER : TOGETHER + 15]] == [1] * 15
    joints_mm = np.array([hand.joints_mm for hand in found[TOGETHER - 1 :]])
    steps = np.linalg.norm(np.diff(joints_mm, axis=0), axis=-1).max(axis=1)
    assert steps[:15].max() < 5 and steps[15:].max() < 45  # a quarter of the distance is 150


@settings(max_examples=15, deadline=None)
@given(seeds, distances, st.floats(-500, 500), st.floats(-80, 80))
def test_a_hand_that_moves_is_followed_by_one_camera(
    seed: int, farther: float, across_mm_s: float, along_mm_s: float
) -> None:
    rest, T = hand_mm(np.random.default_rng(seed)), make_rig(2).cameras[0].T_camera_from_world
    way = np.array([across_mm_s, 0.0, along_mm_s]) @ T.rotation

    def truth(time_s: float) -> np.ndarray:
        return rest + way * (time_s - TOGETHER / FPS)

    found = left_alone(truth, farther=farther)
    off = off_mm(found, truth)
    assert off[TOGETHER:].max() < off[TOGETHER - 1] + abs(along_mm_s) * 15 / FPS + 15
    assert off[-1] < 3


@settings(max_examples=8, deadline=None)
@given(seeds, distances)
def test_the_longer_it_is_alone_the_less_sure_it_is(seed: int, farther: float) -> None:
    joints = hand_mm(np.random.default_rng(seed))
    found = left_alone(lambda _: joints, farther=farther, instants=40)
    sigma = np.array([hand.sigma_mm.mean() for hand in found])
    alone = sigma[TOGETHER : TOGETHER + 40]
    assert alone[0] > sigma[TOGETHER - 1]
    assert (np.diff(alone) > -0.05).all() and alone[-1] > 1.2 * alone[0]
    np.testing.assert_allclose(sigma[-1], sigma[TOGETHER - 1], rtol=0.2)


@settings(max_examples=8, deadline=None)
@given(seeds, st.floats(-150, 150))
def test_at_last_the_one_camera_is_believed(seed: int, deeper_mm: float) -> None:
    """Where a hand was a minute ago says nothing of where it is."""
    rig, joints = make_rig(2), hand_mm(np.random.default_rng(seed))
    tracker = RigTracker(rig, max_hands=1, workers=1, smooth=None)
    for i in range(TOGETHER):
        tracker.put_together([[look(each, joints)] for each in rig.cameras], i / FPS)
    first = rig.cameras[0]
    carried = joints + deeper_mm * first.T_camera_from_world.rotation[2]
    for i in range(70):
        (hand,) = tracker.put_together([[look(first, carried)], []], (i + 1) * 0.9)
    assert np.linalg.norm((hand.joints_mm - carried).mean(axis=0)) < 0.1 * abs(deeper_mm) + 5
