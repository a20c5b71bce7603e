"""Sampled poses: within anatomy, without fingers inside fingers, the same for the same seed."""

import numpy as np
import pytest

from knuckle.hand import FINGERS
from knuckle.render.hand_model import FLEXION, HandModel
from knuckle.render.poses import (
    DEFAULT_MIX,
    DIP,
    FAMILIES,
    MAX_PENETRATION_MM,
    PIP,
    RANGES_DEG,
    finger_penetration_mm,
    sample_poses,
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


def test_counting_shows_all_sets_of_fingers():
    pose = sample_poses(np.random.default_rng(3), 3000, {"counting": 1.0})
    stretched = pose[:, PIP, FLEXION] < 40
    assert len(np.unique(stretched, axis=0)) == 16


def test_the_last_joints_follow_the_middle_ones():
    relaxed = sample_poses(np.random.default_rng(5), 1000, {"relaxed": 1.0})
    ratio = relaxed[:, DIP, FLEXION].sum() / relaxed[:, PIP, FLEXION].sum()
    assert 0.55 < ratio < 0.8
