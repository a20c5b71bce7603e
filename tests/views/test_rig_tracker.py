"""The rig's tracker, fed with what cameras would see of known hands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.hand import MEAN_LENGTHS_MM, SIDES, Joint, bone_lengths
from knuckle.views import RigTracker
from rigs import Views, follow, hand_mm, look, views_of, wrong
from rigs import rig as make_rig


def test_it_says_what_was_set_of_which_cameras() -> None:
    told = repr(RigTracker(make_rig(2), max_hands=1))
    assert told == "<RigTracker(max_hands=1) of cam_0, cam_1, follows hands: none>"


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_exact_looks_give_the_exact_hand(seed: int, count: int) -> None:
    rig = make_rig(count)
    rng = np.random.default_rng(seed)
    hands = {"right": hand_mm(rng, (-90, 10, 0)), "left": hand_mm(rng, (90, 0, 30), "left")}
    tracker = RigTracker(rig, bone_lengths_mm=tuple(MEAN_LENGTHS_MM), workers=1)
    # Each camera alone takes the hands for farther away than they are.
    found = tracker.put_together(views_of(rig, hands, scale=1.15), 0.0)
    assert sorted(hand.side for hand in found) == ["left", "right"]
    for hand in found:
        assert np.linalg.norm(hand.joints_mm - hands[hand.side], axis=1).max() < 0.5
        assert hand.seen_by == tuple(range(count))
        for number, view in enumerate(hand.views):
            assert view is not None and view.side == hand.side
            again = hand.seen_from(number, rig.cameras[number])
            np.testing.assert_allclose(again.joints_px, view.joints_px, atol=1.0)


def test_a_rig_hand_says_of_itself_what_a_single_view_says() -> None:
    rig, rng = make_rig(2), np.random.default_rng(0)
    for side in SIDES:
        tracker = RigTracker(rig, workers=1, max_hands=1)
        (hand,) = tracker.put_together(views_of(rig, {side: hand_mm(rng, side=side)}), 0.0)
        seen, T = hand.seen_from(1, rig.cameras[1]), rig.cameras[1].T_camera_from_world
        for name in ("bone_lengths_mm", "joint_angles"):
            np.testing.assert_allclose(getattr(hand, name), getattr(seen, name), atol=1e-6)
        np.testing.assert_allclose(hand.operator_frame_m(), seen.operator_frame_m(), atol=1e-9)
        np.testing.assert_allclose(hand.joints_root_mm, hand.joints_mm - hand.root_mm)
        turned = T.rotation @ hand.T_world_from_wrist_m[:3, :3]
        np.testing.assert_allclose(turned, seen.T_camera_from_wrist_m[:3, :3], atol=1e-9)
        skin = T(hand.mesh().vertices_mm)
        np.testing.assert_allclose(skin, seen.mesh().vertices_mm, atol=1e-6)
        read = json.loads(hand.to_json())
        assert read == hand.to_dict() and read["seen_by"] == [0, 1] and read["side"] == side
        np.testing.assert_allclose(read["joints_mm"], hand.joints_mm)
        assert repr(hand).startswith(f"RigHand(hand 0, {side}, score 0.95, seen by 0,1, wrist ")


def test_more_cameras_see_better_and_sigma_says_so() -> None:
    errors, sigmas = [], []
    for count in (2, 4):
        rig, rng = make_rig(count, 30.0), np.random.default_rng(0)
        tracker = RigTracker(rig, smooth=None, max_hands=1, workers=1)
        truth = [hand_mm(rng) for _ in range(30)]
        views = [views_of(rig, {"right": joints}, rng, noise=0.03) for joints in truth]
        found = follow(tracker, views.__getitem__, 30)
        apart = [
            np.linalg.norm(f[0].joints_mm - t, axis=1) for f, t in zip(found, truth, strict=True)
        ]
        errors.append(np.mean(apart[10:]))
        sigmas.append(np.mean([f[0].sigma_mm for f in found[10:]]))
    assert errors[1] < 0.8 * errors[0]
    for error, sigma in zip(errors, sigmas, strict=True):
        assert 0.35 < error / sigma < 1.2  # that real looks have a common shift is allowed for


def test_what_one_camera_sees_alone_does_not_begin_a_hand() -> None:
    rig = make_rig(2)
    hand = look(rig.cameras[0], hand_mm(np.random.default_rng(0)))
    tracker = RigTracker(rig, workers=1)
    assert tracker.put_together([[hand], []], 0.0) == []
    assert len(RigTracker(rig, least_views=1, workers=1).put_together([[hand], []], 0.0)) == 1


def test_hands_of_different_places_are_not_one() -> None:
    rig, rng = make_rig(2), np.random.default_rng(0)
    first = look(rig.cameras[0], hand_mm(rng, (-120, 0, 0)))
    second = look(rig.cameras[1], hand_mm(rng, (120, 60, 80)))
    assert RigTracker(rig, workers=1).put_together([[first], [second]], 0.0) == []


def test_a_camera_that_says_the_other_side_is_outvoted() -> None:
    rig = make_rig(3)
    joints = hand_mm(np.random.default_rng(0))
    views = views_of(rig, {"right": joints})
    views[1] = [look(rig.cameras[1], joints, side="left")]
    tracker = RigTracker(rig, workers=1, max_hands=1)
    found = [tracker.put_together(views, i / 30) for i in range(3)][-1]
    assert [hand.side for hand in found] == ["right"]


def test_a_camera_that_is_off_hardly_moves_the_hand() -> None:
    rig, rng = make_rig(4), np.random.default_rng(0)
    joints = hand_mm(rng)
    views = views_of(rig, {"right": joints}, rng)
    views[2] = [wrong(views[2][0], (14.0, -9.0))]
    tracker = RigTracker(rig, workers=1, bone_lengths_mm=tuple(MEAN_LENGTHS_MM))
    (hand,) = tracker.put_together(views, 0.0)
    assert np.linalg.norm(hand.joints_mm - joints, axis=1).mean() < 5


def test_smoothing_steadies_a_still_hand_and_follows_a_fast_one() -> None:
    rig, rng = make_rig(2), np.random.default_rng(0)
    joints = hand_mm(rng)
    options = {"bone_lengths_mm": tuple(MEAN_LENGTHS_MM), "workers": 1, "max_hands": 1}

    def still(i: int) -> Views:
        # From frame to frame keypoints shake by a fifth of what they may be off.
        return views_of(rig, {"right": joints}, np.random.default_rng(i), noise=0.004)

    shake = {}
    for smooth in (None, "one_euro"):
        found = follow(RigTracker(rig, smooth=smooth, **options), still, 40)
        places = np.array([hands[0].joints_mm for hands in found])
        shake[smooth] = np.linalg.norm(np.diff(places, axis=0), axis=-1).mean()
    assert shake["one_euro"] < 0.6 * shake[None]

    def fast(i: int) -> Views:
        return views_of(rig, {"right": joints + np.array((i * 1000 / 30 - 400, 0, 0))})

    (hand,) = follow(RigTracker(rig, **options), fast, 25)[-1]
    lag = 24 * 1000 / 30 - 400 - (hand.joints_mm - joints)[:, 0].mean()
    assert 0 <= lag < 50  # a metre a second: less than 50 ms
    assert hand.velocity_mm_s[0] == pytest.approx(1000, rel=0.1)
    assert hand.root_mm is not None and hand.joints_mm[Joint.WRIST].shape == (3,)


def test_what_is_no_rig_or_no_frame_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must be a knuckle\.Rig, got str"):
        RigTracker("rig.toml")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unknown option colour"):
        RigTracker(make_rig(2), colour=1)
    with pytest.raises(ValueError, match="least_views must be at least 1"):
        RigTracker(make_rig(2), least_views=0)
    tracker = RigTracker(make_rig(2), workers=1)
    with pytest.raises(ValueError, match="a frame of each of the 2 cameras cam_0, cam_1, got 1"):
        tracker([np.zeros((480, 640, 3), np.uint8)])
    with pytest.raises(ValueError, match="cam_1 was calibrated at 640 x 480"):
        tracker([None, np.zeros((240, 320, 3), np.uint8)])


def test_pictures_of_painted_hands_give_the_hand(dot_weights: Path) -> None:
    from dot_world import blank, paint, true_hand

    rig = make_rig(2, 24.0, lenses=(make_rig(2).cameras[1].camera,))
    tracker = RigTracker(rig, weights_dir=dot_weights, max_hands=1)
    base = true_hand(rig.cameras[1].camera, (0.0, 0.0, 600.0)).joints_mm
    base = base - base.mean(axis=0)
    for i in range(3):
        joints = base + np.array((4.0 * i, 0, 0))
        images = []
        for each in rig.cameras:
            hand = true_hand(each.camera, (0, 0, 600))
            seen = each.T_camera_from_world(joints)
            hand = replace(hand, joints_mm=seen, joints_px=each.camera.project(seen))
            images.append(paint(blank(640, 480), [hand]))
        found = tracker(images)
    assert len(found) == 1 and found[0].side == "right"
    assert np.median(np.linalg.norm(found[0].joints_mm - joints, axis=1)) < 12
    assert bone_lengths(found[0].joints_mm).min() > 5
