"""Movements from pose to pose: smooth, within range, at any frame rate the same."""

import numpy as np
import pytest

from knuckle.render.poses import RANGES_DEG, sample_motion


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
