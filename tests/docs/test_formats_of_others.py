"""The readers in ``docs/formats.md`` of files for other programs find the hand where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from docs.test_formats import READERS
from fakes import INFO, frame, pose
from knuckle.hand import Joint
from knuckle.output import SINKS, TableSink

#: A right hand that moves; in the third frame there is none.
FRAMES = [
    (frame(i), [] if i == 2 else [pose(centre_mm=(10.0 * i, -5.0 * i, 600 + i), track_id=0)])
    for i in range(8)
]
EXPORTS = [name for name in SINKS if name != "overlay" and not issubclass(SINKS[name], TableSink)]


@pytest.fixture(params=EXPORTS)
def found(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    with SINKS[request.param](tmp_path, INFO) as sink:
        for each in FRAMES:
            sink.write(*each)
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(READERS[request.param], found)
    return found


def test_places_and_times(found: dict) -> None:
    hands = [(f, hands[0]) for f, hands in FRAMES if hands]
    y_up = np.array([1, -1, -1])
    tips_mm = np.array([hand.joints_mm[Joint.INDEX_TIP] for _, hand in hands])
    wrists_mm = np.array([hand.root_mm for _, hand in hands])
    with_all = len(found.get("times_s", ())) == len(FRAMES)
    rows = [f.index for f, _ in hands] if with_all else slice(None)
    if "times_s" in found:
        times_s = np.asarray(found["times_s"])[rows]
        np.testing.assert_allclose(times_s, [f.time_s for f, _ in hands], atol=1e-6)
    if "frames" in found and "tips_px" in found:
        assert list(found["frames"]) == [f.index for f, _ in hands]
        tips_px = [hand.joints_px[Joint.INDEX_TIP] for _, hand in hands]
        np.testing.assert_allclose(np.asarray(found["tips_px"]), tips_px, atol=0.01)
    elif "tips_m" in found and not with_all:  # the camera's axes
        np.testing.assert_allclose(1000 * np.array(found["tips_m"]), tips_mm, atol=1e-3)
    elif "tips_m" in found:
        np.testing.assert_allclose(1000 * found["tips_m"][rows], tips_mm * y_up, atol=1e-3)
    elif "tips_mm" in found:
        np.testing.assert_allclose(found["tips_mm"][rows], tips_mm * y_up, atol=1e-3)
    elif "wrists_m" in found:
        np.testing.assert_allclose(1000 * found["wrists_m"][rows], wrists_mm * y_up, atol=1e-3)
    else:
        expected = [hand.joint_angles[3, 0] for _, hand in hands]
        np.testing.assert_allclose(found["flexion_deg"][rows], expected, atol=1e-3)
