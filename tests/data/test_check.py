"""The check names every one of a set of planted faults, and no good file."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from knuckle.data.check import check
from knuckle.data.datasets import open_dataset
from knuckle.data.json_stream import BrokenDataError
from knuckle.data.labelled import read_rgb
from miniatures import (
    MINIATURES,
    InterHandScene,
    interhand_files,
    save,
    write_folder,
    write_interhand,
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", MINIATURES)
def test_a_good_data_set_has_no_fault(tmp_path: Path, name: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    MINIATURES[name][0](root)
    report = check(root)
    assert report.faults == ()
    assert report.pictures > 0
    assert "no fault" in str(report)


def test_the_real_data_have_no_fault(shared_data: Path) -> None:
    assert check(shared_data / "interhand26m_sample").faults == ()


@pytest.mark.parametrize("name", [n for n in MINIATURES if n != "interhand26m"])
def test_broken_labels_and_pictures_are_named(tmp_path: Path, name: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    MINIATURES[name][0](root)
    pictures = sorted(
        path
        for path in root.rglob("*")
        if path.suffix in (".jpg", ".png")
        and not path.parent.name.startswith("mask")
        # a photograph without a hand is not read
        and "724" not in path.name
    )
    content = pictures[0].read_bytes()
    pictures[0].write_bytes(content[: len(content) // 2])
    save(pictures[1], np.zeros_like(read_rgb(pictures[1])))
    pictures[2].unlink()
    kinds = [fault.kind for fault in check(root).faults]
    assert sorted(kinds) == ["black picture", *["picture missing or undecodable"] * 2]
    labels = next(p for p in sorted(root.rglob("*")) if p.suffix in (".json", ".jsonl", ".pickle"))
    labels.write_bytes(labels.read_bytes()[:-20])
    report = check(root)
    assert [fault.kind for fault in report.faults] == ["broken label file"]
    assert labels.name in report.faults[0].what


def plant_in_freihand(root: Path) -> list[str]:
    path = root / "training_xyz.json"
    xyz = json.loads(path.read_text())
    xyz[0][3][1] = float("nan")
    xyz[2] = xyz[2][:20]
    path.write_text(json.dumps(xyz))
    return ["record 0: expected (21, 3) finite numbers", "record 2: expected (21, 3)"]


def plant_in_rhd(root: Path) -> list[str]:
    path = root / "training/anno_training.pickle"
    labels = pickle.loads(path.read_bytes())
    labels[0]["xyz"][5] = np.nan
    labels[1]["K"] = np.eye(2)
    path.write_bytes(pickle.dumps(labels, protocol=2))
    return ["record 0: xyz must be", "record 1: K must be (3, 3)"]


def plant_in_coco_wholebody(root: Path) -> list[str]:
    path = root / "annotations/coco_wholebody_val_v1.0.json"
    labels = json.loads(path.read_text())
    known = next(k for k in range(21) if labels["annotations"][0]["righthand_kpts"][3 * k + 2])
    labels["annotations"][0]["righthand_kpts"][3 * known] = float("nan")
    labels["annotations"][1]["righthand_kpts"] = [0.0] * 60
    del labels["annotations"][2]["lefthand_box"]
    path.write_text(json.dumps(labels))
    return ["annotations[0]: righthand_kpts", "annotations[1]: ", "annotations[2]: 'lefthand_box'"]


def plant_in_real_hand_3d(root: Path) -> list[str]:
    path = root / "labels.json"
    labels = json.loads(path.read_text())
    labels[0]["joints_mm"][7][2] = float("inf")
    labels[1]["fx_fy_cx_cy"] = [480.0, 480.0, 128.0]
    del labels[2]["side"]
    path.write_text(json.dumps(labels))
    return ["record 0: joints_mm must be", "record 1: fx_fy_cx_cy must be", "record 2: expected"]


def plant_in_folder(root: Path) -> list[str]:
    path = root / "labels.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    hands = [line["hands"][0] for line in lines[1:]]
    hands[0]["joints_px"][int(np.flatnonzero(hands[0]["valid"])[0])] = [float("nan"), 1.0]
    hands[1]["joints_mm"] = hands[1]["joints_mm"][:20]
    hands[2]["side"] = "both"
    del lines[4]["file"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ["line 2: joints_px", "line 3: ", "line 4: ", "line 5: 'file' is missing"]


PLANTERS = {
    "freihand": plant_in_freihand,
    "rhd": plant_in_rhd,
    "coco_wholebody": plant_in_coco_wholebody,
    "real_hand_3d": plant_in_real_hand_3d,
    "folder": plant_in_folder,
}


def test_labels_in_metres_are_no_millimetres(tmp_path: Path) -> None:
    write_folder(tmp_path / "own")
    path = tmp_path / "own" / "labels.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for hand in (hand for line in lines[1:] for hand in line["hands"]):
        hand["joints_mm"] = (np.array(hand["joints_mm"]) / 1000).tolist()
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match="line 2: joints_mm must be millimetres"):
        open_dataset(tmp_path / "own", "all")


@pytest.mark.parametrize("name", PLANTERS)
def test_every_broken_record_is_named_in_one_pass(tmp_path: Path, name: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    MINIATURES[name][0](root)
    expected = PLANTERS[name](root)
    faults = check(root).faults
    assert [fault.kind for fault in faults] == ["broken record"] * len(expected)
    for fault, beginning in zip(faults, expected, strict=True):
        assert fault.what.startswith(beginning), fault
        assert Path(fault.where).is_file()


def test_every_planted_fault_of_interhand_is_found_and_nothing_else(tmp_path: Path) -> None:
    steps = tuple(range(0, 18 * 12, 18))
    write_interhand(tmp_path, InterHandScene({3: 3, 4: 0}, steps=steps), split="train")
    files = interhand_files(tmp_path, "train", "v1.0")
    data = json.loads(files["data"].read_text())
    joints = json.loads(files["joint_3d"].read_text())
    cameras = json.loads(files["camera"].read_text())
    images, annotations = data["images"], data["annotations"]
    folder = tmp_path / "images" / "train"
    planted: list[tuple[str, str]] = []  # kind, and what must be in its sentence

    (folder / images[0]["file_name"]).unlink()
    planted.append(("picture missing or undecodable", images[0]["file_name"]))
    (folder / images[1]["file_name"]).write_bytes(b"\xff\xd8\xff")
    planted.append(("picture missing or undecodable", images[1]["file_name"]))
    save(folder / images[2]["file_name"], np.zeros((512, 334, 3), np.uint8))
    planted.append(("black picture", images[2]["file_name"]))
    save(folder / images[3]["file_name"], np.full((100, 50, 3), 90, np.uint8))
    planted.append(("picture of another size", images[3]["file_name"]))
    annotations[5]["joint_valid"] = [[1]] * 40
    planted.append(("broken record", f"annotations[5] (id {annotations[5]['id']})"))
    annotations[6]["bbox"] = [0, 0, float("nan"), 4]
    planted.append(("broken record", f"annotations[6] (id {annotations[6]['id']})"))
    annotations[7]["hand_type"] = "three"
    planted.append(("broken record", "hand_type is 'three'"))
    annotations[8]["joint_valid"] = [[0]] * 42
    planted.append(("no valid joint", str(annotations[8]["id"])))
    annotations[9]["image_id"] = 424242
    planted.append(("broken record", "424242"))
    annotations.append(dict(annotations[11]))
    planted.append(("annotation twice", str(annotations[11]["id"])))
    images[12]["camera"] = "999999"
    planted.append(("camera missing", images[12]["file_name"]))
    frames = list(joints["3"])
    gone = joints["3"].pop(frames[10])
    planted += [
        ("3D missing", i["file_name"])
        for i in images
        if i["capture"] == 3 and str(i["frame_idx"]) == frames[10]
    ]
    wrong = joints["3"][frames[14]]
    first = int(np.flatnonzero(np.ravel(wrong["joint_valid"]))[0])
    wrong["world_coord"][first] = [900.0, 0.0, 1000.0]
    planted.append(("impossible bones in 3D", f"frame {frames[14]}"))
    joints["4"][next(iter(joints["4"]))]["world_coord"].pop()
    planted.append(("broken record", f"capture 4, frame {next(iter(joints['4']))}"))
    broken_frame = next(iter(joints["4"]))
    planted += [
        ("3D missing", i["file_name"])
        for i in images
        if i["capture"] == 4 and str(i["frame_idx"]) == broken_frame
    ]
    cameras["4"]["princpt"]["410053"] = [1.0]
    planted.append(("broken record", "capture 4, camera 410053"))
    planted += [
        ("camera missing", i["file_name"])
        for i in images
        if i["capture"] == 4 and i["camera"] == "410053"
    ]
    assert gone
    files["data"].write_text(json.dumps(data))
    files["joint_3d"].write_text(json.dumps(joints))
    files["camera"].write_text(json.dumps(cameras))

    found = list(check(tmp_path).faults)
    for kind, name in planted:
        hit = next((f for f in found if f.kind == kind and name in str(f)), None)
        assert hit is not None, (kind, name)
        found.remove(hit)
    assert found == []


def test_a_picture_in_two_splits_is_named(tmp_path: Path) -> None:
    scene = InterHandScene({3: 3}, sequences=("a",), steps=(0,))
    write_interhand(tmp_path, scene, split="train")
    write_interhand(tmp_path, scene, split="test")
    faults = check(tmp_path).faults
    assert [fault.kind for fault in faults] == ["picture in two splits"] * 2
    assert "in train and in test" in faults[0].what


def test_a_truncated_label_file_does_not_hide_the_other_split(tmp_path: Path) -> None:
    scene = InterHandScene({3: 3}, sequences=("a",), steps=(0,))
    write_interhand(tmp_path, scene, split="train")
    write_interhand(tmp_path, InterHandScene({4: 3}, sequences=("a",), steps=(0,)), split="test")
    path = interhand_files(tmp_path, "train", "v1.0")["data"]
    path.write_text(path.read_text()[:500])
    report = check(tmp_path)
    assert [fault.kind for fault in report.faults] == ["broken label file"]
    assert "breaks off" in report.faults[0].what
    assert report.pictures == 2


def test_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(BrokenDataError, match="none of the data sets interhand26m, freihand"):
        check(tmp_path)
    with pytest.raises(BrokenDataError, match="not a folder"):
        check(tmp_path / "nothing")
