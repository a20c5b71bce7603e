"""A label that is not what it should be is told in words of ours; libraries tell of themselves."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knuckle.camera import Camera
from knuckle.data import shards
from knuckle.data.datasets import DATASETS
from knuckle.data.json_stream import BrokenDataError
from knuckle.errors import InputError
from knuckle.sample import Sample
from miniatures import MINIATURES, write_folder


def broken(name: str, root: Path, file: str, change: Callable[[Any], None]) -> str:
    """What is said of a data set one of whose files was changed."""
    write, split = MINIATURES[name]
    write(root)
    path = next(root.rglob(file))
    packed = path.suffix == ".pickle"
    labels = pickle.loads(path.read_bytes()) if packed else json.loads(path.read_text())
    change(labels)
    path.write_bytes(pickle.dumps(labels, 2) if packed else json.dumps(labels).encode())
    with pytest.raises(BrokenDataError) as told:
        DATASETS[name](root, split)
    assert str(path) in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("value", ["a", {}, [1, 2], None])
def test_coco_wholebody(value: object, tmp_path: Path) -> None:
    def change(labels: dict) -> None:
        labels["annotations"][1]["lefthand_box"] = value

    said = broken("coco_wholebody", tmp_path, "coco_wholebody_val*.json", change)
    assert said.endswith("annotations[1]: not as COCO-WholeBody writes it")


def test_interhand26m(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))

    def change(labels: dict) -> None:
        labels["{}"] = next(iter(labels.values()))

    said = broken("interhand26m", tmp_path, "*_test_camera.json", change)
    assert "capture is '{}', expected a whole number" in said


def test_interhand26m_with_a_lens_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))

    def change(labels: dict) -> None:
        next(iter(next(iter(labels.values()))["focal"].values()))[1] = 0

    said = broken("interhand26m", tmp_path, "*_test_camera.json", change)
    assert "focal lengths must be positive" in said


def test_rhd(tmp_path: Path) -> None:
    def change(labels: dict) -> None:
        labels[b"0"] = labels.pop(0)

    assert "a label for each picture" in broken("rhd", tmp_path, "*.pickle", change)


def of_folder(root: Path, change: Callable[[list[dict]], object]) -> str:
    """What is said of own labels that were changed; nothing if they are read."""
    write_folder(root)
    path = root / "labels.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines[1:])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    try:
        DATASETS["folder"](root, "all")
    except BrokenDataError as told:
        return str(told)
    return ""


def _renamed(entry: dict, name: str, other: str) -> None:
    entry[other] = entry.pop(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: _renamed(r[0]["hands"][0], "joints_mm", "joint_mm"), "did you mean joints_mm?"),
        (lambda r: _renamed(r[0], "group", "groups"), "did you mean group?"),
        (lambda r: r[0]["camera"].update(distorsion=[0.1, 0, 0, 0]), "did you mean distortion?"),
        (lambda r: r[0].update(complete="false"), "complete must be true or false"),
        (lambda r: r[0].update(split="validation"), "split must be train, val or test"),
        (lambda r: r[0]["hands"][0].update(valid=["false"] * 21), "valid must be numbers"),
        (lambda r: r[0]["hands"][0].update(visible=[0.3] * 21), "visible must be 0 or 1"),
        (lambda r: r[0]["hands"][0].update(joints_px=[[1, 2]] * 22), "must have 21 entries"),
        (
            lambda r: r[0]["hands"][0].update(joints_px=[[0.01 * j, 0.5] for j in range(21)]),
            "multiply shares of the picture by its width",
        ),
        (lambda r: r[1].update(file=r[0]["file"]), "all hands of a picture on one line"),
        (lambda r: r[1].update(file="images/0000.png"), "names that differ before the suffix"),
    ],
)
def test_own_labels(change: Callable[[list[dict]], object], said: str, tmp_path: Path) -> None:
    assert said in of_folder(tmp_path, change)


def test_own_labels_of_a_fisheye_and_without_a_group(tmp_path: Path) -> None:
    def change(records: list[dict]) -> None:
        records[0]["camera"] |= {"distortion": [0.1, 0.01, 0, 0], "fisheye": True}
        records[0]["group"] = records[0]["complete"] = None

    assert of_folder(tmp_path, change) == ""
    record = DATASETS["folder"](tmp_path, "all").record(0)
    assert record.camera == Camera(500, 500, 160, 120, (0.1, 0.01, 0, 0), fisheye=True)
    assert (record.group, record.complete) == ("", True)


def test_a_picture_in_a_shard_that_is_cut_off_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    sample = Sample(image=np.zeros((64, 64, 3), np.uint8), hands=(), key="a", group="a")
    members = {name.partition(".")[2]: data for name, data in shards._members(sample, 92)}
    members["jpg"] = members["jpg"][:-20]
    with pytest.raises(InputError, match="sample a: its image is cut off"):
        shards.decode("a", members)
    assert capfd.readouterr().err == ""
