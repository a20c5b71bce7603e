"""A small corpus on engines that spread work; slow to start, so apart from the other tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import pytest

import knuckle
from knuckle.corpus import folder_name
from knuckle.output import open_recording

CLIP = Path(knuckle.__file__).parent / "demo" / "hands.mp4"
FRAMES = 6


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two short videos and a file that is none."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a.mp4", "b.mp4"):
        with knuckle.open_source(CLIP) as source, av.open(str(folder / name), "w") as written:
            stream = written.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
            for frame in source:
                if frame.index < FRAMES:
                    written.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image)))
            written.mux(stream.encode())
    (folder / "broken.mp4").write_text("no video")
    return folder


@pytest.mark.parametrize("program", ["ray_corpus.py", "daft_corpus.py"])
def test_every_video_is_tracked_and_errors_are_told(
    program: str, videos: Path, tmp_path: Path
) -> None:
    command = [sys.executable, Path(__file__).with_name(program), videos, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "broken.mp4 is not a video" in done.stdout
    for name in ("a.mp4", "b.mp4"):
        result = tmp_path / folder_name(str(videos / name)) / "hands.parquet"
        assert len(open_recording(result).frames) == FRAMES
