"""What holds for the frames of bones, the skin over them and the axes of the wrist."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import open_hand, pose
from knuckle.bones import bone_frames, hand_frame, quaternions
from knuckle.hand import BONES, SIDES, Joint, Side, joint_angles, wrist_axes
from knuckle.mesh import hand_mesh, pad_frames
from knuckle.openxr import OPENXR_JOINTS, WEBXR_JOINTS, openxr_hand, webxr_hand

sides = st.sampled_from(SIDES)
seeds = st.integers(0, 2**32 - 1)


def some_hand(seed: int, side: Side) -> np.ndarray:
    """(21, 3) a hand with its joints a little anywhere, turned anyhow."""
    rng = np.random.default_rng(seed)
    joints = open_hand(side) + rng.normal(0, 8, (21, 3))
    return joints @ some_turn(rng).T + rng.normal(0, 200, 3)


def some_turn(rng: np.random.Generator) -> np.ndarray:
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return turn * np.sign(np.linalg.det(turn))


def assert_rotations(frames: np.ndarray) -> None:
    np.testing.assert_allclose(
        frames.mT @ frames, np.broadcast_to(np.eye(3), frames.shape), atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.det(frames), 1)


FRAMES = (bone_frames, pad_frames, hand_frame, wrist_axes)


class TestFrames:
    @pytest.mark.parametrize("frames_of", FRAMES)
    @given(seeds, sides)
    def test_they_are_rotations_that_turn_with_the_hand(self, frames_of, seed, side) -> None:
        joints = some_hand(seed, side)
        frames = frames_of(joints, side)
        assert_rotations(frames)
        rng = np.random.default_rng(seed + 1)
        turn, shift = some_turn(rng), rng.normal(0, 300, 3)
        np.testing.assert_allclose(
            frames_of(joints @ turn.T + shift, side), turn @ frames, atol=1e-9
        )

    @pytest.mark.parametrize("frames_of", [bone_frames, pad_frames])
    @given(seeds, sides)
    def test_y_lies_along_the_bone(self, frames_of, seed, side) -> None:
        joints = some_hand(seed, side)
        along = joints[BONES[:, 1]] - joints[BONES[:, 0]]
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        np.testing.assert_allclose(frames_of(joints, side)[..., 1], along, atol=1e-9)

    @pytest.mark.parametrize("frames_of", FRAMES)
    @given(seeds)
    def test_the_mirrored_hand_has_the_mirrored_axes(self, frames_of, seed) -> None:
        joints, mirror = some_hand(seed, "right"), np.array([-1.0, 1, 1])
        right, left = frames_of(joints, "right"), frames_of(joints * mirror, "left")
        # All but the axis that makes a rotation of it: x, of the wrist's y.
        kept = [0, 2] if frames_of is wrist_axes else [1, 2]
        np.testing.assert_allclose(left[..., kept], (right * mirror[:, None])[..., kept], atol=1e-9)

    @given(seeds, sides)
    def test_flexion_is_the_turn_about_x(self, seed, side) -> None:
        """One frame in the other is what ``joint_angles`` measures."""
        joints = some_hand(seed, side)
        frames = bone_frames(joints, side).reshape(5, 4, 3, 3)
        after = (frames[:, :-1].mT @ frames[:, 1:])[..., 1]  # (5, 3, 3) where the next bone points
        flexion = np.degrees(np.arctan2(after[..., 2], after[..., 1])).ravel()
        np.testing.assert_allclose(flexion, joint_angles(joints, side)[:, 0], atol=1e-6)

    @given(seeds)
    def test_quaternions_turn_as_the_matrices_do(self, seed) -> None:
        turns = np.stack([some_turn(np.random.default_rng(seed + k)) for k in range(4)])
        x, y, z, w = quaternions(turns).T
        zero = np.zeros_like(x)
        cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
        again = np.eye(3) + 2 * w[:, None, None] * cross + 2 * cross @ cross
        np.testing.assert_allclose(again, turns, atol=1e-9)
        assert (w >= 0).all()

    def test_half_turns_have_quaternions(self) -> None:
        for axis in range(3):
            turn = -np.eye(3)
            turn[axis, axis] = 1
            expected = np.zeros(4)
            expected[axis] = 1
            np.testing.assert_allclose(np.abs(quaternions(turn)), expected, atol=1e-12)


class TestOperatorFrame:
    @given(seeds, sides)
    def test_it_is_the_pose_of_the_wrist_undone(self, seed, side) -> None:
        hand = pose(np.random.default_rng(seed), side=side)
        local = np.concatenate([hand.operator_frame_m(), np.ones((21, 1))], axis=1)
        there = local @ hand.T_camera_from_wrist_m.T
        np.testing.assert_allclose(1000 * there[:, :3], hand.joints_mm, atol=1e-9)
        np.testing.assert_array_equal(hand.operator_frame_m()[Joint.WRIST], 0)

    @given(seeds, sides)
    def test_it_is_what_dex_retargeting_works_out(self, seed, side) -> None:
        """Its words: the plane through wrist, index and middle knuckle, by singular values."""
        hand = pose(np.random.default_rng(seed), side=side)
        joints = hand.joints_root_mm / 1000
        corners = joints[[Joint.WRIST, Joint.INDEX_MCP, Joint.MIDDLE_MCP]]
        normal = np.linalg.svd(corners - corners.mean(axis=0))[2][2]
        back = -joints[Joint.MIDDLE_MCP] / np.linalg.norm(joints[Joint.MIDDLE_MCP])
        aside = np.cross(back, normal)
        if aside @ (joints[Joint.INDEX_MCP] - joints[Joint.MIDDLE_MCP]) < 0:
            normal, aside = -normal, -aside
        sign = 1 if side == "right" else -1
        expected = joints @ np.stack([-sign * normal, sign * aside, -back], axis=1)
        np.testing.assert_allclose(hand.operator_frame_m(), expected, atol=1e-9)


class TestSkin:
    @given(seeds, sides)
    def test_it_moves_with_the_hand(self, seed, side) -> None:
        joints, rng = some_hand(seed, side), np.random.default_rng(seed)
        mesh, turn, shift = hand_mesh(joints, side), some_turn(rng), rng.normal(0, 300, 3)
        moved = hand_mesh(joints @ turn.T + shift, side)
        np.testing.assert_allclose(moved.vertices_mm, mesh.vertices_mm @ turn.T + shift, atol=1e-6)

    @given(seeds)
    def test_the_mirrored_hand_has_the_mirrored_skin(self, seed) -> None:
        joints, mirror = some_hand(seed, "right"), np.array([-1.0, 1, 1])
        right, left = hand_mesh(joints, "right"), hand_mesh(joints * mirror, "left")
        np.testing.assert_allclose(left.vertices_mm, right.vertices_mm * mirror, atol=1e-6)
        np.testing.assert_allclose(left.normals, right.normals * mirror, atol=1e-6)

    @given(seeds, sides, st.floats(0.5, 1.5))
    def test_a_larger_hand_has_a_larger_skin(self, seed, side, scale) -> None:
        joints = some_hand(seed, side)
        mesh, larger = hand_mesh(joints, side), hand_mesh(joints * scale, side)
        np.testing.assert_allclose(larger.vertices_mm, mesh.vertices_mm * scale, atol=1e-6)

    def test_what_is_no_hand_is_refused(self) -> None:
        with pytest.raises(ValueError, match="finite joints of shape"):
            hand_mesh(np.zeros((20, 3)), "right")
        with pytest.raises(ValueError, match="finite joints of shape"):
            hand_mesh(np.full((21, 3), np.nan), "right")


class TestXr:
    def test_names(self) -> None:
        assert len(OPENXR_JOINTS) == 26
        assert (OPENXR_JOINTS[0], OPENXR_JOINTS[5], OPENXR_JOINTS[25]) == (
            "PALM",
            "THUMB_TIP",
            "LITTLE_TIP",
        )
        assert len(WEBXR_JOINTS) == 25
        assert WEBXR_JOINTS[:5] == (
            "wrist",
            "thumb-metacarpal",
            "thumb-phalanx-proximal",
            "thumb-phalanx-distal",
            "thumb-tip",
        )
        assert WEBXR_JOINTS[7] == "index-finger-phalanx-intermediate"
        assert WEBXR_JOINTS[-1] == "pinky-finger-tip"

    @given(seeds, sides)
    def test_minus_z_leads_to_the_next_joint(self, seed, side) -> None:
        hand = openxr_hand(some_hand(seed, side), side)
        for name, place, turn in zip(
            hand.names, hand.positions_m, axes_of(hand.orientations_xyzw), strict=True
        ):
            if name.endswith("TIP") or name in ("PALM", "WRIST"):
                continue
            following = hand.positions_m[hand.names.index(name) + 1] - place
            np.testing.assert_allclose(
                -turn[:, 2], following / np.linalg.norm(following), atol=1e-6
            )

    @pytest.mark.parametrize("side", SIDES)
    def test_y_leaves_the_back_of_the_hand(self, side: Side) -> None:
        hand = openxr_hand(open_hand(side), side)  # seen from its back, fingers up
        axes = axes_of(hand.orientations_xyzw)
        for name, turn in zip(hand.names, axes, strict=True):
            if not name.startswith("THUMB"):
                assert turn[2, 1] > 0.95, name  # towards the viewer
                assert -turn[1, 2] > 0.7, name  # fingers up
        thumb = axes[hand.names.index("THUMB_DISTAL")]
        nail_aside = thumb[0, 1] if side == "right" else -thumb[0, 1]
        assert nail_aside < -0.3  # a thumb's nail looks to the outside

    @given(seeds, sides)
    def test_our_joints_are_among_them(self, seed, side) -> None:
        joints = some_hand(seed, side)
        hand, web = openxr_hand(joints, side), webxr_hand(joints, side)
        place = dict(zip(hand.names, 1000 * hand.positions_m, strict=True))
        for theirs, ours in (
            ("WRIST", Joint.WRIST),
            ("THUMB_METACARPAL", Joint.THUMB_CMC),
            ("INDEX_PROXIMAL", Joint.INDEX_MCP),
            ("LITTLE_TIP", Joint.LITTLE_TIP),
        ):
            np.testing.assert_allclose(place[theirs], joints[ours] * [1, -1, -1], atol=1e-6)
        np.testing.assert_array_equal(web.positions_m, hand.positions_m[1:])
        assert ((hand.radii_m > 0.002) & (hand.radii_m < 0.04)).all()


def axes_of(quaternions_xyzw: np.ndarray) -> np.ndarray:
    """(n, 3, 3) the axes as columns."""
    x, y, z, w = quaternions_xyzw.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    return np.eye(3) + 2 * w[:, None, None] * cross + 2 * cross @ cross
