"""Bones of the hands before a rig: learnt from looks that differ, and locked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.hand import MEAN_LENGTHS_MM, Joint
from knuckle.views import RigTracker
from knuckle.views.bones import RigBones
from rigs import Views, follow, hand_mm, met, views_of
from rigs import rig as make_rig


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
