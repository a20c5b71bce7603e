"""What stands at the front door: all of the contract, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import knuckle


def test_the_door_shows_what_is_promised() -> None:
    # As whoever imports it first sees it, before any name was used.
    program = "import knuckle; print(*dir(knuckle)); from knuckle import *; print(*dir(knuckle))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    for line in done.stdout.decode().splitlines():
        assert line.split() == sorted(knuckle.__all__)


def test_every_name_has_a_home_and_every_home_a_name() -> None:
    assert {*knuckle._HOME, "__version__"} == set(knuckle.__all__)
    for name in knuckle.__all__:
        assert getattr(knuckle, name) is not None


def test_a_rig_is_built_in_code_through_the_door_alone() -> None:
    lens = knuckle.Camera.assume(640, 480)
    poses = [knuckle.RigidTransform(np.eye(3), np.array([x, 0.0, 0.0])) for x in (0.0, -60.0)]
    cameras = [knuckle.RigCamera(f"cam_{v}", lens, T) for v, T in enumerate(poses)]
    settings = knuckle.RigSettings(max_hands=1, workers=1)
    tracker = knuckle.RigTracker(knuckle.Rig(tuple(cameras)), settings)
    assert tracker.settings is not None and tracker.rig.names == ("cam_0", "cam_1")
    assert knuckle.HandTracker(knuckle.TrackerSettings(smooth=None)).settings.smooth is None
    assert knuckle.HandEstimator(knuckle.EstimatorSettings(looks=2)).settings.looks == 2


@pytest.mark.parametrize("room", knuckle._ROOMS)
def test_a_room_is_reached_by_its_name_alone(room: str) -> None:
    """As the README does: ``import knuckle``, then ``knuckle.openxr.openxr_hand(...)``."""
    program = f"import sys, knuckle; assert knuckle.{room} is sys.modules['knuckle.{room}']"
    subprocess.run([sys.executable, "-c", program], check=True)
