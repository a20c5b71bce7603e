"""Moving skeletons and skins: BVH and GLB, read back by strict readers and by other people's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fakes import CAMERA, INFO, frame, pose
from files_of_others import Bvh, Glb
from knuckle.hand import BONES, N_JOINTS
from knuckle.output import SINKS
from knuckle.output.armature import Armature, bone_names, rest_joints
from knuckle.output.bvh import euler_zxy_deg
from knuckle.output.errors import OutputError
from knuckle.output.records import Recording
from knuckle.output.timeline import Motion, Timeline, main_hands
from knuckle.results import Frame, HandPose

Y_UP = np.array([1, -1, -1])
TRUTH = Path(__file__).parents[2] / "src/knuckle/demo/hands_truth.npz"


def moving(n_frames: int = 10) -> list[tuple[Frame, list[HandPose]]]:
    """A right hand all the time, a left one from the fifth frame on; neither changes its shape."""
    scene = []
    for i in range(n_frames):
        hands = [pose(centre_mm=(4.0 * i, -3.0 * i, 600 + 5 * i), track_id=0)]
        if i >= 5:
            hands.append(pose(side="left", centre_mm=(-200.0, 2.0 * i, 500), track_id=1))
        scene.append((frame(i), hands))
    return scene


def written(name: str, folder: Path, scene, info=INFO) -> Path:
    with SINKS[name](folder, info) as sink:
        for each in scene:
            sink.write(*each)
    return sink.path


def bent_hands() -> list[tuple[Frame, list[HandPose]]]:
    """Both hands of the shipped clip, where they truly were."""
    with np.load(TRUTH) as truth:
        sides, joints = truth["side"].tolist(), truth["joints_mm"][60:70].astype(float)
    scene = []
    for i, of_frame in enumerate(joints):
        hands = []
        for side, joints_mm in zip(sides, of_frame, strict=True):
            fields = {
                name: getattr(pose(side=side), name) for name in HandPose.__dataclass_fields__
            }
            hands.append(HandPose(**fields | {"joints_mm": joints_mm}))
        scene.append((frame(i), hands))
    return scene


class TestArmature:
    @pytest.mark.parametrize("side", ["left", "right"])
    def test_bones_of_constant_length_come_to_lie_where_they_were(self, side) -> None:
        with np.load(TRUTH) as truth:
            joints = truth["joints_mm"][:40, list(truth["side"]).index(side)].astype(float)
        hand = Armature.of(Motion(joints * Y_UP, np.ones(len(joints), bool)), side)
        np.testing.assert_allclose(hand.joints_mm(), joints * Y_UP, atol=0.1)

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_at_rest_a_hand_is_flat_with_its_thumb_on_its_side(self, side) -> None:
        rest = rest_joints(np.full(20, 30.0), side)
        assert rest[9, 1] > 25  # fingers along y
        assert (rest[4, 0] > 0) == (side == "right")  # the palm looks along z
        np.testing.assert_allclose(
            np.linalg.norm(rest[BONES[:, 1]] - rest[BONES[:, 0]], axis=1), 30
        )

    def test_names_are_each_once(self) -> None:
        names = bone_names("left") + bone_names("right")
        assert len(set(names)) == 40
        assert names[:5] == [
            "LeftThumbCarpal",
            "LeftThumbMetacarpal",
            "LeftThumbProximal",
            "LeftThumbDistal",
            "LeftIndexMetacarpal",
        ]


class TestTimeline:
    def recording(self, scene, folder: Path):
        from knuckle.output import open_recording

        return open_recording(written("npz", folder, scene))

    def test_short_gaps_are_bridged_and_long_ones_held(self, tmp_path: Path) -> None:
        at = {0, 1, 4, 5, 20, 21}
        scene = [(f, hands[:1] if f.index in at else []) for f, hands in moving(22)]
        motion = Timeline.of(self.recording(scene, tmp_path)).motions["right"]
        assert np.flatnonzero(motion.seen).tolist() == [0, 1, 2, 3, 4, 5, 20, 21]
        wrists = motion.joints_mm[:, 0]
        np.testing.assert_allclose(wrists[2], wrists[1] + (wrists[4] - wrists[1]) / 3, atol=1e-3)
        np.testing.assert_array_equal(wrists[6:20], wrists[[5] * 14])
        np.testing.assert_allclose(wrists[0], Y_UP * scene[0][1][0].joints_mm[0], atol=1e-3)

    def test_the_hand_that_is_seen_most_is_taken(self, tmp_path: Path) -> None:
        def other(i: int) -> list[HandPose]:
            return [pose(centre_mm=(300, 0, 500), track_id=7)] if i in (3, 4) else []

        scene = [(f, other(f.index) + hands[:1]) for f, hands in moving()]
        recording = self.recording(scene, tmp_path)
        with pytest.warns(UserWarning, match=r"2 of 12 right hands are left out .* coco"):
            hands = main_hands(recording, "right")
        assert hands["track_id"].tolist() == [0] * 10

    def test_uneven_times_become_even(self, tmp_path: Path) -> None:
        scene = [
            (Frame(f.image, f.time_s + 0.004 * (f.index % 2), f.index), hands[:1])
            for f, hands in moving()
        ]
        timeline = Timeline.of(self.recording(scene, tmp_path))
        assert timeline.rate == INFO.fps
        np.testing.assert_allclose(np.diff(timeline.times_s), 1 / 30)

    @pytest.mark.parametrize("said", [7.0, 30.0, 240.0, None])
    def test_a_pause_does_not_slow_it_down(self, said: float | None, tmp_path: Path) -> None:
        """The mean rate of a video counts its pauses."""
        scene = [
            (Frame(f.image, f.time_s + 2.0 * (f.index > 5), f.index), hands[:1])
            for f, hands in moving(10)
        ]
        found = self.recording(scene, tmp_path)
        recording = Recording(replace(found.info, fps=said), found.frames, found.hands)
        timeline = Timeline.of(recording)
        assert timeline.rate == pytest.approx(30, abs=0.01)
        assert timeline.motions["right"].seen.sum() == 10

    def test_hours_of_pause_are_not_made_up(self, tmp_path: Path) -> None:
        scene = [
            (Frame(f.image, f.time_s + 36_000.0 * (f.index > 5), f.index), hands[:1])
            for f, hands in moving(10)
        ]
        with pytest.raises(OutputError, match=r"10 frames lie between .* take a table"):
            Timeline.of(self.recording(scene, tmp_path))


class TestBvh:
    def test_joints_lie_where_they_were(self, tmp_path: Path) -> None:
        scene = moving()
        bvh = Bvh(written("bvh", tmp_path, scene))
        assert bvh.frame_s == pytest.approx(1 / 30)
        places = bvh.places()
        assert {"Hands", "LeftHand", "RightHand"} < set(places)
        for i, (_, hands) in enumerate(scene):
            for hand in hands:
                expected = hand.joints_mm * Y_UP / 1000
                np.testing.assert_allclose(in_order(places, hand.side)[i], expected, atol=1e-4)

    def test_bent_fingers_as_well(self, tmp_path: Path) -> None:
        scene = bent_hands()
        places = Bvh(written("bvh", tmp_path, scene)).places()
        for i, (_, hands) in enumerate(scene):
            for hand in hands:
                found = in_order(places, hand.side)[i]
                np.testing.assert_allclose(found, hand.joints_mm * Y_UP / 1000, atol=1e-3)

    def test_while_it_is_not_seen_a_hand_stays(self, tmp_path: Path) -> None:
        places = Bvh(written("bvh", tmp_path, moving())).places()
        assert (np.ptp(places["LeftHand"][:5], axis=0) == 0).all()

    def test_a_finger_that_bends_beyond_90_degrees_does_not_spin(self) -> None:
        bends = np.stack([np.full(41, 3.0), np.linspace(20, 120, 41), np.full(41, 2.0)], axis=1)
        for angles in (bends, bends[::-1]):
            turns = Rotation.from_euler("ZXY", angles, degrees=True).as_matrix()
            found = euler_zxy_deg(turns[:, None])[:, 0]
            at = np.abs(angles[:, 1] - 90) > 1  # there, z and y are known together alone
            np.testing.assert_allclose(found[at], angles[at], atol=1e-6)

    @given(st.integers(0, 2**32 - 1), st.sampled_from([None, 90.0, -90.0]))
    def test_angles_are_the_turns_that_they_came_from(self, seed: int, x: float | None) -> None:
        turns = Rotation.random(12, random_state=seed)
        if x is not None:
            z, _, y = turns.as_euler("ZXY", degrees=True).T
            turns = Rotation.from_euler("ZXY", np.stack([z, 0 * z + x, y], axis=1), degrees=True)
        found = euler_zxy_deg(turns.as_matrix()[:, None])[:, 0]
        again = Rotation.from_euler("ZXY", found, degrees=True).as_matrix()
        np.testing.assert_allclose(again, turns.as_matrix(), atol=1e-7)

    def test_nobody_at_all(self, tmp_path: Path) -> None:
        bvh = Bvh(written("bvh", tmp_path, [(frame(i), []) for i in range(3)]))
        assert [joint.name for joint in bvh.joints] == ["Hands"]
        assert len(bvh.values) == 3


def in_order(places: dict[str, np.ndarray], side: str) -> np.ndarray:
    """(T, 21, 3) the joints of a hand in a BVH."""
    joints = np.empty((len(places["Hands"]), N_JOINTS, 3))
    names = bone_names(side)
    joints[:, 0] = places[f"{side.capitalize()}Hand"]
    for bone, (_, far) in enumerate(BONES):
        last = bone % 4 == 3
        joints[:, far] = places[f"{names[bone]} end" if last else names[bone + 1]]
    return joints


class TestGlb:
    def test_the_skin_is_the_mesh_of_the_hand(self, tmp_path: Path) -> None:
        scene = bent_hands()
        glb = Glb(written("glb", tmp_path, scene))
        assert glb.count == len(scene)
        for key in (0, 5, 9):
            for hand in scene[key][1]:
                found = 1000 * glb.skin(f"{hand.side.capitalize()}Skin", key)
                apart_mm = np.linalg.norm(found - hand.mesh().vertices_mm * Y_UP, axis=1)
                assert apart_mm.mean() < 1.5
                assert np.percentile(apart_mm, 99) < 8

    def test_bones_stand_where_joints_were(self, tmp_path: Path) -> None:
        scene = moving()
        glb = Glb(written("glb", tmp_path, scene))
        names = [node["name"] for node in glb.json["nodes"]]
        worlds = glb.worlds(7)
        for hand in scene[7][1]:
            for bone, name in enumerate(bone_names(hand.side)):
                place = worlds[names.index(name)][:3, 3]
                expected = hand.joints_mm[BONES[bone, 0]] * Y_UP / 1000
                np.testing.assert_allclose(place, expected, atol=1e-5)

    def test_a_hand_that_is_not_seen_is_away(self, tmp_path: Path) -> None:
        glb = Glb(written("glb", tmp_path, moving()))
        assert np.ptp(glb.skin("LeftSkin", 2), axis=0).max() < 1e-6
        assert np.ptp(glb.skin("LeftSkin", 6), axis=0).max() > 0.1

    def test_the_cameras_picture_is_the_videos(self, tmp_path: Path) -> None:
        scene = moving()
        glb = Glb(written("glb", tmp_path, scene))
        names = [node["name"] for node in glb.json["nodes"]]
        worlds = glb.worlds(7)
        np.testing.assert_allclose(worlds[names.index("VideoCamera")], np.eye(4))
        (lens,) = [each["perspective"] for each in glb.json["cameras"]]
        up = 1 / np.tan(lens["yfov"] / 2)
        width, height = INFO.size
        for hand in scene[7][1]:
            x, y, z = worlds[names.index(f"{hand.side.capitalize()}Hand")][:3, 3]
            share = np.array([up / lens["aspectRatio"] * x, -up * y]) / -z  # -1 to 1, y down
            wrist_px = (share + 1) / 2 * (width, height) - 0.5
            np.testing.assert_allclose(wrist_px, CAMERA.project(hand.joints_mm[0]), atol=0.01)

    def test_in_the_world_of_a_rig_there_is_no_one_camera(self, tmp_path: Path) -> None:
        info = replace(INFO, space="world")
        assert "cameras" not in Glb(written("glb", tmp_path, moving(), info)).json

    def test_trimesh_reads_it(self, tmp_path: Path) -> None:
        scene = trimesh.load(written("glb", tmp_path, moving()))
        assert len(scene.geometry) == 2
        for name, mesh in scene.geometry.items():
            assert 0.15 < np.ptp(mesh.vertices[:, 1]) < 0.25, name  # metres, fingers up

    def test_nobody_at_all(self, tmp_path: Path) -> None:
        glb = Glb(written("glb", tmp_path, [(frame(i), []) for i in range(3)]))
        assert "nodes" not in glb.json
        assert glb.json["extras"]["knuckle"]["source"] == INFO.source


def test_times_that_go_back_are_told(tmp_path: Path) -> None:
    """As of two videos in one: they have no timeline, and ended in an error of NumPy."""
    scene = [(replace(frame(i), time_s=time_s), []) for i, time_s in enumerate((0.0, 0.5, 0.25))]
    with pytest.raises(OutputError, match=r"goes back, from 0\.50 to 0\.25 s"):
        written("bvh", tmp_path, scene)
