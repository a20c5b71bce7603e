"""Video files of every make come out upright, in order, in RGB, with the container's times."""

from __future__ import annotations

import gc
import itertools
import os
import warnings
from fractions import Fraction
from operator import length_hint
from pathlib import Path

import av
import numpy as np
import pytest

import knuckle
from clips import is_upright, number_of, picture, write_video
from knuckle.camera import Camera
from knuckle.video import (
    SourceBrokenError,
    SourceEmptyError,
    SourceError,
    SourceNotFoundError,
    SourceUnreadableError,
    decode,
    open_source,
)
from knuckle.video.source import Losses

MAKES = {
    "h264.mp4": {},
    "hevc 10 bit.mp4": {
        "codec": "libx265",
        "pixel_format": "yuv420p10le",
        "stream_options": {"x265-params": "log-level=none"},
    },
    "vp9.webm": {"codec": "libvpx-vp9"},
    "motion jpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "mpeg4.mov": {"codec": "mpeg4"},
    "transport.ts": {},
    "matroska.mkv": {},
    "odd.mkv": {"size": (63, 47), "codec": "ffv1", "pixel_format": "yuv444p"},
    "portrait.mp4": {"size": (64, 128)},
    "interlaced.mp4": {"stream_options": {"x264-params": "tff=1"}},
    "b frames.mp4": {"stream_options": {"bf": "3"}},
}


@pytest.mark.parametrize("name", MAKES)
def test_every_make_gives_all_frames_upright_in_order(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, 20, **MAKES[name])
    with open_source(path) as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == list(range(20))
    assert [frame.index for frame in frames] == list(range(20))
    assert all(is_upright(frame.image) for frame in frames)
    steps = np.diff([frame.time_s for frame in frames])
    np.testing.assert_allclose(steps, 1 / 30, atol=0.002)
    width, height = MAKES[name].get("size", (64, 48))
    assert source.size == (width, height)
    assert frames[0].image.shape == (height, width, 3)
    assert all(frame.image.flags.c_contiguous for frame in frames)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_in_the_metadata_is_honoured(rotation: int, tmp_path: Path) -> None:
    path = write_video(tmp_path / "phone.mp4", 3, rotation=rotation)
    with open_source(path) as source:
        assert source.size == (64, 48)
        assert all(is_upright(frame.image) for frame in source)


def test_pixels_come_out_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "dv.mp4", 3, stream_options={"aspect": "4:3"})  # of each pixel
    with open_source(path) as source:
        width, height = source.size
    assert width / height == pytest.approx(16 / 9, rel=0.02)


def test_interlaced_frames_are_deinterlaced(tmp_path: Path) -> None:
    """Two fields of different moments make a comb; after filtering neighbouring rows agree."""
    path = tmp_path / "comb.mp4"
    with av.open(str(path), "w") as container:
        options = {"x264-params": "tff=1", "qp": "1"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuv420p"
        for index in range(8):
            image = np.full((48, 64, 3), 30, np.uint8)
            image[0::2, 4 * index : 4 * index + 16] = 220  # the bar has moved on
            image[1::2, 4 * index + 2 : 4 * index + 18] = 220  # in the second field
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    with open_source(path) as source:
        image = list(source)[4].image.astype(int)
    rows = image[10:38, 4 * 4 : 4 * 4 + 2, 0]  # lit in the first field alone
    assert np.abs(np.diff(rows, axis=0)).max() < 60


def test_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    times = [0, 100, 150, 400, 1000]
    path = write_video(tmp_path / "vfr.mp4", 5, times=times)
    with open_source(path) as source:
        found = [frame.time_s for frame in source]
    np.testing.assert_allclose(found, np.array(times) / 1000, atol=1e-3)


def test_a_pause_does_not_lower_the_rate(tmp_path: Path) -> None:
    times = [33 * k + 5000 * (k > 8) for k in range(20)]
    for name in ("a.mp4", "a.mov"):
        with open_source(write_video(tmp_path / name, 20, times=times)) as source:
            assert source.fps == pytest.approx(1000 / 33, rel=0.01)
            assert len(list(source)) == 20


def test_a_clock_that_does_not_begin_at_0_is_not_counted_as_length(tmp_path: Path) -> None:
    path = write_video(tmp_path / "late.ts", 30, times=[5_000_000 + 33 * k for k in range(30)])
    with open_source(path) as source:
        assert source.duration_s == pytest.approx(1.0, abs=0.1)
        assert source.info.n_frames == pytest.approx(30, abs=2)
        assert next(source).time_s > 4000


@pytest.mark.parametrize(("said", "warned"), [("240", True), ("30.1", False), ("fast", False)])
def test_slow_motion_is_told(said: str, warned: bool, tmp_path: Path) -> None:
    path = write_video(tmp_path / "plain.mp4", 5)  # at 30 frames a second
    slow = tmp_path / "slow.mp4"
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(path)) as plain, av.open(str(slow), "w", options=options) as container:
        container.metadata["com.android.capture.fps"] = said
        stream = container.add_stream_from_template(plain.streams.video[0])
        for packet in plain.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_source(slow).close()
    assert ["divide times by 8" in str(each.message) for each in caught] == [True] * warned


