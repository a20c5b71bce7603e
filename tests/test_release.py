"""The version is said once for people and once for pip: they agree."""

from __future__ import annotations

import tomllib
from pathlib import Path

import knuckle
from knuckle.output import RunInfo

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]
    assert knuckle.__version__ == project["version"]
    assert RunInfo.of("a.mp4", (64, 48)).knuckle == project["version"]  # without metadata as well
