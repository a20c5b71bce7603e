"""Fingertips that meet the thumb's."""

import numpy as np

from knuckle.render.poses import INDEX, sample_poses, tip_gap_mm
from knuckle.render.poses.families import pinching


def test_pinching_tips_meet():
    pose = sample_poses(np.random.default_rng(1), 300, {"pinching": 1.0})
    gaps = np.stack([tip_gap_mm(pose, np.full(300, f)) for f in range(INDEX, 5)])
    assert (np.abs(gaps).min(axis=0) < 3).mean() > 0.97


def test_every_finger_is_pinched():
    pose = pinching(np.random.default_rng(2), 400)
    gaps = np.stack([tip_gap_mm(pose, np.full(400, f)) for f in range(INDEX, 5)])
    share = np.bincount(np.abs(gaps).argmin(axis=0), minlength=4) / 400
    assert (share > 0.05).all()
