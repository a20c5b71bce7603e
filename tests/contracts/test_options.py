"""Options by name: what a checker knows is what there is, and all trackers speak one language."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from knuckle import EstimatorSettings, HandTracker, RigSettings, RigTracker, TrackerSettings
from knuckle.pipeline.settings import SMOOTHERS, EstimatorOptions, TrackerOptions
from knuckle.views.settings import STEADIERS, RigOptions
from rigs import rig as make_rig

SOURCE = Path(__file__).parents[2] / "src"
CALLS = """
from knuckle.pipeline.estimator import HandEstimator
from knuckle.pipeline.tracker import HandTracker
from knuckle.views.rig import Rig
from knuckle.views.tracker import RigTracker

rig = Rig.load("rig.toml")
HandEstimator(max_hands=2, looks=4), HandTracker(max_hands=2, smooth=None)
RigTracker(rig, smooth="one_euro", score_threshold=0.7)
HandEstimator(max_hand=2)
HandTracker(max_hand=2)
HandTracker(smooth=1)
RigTracker(rig, max_hnds=3)
"""


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (EstimatorOptions, EstimatorSettings),
        (TrackerOptions, TrackerSettings),
        (RigOptions, RigSettings),
    ],
)
def test_options_are_the_fields_of_settings(options: type, settings: type) -> None:
    hints = get_type_hints(settings)
    assert get_type_hints(options) == {item.name: hints[item.name] for item in fields(settings)}
    assert not options.__required_keys__


def test_a_checker_refuses_what_there_is_not(tmp_path: Path) -> None:
    (tmp_path / "calls.py").write_text(CALLS)
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--no-error-summary"]
    command += ["--cache-dir", str(tmp_path / "cache"), "--follow-imports=silent", "calls.py"]
    environment = os.environ | {"MYPYPATH": str(SOURCE)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    told = [line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line]
    assert told == ["10", "11", "12", "13"], done.stdout + done.stderr
    assert 'Unexpected keyword argument "max_hand" for "HandTracker"' in done.stdout


@pytest.mark.parametrize("smooth", [True, False, "none", 1])
def test_both_trackers_refuse_a_way_of_smoothing_alike(smooth: object) -> None:
    assert set(STEADIERS) == set(SMOOTHERS)
    said = []
    for make in (HandTracker, lambda **options: RigTracker(make_rig(2), **options)):
        with pytest.raises(ValueError, match="smooth must be None or one of one_euro") as error:
            make(smooth=smooth)  # type: ignore[operator]
        said.append(str(error.value))
    assert said[0] == said[1]


def test_what_a_rig_has_no_use_for_is_said_in_a_sentence() -> None:
    with pytest.raises(TypeError, match="hand_length_mm is for one camera: a rig's own scale"):
        RigTracker(make_rig(2), hand_length_mm=180.0)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"score_threshold must be in 0\.\.1, got 2"):
        RigTracker(make_rig(2), score_threshold=2)
    tracker = RigTracker(make_rig(2), score_threshold=0.8, workers=1)
    assert all(each.settings.score_threshold == 0.8 for each in tracker._cameras.trackers)
