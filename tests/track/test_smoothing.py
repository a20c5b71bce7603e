"""Causal smoothing: still hands are still, moving ones are followed, none is stretched."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dot_world import of_mean_proportions, true_hand, turn
from knuckle.camera import Camera
from knuckle.hand import KNUCKLES, bone_lengths
from knuckle.pose.confidence import score_of
from knuckle.results import HandPose
from knuckle.track import smoothing
from knuckle.track.one_euro import OneEuroSettings
from knuckle.track.skeleton import BoneLengths
from knuckle.track.smoothing import OneEuroSmoother, SmoothingSettings

CAMERA = Camera(600, 600, 320, 240)
DT = 1 / 30
LOCK_LOOKS = 15
#: The networks claim several times what changes from frame to frame: most of their error stays.
CLAIMED_MM, CLAIMED_SHARE, TREMBLE = 9.0, 0.025, 0.07

Steady = tuple[np.ndarray, np.ndarray]


def hand(x: float = 0.0, depth: float = 480.0, roll: float = 0.0, flexion: float = 12) -> HandPose:
    pose = true_hand(
        CAMERA, (x, 50, depth), rotation=turn(roll, 15, 20), flexion_deg=float(flexion)
    )
    return replace(
        of_mean_proportions(pose),
        joint_score=score_of(np.full(21, CLAIMED_SHARE)),
        joint_sigma_mm=np.full(21, CLAIMED_MM),
    )


def trembling(poses: Sequence[HandPose], seed: int = 0) -> list[HandPose]:
    rng, shaken = np.random.default_rng(seed), []
    for pose in poses:
        side_px = np.ptp(pose.joints_px, axis=0).max()
        along = pose.joints_mm * rng.normal(0, 0.005)
        off_mm = rng.normal(0, TREMBLE * CLAIMED_MM, (21, 3)) * (0.4, 0.4, 1)
        off_px = rng.normal(0, TREMBLE * CLAIMED_SHARE * side_px, (21, 2))
        joints_mm, joints_px = pose.joints_mm + along + off_mm, pose.joints_px + off_px
        shaken.append(replace(pose, joints_mm=joints_mm, joints_px=joints_px))
    return shaken


def smoothed(poses: Sequence[HandPose], how: SmoothingSettings | None = None) -> Steady:
    smoother, bones, steady = OneEuroSmoother(how), BoneLengths(LOCK_LOOKS), list[Steady]()
    for pose in poses:
        bones.learn(pose.bone_lengths_mm)
        steady.append(smoother(pose, bones.mm, DT))
    points_px, joints_mm = zip(*steady, strict=True)
    return np.stack(points_px), np.stack(joints_mm)


def tremor(positions: np.ndarray) -> float:
    return float(np.sqrt((np.diff(positions, 2, axis=0) ** 2).sum(axis=-1).mean()))


def raw_joints(poses: Sequence[HandPose]) -> np.ndarray:
    return np.stack([pose.joints_mm for pose in poses])


def test_a_still_hand_hardly_trembles() -> None:
    poses = trembling([hand()] * 75)
    _, joints = smoothed(poses)
    raw = raw_joints(poses)[20:]
    assert tremor(joints[20:] - joints[20:, :1]) < 0.15 * tremor(raw - raw[:, :1])
    assert tremor(joints[20:, :1]) < 0.25 * tremor(raw[:, :1])


@pytest.mark.parametrize(
    "after",
    [{"x": 60.0}, {"depth": 410.0}, {"depth": 450.0}, {"roll": 30.0}, {"flexion": 45.0}],
    ids=lambda change: "{}-{}".format(*next(iter(change.items()))),
)
def test_a_step_is_followed_within_a_frame(after: dict[str, float]) -> None:
    before, then = hand(), hand(**after)
    _, joints = smoothed([before] * 20 + [then] * 15)
    way = then.joints_mm - before.joints_mm
    share = ((joints - before.joints_mm) * way).sum(axis=(1, 2)) / (way**2).sum()
    assert np.abs(share[:20]).max() < 0.02
    lag = (1 - share[20:]).sum()  # the area between, in frames
    assert lag < 1
    assert share[-1] == pytest.approx(1, abs=0.05)


def test_a_moving_hand_is_followed_and_trembles_less() -> None:
    time_s = np.arange(90) * DT
    truth = [
        hand(60 * np.sin(3 * t), 480 + 20 * np.sin(t), 20 * np.sin(2 * t), 15 + 9 * np.sin(4 * t))
        for t in time_s
    ]
    poses = trembling(truth, 1)
    raw, smooth = (x - raw_joints(truth) for x in (raw_joints(poses), smoothed(poses)[1]))
    assert tremor(smooth[20:]) < 0.5 * tremor(raw[20:])
    relative = smooth - smooth[:, :1]
    assert np.linalg.norm(relative, axis=-1)[20:].mean() < 3
    assert np.linalg.norm(smooth[20:, 0, :2], axis=-1).mean() < 3  # it moves by up to 180 mm/s


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_bones_are_exactly_constant_once_locked(seed: int) -> None:
    rng = np.random.default_rng(seed)
    poses = trembling([hand(roll=r) for r in np.cumsum(rng.normal(0, 8, 40))], seed)
    lengths = bone_lengths(smoothed(poses)[1])[15:]
    assert np.ptp(lengths, axis=0).max() < 1e-9


@given(st.floats(-150, 150), st.floats(300, 900), st.floats(-90, 90), st.floats(0, 50))
def test_a_constant_hand_stays_as_it_is(x: float, depth: float, roll: float, bend: float) -> None:
    pose = hand(x, depth, roll, bend)
    points_px, joints_mm = smoothed([pose] * 4)
    np.testing.assert_allclose(points_px[-1], pose.joints_px, atol=1e-6)
    np.testing.assert_allclose(joints_mm[-1], pose.joints_mm, atol=1e-6)


def test_a_bad_look_hardly_moves_a_hand() -> None:
    good = hand()
    wild = good.joints_mm + np.random.default_rng(0).normal(0, 30, (21, 3))
    bad = replace(good, joints_mm=wild, joints_px=good.joints_px + 40, score=0.2)
    points_px, joints_mm = smoothed([good] * 20 + [bad])
    assert np.abs(points_px[-1] - good.joints_px).max() < 4
    assert np.linalg.norm(joints_mm[-1] - good.joints_mm, axis=1).max() < 25


def test_nothing_is_smoothed_by_open_filters() -> None:
    open_ = OneEuroSettings(min_cutoff_hz=1e9)
    poses = [hand(10.0 * i, roll=4.0 * i) for i in range(6)]
    points_px, joints_mm = smoothed(poses, SmoothingSettings(open_, open_, open_))
    np.testing.assert_allclose(joints_mm, raw_joints(poses), atol=1e-3)
    np.testing.assert_allclose(points_px, np.stack([p.joints_px for p in poses]), atol=1e-3)


def test_no_joint_comes_behind_the_camera() -> None:
    near = hand(depth=60.0)
    beyond = replace(near, joints_mm=near.joints_mm - (0, 0, near.joints_mm[:, 2].min() - 1))
    assert (smoothed([beyond] * 3)[1][..., 2] > 0).all()


MIDDLE = slice(10, 13)


def guessed(pose: HandPose, joints: slice, score: float, like: HandPose | None = None) -> HandPose:
    """Some joints have this score, and are where another hand has them."""
    joints_px, joints_mm = pose.joints_px.copy(), pose.joints_mm.copy()
    joint_score = pose.joint_score.copy()
    joint_score[joints] = score
    if like is not None:
        joints_px[joints], joints_mm[joints] = like.joints_px[joints], like.joints_mm[joints]
    return replace(pose, joints_px=joints_px, joints_mm=joints_mm, joint_score=joint_score)


@pytest.mark.parametrize(("score", "least", "most"), [(0.05, 0.0, 0.2), (0.9, 0.9, 1.05)])
def test_a_finger_jumps_only_where_it_is_seen(score: float, least: float, most: float) -> None:
    straight, curled = hand(), hand(flexion=60)
    jump = guessed(straight, MIDDLE, score, like=curled)
    points_px, joints_mm = smoothed([straight] * 20 + [jump] * 3)
    for out, before, then in (
        (points_px[-1], straight.joints_px, jump.joints_px),
        (joints_mm[-1], straight.joints_mm, jump.joints_mm),
    ):
        way = (then - before)[MIDDLE]
        assert least < ((out - before)[MIDDLE] * way).sum() / (way**2).sum() < most


def test_a_guessed_finger_goes_along_with_its_hand() -> None:
    """Its own look says that it stays where it was."""
    start, truth = hand(), [hand(4.0 * i, roll=2.0 * i) for i in range(11)]
    looks = [guessed(pose, MIDDLE, 0.02, like=start) for pose in truth]
    points_px, _ = smoothed([start] * 20 + looks)
    went = np.linalg.norm((truth[-1].joints_px - start.joints_px)[MIDDLE], axis=1)
    off = np.linalg.norm((points_px[-1] - truth[-1].joints_px)[MIDDLE], axis=1)
    assert (off < 0.5 * went).all()


def test_a_hand_that_is_seen_badly_everywhere_does_not_lag() -> None:
    before, then = (guessed(hand(x), slice(0, 21), 0.1) for x in (0.0, 60.0))
    _, joints_mm = smoothed([before] * 20 + [then] * 3)
    moved = joints_mm[-1] - before.joints_mm
    np.testing.assert_allclose(moved[:, 0], 60, atol=6)


def test_a_finger_that_is_never_sure_comes_in_the_end() -> None:
    straight, curled = hand(), hand(flexion=60)
    look = guessed(straight, MIDDLE, 1e-4, like=curled)
    points_px, _ = smoothed([straight] * 20 + [look] * 300)
    way, off = (
        np.linalg.norm((points - look.joints_px)[MIDDLE], axis=1)
        for points in (straight.joints_px, points_px[-1])
    )
    assert (off < way / 3).all()


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_what_has_no_say_turns_with_the_palm_and_keeps_its_length(seed: int, spread: float) -> None:
    """However the palm's bones point, all in one line too, and however far they have turned."""
    rng = np.random.default_rng(seed)
    palm = rng.normal(0, spread, (4, 3)) + np.array([0, 1, 0])
    palm /= np.linalg.norm(palm, axis=1, keepdims=True)
    angle, others = rng.uniform(0, 0.15), rng.normal(0, 1, (20, 3))
    turn = _turned(rng.normal(0, 1, 3), angle)
    change = smoothing._turn(palm, palm @ turn)
    moved = others + others @ change
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), np.linalg.norm(others, axis=1))
    left = np.linalg.norm(palm + palm @ change - palm @ turn, axis=1)
    assert left.max() < 0.1 * angle + 0.01
    far = others[:4] / np.linalg.norm(others[:4], axis=1, keepdims=True)
    wild = others + others @ smoothing._turn(palm, far)
    np.testing.assert_allclose(np.linalg.norm(wild, axis=1), np.linalg.norm(others, axis=1))


def test_fingers_that_are_hidden_for_long_stay_where_a_hand_has_them() -> None:
    rng, smoother = np.random.default_rng(0), OneEuroSmoother()
    score = np.where(np.isin(np.arange(21), [0, *KNUCKLES]), 1.0, 0.0)
    for _ in range(600):
        pose = hand(roll=float(rng.uniform(-180, 180)))
        pose = replace(pose, joint_score=score, joint_sigma_mm=np.where(score > 0, 2.0, 60.0))
        joints_px, joints_mm = smoother(pose, bone_lengths(pose.joints_mm), DT)
    assert np.linalg.norm(joints_px - joints_px[0], axis=1).max() < 400
    np.testing.assert_allclose(bone_lengths(joints_mm), bone_lengths(pose.joints_mm))


def _turned(axis: np.ndarray, angle: float) -> np.ndarray:
    return cv2.Rodrigues(axis / np.linalg.norm(axis) * angle)[0]
