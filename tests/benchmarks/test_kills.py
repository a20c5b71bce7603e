"""Runs of the whole command that are killed leave files that can be read."""

import sys
from pathlib import Path

import av
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import kills
from dot_world import blank, paint, true_hand
from knuckle.camera import Camera
from knuckle.output import open_recording

CAMERA = Camera(300.0, 310.0, 155.0, 122.0)
N_FRAMES = 40
#: An encoder and a muxer each hold one frame back.
HELD_BACK = {"overlay": 2}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kills") / "dots.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "bgr0"
        for index in range(N_FRAMES):
            hand = true_hand(CAMERA, (-30.0 + 2 * index, 75.0, 450.0), side="left")
            image = paint(blank(), [hand])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("after", [2, 23, N_FRAMES])
def test_a_killed_run_loses_nothing_that_it_had_written(
    after: int, video: Path, dot_weights: Path, tmp_path: Path
) -> None:
    delay_s = float(np.random.default_rng(after).uniform(0, kills.LATEST_S))
    left = kills.kill_once(video, after, delay_s, tmp_path, ["--weights", dot_weights])
    assert left.reported >= after
    assert left.kept.keys() == kills.FORMATS.keys()
    for name, kept in left.kept.items():
        assert left.reported - HELD_BACK.get(name, 0) <= kept <= left.reported + 1, name
    # What is left is not only readable but true.
    hands = open_recording(tmp_path).hands
    expected = [
        true_hand(CAMERA, (-30.0 + 2 * i, 75.0, 450.0), side="left") for i in hands["frame"]
    ]
    error_px = np.linalg.norm(hands["joints_px"] - [hand.joints_px for hand in expected], axis=2)
    assert len(hands)
    assert error_px.max() < 4


def test_a_run_that_fails_by_itself_is_no_kill(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not exist"):
        kills.kill_once(tmp_path / "nothing.mp4", 1, 0.0, tmp_path)


def test_moments_lie_all_over_the_run_and_in_its_end() -> None:
    chosen = kills.moments(np.random.default_rng(0), 40, 170)
    after = np.array([frame for frame, _ in chosen])
    assert (after == 170).sum() == 10
    assert after.min() >= 1
    assert np.ptp(after[after < 170]) > 100
    assert all(0 <= delay_s <= kills.LATEST_S for _, delay_s in chosen)


def test_the_table_shows_the_worst() -> None:
    kept = dict.fromkeys(kills.FORMATS, 50)
    lines = kills.table(
        [kills.Kill(49, 0.0, 50, kept), kills.Kill(49, 0.0, 53, kept | {"csv": 53})], fps=30.0
    ).splitlines()
    assert "| npz | 2 | 2 | 3 | 0.10 |" in lines
    assert "| csv | 2 | 2 | 0 | 0.00 |" in lines
