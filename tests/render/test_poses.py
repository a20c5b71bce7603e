"""Sampled poses: within anatomy, without fingers inside fingers, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.hand import FINGERS
from knuckle.render.hand_model import FINGER_ROWS, FLEXION, SPREAD, HandModel
from knuckle.render.poses import (
    DEFAULT_MIX,
    DIP,
    FAMILIES,
    INDEX,
    MAX_PENETRATION_MM,
    MCP,
    PIP,
    RANGES_DEG,
    constrain,
    finger_penetration_mm,
    pinching,
    sample_motion,
    sample_poses,
    tip_gap_mm,
)

MODEL = HandModel.load()


def joints_of(pose_deg: np.ndarray) -> np.ndarray:
    return MODEL.joints_from_pose(pose_deg, np.tile(MODEL.joints_mm, (len(pose_deg), 1, 1)))


@pytest.mark.parametrize("family", [*FAMILIES, "blend"])
class TestEveryFamily:
    def draw(self, family: str, n: int = 200) -> np.ndarray:
        return sample_poses(np.random.default_rng(7), n, {family: 1.0})

    def test_is_within_range(self, family):
        pose = self.draw(family)
        assert pose.shape == (200, 17, 3) and pose.dtype == np.float32
        assert (pose >= RANGES_DEG[..., 0] - 1e-3).all()
        assert (pose <= RANGES_DEG[..., 1] + 1e-3).all()

    def test_keeps_fingers_out_of_each_other(self, family):
        deep = finger_penetration_mm(joints_of(self.draw(family))) > MAX_PENETRATION_MM + 0.01
        assert deep.mean() <= 0.02

    def test_is_the_same_for_the_same_seed(self, family):
        np.testing.assert_array_equal(self.draw(family, 20), self.draw(family, 20))

    def test_varies(self, family):
        tips = joints_of(self.draw(family))[:, FINGERS[:, 3]]
        assert (tips.std(axis=0).max(axis=1) > 2).all()

    def test_may_be_empty(self, family):
        assert sample_poses(np.random.default_rng(0), 0, {family: 1.0}).shape == (0, 17, 3)


def test_the_default_mix_names_every_family():
    assert set(DEFAULT_MIX) == set(FAMILIES) | {"blend"}


def test_an_unknown_family_is_refused():
    with pytest.raises(ValueError, match="jazz"):
        sample_poses(np.random.default_rng(0), 3, {"jazz": 1.0})
    with pytest.raises(ValueError, match="positive"):
        sample_poses(np.random.default_rng(0), 3, {"fist": 0.0})


def test_pinching_tips_meet():
    pose = sample_poses(np.random.default_rng(1), 300, {"pinching": 1.0})
    gaps = np.stack([tip_gap_mm(pose, np.full(300, f)) for f in range(INDEX, 5)])
    assert (np.abs(gaps).min(axis=0) < 3).mean() > 0.97


def test_every_finger_is_pinched():
    pose = pinching(np.random.default_rng(2), 400)
    gaps = np.stack([tip_gap_mm(pose, np.full(400, f)) for f in range(INDEX, 5)])
    share = np.bincount(np.abs(gaps).argmin(axis=0), minlength=4) / 400
    assert (share > 0.05).all()


def test_counting_shows_all_sets_of_fingers():
    pose = sample_poses(np.random.default_rng(3), 3000, {"counting": 1.0})
    stretched = pose[:, PIP, FLEXION] < 40
    assert len(np.unique(stretched, axis=0)) == 16


def test_flexed_knuckles_leave_little_spread():
    pose = sample_poses(np.random.default_rng(4), 1000, {"wild": 1.0})
    flexed = pose[:, MCP, FLEXION] > 80
    assert np.abs(pose[:, MCP, SPREAD][flexed]).max() < 10


def test_the_last_joints_follow_the_middle_ones():
    relaxed = sample_poses(np.random.default_rng(5), 1000, {"relaxed": 1.0})
    ratio = relaxed[:, DIP, FLEXION].sum() / relaxed[:, PIP, FLEXION].sum()
    assert 0.55 < ratio < 0.8


@given(st.integers(0, 10_000))
def test_constraining_twice_changes_nothing(seed):
    wild = np.random.default_rng(seed).normal(0, 80, (3, 17, 3))
    once = constrain(wild)
    np.testing.assert_allclose(constrain(once), once, atol=1e-9)


# --- fingers inside fingers


def test_a_flat_hand_has_no_overlap():
    assert finger_penetration_mm(MODEL.joints_mm[None])[0] == 0


def test_crossed_fingers_in_one_plane_overlap():
    pose = np.zeros((1, 17, 3))
    pose[0, FINGER_ROWS[1, 0], SPREAD] = -15
    pose[0, FINGER_ROWS[2, 0], SPREAD] = 15
    assert finger_penetration_mm(joints_of(pose))[0] > 8


def test_overlap_scales_with_the_hand_and_ignores_where_it_is():
    joints = joints_of(sample_poses(np.random.default_rng(6), 50, {"fist": 1.0}))
    depth = finger_penetration_mm(joints)
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    np.testing.assert_allclose(
        finger_penetration_mm(1.5 * joints @ q + [10, 20, 300]), 1.5 * depth, atol=1e-2
    )


# --- motion


def test_motion_is_smooth_and_within_range():
    motion = sample_motion(np.random.default_rng(8), 240, fps=60)
    assert motion.pose_deg.shape == (240, 17, 3)
    assert (motion.pose_deg >= RANGES_DEG[..., 0] - 1e-3).all()
    assert (motion.pose_deg <= RANGES_DEG[..., 1] + 1e-3).all()
    np.testing.assert_allclose(motion.R_start_from_hand[0], np.eye(3), atol=1e-6)
    np.testing.assert_allclose(motion.offset_mm[0], 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(motion.R_start_from_hand), 1, atol=1e-4)
    # Minimum jerk over 0.25 s peaks at 1.875 / 0.25 of the way per second.
    speed = np.abs(np.diff(motion.pose_deg, axis=0)) * 60
    reach = RANGES_DEG[..., 1] - RANGES_DEG[..., 0]
    assert (speed <= 7.6 * reach + 1e-3).all()
    assert motion.pose_deg.std(axis=0).max() > 5


def test_motion_is_the_same_at_any_frame_rate():
    slow = sample_motion(np.random.default_rng(9), 31, fps=30)
    fast = sample_motion(np.random.default_rng(9), 61, fps=60)
    np.testing.assert_allclose(slow.pose_deg, fast.pose_deg[::2], atol=1e-3)
    np.testing.assert_allclose(slow.offset_mm, fast.offset_mm[::2], atol=1e-3)


@pytest.mark.parametrize(("frames", "fps"), [(0, 30), (10, 0)])
def test_motion_needs_frames_and_time(frames, fps):
    with pytest.raises(ValueError, match="expected frames"):
        sample_motion(np.random.default_rng(0), frames, fps)


def test_one_frame_of_motion_is_a_pose():
    assert sample_motion(np.random.default_rng(0), 1, fps=30).pose_deg.shape == (1, 17, 3)
