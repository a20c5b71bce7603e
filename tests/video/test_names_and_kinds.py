"""What a name or a file's content says of itself, against what it is."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from clips import picture, write_images, write_video
from knuckle.video import SourceEmptyError, SourceNotFoundError, SourceUnreadableError, open_source


class Named:
    """A path of another library."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_any_path_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "clip.mp4", 3).rename(tmp_path / "7")
    monkeypatch.chdir(tmp_path)
    with open_source(Named(Path("7"))) as source:  # and is no camera
        assert len(list(source)) == 3


@pytest.mark.parametrize("what", [None, True, 7.0, b"7", ["a.mp4"]])
def test_what_is_no_name_is_refused_with_its_type(what: object) -> None:
    with pytest.raises(SourceNotFoundError, match=type(what).__name__):
        open_source(what)


def animation(path: Path, kind: str) -> Path:
    first, *others = [Image.fromarray(picture(i)) for i in range(4)]
    lossless = {"lossless": True} if kind == "webp" else {}
    durations = {} if kind == "tiff" else {"duration": [100, 300, 50, 200]}
    first.save(path, kind, save_all=True, append_images=others, **durations, **lossless)
    return path


class TestManyPicturesInOneFile:
    @pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
    @pytest.mark.parametrize("suffix", [".jpg", ".png"])
    def test_whatever_its_name(self, kind: str, suffix: str, tmp_path: Path) -> None:
        path = animation(tmp_path / f"a{suffix}", kind)
        with open_source(path) as source:
            times = [frame.time_s for frame in source]
        expected = [0, 1 / 30, 2 / 30, 0.1] if kind == "tiff" else [0, 0.1, 0.4, 0.45]
        np.testing.assert_allclose(times, expected)

    def test_the_second_picture_of_a_jpeg_is_not_shown(self, tmp_path: Path) -> None:
        with open_source(animation(tmp_path / "a.jpg", "mpo")) as source:
            assert len(list(source)) == 1

    @pytest.mark.parametrize("kind", ["png", "webp", "tiff"])
    def test_a_folder_takes_the_first_and_says_so_once(self, kind: str, tmp_path: Path) -> None:
        folder = write_images(tmp_path / "frames", 2)
        for name in "xy":
            animation(folder / f"{name}.{kind}", kind)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with open_source(folder) as source:
                assert len(list(source)) == 4
        (warning,) = caught
        assert "x.tiff holds several" in str(warning.message).replace(kind, "tiff")


@pytest.mark.parametrize(("codec", "suffix"), [("mpeg2video", ".m2v"), ("mjpeg", ".mjpeg")])
def test_an_fps_is_that_of_a_raw_stream(codec: str, suffix: str, tmp_path: Path) -> None:
    """Also where a parser makes times up from a rate of its own."""
    kind = {"mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    with av.open(str(tmp_path / f"raw{suffix}"), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, kind
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            container.mux(stream.encode(frame.reformat(format=kind)))
        container.mux(stream.encode())
    with open_source(tmp_path / f"raw{suffix}", fps=90) as source:
        np.testing.assert_allclose([frame.time_s for frame in source], np.arange(5) / 90)


def test_a_song_with_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        sound, cover = container.add_stream("aac", rate=44100), container.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        silence.rate = 44100
        container.mux(sound.encode(silence))
        still = av.VideoFrame.from_ndarray(picture(1), format="rgb24")
        container.mux(cover.encode(still.reformat(format="yuvj420p")))
        container.mux(sound.encode())
    with pytest.raises(SourceUnreadableError, match="only audio and cover"):
        open_source(path)


def test_a_folder_of_videos_is_told_from_an_empty_one(tmp_path: Path) -> None:
    shutil.copy(write_video(tmp_path / "a.mp4", 2), tmp_path / "b.MOV")
    with pytest.raises(SourceEmptyError, match="knuckle corpus"):
        open_source(tmp_path)
