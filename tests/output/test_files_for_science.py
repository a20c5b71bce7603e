"""Markers, angles, labels and tables: read back by the programs and libraries they are for."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import cv2
import ezc3d
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
import rerun
from pycocotools.coco import COCO
from pygltflib import GLTF2

from fakes import INFO, SIZE, frame, pose, scene
from files_of_others import read_dlc, read_mot, read_trc
from knuckle.hand import JOINT_NAMES, N_JOINTS, SIDES, Joint
from knuckle.job import convert
from knuckle.output import SINKS, OutputError, RunInfo, open_recording, parquet
from knuckle.output.markers import marker_names
from knuckle.output.mot import angle_names
from knuckle.output.rerun_log import _hand_up
from knuckle.up import AXES
from knuckle.video import open_source

Y_UP = np.array([1, -1, -1])

#: A right hand that is away from the fourth to the twelfth frame, longer than is bridged.
SCENE = [
    (frame(i), [] if 3 <= i < 12 else [pose(centre_mm=(6.0 * i, 0, 600), track_id=0)])
    for i in range(15)
]
SEEN = [i for i in range(15) if not 3 <= i < 12]


def written(name: str, folder: Path, frames=SCENE) -> Path:
    with SINKS[name](folder, INFO) as sink:
        for each in frames:
            sink.write(*each)
    return sink.path


class TestMarkers:
    def test_names(self) -> None:
        names = marker_names("right")
        assert names[:3] == ["RWrist", "RThumbCMC", "RThumbMCP"]
        assert names[-1] == "RLittleTIP"
        assert len(set(names + marker_names("left"))) == 2 * N_JOINTS

    def test_trc(self, tmp_path: Path) -> None:
        head, table = read_trc(written("trc", tmp_path))
        assert (head["DataRate"], head["Units"]) == ("30", "m")
        assert table["frame"].tolist() == list(range(1, 16))
        tips_m = table[[f"RIndexTIP.{axis}" for axis in "xyz"]].to_numpy()
        assert np.isfinite(tips_m).all(axis=1).nonzero()[0].tolist() == SEEN
        expected = np.array([SCENE[i][1][0].joints_mm[Joint.INDEX_TIP] for i in SEEN]) * Y_UP
        np.testing.assert_allclose(1000 * tips_m[SEEN], expected, atol=1e-3)

    def test_c3d(self, tmp_path: Path) -> None:
        file = ezc3d.c3d(str(written("c3d", tmp_path)))
        point = file["parameters"]["POINT"]
        assert point["LABELS"]["value"] == marker_names("right")
        assert (point["UNITS"]["value"], point["RATE"]["value"][0]) == (["mm"], 30)
        points, residuals = file["data"]["points"], file["data"]["meta_points"]["residuals"]
        assert (residuals[0, 0] >= 0).nonzero()[0].tolist() == SEEN
        expected = np.array([SCENE[i][1][0].joints_mm for i in SEEN]) * Y_UP
        np.testing.assert_allclose(points[:3, :, SEEN].transpose(2, 1, 0), expected, atol=1e-3)
        assert np.isnan(points[:3, :, 5]).all()


class TestAngles:
    def test_mot(self, tmp_path: Path) -> None:
        table = read_mot(written("mot", tmp_path))
        np.testing.assert_allclose(table["time"], np.arange(15) / 30, atol=1e-6)
        (hand,) = SCENE[1][1]
        np.testing.assert_allclose(
            table[angle_names("right")].to_numpy()[1].reshape(15, 2), hand.joint_angles, atol=1e-3
        )
        assert np.isfinite(table.to_numpy()).all()

    def test_names(self) -> None:
        names = angle_names("left")
        assert len(set(names)) == 30
        assert names[:2] == ["thumb_cmc_flexion_l", "thumb_cmc_abduction_l"]
        assert names[6:8] == ["index_mcp_flexion_l", "index_mcp_radial_deviation_l"]


class TestLabels:
    def test_deeplabcut(self, tmp_path: Path) -> None:
        table = read_dlc(written("dlc", tmp_path))
        assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
        assert table.index.tolist() == list(range(15))
        right = table["knuckle"]["right"]
        assert right.dropna().index.tolist() == SEEN
        (hand,) = SCENE[14][1]
        found = right.loc[14].to_numpy().reshape(N_JOINTS, 3)
        np.testing.assert_allclose(found[:, :2], hand.joints_px, atol=1e-3)
        np.testing.assert_allclose(found[:, 2], hand.joint_score, atol=1e-3)
        assert table["knuckle"]["left"].isna().all(axis=None)

    def test_deeplabcut_as_h5(self, tmp_path: Path) -> None:
        table = read_dlc(written("dlc", tmp_path))
        path = tmp_path / "hands_dlc.h5"
        table.to_hdf(path, key="df_with_missing")
        pd.testing.assert_frame_equal(pd.read_hdf(path), table)

    def test_a_first_frame_without_a_hand_is_a_row(self, tmp_path: Path) -> None:
        table = read_dlc(written("dlc", tmp_path, [(frame(0), []), SCENE[1]]))
        assert table.index.tolist() == [0, 1]

    def test_coco(self, tmp_path: Path) -> None:
        frames = scene(9)
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(written("coco", tmp_path, frames))
        assert coco.getImgIds() == list(range(9))
        assert coco.loadImgs(3)[0]["width"] == SIZE[0]
        right = coco.loadCats(coco.getCatIds(catNms=["right_hand"]))[0]
        assert right["keypoints"] == list(JOINT_NAMES)
        assert right["skeleton"][:2] == [[1, 2], [2, 3]]
        for index, (_, hands) in enumerate(frames):
            found = coco.loadAnns(coco.getAnnIds(imgIds=index))
            assert len(found) == len(hands)
            for label, hand in zip(found, hands, strict=True):
                points = np.reshape(label["keypoints"], (N_JOINTS, 3))
                np.testing.assert_allclose(points[:, :2] - 0.5, hand.joints_px, atol=0.01)
                np.testing.assert_array_equal(points[:, 2] == 2, hand.visible)
                x, y, width, height = label["bbox"]
                assert label["area"] == pytest.approx(width * height, abs=1)
                assert coco.cats[label["category_id"]]["name"] == f"{hand.side}_hand"
                assert x <= points[:, 0].min() + 0.01
                assert y <= points[:, 1].min() + 0.01

    def test_coco_names_the_files_of_a_folder_of_images(self, tmp_path: Path) -> None:
        sizes = {"cup 2.jpg": (64, 48), "cup 3.png": (80, 40), "cup 10.jpg": (48, 64)}
        for name, (width, height) in sizes.items():
            cv2.imwrite(str(tmp_path / name), np.zeros((height, width, 3), np.uint8))
        (tmp_path / "cup 4.jpg").write_bytes(b"no picture")
        with open_source(tmp_path) as source:
            path = written("coco", tmp_path, [(each, [pose()]) for each in source])
        images = json.loads(path.read_text())["images"]
        assert {each["file_name"]: (each["width"], each["height"]) for each in images} == sizes
        assert [each["id"] for each in images] == [0, 1, 3]  # one is damaged
        with open_source(tmp_path / "cup 10.jpg") as source:
            path = written("coco", tmp_path, [(each, []) for each in source])
        (image,) = json.loads(path.read_text())["images"]
        assert (image["file_name"], image["height"]) == ("cup 10.jpg", 64)

    def test_coco_numbers_the_frames_of_a_video(self, tmp_path: Path) -> None:
        images = json.loads(written("coco", tmp_path).read_text())["images"]
        assert images[12]["file_name"] == "000012.jpg"
        assert (images[12]["width"], images[12]["height"]) == SIZE


class TestTables:
    def test_pandas_is_the_csv(self, tmp_path: Path) -> None:
        frames = scene(7)
        table = open_recording(written("npz", tmp_path, frames)).to_pandas()
        text = pd.read_csv(written("csv", tmp_path, frames)).dropna(subset="joint")
        assert list(table.columns) == list(text.columns)
        for name in text.columns:
            if text[name].dtype.kind == "f":
                np.testing.assert_allclose(table[name], text[name], atol=6e-4, err_msg=name)
            else:
                assert table[name].astype(text[name].dtype).tolist() == text[name].tolist()

    def test_tables_of_recordings_are_joined(self, tmp_path: Path) -> None:
        """One shows left hands only, the other right ones."""
        tables = []
        for side in SIDES:
            (tmp_path / side).mkdir()
            path = written("npz", tmp_path / side, [(frame(0), [pose(side=side)])])
            tables.append(open_recording(path).to_pandas())
        joined = pd.concat(tables)
        assert joined["side"].dtype == "category" and joined["joint"].dtype == "category"
        by_joint = joined.groupby("joint", observed=True)["z_mm"].mean()
        assert tuple(by_joint.index) == JOINT_NAMES

    def test_parquet_of_several_groups_says_what_npz_says(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parquet, "_FRAMES_PER_GROUP", 3)
        frames = [*scene(7), (frame(7), [])]
        read, expected = (
            open_recording(written(name, tmp_path, frames)) for name in ("parquet", "npz")
        )
        np.testing.assert_array_equal(read.frames, expected.frames)
        np.testing.assert_array_equal(read.hands, expected.hands)
        for i in range(-1, 9):
            of_frame = expected.hands[expected.hands["frame"] == i]
            np.testing.assert_array_equal(read.hands_in(i), of_frame)

    def test_polars_takes_the_arrow_table(self, tmp_path: Path) -> None:
        recording = open_recording(written("npz", tmp_path, scene(7)))
        table = pl.from_arrow(recording.to_arrow())
        assert len(table) == len(recording.hands) * N_JOINTS
        tips = table.filter(pl.col("joint") == "index_tip")["z_mm"].to_numpy()
        np.testing.assert_array_equal(tips, recording.hands["joints_mm"][:, Joint.INDEX_TIP, 2])

    def test_no_hands_are_no_rows(self, tmp_path: Path) -> None:
        recording = open_recording(written("npz", tmp_path, [(frame(0), [])]))
        assert len(recording.to_pandas()) == 0

    @pytest.mark.parametrize(
        ("library", "ask"),
        [
            ("pandas", lambda folder: open_recording(folder).to_pandas()),
            ("pyarrow", lambda folder: open_recording(folder).to_arrow()),
            ("ezc3d", lambda folder: SINKS["c3d"](folder, INFO)),
            ("pyarrow", lambda folder: SINKS["lerobot"](folder, INFO)),
        ],
    )
    def test_a_library_that_is_missing(self, library, ask, tmp_path, monkeypatch) -> None:
        written("npz", tmp_path)
        monkeypatch.setitem(__import__("sys").modules, library, None)
        with pytest.raises(OutputError, match=rf"needs {library}: pip install 'knuckle\["):
            ask(tmp_path)


class TestLeRobot:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return written("lerobot", tmp_path)

    def test_what_it_says_of_itself_is_so(self, folder: Path) -> None:
        info = json.loads((folder / "meta/info.json").read_text())
        assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v3.0", 30, 15)
        table = pq.read_table(folder / info["data_path"].format(chunk_index=0, file_index=0))
        rows = table.to_pydict()
        assert not any("/" in name for name in info["features"])
        for name, feature in info["features"].items():
            if feature["dtype"] == "video":
                path = info["video_path"].format(video_key=name, chunk_index=0, file_index=0)
                with open_source(folder / path) as source:
                    frames = list(source)
                assert list(frames[0].image.shape) == feature["shape"]
                np.testing.assert_allclose([f.time_s for f in frames], rows["timestamp"], atol=1e-4)
                continue
            shape = np.shape(rows[name])[1:] or (1,)
            assert list(shape) == feature["shape"]
            assert feature["names"] is None or len(feature["names"]) == shape[0]

    def test_joints_and_gaps(self, folder: Path) -> None:
        rows = pq.read_table(folder / "data/chunk-000/file-000.parquet").to_pydict()
        valid = np.array(rows["observation.hands.right_valid"])
        assert valid.nonzero()[0].tolist() == SEEN
        joints_m = np.array(rows["observation.hands.right_joints"]).reshape(-1, 21, 3)
        assert (joints_m[valid == 0] == 0).all()
        (hand,) = SCENE[13][1]
        np.testing.assert_allclose(1000 * joints_m[13], hand.joints_mm, atol=1e-3)
        wrist = np.array(rows["observation.hands.right_wrist"])[13]
        np.testing.assert_allclose(1000 * wrist[:3], hand.root_mm, atol=1e-3)
        assert np.linalg.norm(wrist[3:]) == pytest.approx(1, abs=1e-6)

    def test_episode_and_task(self, folder: Path) -> None:
        episode = pd.read_parquet(folder / "meta/episodes/chunk-000/file-000.parquet").iloc[0]
        assert (episode["length"], episode["dataset_to_index"]) == (15, 15)
        tasks = pd.read_parquet(folder / "meta/tasks.parquet")
        assert tasks["task_index"].tolist() == [0]
        assert tasks.iloc[0].name == next(iter(episode["tasks"]))
        stats = json.loads((folder / "meta/stats.json").read_text())
        assert np.shape(stats["observation.images.camera"]["mean"]) == (3, 1, 1)
        assert stats["observation.images.camera"]["mean"][0][0][0] == pytest.approx(90 / 255)
        assert len(stats["observation.hands.right_joints"]["std"]) == 63


@pytest.mark.parametrize("name", ["trc", "c3d", "bvh", "glb"])
def test_in_a_rigs_world_y_is_what_points_up_there(name: str, tmp_path: Path) -> None:
    """Its z, mostly: hands would lie on their backs, or hang from the floor."""
    with SINKS["npz"](tmp_path, replace(INFO, space="world", up="z")) as sink:
        for each in SCENE:
            sink.write(*each)
    recording = open_recording(tmp_path)
    (made,) = convert(recording, [name], tmp_path)
    first = recording.hands["joints_mm"][0, Joint.WRIST]
    expected_m = np.array([first[0], first[2], -first[1]]) / 1000
    np.testing.assert_allclose(_first_wrist_m(made), expected_m, atol=1e-5)


def _first_wrist_m(made: Path) -> np.ndarray:
    if made.suffix == ".trc":
        table = read_trc(made)[1]
        return table[[f"RWrist.{axis}" for axis in "xyz"]].to_numpy()[0]
    if made.suffix == ".c3d":
        return ezc3d.c3d(str(made))["data"]["points"][:3, 0, 0] / 1000
    if made.suffix == ".bvh":
        row = made.read_text().splitlines()[-len(SCENE)]
        return np.array(row.split(), float)[6:9]
    gltf = GLTF2().load(str(made))
    moved = next(s for s in gltf.animations[0].channels if s.target.path == "translation")
    keys = gltf.accessors[gltf.animations[0].samplers[moved.sampler].output]
    begin = gltf.bufferViews[keys.bufferView].byteOffset
    return np.frombuffer(gltf.binary_blob()[begin : begin + 12], np.float32)


def test_a_result_whose_up_is_no_axis_was_changed() -> None:
    text = replace(INFO, up="upwards").to_json()
    with pytest.raises(OutputError, match="that points up, found 'upwards'"):
        RunInfo.from_json(text, "hands.npz")
    old = json.loads(INFO.to_json())
    del old["up"]
    assert RunInfo.from_json(json.dumps(old), "hands.npz").up == "-y"


@pytest.mark.parametrize("up", AXES)
def test_rerun_knows_every_axis_that_may_point_up(up: str) -> None:
    named = getattr(rerun.ViewCoordinates, _hand_up(up))
    way = named.coordinates["xyz".index(up[-1])]
    assert way.name == ("Down" if up.startswith("-") else "Up")
