"""From a video on disk to files on disk, with networks that read painted hands exactly."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from clips import write_video
from dot_world import blank, paint, true_hand
from knuckle.bench import STAGES, Stopwatch, measure, measure_mediapipe, table
from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.output import OutputError, open_recording
from knuckle.pipeline import HandTracker
from knuckle.results import HandPose
from knuckle.video import open_source

CAMERA = Camera(300.0, 310.0, 155.0, 122.0)
N_FRAMES = 24


def truth(index: int) -> HandPose:
    return true_hand(CAMERA, (-30.0 + 2 * index, 75.0, 450.0 + index), side="left")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A left hand that moves to the right and away."""
    folder = tmp_path_factory.mktemp("video")
    with av.open(str(folder / "dots.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "bgr0"
        for index in range(N_FRAMES):
            image = paint(blank(), [truth(index)])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    CAMERA.save(folder / "camera.json")
    return folder / "dots.mkv"


@pytest.mark.parametrize("raw", [False, True])
def test_track_finds_the_hand_where_it_is(
    raw: bool, video: Path, dot_weights: Path, tmp_path: Path
) -> None:
    arguments = ["track", str(video), "-o", str(tmp_path), "--weights", str(dot_weights)]
    arguments += ["--camera", str(video.with_name("camera.json")), "--overlay"]
    assert main(arguments + ["--raw"] * raw) == 0
    recording = open_recording(tmp_path)
    assert recording.info.weights.keys() == {"detector", "keypoints", "lifter"}
    assert recording.info.camera == CAMERA
    assert len(recording.frames) == len(recording.hands) == N_FRAMES
    assert recording.track_ids.tolist() == [recording.hands["track_id"][0]]
    assert set(recording.hands["side"]) == {"left"}
    expected = np.array([truth(index).joints_px for index in range(N_FRAMES)])
    error_px = np.linalg.norm(recording.hands["joints_px"] - expected, axis=2)
    assert error_px.max() < (0.8 if raw else 4)  # a smoothed hand that moves lags a little


def test_bench_adds_up(video: Path, dot_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(video), "--weights", str(dot_weights), "--overlay"]) == 0
    out = capsys.readouterr().out
    for stage in (*STAGES.values(), "wait for decoder", "draw", "encode", "whole"):
        assert f"\n{stage}" in out
    assert f"{N_FRAMES} frames" in out
    assert "MB resident" in out


def test_bench_shows_what_it_measured_of_a_cut_video(
    dot_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = write_video(tmp_path / "cut.mp4", 90)
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    assert main(["bench", str(cut), "--weights", str(dot_weights)]) == 2
    said = capsys.readouterr()
    assert "MB resident" in said.out
    assert "breaks off after" in said.err


def test_stages_are_parts_of_the_whole(video: Path, dot_weights: Path) -> None:
    tracker = HandTracker(weights_dir=dot_weights)
    measured = measure(open_source(video), tracker, overlay=False, limit=10)
    assert measured.n_frames == 10
    stages = measured.stages
    inside = sum(float(stages[name].sum()) for name in STAGES.values())
    assert 0 < inside <= stages["tracker, all"].sum() <= stages["whole"].sum() <= measured.wall_s
    assert len(stages["detect"]) < 10 == len(stages["keypoints"])
    assert "draw" not in stages
    assert "detect" in table(measured)


def test_a_stopwatch_counts_each_frame_for_itself() -> None:
    watch = Stopwatch()
    for calls in (1, 0, 2):
        watch.next_frame()
        for _ in range(calls):
            watch.time("stage", lambda: None)
    assert len(watch.seconds("stage")) == 2
    assert len(watch.seconds("other")) == 0


def test_a_python_without_mediapipe_is_said(video: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named mediapipe' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(OutputError, match=r"did not run in .*No module named mediapipe"):
        measure_mediapipe(video, python=python, max_hands=1, limit=5)
