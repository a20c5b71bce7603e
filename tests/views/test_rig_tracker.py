"""The rig's tracker, fed with what cameras would see of known hands."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.hand import MEAN_LENGTHS_MM, SIDES, Joint, bone_lengths
from knuckle.results import Frame, HandPose, Instant, TrackedHand
from knuckle.views import Rig, RigHand, RigTracker
from knuckle.views.again import Place
from knuckle.views.bones import RigBones
from knuckle.views.triangulation import Points
from rigs import hand_mm, look, wrong
from rigs import rig as make_rig

Views = list[list[TrackedHand]]


def views_of(
    rig: Rig,
    hands: dict[str, np.ndarray],
    rng: np.random.Generator | None = None,
    **options: float,
) -> Views:
    """Every camera sees every hand; in odd cameras they come in the other order."""
    views = []
    for number, each in enumerate(rig.cameras):
        seen = [
            look(each, joints, side=side, track_id=10 * number + i, rng=rng, **options)
            for i, (side, joints) in enumerate(hands.items())
        ]
        views.append(seen[::-1] if number % 2 else seen)
    return views


def met(joints_mm: np.ndarray, sigma_mm: float | np.ndarray) -> Points:
    """Joints as if all rays had met there, each as sure as that along every axis."""
    information = np.eye(3) / np.broadcast_to(sigma_mm, 21)[:, None, None] ** 2
    return Points(joints_mm, information, np.ones((3, 21), bool), np.ones(21))


def test_it_says_what_was_set_of_which_cameras() -> None:
    told = repr(RigTracker(make_rig(2), max_hands=1))
    assert told == "<RigTracker(max_hands=1) of cam_0, cam_1, follows hands: none>"


def follow(
    tracker: RigTracker,
    frames: Callable[[int], Views],
    count: int,
    fps: float = 30.0,
) -> list[list[RigHand]]:
    return [tracker.put_together(frames(i), i / fps) for i in range(count)]


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


def test_bones_are_learnt_locked_and_the_same_for_both_hands() -> None:
    rig, rng = make_rig(3), np.random.default_rng(0)
    tracker = RigTracker(rig, lock_looks=20, workers=1)
    larger = 1.12

    def frames(i: int) -> Views:
        hands = {"right": hand_mm(rng, (-90, 0, 0)), "left": hand_mm(rng, (90, 0, 0), "left")}
        big = {side: larger * joints for side, joints in hands.items()}
        return views_of(rig, big, rng, noise=0.01, scale=1 / larger)

    found = follow(tracker, frames, 25)
    np.testing.assert_allclose(tracker.bone_lengths_mm, larger * MEAN_LENGTHS_MM, rtol=0.06)
    ratio = tracker.bone_lengths_mm.sum() / (larger * MEAN_LENGTHS_MM.sum())
    assert ratio == pytest.approx(1.0, abs=0.015)
    for hands in found[-5:]:
        for hand in hands:
            np.testing.assert_allclose(hand.bone_lengths_mm, tracker.bone_lengths_mm, atol=1e-6)


def test_shaking_rays_do_not_lengthen_bones() -> None:
    rng = np.random.default_rng(0)
    bones = RigBones(looks=400)
    for i in range(300):
        bones.see(met(hand_mm(rng) + rng.normal(0, 3.0, (21, 3)), 3.0), i / 30)
    np.testing.assert_allclose(bones.lengths_mm, MEAN_LENGTHS_MM, rtol=0.08)


@settings(max_examples=20)
@given(st.floats(0.75, 1.3), st.integers(0, 2**32 - 1))
def test_a_few_good_looks_tell_the_size(size: float, seed: int) -> None:
    rng, bones = np.random.default_rng(seed), RigBones()
    for i in range(12):
        bones.see(met(size * hand_mm(rng) + rng.normal(0, 1.0, (21, 3)), 1.0), i / 2)
    assert bones.size == pytest.approx(size, rel=0.03)


def test_what_is_seen_badly_stays_as_the_rest_of_the_hand_has_it() -> None:
    rng, bones = np.random.default_rng(0), RigBones()
    sigma = np.where(np.arange(21) >= Joint.LITTLE_MCP, 200.0, 1.0)
    for i in range(20):
        joints = 1.2 * hand_mm(rng) + rng.normal(0, 1.0, (21, 3)) * sigma[:, None] / 4
        bones.see(met(joints, sigma), i / 2)
    np.testing.assert_allclose(bones.lengths_mm, 1.2 * MEAN_LENGTHS_MM, rtol=0.04)


def test_looks_at_one_pose_are_no_proof() -> None:
    rng = np.random.default_rng(0)
    sizes = []
    for count, seconds in ((1, 0.0), (8, 0.2), (8, 8.0)):
        bones = RigBones()
        for i in range(count):
            bones.see(met(1.3 * hand_mm(rng), 10.0), i * seconds / count)
        sizes.append(np.median(bones.lengths_mm / MEAN_LENGTHS_MM))
    assert sizes[0] < sizes[1] < sizes[2] < 1.3
    assert sizes[1] - sizes[0] < (sizes[2] - sizes[0]) / 2


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
