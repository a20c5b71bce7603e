"""A synthetic capture: the format to the byte of its conventions, and what is in it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures import TINY, captured_truth
from knuckle.cli import main
from knuckle.data.capture import write_capture
from knuckle.data.capture_motion import sample_sequence
from knuckle.data.capture_plan import ACTIVITIES, CaptureSettings, generator, make_plan
from knuckle.data.capture_rig import CENTRE_MM, MOST_CAMERAS, sample_rig
from knuckle.data.check import check
from knuckle.data.datasets import open_dataset
from knuckle.data.interhand26m import InterHand26M
from knuckle.data.labelled import LabelledSet
from knuckle.evaluate.run import evaluate
from knuckle.hand import Joint
from knuckle.render.contact import gap_mm, penetration_mm
from knuckle.render.interaction import MAX_OVERLAP_MM
from knuckle.render.poses import finger_penetration_mm
from miniatures import predictions_from_truth


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(tmp_path_factory.mktemp("made") / "capture", TINY)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# --- the files -----------------------------------------------------------------------------------


def kinds(value: object) -> object:
    """The shape of a JSON value: keys in order, types, and of lists the length and what is in."""
    if isinstance(value, dict):
        return {key: kinds(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [len(value), kinds(value[0])]
    return type(value).__name__


def first(members: dict) -> object:
    return next(iter(members.values()))


def test_json_is_built_as_the_real_one(capture: Path, shared_data: Path) -> None:
    """Keys, their order, nesting and types are those of the public frames."""
    real_root, stem = shared_data / "interhand26m_sample", "test_interhand2.6m"
    made_stem = capture / "annotations/test/InterHand2.6M_test"
    real, made = (
        {part: json.loads(Path(f"{start}_{part}.json").read_text()) for part in PARTS}
        for start in (real_root / stem, made_stem)
    )
    for key in ("images", "annotations"):
        assert list(made["data"]) == list(real["data"])
        assert kinds(made["data"][key][0]) == kinds(real["data"][key][0])
    real_camera, made_camera = first(real["camera"]), first(made["camera"])
    assert list(made_camera) == list(real_camera)
    for key in real_camera:
        assert kinds(first(made_camera[key])) == kinds(first(real_camera[key]))
    assert kinds(first(first(made["joint_3d"]))) == kinds(first(first(real["joint_3d"])))


PARTS = ("data", "camera", "joint_3d")


def test_json_is_what_json_dump_writes(capture: Path) -> None:
    """One line, its separators, and numbers of single precision, as in the release."""
    for path in capture.glob("annotations/*/*.json"):
        text = path.read_text()
        assert json.dumps(json.loads(text)) == text
    step = first(first(json.loads(next(capture.glob("annotations/*/*_joint_3d.json")).read_text())))
    world = np.array(step["world_coord"])
    assert np.array_equal(world, world.astype(np.float32).astype(float))
    absent = ~np.ravel(step["joint_valid"])
    assert (world[absent] == 1).all()


def test_annotations_keep_the_rules_of_the_release(capture: Path) -> None:
    for split in ("train", "val", "test"):
        data = json.loads(
            (capture / f"annotations/{split}/InterHand2.6M_{split}_data.json").read_text()
        )
        truth = captured_truth(TINY, split)
        for image, label in zip(data["images"], data["annotations"], strict=True):
            assert label["image_id"] == image["id"]
            assert (image["width"], image["height"]) in ((334, 512), (512, 334))
            picture = cv2.imread(str(capture / "images" / split / image["file_name"]))
            assert picture.shape[:2] == (image["height"], image["width"])
            hands = truth[image["file_name"]]
            points = np.concatenate([hand.joints_px[hand.valid] for hand in hands])
            assert sum(np.ravel(label["joint_valid"])) == len(points)
            seen = sum(hand.valid.sum() for hand in hands)
            assert label["hand_type_valid"] == (len(hands) == 1 or seen > 30)
            middle, size = (points.min(0) + points.max(0)) / 2, np.ptp(points, axis=0) * 1.2
            assert np.allclose(label["bbox"], [*(middle - size / 2), *size], atol=0.01)


def test_skeleton_has_the_releases_lines(capture: Path) -> None:
    lines = (capture / "annotations/skeleton.txt").read_text().splitlines()
    assert lines[1:5] == ["r_thumb4 0 1", "r_thumb3 1 2", "r_thumb2 2 3", "r_thumb1 3 20"]
    assert lines[21:23] == ["r_wrist 20 -1", "l_thumb4 21 22"]
    assert lines[-2:] == ["l_pinky1 40 41", "l_wrist 41 -1"]


# --- what readers make of it ---------------------------------------------------------------------


def test_every_picture_asked_for_is_there_and_without_fault(capture: Path) -> None:
    assert len(open_dataset(capture)) == TINY.frames
    assert len(list(capture.glob("images/*/*/*/*/*.jpg"))) == TINY.frames
    report = check(capture)
    assert report.pictures == TINY.frames
    assert not report.faults


def test_people_stand_in_one_split_each(capture: Path) -> None:
    subjects = {
        split: set(open_dataset(capture, split).groups().subject.tolist())
        for split in ("train", "val", "test")
    }
    assert [len(each) for each in subjects.values()] == [1, 1, 1]
    assert len(set.union(*subjects.values())) == 3


def test_joints_project_onto_masks_and_into_the_flesh(capture: Path) -> None:
    dataset = open_dataset(capture, "val")  # two hands that touch
    assert isinstance(dataset, InterHand26M)
    checked, hidden = 0, 0
    for index in range(len(dataset)):
        sample, depth = dataset[index], dataset.depth_mm(index)
        assert sample.hand_map is not None and depth is not None
        assert [hand.side for hand in sample.hands] == ["right", "left"]
        for number, hand in enumerate(sample.hands, start=1):
            assert hand.visible is not None and hand.joints_mm is not None
            shown = hand.valid & hand.visible
            shown[Joint.WRIST] = False  # where the forearm begins, which is no hand
            x, y = np.round(hand.joints_px[shown]).astype(int).T
            assert (sample.hand_map[y, x] == number).mean() > 0.95
            covered = hand.joints_mm[shown, 2] - depth[y, x]
            # Depth is the nearest in a pixel: at a border another finger may be.
            assert np.percentile(covered, 5) > -1 and np.percentile(covered, 90) < 30
            checked += shown.sum()
            hidden += (hand.valid & ~hand.visible).sum()
    assert checked > 60 and hidden > 10


def test_extras_may_be_missing(capture: Path, tmp_path: Path) -> None:
    for name in ("images", "annotations"):
        (tmp_path / name).symlink_to(capture / name)
    sample = open_dataset(tmp_path, "val")[0]
    assert sample.hand_map is None
    assert sample.hands[0].visible is None


@pytest.mark.parametrize("protocol", ["moon", "mmpose", "intaghand", "knuckle"])
def test_the_truth_as_its_own_prediction_has_no_error(capture: Path, protocol: str) -> None:
    dataset = open_dataset(capture, "val")
    scores = evaluate(dataset, predictions_from_truth(dataset), protocol).scores
    assert scores.mpjpe_mm["all"] == pytest.approx(0, abs=1e-6)
    assert scores.mrrpe_mm == pytest.approx(0, abs=1e-6)


def test_a_30_fps_capture_takes_every_third_frame_of_the_sensor(tmp_path: Path) -> None:
    settings = CaptureSettings(frames=12, cameras=1, fps=30, subjects=1, depth=False)
    write_capture(tmp_path / "fast", settings)
    assert not (tmp_path / "fast/extras/depth").exists()
    dataset = InterHand26M(tmp_path / "fast", "train")
    assert np.diff(dataset.groups().step).tolist() == [3] * 11  # of the sensor's 90 a second
    assert len(dataset) == 12


# --- the same, however it was made ---------------------------------------------------------------


def contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_a_stopped_run_goes_on_with_other_workers_to_the_same_bytes(
    capture: Path, tmp_path: Path
) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, of: int) -> None:
        if done:
            raise Stopped

    out = tmp_path / "stopped"
    with pytest.raises(Stopped):
        write_capture(out, TINY, on_progress=stop)
    assert not list(out.glob("annotations/*"))
    done: list[int] = []
    write_capture(out, TINY, workers=2, on_progress=lambda n, of: done.append(n))
    assert done[0] > 0 and done[-1] == TINY.frames
    assert contents(out) == contents(capture)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    write_capture(out, TINY)  # nothing is left to do
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_another_seed_is_another_capture(capture: Path) -> None:
    other = make_plan(replace(TINY, seed=6))[0]
    joints = [
        sample_sequence(settings, other).joints_mm() for settings in (TINY, replace(TINY, seed=6))
    ]
    assert np.abs(joints[0] - joints[1]).max() > 5


def test_folders_with_something_else_are_left_alone(capture: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="other settings"):
        write_capture(capture, replace(TINY, seed=1))
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ValueError, match="not empty"):
        write_capture(tmp_path, TINY)
    with pytest.raises(ValueError, match="140 cameras"):
        CaptureSettings(frames=1, cameras=MOST_CAMERAS + 1)
    with pytest.raises(ValueError, match="5 or 30"):
        CaptureSettings(frames=1, fps=25)


def test_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--frames", "3", "--cameras", "2", "--vary"]
    assert main(["data", "synth", "made", *arguments]) == 0
    assert "3 pictures in made" in capsys.readouterr().out
    assert main(["data", "check", "made"]) == 0
    assert main(["data", "stats", "made", "--plausibility"]) == 0
    assert "fingers, PIP flexion" in capsys.readouterr().out


# --- plan, rig and motion ------------------------------------------------------------------------


@given(
    frames=st.integers(1, 5000), cameras=st.integers(1, 140), subjects=st.integers(1, 30),
    fps=st.sampled_from([5, 30]),
)  # fmt: skip
def test_a_plan_holds_what_was_asked_for(
    frames: int, cameras: int, subjects: int, fps: int
) -> None:
    plan = make_plan(CaptureSettings(frames, cameras, fps, subjects))
    assert sum(sum(sequence.views) for sequence in plan) == frames
    assert all(1 <= views <= cameras for sequence in plan for views in sequence.views)
    moments = [(sequence.subject, frame) for sequence in plan for frame in sequence.frames]
    assert len(set(moments)) == len(moments)
    split_of = {sequence.subject: sequence.split for sequence in plan}
    assert all(split_of[sequence.subject] == sequence.split for sequence in plan)
    splits = list(split_of.values())
    assert splits == sorted(splits, key=["train", "val", "test"].index)
    if len(splits) >= 10:
        assert abs(splits.count("train") / len(splits) - 0.70) <= 0.1


def test_twenty_people_are_dealt_out_as_70_15_15() -> None:
    plan = make_plan(CaptureSettings(frames=20_000))
    subjects = [{s.subject for s in plan if s.split == split} for split in ("train", "val", "test")]
    assert [len(each) for each in subjects] == [14, 3, 3]
    assert {sequence.activity for sequence in plan} == set(ACTIVITIES)


@given(count=st.integers(1, 140), seed=st.integers(0, 1000))
def test_cameras_look_at_the_hands_from_all_sides(count: int, seed: int) -> None:
    rig = sample_rig(np.random.default_rng(seed), count)
    assert len({view.name for view in rig}) == count
    for view in rig:
        R = view.R_camera_from_studio
        assert np.allclose(R @ R.T, np.eye(3), atol=1e-6) and np.linalg.det(R) > 0
        assert R[1, 1] > 0.3  # down is down
        x, y = view.camera.project(view.T_camera_from_studio(CENTRE_MM))
        assert abs(x - view.size[0] / 2) < 60 and abs(y - view.size[1] / 2) < 60
    if count >= 8:
        out = np.stack([view.centre_mm - CENTRE_MM for view in rig])
        assert np.ptp(np.degrees(np.arctan2(out[:, 0], -out[:, 2]))) > 120
        assert len({view.size for view in rig}) == 2 or count < 30


@pytest.mark.parametrize("activity", sorted({activity.name for activity in ACTIVITIES}))
def test_hands_stay_before_the_cameras_and_out_of_each_other(activity: str) -> None:
    settings = CaptureSettings(frames=800, cameras=2, subjects=10)
    sequence = next(s for s in make_plan(settings) if s.activity.name == activity)
    motion = sample_sequence(settings, sequence)
    joints = motion.joints_mm()  # (hand, T, 21, 3)
    assert np.abs(joints.mean(axis=(0, 2)) - CENTRE_MM).max() < 110
    assert finger_penetration_mm(joints.reshape(-1, 21, 3)).max() < 9
    assert (motion.thing is not None) == sequence.activity.held
    if len(motion.hands) == 2:
        assert penetration_mm(*motion.hands).max() <= MAX_OVERLAP_MM + 0.1
        touching = float((gap_mm(*motion.hands) < 1.0).mean())
        assert touching > 0.3 if sequence.activity.touching else touching == 0
    for view in sample_rig(generator(settings, "rig", sequence.subject), 16):
        points = view.camera.project(view.T_camera_from_studio(joints.astype(float)))
        inside = ((points > 0) & (points < view.size)).all(axis=-1)
        assert inside.any(axis=-1).all()  # no hand leaves any picture


def test_a_held_thing_moves_with_its_hand() -> None:
    settings = CaptureSettings(frames=800, cameras=2, subjects=10)
    sequence = next(s for s in make_plan(settings) if s.activity.held)
    motion = sample_sequence(settings, sequence)
    places = []
    for moment in motion.moments(np.array([0, len(sequence.frames) - 1])):
        hand = moment.hands[0]
        local = (moment.stage.vertices_mm - hand.root_mm) @ hand.R_camera_from_hand
        assert motion.thing is not None
        distance = np.linalg.norm(local[None] - motion.thing.vertices_mm[:5, None], axis=2)
        places.append(distance.min(axis=1))
    assert np.abs(places).max() < 0.01


def test_visibility_is_kept_by_annotation(capture: Path) -> None:
    dataset: LabelledSet = open_dataset(capture, "train")
    assert isinstance(dataset, InterHand26M)
    row = dataset.extras.visible(int(dataset.index["annotation"][3]))
    assert row is not None and row.shape == (42,)
    assert dataset.extras.visible(10**9) is None
    (label,) = dataset.record(3).hands
    assert label.visible is not None
    assert label.visible.sum() == row[:21].sum() > 0
