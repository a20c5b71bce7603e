"""Tracking opens no connection: it runs where the kernel would end the process that did."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from knuckle.output import SINKS, open_recording
from knuckle.video import open_source

SEALED = Path(__file__).parent / "sealed.py"
REPOSITORY = Path(__file__).parents[1]
CLIP = REPOSITORY / "src/knuckle/demo/hands.mp4"


def sealed(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SEALED), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
        "import ctypes; ctypes.CDLL(None).socket(2, 1, 0)",  # past Python
        "import subprocess, sys; child = subprocess.run([sys.executable, '-c', "
        "'import socket; socket.socket()']); import os, signal; "
        "child.returncode == -signal.SIGSYS and os.kill(os.getpid(), signal.SIGSYS)",
    ],
)
def test_the_seal_holds(attempt: str, tmp_path: Path) -> None:
    program = tmp_path / "attempt.py"
    program.write_text(attempt)
    assert sealed(program).returncode == -signal.SIGSYS


@pytest.mark.parametrize("way", [(), ("--offline",)])
def test_the_command_tracks(
    way: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    with open_source(CLIP) as source:
        for frame, _ in zip(source, range(12), strict=False):
            cv2.imwrite(str(pictures / f"{frame.index:03d}.png"), frame.image[..., ::-1])
    formats = ",".join(SINKS)
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    done = sealed("-m", "knuckle", "track", pictures, "-o", out, "--format", formats, *way)
    assert done.returncode == 0, done.stderr
    recording = open_recording(out)
    assert len(recording.frames) == 12
    assert len(recording.hands) >= 10


#: So long after they were loaded, libraries are watched: ONNX Runtime's wheels call home after
#: some seconds unless they are told not to.
WATCHED_S = 15

IN_PROGRAMS = """
import sys
import time
import knuckle
import knuckle.mediapipe as mp

estimator, hands = knuckle.HandEstimator(), mp.solutions.hands.Hands()
with knuckle.open_source(sys.argv[1]) as source:
    frame = next(iter(source))
    (hand,) = estimator(frame)
    assert hand.mask.any()
    assert hands.process(frame.image).multi_hand_landmarks
print(hand.side, flush=True)
time.sleep(float(sys.argv[2]))
"""


def test_metrics_are_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "import os, knuckle; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for before, after in ((None, "1"), ("0", "0")):
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
        if before is not None:
            monkeypatch.setenv("ORT_DISABLE_TELEMETRY", before)
        done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True)
        assert done.stdout.strip() == after


def test_programs_track(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text(IN_PROGRAMS)
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    done = sealed(program, CLIP, WATCHED_S)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr
