"""The page itself, in headless Chromium with a video in the place of a camera."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from camera import write_y4m
from parity import compare

import knuckle
from knuckle.web import page_files, serve

CLIP = Path(knuckle.__file__).parent / "demo" / "hands.mp4"
PROGRAM = Path(__file__).parent / "browser.mjs"
FRAMES = 24
#: So slow that every frame is seen in its turn, on busy machines too: which ones a page happens to
#: see decides how far a hand moves between two, and whether it is lost and found again.
CAMERA_FPS = 5


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, dict]:
    """Where the page was, the folder with what it saw, and what the driver noted."""
    folder = tmp_path_factory.mktemp("visit")
    write_y4m(CLIP, folder / "camera.y4m", CAMERA_FPS)
    with page_files() as files, serve(files, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://localhost:{server.server_address[1]}/"
        command = ["node", PROGRAM, address, folder / "camera.y4m", str(FRAMES), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        server.shutdown()
    assert done.returncode == 0, done.stderr
    return address, folder, json.loads((folder / "hands.json").read_text())


def test_hands_as_in_python(visit: tuple[str, Path, dict]) -> None:
    _, folder, noted = visit
    images = []
    for i, frame in enumerate(noted["seen"]):
        pixels = np.frombuffer((folder / f"frame-{i}").read_bytes(), np.uint8)
        images.append(pixels.reshape(frame["height"], frame["width"], 4)[..., :3].copy())
    times_s = [frame["timeS"] for frame in noted["seen"]]
    found = compare(images, times_s, [frame["hands"] for frame in noted["seen"]])
    assert len(found.px) >= FRAMES / 2
    # As in Node.js, see there.
    assert np.percentile(found.px, 80) < 1.0
    assert np.percentile(found.mm, 80) < 1.0
    assert max(found.px) < 3.0
    assert max(found.mm) < 3.0


def test_nothing_is_asked_of_anybody_else(visit: tuple[str, Path, dict]) -> None:
    address, _, noted = visit
    elsewhere = [
        url for url in noted["requests"] if not url.startswith((address, "blob:", "data:"))
    ]
    assert elsewhere == []
    assert noted["complaints"] == []


def test_threads_may_share_memory(visit: tuple[str, Path, dict]) -> None:
    assert visit[2]["isolated"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor, one thread")
def test_two_hands_have_a_thread_each(visit: tuple[str, Path, dict]) -> None:
    assert re.search(r", [24] threads\)", visit[2]["status"])
