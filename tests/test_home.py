"""``~`` is the home folder wherever a path comes in."""

from __future__ import annotations

from pathlib import Path

import pytest

import knuckle
from clips import write_video
from knuckle.cli import _at_home
from knuckle.corpus import Track
from knuckle.train.recipe import _value


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("kind", [str, Path])
def test_sources_and_cameras_are_found_at_home(home: Path, kind: type) -> None:
    write_video(home / "a.mp4", 2)
    with knuckle.open_source(kind("~/a.mp4")) as source:
        assert len(list(source)) == 2
    camera = knuckle.Camera(500.0, 500.0, 32.0, 24.0)
    camera.save(kind("~/camera.json"))
    assert knuckle.Camera.load(kind("~/camera.json")) == camera


def test_recipes_and_results_and_arguments_lead_home(home: Path) -> None:
    assert _value(str, "~/shards", "recipe") == str(home / "shards")
    assert _at_home("--output=~/x") == f"--output={home}/x"
    assert _at_home("~/x") == f"{home}/x"
    assert _at_home("--format=npz") == "--format=npz" and _at_home("./~") == "./~"
    with pytest.raises(knuckle.KnuckleError, match=str(home)):
        knuckle.open_recording("~/nothing.npz")
    with pytest.raises(knuckle.KnuckleError, match=str(home)):
        knuckle.Rig.load("~/rig.toml")
    assert Track("~/out")._output == home / "out"