def test_ntsc_is_not_29_fps(tmp_path: Path) -> None:
    path = tmp_path / "ntsc.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.width, stream.height = 64, 48
        for index in range(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index))))
        container.mux(stream.encode())
    with open_source(path) as source:
        assert source.fps == pytest.approx(29.97, abs=1e-3)
        *_, last = source
    assert last.time_s == pytest.approx(59 * 1001 / 30000, abs=1e-4)


def test_length_and_duration_are_estimated_beforehand(tmp_path: Path) -> None:
    with open_source(write_video(tmp_path / "a.mp4", 30)) as source:
        assert length_hint(source) == 30
        assert source.duration_s == pytest.approx(1.0, abs=0.01)


def test_an_index_that_states_billions_of_frames_is_not_believed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "stated.mp4", 6)
    content = bytearray(path.read_bytes())
    first_count = content.index(b"stts") + 12  # name, version and flags, number of entries
    content[first_count : first_count + 4] = (0xD7DFFFFF).to_bytes(4, "big")
    path.write_bytes(content)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames > 10**9
    with open_source(path) as source:
        assert length_hint(source) < 10**6
        assert len(list(source)) == 6


def test_a_source_is_read_once_and_says_so(tmp_path: Path) -> None:
    """A second loop over it gave nothing, and the result of it was empty."""
    path = write_video(tmp_path / "a.mp4", 4)
    source = open_source(path)
    next(source)
    assert len(list(source)) == 3  # where one loop stopped another goes on
    with pytest.raises(SourceError, match="is read once: open it again"):
        list(source)
    with open_source(path) as closed:
        pass
    with pytest.raises(SourceError, match="is read once: open it again"):
        next(iter(closed))


def test_the_camera_comes_with_every_frame(tmp_path: Path) -> None:
    camera = Camera(500.0, 500.0, 32.0, 24.0)
    with open_source(write_video(tmp_path / "a.mp4", 3), camera=camera) as source:
        assert all(frame.camera is camera for frame in source)


def test_missing_file() -> None:
    with pytest.raises(SourceNotFoundError, match="does not exist"):
        open_source("no/such/video.mp4")


def test_text_file_named_mp4(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("shopping list\n" * 100)
    with pytest.raises(SourceUnreadableError, match="not a video"):
        open_source(path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(SourceUnreadableError, match="0 bytes"):
        open_source(path)


def test_sound_without_pictures(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4410), np.float32), "fltp", "mono")
        silence.rate = 44100
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(SourceUnreadableError, match="no video, only audio"):
        open_source(path)


def test_zero_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 30)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = os.urandom(len(data) - start)  # an index, and nothing that it points to
    path.write_bytes(data)
    with pytest.raises(SourceEmptyError, match="no frame"):
        open_source(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_video_cut_off_in_the_middle_gives_all_that_is_there(suffix: str, tmp_path: Path) -> None:
    whole = write_video(tmp_path / f"whole{suffix}", 300)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    frames = []
    with pytest.raises(SourceBrokenError, match=r"breaks off after \d+ frames at"):  # noqa: SIM117
        with open_source(cut) as source:
            frames.extend(source)
    assert len(frames) > 100
    complete = frames[:-8]  # near the cut a frame may be missing whose neighbours are there
    assert [number_of(frame.image) for frame in complete] == [i % 64 for i in range(len(complete))]


@pytest.mark.parametrize("suffix", [".ts", ".m2ts", ".gif"])
@pytest.mark.parametrize("received", [0, 50])
def test_a_file_without_an_index_tells_by_its_last_piece(
    suffix: str, received: int, tmp_path: Path
) -> None:
    """Also where the first piece is not whole, as of what was received."""
    make = {"codec": "gif", "pixel_format": "rgb8"} if suffix == ".gif" else {}
    path = write_video(tmp_path / f"whole{suffix}", 40, **make)
    whole = path.read_bytes()[0 if suffix == ".gif" else received :]
    path.write_bytes(whole)
    with open_source(path) as source:
        assert len(list(source)) > 25
    path.write_bytes(whole[: len(whole) * 6 // 10 // 188 * 188 + 100])
    with pytest.raises(SourceBrokenError, match=r"breaks off after \d+ frames"):  # noqa: SIM117
        with open_source(path) as source:
            list(source)


def test_a_video_whose_index_was_never_written(shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / "stereo_video" / "cam0_test.mp4").read_bytes()  # its index comes last
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceUnreadableError, match="without its index"):
        open_source(cut)


def test_a_damaged_middle_costs_only_what_is_damaged(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 90, codec="mjpeg", pixel_format="yuvj420p")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)  # a few pictures' worth
    path.write_bytes(data)
    with open_source(path) as source:
        frames = list(source)
    assert 80 <= len(frames) <= 90
    assert number_of(frames[-1].image) == 89 % 64


def test_an_fps_for_a_video_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 3)
    with pytest.raises(ValueError, match="brings its own times"):
        open_source(path, fps=25)


