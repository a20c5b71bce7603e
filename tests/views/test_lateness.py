"""How late cameras are, by where their rays to hands that move miss each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle import Rig
from knuckle.views.lateness import lateness
from knuckle.views.sync import Followed, follow
from rigs import SIZE, watched
from rigs import rig as make_rig

DATA = Path("../shared/data/views_two_hands/charuco_calibration")


@settings(max_examples=4, deadline=None)
@given(st.floats(-0.15, 0.15), st.floats(-2.5, 2.5))
def test_clocks_are_told_to_a_fraction_of_a_frame(fraction_s: float, apart_s: float) -> None:
    rig, times = make_rig(3), np.arange(150) / 30
    late = [0.0, fraction_s, apart_s]
    found = lateness(rig, watched(rig, [times, times, times + apart_s], late))
    np.testing.assert_allclose(found.late_s, late, atol=5e-3)
    assert (np.abs(found.late_s - late) <= 2 * found.doubt_s + 1e-9).all()


@pytest.mark.parametrize(("first", "second"), [(30.0, 25.0), (60.0, 30.0), (15.0, 15.0)])
def test_cameras_may_have_any_rate(first: float, second: float) -> None:
    rig, late = make_rig(2), [0.0, 0.047]
    times = [np.arange(0, 5, 1 / fps) for fps in (first, second)]
    found = lateness(rig, watched(rig, times, late))
    np.testing.assert_allclose(found.late_s, late, atol=5e-3)


def test_the_unit_of_the_rig_need_not_be_known() -> None:
    rig, times, late = make_rig(2), np.arange(150) / 30, [0.0, 0.03]
    seen = watched(rig, [times, times], late)
    found, other = lateness(rig, seen), lateness(rig.scaled(0.01), seen)
    np.testing.assert_allclose(other.late_s, found.late_s, atol=2e-4)


@pytest.mark.parametrize("motion", [0.0, 0.01])
def test_hands_that_stand_still_tell_nothing(motion: float) -> None:
    rig, times = make_rig(2), np.arange(150) / 30
    seen = watched(rig, [times, times], [0.0, 0.03], motion=motion)
    with pytest.raises(ValueError, match="the hands do not tell"):
        lateness(rig, seen)


def test_little_motion_is_told_to_be_less_sure() -> None:
    rig, times, late = make_rig(2), np.arange(150) / 30, [0.0, 0.03]
    much, little = (
        lateness(rig, watched(rig, [times, times], late, motion=motion)) for motion in (1.0, 0.25)
    )
    assert little.doubt_s[1] > much.doubt_s[1]
    assert abs(little.late_s[1] - late[1]) < 3 * little.doubt_s[1]


def test_the_doubt_of_short_and_slow_recordings_is_as_large_as_their_errors() -> None:
    """Clocks were drawn outwards by half a frame, in every window, and told to be sure of 6 ms."""
    rig, misses, times = make_rig(2), [], np.arange(75) / 30
    for seed, late_s in enumerate(np.linspace(-0.11, 0.12, 8)):
        seen = watched(rig, [times, times], [0.0, late_s], speed=0.3, wander=0.01, seed=seed)
        found = lateness(rig, seen)
        misses.append((found.late_s[1] - late_s) / found.doubt_s[1])
    assert np.abs(misses).max() < 2.5
    assert np.sqrt(np.mean(np.square(misses))) < 1.3


def test_cameras_that_see_nobody_together_are_told() -> None:
    rig, times = make_rig(2), np.arange(150) / 30
    first, second = watched(rig, [times, times], [0.0, 0.0])
    blind = Followed(second.name, SIZE, second.camera, times, [[] for _ in times])
    with pytest.raises(ValueError, match="the hands do not tell when the videos began"):
        lateness(rig, [first, blind])


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data is not here")
def test_webcams_of_which_one_is_late() -> None:
    """By the board that moves in the same recording, camera 1 is 118 ms late, 9 of them unsure."""
    rig = Rig.load(DATA / "camera_array.toml").select(["cam_1", "cam_2"])
    videos = [DATA / f"calibration/extrinsic/{name}.mp4" for name in rig.names]
    seen = [follow(v, c.camera, first_s=12) for v, c in zip(videos, rig.cameras, strict=True)]
    found = lateness(rig, seen)
    assert found.late_s[1] == pytest.approx(-0.118, abs=0.2 / 6)  # a fifth of a frame
