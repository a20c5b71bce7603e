"""Two-sided smoothing: what it must leave alone, what it must steady, what it may not know."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dot_world import of_mean_proportions, true_hand, turn
from knuckle.camera import Camera
from knuckle.hand import bone_lengths
from knuckle.results import HandPose
from knuckle.track import offline, two_sided
from knuckle.track.offline import OfflineTrack
from knuckle.track.one_euro import OneEuroSettings
from knuckle.track.smoothing import OneEuroSmoother, SmoothingSettings
from knuckle.track.two_sided import OfflineSettings, Stiffness

CAMERA = Camera(600, 600, 320, 240)
NONE = Stiffness(np.inf, 0.0, 1.0)
UNSMOOTHED = OfflineSettings(NONE, NONE)
seeds = st.integers(0, 2**32 - 1)


def waving(frames: int, fps: float = 30.0) -> list[HandPose]:
    """A hand that moves, turns and bends, seen without error."""
    time_s = np.arange(frames) / fps
    return [
        true_hand(
            CAMERA,
            (60 * np.sin(3 * t), 40, 480 + 60 * np.sin(2 * t)),
            rotation=turn(30 * np.sin(2.5 * t), 15, 20 * np.sin(t)),
            flexion_deg=15 + 12 * np.sin(5 * t),
        )
        for t in time_s
    ]


def trembling(poses: Sequence[HandPose], seed: int, size_mm: float = 3.0) -> list[HandPose]:
    rng = np.random.default_rng(seed)
    shaken = []
    for pose in poses:
        joints_mm = pose.joints_mm * np.exp(rng.normal(0, 0.01))
        joints_mm += rng.normal(0, 1, (21, 3)) * (0.2 * size_mm, 0.2 * size_mm, size_mm)
        sigma_mm = np.full(21, size_mm)
        shaken.append(replace(pose, joints_mm=joints_mm, joint_sigma_mm=sigma_mm))
    return shaken


def times(poses: Sequence[HandPose | None], fps: float = 30.0) -> np.ndarray:
    return np.arange(len(poses)) / fps


def smooth(poses: Sequence[HandPose | None], how: OfflineSettings | None = None) -> np.ndarray:
    return OfflineTrack(0, poses, times(poses), how).joints_mm


def joints(poses: Sequence[HandPose]) -> np.ndarray:
    return np.stack([pose.joints_mm for pose in poses])


def tremor(positions: np.ndarray) -> float:
    return float(np.sqrt((np.diff(positions, 2, axis=0) ** 2).sum(axis=-1).mean()))


def test_a_constant_hand_stays_as_it_is() -> None:
    poses = waving(1) * 40
    np.testing.assert_allclose(smooth(poses), joints(poses), atol=1e-6)


def test_streaming_is_offline_with_nothing_smoothed() -> None:
    poses = [of_mean_proportions(pose) for pose in waving(12)]
    wide_open = OneEuroSettings(min_cutoff_hz=1e9)
    smoother = OneEuroSmoother(SmoothingSettings(wide_open, wide_open, wide_open))
    lengths_mm = poses[0].bone_lengths_mm
    streamed = np.stack([smoother(pose, lengths_mm, 1 / 30)[1] for pose in poses])
    np.testing.assert_allclose(smooth(poses, UNSMOOTHED), streamed, atol=1e-3)
    np.testing.assert_allclose(streamed, joints(poses), atol=1e-3)


def test_without_smoothing_every_frame_stands_alone() -> None:
    poses = trembling(waving(9), 3)
    whole = OfflineTrack(0, poses, times(poses), UNSMOOTHED)
    bones = whole.lengths_mm
    for i in (0, 4, 8):
        alone = offline.Evidence.of([poses[i]], np.zeros(1), bones)
        np.testing.assert_allclose(
            offline.solve(alone, UNSMOOTHED)[0], whole.joints_mm[i], atol=0.2
        )


@settings(max_examples=4, deadline=None)
@given(seeds)
def test_time_has_no_direction(seed: int) -> None:
    poses = trembling(waving(40), seed)
    forwards, backwards = smooth(poses), smooth(poses[::-1])[::-1]
    np.testing.assert_allclose(forwards, backwards, atol=0.02)


@settings(max_examples=4, deadline=None)
@given(seeds)
def test_bones_keep_their_lengths_from_the_first_frame_to_the_last(seed: int) -> None:
    track = OfflineTrack(0, poses := trembling(waving(30), seed), times(poses))
    lengths = bone_lengths(track.joints_mm)
    np.testing.assert_allclose(lengths, np.tile(track.lengths_mm, (30, 1)), rtol=1e-9)


def test_a_trembling_hand_is_still_and_nearer_to_the_truth() -> None:
    truth = waving(1) * 60
    shaken = trembling(truth, 1)
    steady = smooth(shaken)
    assert tremor(steady) < 0.05 * tremor(joints(shaken))
    error, raw_error = (
        np.linalg.norm(x - joints(truth), axis=-1).mean() for x in (steady, joints(shaken))
    )
    assert error < 0.5 * raw_error


def test_a_moving_hand_is_followed() -> None:
    truth = waving(90)
    shaken = trembling(truth, 2)
    error, raw_error = (
        np.linalg.norm(x - joints(truth), axis=-1)[3:-3].mean()
        for x in (smooth(shaken), joints(shaken))
    )
    assert error < 0.8 * raw_error


def test_a_chunk_more_or_less_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    poses = trembling(waving(90), 5)
    whole = smooth(poses)
    monkeypatch.setattr(offline, "_CHUNK", 30)
    monkeypatch.setattr(offline, "_OVERLAP", 30)
    np.testing.assert_allclose(smooth(poses), whole, atol=0.3)


def test_one_wild_look_is_overruled() -> None:
    truth = waving(40)
    poses = list(truth)
    wild = poses[20].joints_mm + np.random.default_rng(0).normal(0, 30, (21, 3))
    poses[20] = replace(poses[20], joints_mm=wild, score=0.4)
    error = np.linalg.norm(smooth(poses) - joints(truth), axis=-1)
    assert error[20].mean() < 8


class TestGaps:
    def test_a_short_one_is_filled_and_marked(self) -> None:
        truth = waving(40)
        poses: list[HandPose | None] = list(truth)
        poses[18:22] = [None] * 4
        track = OfflineTrack(7, poses, times(poses))
        for i, true in enumerate(truth):
            hand = track[i]
            assert hand is not None
            assert hand.track_id == 7
            assert np.linalg.norm(hand.joints_mm - true.joints_mm, axis=1).mean() < 6
            filled = poses[i] is None
            assert (hand.score == 0) == filled
            assert hand.visible.any() != filled
            assert filled or hand.raw is poses[i]

    def test_a_long_one_stays_open_and_the_bones_are_the_same_after_it(self) -> None:
        poses: list[HandPose | None] = list(trembling(waving(60), 4))
        poses[20:40] = [None] * 20
        track = OfflineTrack(0, poses, times(poses))
        assert [track[i] is None for i in range(60)] == [20 <= i < 40 for i in range(60)]
        lengths = bone_lengths(track.joints_mm[[0, 59]])
        np.testing.assert_allclose(lengths[0], lengths[1], rtol=1e-9)

    def test_few_frames_a_second_are_no_gaps(self) -> None:
        poses = trembling(waving(1) * 20, 6)
        slow = OfflineTrack(0, poses, times(poses, fps=2.0))
        assert tremor(slow.joints_mm) < 0.5 * tremor(joints(poses))


def test_a_hand_says_what_a_tracked_hand_says() -> None:
    poses = waving(30)
    track = OfflineTrack(3, poses, times(poses))
    hand = track[10]
    assert hand is not None
    assert hand.age_s == pytest.approx(10 / 30)
    np.testing.assert_allclose(hand.joints_px, CAMERA.project(hand.joints_mm))
    way = track.joints_mm[11, 0] - track.joints_mm[9, 0]
    np.testing.assert_allclose(hand.velocity_mm_s, way * 15, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_tracks(frames: int) -> None:
    poses = waving(frames)
    np.testing.assert_allclose(smooth(poses), joints(poses), atol=3)


def test_frames_at_uneven_times() -> None:
    truth = waving(60)
    kept = [i for i in range(60) if i % 5 != 2]
    poses = trembling([truth[i] for i in kept], 8)
    track = OfflineTrack(0, poses, np.array(kept) / 30)
    error = np.linalg.norm(track.joints_mm - joints(truth)[kept], axis=-1)
    assert error.mean() < np.linalg.norm(joints(poses) - joints(truth)[kept], axis=-1).mean()


@pytest.mark.parametrize(
    ("looks", "time_s", "sentence"),
    [
        ([None, None], [0.0, 1.0], "at least one look"),
        (waving(2), [0.0, 0.0], "expected 2 increasing times"),
        (waving(2), [0.0], "expected 2 increasing times, one for each look, got 1"),
    ],
)
def test_what_it_cannot_smooth(
    looks: list[HandPose | None], time_s: list[float], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        OfflineTrack(0, looks, np.array(time_s))


@given(seeds, st.integers(1, 7))
def test_the_banded_solver_solves(seed: int, frames: int) -> None:
    rng, n = np.random.default_rng(seed), 3
    size = frames * n
    matrix = np.zeros((size, size))
    blocks = [rng.normal(0, 0.3, (max(frames - gap, 0), n, n)) for gap in range(3)]
    blocks[0] = blocks[0] @ np.swapaxes(blocks[0], 1, 2) + 4 * np.eye(n)
    for gap, t in itertools.product(range(3), range(frames)):
        if t + gap < frames:
            matrix[t * n : t * n + n, (t + gap) * n : (t + gap) * n + n] = blocks[gap][t]
    matrix = np.triu(matrix) + np.triu(matrix, 1).T
    for t in range(frames):  # the diagonal blocks are symmetric themselves
        matrix[t * n : t * n + n, t * n : t * n + n] = blocks[0][t]
    right = rng.normal(0, 1, (frames, n))
    solution = two_sided._solve(*blocks, right)
    np.testing.assert_allclose((matrix @ solution.ravel()), right.ravel(), atol=1e-9)