def test_every_source_error_is_one_class() -> None:
    for error in (
        SourceNotFoundError,
        SourceUnreadableError,
        SourceEmptyError,
        SourceBrokenError,
    ):
        assert issubclass(error, SourceError)


def test_real_video(shared_data: Path) -> None:
    with open_source(shared_data / "stereo_video" / "cam0_test.mp4") as source:
        assert source.size == (720, 720)
        assert source.fps == 30
        times = [frame.time_s for frame in source]
    assert len(times) == 378
    np.testing.assert_allclose(np.diff(times), 1 / 30, atol=1e-6)


class Shown:
    """A decoded frame as far as its display matrix and its time go."""

    def __init__(self, linear: tuple[int, int, int, int], time: float | None = None) -> None:
        a, b, c, d = (65536 * v for v in linear)
        matrix = np.array([[a, b, 0], [c, d, 0], [0, 0, 1 << 30]], np.int32)
        self.matrix, self.time = matrix.tobytes(), time


ORIENTATIONS = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [
    (0, b, c, 0) for b in (1, -1) for c in (1, -1)
]


def test_pictures_are_not_left_to_the_garbage_collector() -> None:
    """Else a long video holds as many as its last collection is ago, each as large as a picture."""
    gc.collect()
    gc.disable()
    try:
        with open_source(knuckle.demo_clip()) as source:
            for _ in itertools.islice(source, 60):
                pass
            waiting = sum(type(each) is av.VideoFrame for each in gc.get_objects())
    finally:
        gc.enable()
    assert waiting < 20


@pytest.mark.parametrize("linear", ORIENTATIONS)
def test_every_display_matrix_is_followed_mirrors_too(linear: tuple[int, int, int, int]) -> None:
    """By its definition: a coded (x, y) is shown at (a x + c y, b x + d y), moved into view."""
    a, b, c, d = linear
    coded = np.arange(6).reshape(2, 3)
    y, x = np.mgrid[:2, :3]
    shown_x, shown_y = a * x + c * y, b * x + d * y
    shown_x, shown_y = shown_x - shown_x.min(), shown_y - shown_y.min()
    expected = np.empty((shown_y.max() + 1, shown_x.max() + 1), int)
    expected[shown_y, shown_x] = coded
    np.testing.assert_array_equal(decode._moved(coded, Shown(linear).matrix), expected)


def times_of(said: list[float | None]) -> tuple[list[float], Losses]:
    losses, frames = Losses(), (Shown((1, 0, 0, 1), time) for time in said)
    return [time_s for _, time_s in decode.timed(frames, 10.0, losses)], losses


def test_one_bad_timestamp_moves_no_other() -> None:
    for astray in ([3], [0], [3, 4], [2, 3, 4]):
        right = [k / 10 for k in range(8)]
        got, losses = times_of([time + 1000 * (k in astray) for k, time in enumerate(right)])
        assert got == pytest.approx(right, abs=1e-6) and losses.mistimed == len(astray)


def test_a_pause_is_no_bad_timestamp() -> None:
    got, losses = times_of([0.0, 0.1, 60.0, 60.1, None])
    assert got == pytest.approx([0.0, 0.1, 60.0, 60.1, 60.2]) and losses.mistimed == 0
    assert times_of([0.0, 60.0])[0] == [0.0, 60.0]  # the last frame of all


def test_a_raw_stream_has_the_rate_that_it_says_or_that_is_given(tmp_path: Path) -> None:
    path = tmp_path / "raw.h264"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(k), format="rgb24")))
        container.mux(stream.encode(None))
    with open_source(path) as source:
        times = [frame.time_s for frame in source]
    assert source.fps == pytest.approx(30) and times[-1] == pytest.approx(11 / 30, abs=1e-3)
    with open_source(path, fps=90) as source:
        assert [frame.time_s for frame in source][-1] == pytest.approx(11 / 90, abs=1e-3)


def test_a_small_preview_before_the_video_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "preview.mkv"
    with av.open(str(path), "w") as container:
        streams = []
        for size, disposition in (((32, 24), 0), ((64, 48), 1)):
            stream = container.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.disposition = disposition
            streams.append((stream, size))
        for k in range(5):
            for stream, size in streams:
                frame = av.VideoFrame.from_ndarray(picture(k, size), format="rgb24")
                container.mux(stream.encode(frame))
        for stream, _ in streams:
            container.mux(stream.encode(None))
    with open_source(path) as source:
        assert source.size == (64, 48) and sum(1 for _ in source) == 5
