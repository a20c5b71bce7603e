"""Every example runs from the repository's root on the shipped clip, and says what it should."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from knuckle.hand import Joint

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = REPOSITORY / "examples"
CLIP = REPOSITORY / "src/knuckle/demo/hands.mp4"

#: Runs an example with arguments and returns what it printed.
Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(name: str, *arguments: object) -> str:
        monkeypatch.chdir(REPOSITORY)
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_01_image(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "new" / "drawn.png"
    said = run("01_image.py", "--out", out)
    assert said.count("right hand, score") == 1
    assert cv2.imread(str(out)).shape == (480, 640, 3)
    assert int(re.search(r"(\d+) pixels of the picture", said)[1]) > 5_000


def test_02_video(run: Run) -> None:
    printed = re.findall(r"hand \d+ \((\w+)\): ([\d.]+) to ([\d.]+) s", run("02_video.py"))
    visits = [(float(end) - float(start), float(start), side) for side, start, end in printed]
    longest, start, _ = max(visit for visit in visits if visit[2] == "right")
    assert start < 0.3
    assert 3 < longest < 4.2  # until it leaves
    _, start, _ = max(visit for visit in visits if visit[2] == "left")
    assert 1.3 < start < 2.6  # when it joins


def test_03_camera_space(run: Run) -> None:
    said = run("03_camera_space.py")
    assert len(said.splitlines()) == 29
    away_cm = [int(number) for number in re.findall(r"wrist (\d+) cm away", said)]
    assert 40 < np.median(away_cm) < 60  # 48 cm in truth
    gaps_mm = [int(number) for number in re.findall(r"tips (\d+) mm apart", said)]
    assert min(gaps_mm) < 0.5 * max(gaps_mm)  # they meet


@pytest.fixture
def short_clip(tmp_path: Path) -> Path:
    """The first two seconds of the shipped clip, in which the right hand stays."""
    path = tmp_path / "short.mp4"
    with av.open(str(CLIP)) as clip, av.open(str(path), "w") as short:
        stream = short.add_stream_from_template(clip.streams.video[0])
        for packet in islice(clip.demux(video=0), 60):
            packet.stream = stream
            short.mux(packet)
    return path


def test_04_retarget(run: Run, short_clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "right.npz"
    run("04_retarget.py", "--source", short_clip, "--out", out)
    with np.load(out) as file:
        times_s, joints_m = file["time_s"], file["joints_m"]
    assert len(times_s) == len(joints_m) > 45
    assert (np.diff(times_s) > 0).all()
    np.testing.assert_array_equal(joints_m[:, Joint.WRIST], 0)
    middle = joints_m[:, Joint.MIDDLE_MCP]
    np.testing.assert_allclose(middle[:, :2], 0, atol=1e-9)  # it lies on z
    assert 0.07 < np.median(middle[:, 2]) < 0.1  # a palm's length
