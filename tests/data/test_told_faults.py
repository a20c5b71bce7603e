"""A label that is not what it should be is told in words of ours; libraries tell of themselves."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knuckle.data import shards
from knuckle.data.datasets import DATASETS
from knuckle.data.json_stream import BrokenDataError
from knuckle.errors import InputError
from knuckle.sample import Sample
from miniatures import MINIATURES


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


def test_a_picture_in_a_shard_that_is_cut_off_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    sample = Sample(image=np.zeros((64, 64, 3), np.uint8), hands=(), key="a", group="a")
    members = {name.partition(".")[2]: data for name, data in shards._members(sample, 92)}
    members["jpg"] = members["jpg"][:-20]
    with pytest.raises(InputError, match="sample a: its image is cut off"):
        shards.decode("a", members)
    assert capfd.readouterr().err == ""
