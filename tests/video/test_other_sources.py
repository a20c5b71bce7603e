"""Folders, images, cameras and streams."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from clips import (
    FakeCapture,
    MotionJpeg,
    is_upright,
    number_of,
    picture,
    write_images,
    write_video,
)
from knuckle.video import (
    SourceBrokenError,
    SourceEmptyError,
    SourceNotFoundError,
    SourceOptions,
    SourceUnreadableError,
    open_source,
)
from knuckle.video.stream import Patience
from knuckle.video.stream import open_source as open_stream


class TestFolder:
    def test_natural_order_and_times(self, tmp_path: Path) -> None:
        folder = write_images(tmp_path / "frames", 12)  # "frame 10" sorts before "frame 2" as text
        with open_source(folder, fps=25) as source:
            frames = list(source)
        assert [number_of(frame.image) for frame in frames] == list(range(12))
        np.testing.assert_allclose([f.time_s for f in frames], np.arange(12) / 25)

    def test_other_files_are_left_out(self, tmp_path: Path) -> None:
        folder = write_images(tmp_path / "frames", 3)
        (folder / "notes.txt").write_text("no image")
        (folder / ".hidden.png").write_bytes((folder / "frame 0.png").read_bytes())
        with open_source(folder) as source:
            assert len(list(source)) == 3

    def test_an_unreadable_image_leaves_a_gap(self, tmp_path: Path) -> None:
        folder = write_images(tmp_path / "frames", 4)
        (folder / "frame 2.png").write_bytes(b"broken")
        with open_source(folder) as source:
            assert [frame.index for frame in source] == [0, 1, 3]
        assert source.losses.damaged == 1
        assert source.losses.where == ["frame 2.png"]

    def test_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SourceEmptyError, match="holds no images"):
            open_source(tmp_path)

    def test_no_name(self) -> None:
        with pytest.raises(SourceNotFoundError, match="has no name"):
            open_source("")  # not the folder we are in

    def test_nothing_readable(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"broken")
        with pytest.raises(SourceEmptyError, match=r"none can be read: .*a\.png is not an image"):
            open_source(tmp_path)

    def test_a_result_is_no_folder_of_images(self, tmp_path: Path) -> None:
        """Its plot was tracked."""
        (tmp_path / "hands.npz").touch()
        cv2.imwrite(str(tmp_path / "plot.png"), picture(0))
        with pytest.raises(SourceEmptyError, match="is a result and no folder of images: knuckle"):
            open_source(tmp_path)
        with pytest.raises(SourceUnreadableError, match="is a result and no video: knuckle plot"):
            open_source(tmp_path / "hands.npz")
        cv2.imwrite(str(tmp_path / "own.png"), picture(1))  # tracked into the folder of its images
        with open_source(tmp_path) as source:
            assert [frame.name for frame in source] == ["own.png"]


class TestLeftOpen:
    def test_a_source_that_nobody_holds_is_closed(self, tmp_path: Path) -> None:
        source = open_source(write_images(tmp_path / "frames", 12))
        next(source)
        thread = source._background._thread
        assert thread.is_alive()
        del source
        assert not thread.is_alive()

    def test_python_ends_after_the_decoder(self, tmp_path: Path) -> None:
        """A thread that is cut down inside a C++ library aborts the process."""
        script = """if True:
            import atexit, sys, threading
            from knuckle.video import open_source

            atexit.register(lambda: print([thread.name for thread in threading.enumerate()]))
            source = open_source(sys.argv[1])
            next(source)
        """
        folder = str(write_images(tmp_path / "frames", 12))
        done = subprocess.run(
            [sys.executable, "-c", script, folder], capture_output=True, text=True, check=True
        )
        assert done.stdout == "['MainThread']\n"


class TestImage:
    def test_exif_orientation(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6  # stored a quarter turn to the left, as phones do
        stored = Image.fromarray(np.rot90(picture(7)))
        stored.save(tmp_path / "phone.jpg", exif=exif, quality=95)
        with open_source(tmp_path / "phone.jpg") as source:
            (frame,) = source
        assert frame.image.shape == (48, 64, 3)
        assert is_upright(frame.image)

    @pytest.mark.parametrize("kind", ["grey", "rgba", "16 bit", "1x1"])
    def test_every_kind_of_image_becomes_rgb(self, kind: str, tmp_path: Path) -> None:
        rgb = picture(5)
        stored = {
            "grey": rgb[..., 0],
            "rgba": np.dstack([cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), rgb[..., :1]]),
            "16 bit": rgb[..., ::-1].astype(np.uint16) * 257,
            "1x1": rgb[:1, :1, ::-1],
        }[kind]
        cv2.imwrite(str(tmp_path / "a.png"), stored)
        with open_source(tmp_path / "a.png") as source:
            (frame,) = source
        expected = np.repeat(rgb[..., :1], 3, axis=2) if kind == "grey" else rgb
        expected = expected[:1, :1] if kind == "1x1" else expected
        np.testing.assert_allclose(frame.image.astype(int), expected, atol=1)

    def test_a_text_file_named_jpg(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_text("no image")
        with pytest.raises(SourceUnreadableError, match="not an image"):
            open_source(tmp_path / "a.jpg")

    def test_an_image_of_floats(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        cv2.imwrite(str(tmp_path / "a.tiff"), picture(3).astype(np.float32))
        with pytest.raises(SourceUnreadableError, match=r"float32 numbers from .* in 0\.\.1; save"):
            open_source(tmp_path / "a.tiff")
        assert capfd.readouterr().err == ""

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_floats_are_read_where_they_say_what_white_is(
        self, dtype: type, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """In a folder they counted as damaged."""
        for name in ("a.tiff", "b.tiff"):
            cv2.imwrite(str(tmp_path / name), picture(3)[..., ::-1].astype(dtype) / 255)
        with open_source(tmp_path) as source:
            frames = list(source)
        assert source.losses.damaged == 0
        np.testing.assert_array_equal([frame.image for frame in frames], [picture(3)] * 2)
        assert capfd.readouterr().err == ""

    def test_pages_of_other_numbers_are_told(self, tmp_path: Path) -> None:
        cv2.imwritemulti(str(tmp_path / "a.tiff"), [picture(3).astype(np.float32)] * 2)
        with pytest.raises(SourceUnreadableError, match=r"a\.tiff holds float32 numbers from"):
            open_source(tmp_path / "a.tiff")

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SourceNotFoundError, match="does not exist"):
            open_source(tmp_path / "a.jpg")


class TestCamera:
    @pytest.mark.parametrize("source", [0, "0"])
    def test_zero_is_a_camera(self, source: int | str, monkeypatch: pytest.MonkeyPatch) -> None:
        capture = FakeCapture()
        monkeypatch.setattr(cv2, "VideoCapture", capture)
        with open_source(source) as frames:
            assert is_upright(next(frames).image)
        assert capture.opened == 0
        assert capture.released

    def test_the_newest_frame_is_preferred(self, monkeypatch: pytest.MonkeyPatch) -> None:
        capture = FakeCapture()
        monkeypatch.setattr(cv2, "VideoCapture", capture)
        monkeypatch.setattr(FakeCapture, "read", _at_100_fps(FakeCapture.read))
        with open_source(0) as source:
            next(source)
            while capture.index < 20:  # a slow tracker
                time.sleep(0.01)
            taken = capture.index
            assert next(source).index >= taken - 3
            assert source.losses.dropped >= 10

    def test_unplugged(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cv2, "VideoCapture", FakeCapture(n_frames=5))
        monkeypatch.setattr("knuckle.video.webcam._PAUSE_S", 0.001)
        with pytest.raises(SourceBrokenError, match="unplugged"), open_source(0) as source:
            list(source)

    def test_a_camera_that_is_not_there(self, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SourceNotFoundError, match="camera 93 gives no picture"):
            open_source(93)
        assert capfd.readouterr().err == ""  # OpenCV's own lines would bury the sentence

    def test_a_camera_that_others_may_open(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "video93").touch()
        monkeypatch.setattr("knuckle.video.webcam._DEVICES", tmp_path)
        monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root
        with pytest.raises(SourceNotFoundError, match=r"video93 closed to them; join its group"):
            open_source(93)


def _at_100_fps(read):
    def paced(self: FakeCapture):
        time.sleep(0.01)
        return read(self)

    return paced


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator:
    servers = []

    def start(handler) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class TestStream:
    def test_a_video_on_a_server_is_read_whole(self, tmp_path: Path, serve) -> None:
        write_video(tmp_path / "a.mp4", 20)
        url = serve(partial(_Quiet, directory=str(tmp_path)))
        with open_source(f"{url}/a.mp4") as source:
            assert not source.info.live
            assert [number_of(frame.image) for frame in source] == list(range(20))

    def test_a_server_need_not_say_how_long_a_video_is(self, tmp_path: Path, serve) -> None:
        """Nor whether it will close the connection: the video's own end is enough."""
        written = write_video(tmp_path / "a.mkv", 20).read_bytes()

        class Untold(_Quiet):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(written)

        with open_source(f"{serve(Untold)}/a.mkv") as source:
            assert [number_of(frame.image) for frame in source] == list(range(20))

    def test_a_live_stream_is_reconnected(self, serve) -> None:
        MotionJpeg.calls = 0
        url = serve(MotionJpeg)
        with open_source(f"{url}/camera.mjpg") as source:
            assert source.info.live
            frames = []
            for frame in source:
                frames.append(frame)
                if MotionJpeg.calls >= 3:
                    source.stop()
        times = [frame.time_s for frame in frames]
        assert all(is_upright(frame.image) for frame in frames)
        assert np.all(np.diff(times) > 0)
        assert frames[-1].index + 1 == len(frames) + source.losses.dropped

    def test_a_stream_that_does_not_come_back(self, serve, monkeypatch) -> None:
        MotionJpeg.calls = 0
        url = serve(MotionJpeg)
        patience = Patience(reconnect_s=0.3)

        def hang_up(self: MotionJpeg) -> None:
            type(self).calls += 1
            if type(self).calls > 1:
                self.send_error(503)
            else:
                answer(self)

        answer = MotionJpeg.do_GET
        monkeypatch.setattr(MotionJpeg, "do_GET", hang_up)
        with (
            pytest.raises(SourceBrokenError, match="did not come back"),
            open_stream(f"{url}/camera.mjpg", SourceOptions(), patience) as source,
        ):
            assert len(list(source)) >= 1

    def test_nobody_answers(self) -> None:
        with pytest.raises(SourceNotFoundError, match="does not answer"):
            open_source("http://127.0.0.1:9/video.mp4")
