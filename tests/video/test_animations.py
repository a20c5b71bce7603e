"""Files of images that hold several, whole and cut off, and pictures that are to be turned."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from clips import is_upright, number_of, picture, write_video
from fakes import CAMERA
from knuckle.output import FRAME, HAND, Recording, RunInfo
from knuckle.video import SourceBrokenError, SourceError, SourceUnreadableError, open_source, tiff
from knuckle.viewer.play import pictures_of

#: Of EXIF's orientations, what a camera that was held so does to the picture.
HELD = dict(
    enumerate(
        (
            Image.Transpose.FLIP_LEFT_RIGHT,
            Image.Transpose.ROTATE_180,
            Image.Transpose.FLIP_TOP_BOTTOM,
            Image.Transpose.TRANSPOSE,
            Image.Transpose.ROTATE_90,
            Image.Transpose.TRANSVERSE,
            Image.Transpose.ROTATE_270,
        ),
        start=2,
    )
)
DURATIONS_MS = [100, 300, 50, 200]
TIMES_S = [0, 0.1, 0.4, 0.45]


def stack(path: Path, count: int = 4, **options: object) -> Path:
    first, *others = [Image.fromarray(picture(i)) for i in range(count)]
    first.save(path, save_all=True, append_images=others, **options)
    return path


def orientation(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = number
    return exif


@pytest.mark.parametrize("number", HELD)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_a_picture_is_shown_as_the_camera_was_held(
    suffix: str, number: int, tmp_path: Path
) -> None:
    turned = Image.fromarray(picture(5)).transpose(HELD[number])
    turned.save(tmp_path / f"a{suffix}", exif=orientation(number))
    with open_source(tmp_path / f"a{suffix}") as source:
        (frame,) = source
    assert source.size == (64, 48) and is_upright(frame.image) and number_of(frame.image) == 5


@pytest.mark.parametrize("number", HELD)
def test_so_is_a_webp_that_moves(number: int, tmp_path: Path) -> None:
    turned = [Image.fromarray(picture(i)).transpose(HELD[number]) for i in range(3)]
    options = {"append_images": turned[1:], "exif": orientation(number), "lossless": True}
    turned[0].save(tmp_path / "a.webp", save_all=True, **options)
    with open_source(tmp_path / "a.webp") as source:
        assert [number_of(frame.image) for frame in source if is_upright(frame.image)] == [0, 1, 2]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".gif"])
def test_each_picture_has_its_own_time(suffix: str, tmp_path: Path) -> None:
    with open_source(stack(tmp_path / f"a{suffix}", duration=DURATIONS_MS)) as source:
        frames = list(source)
    np.testing.assert_allclose([frame.time_s for frame in frames], TIMES_S, atol=1e-3)
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 3]


def test_pages_have_the_rate_that_is_given(tmp_path: Path) -> None:
    with open_source(stack(tmp_path / "a.tif"), fps=8) as source:
        assert [frame.time_s for frame in source] == [0, 1 / 8, 2 / 8, 3 / 8]
        assert source.info.n_frames == 4 and source.duration_s == 0.5


def test_a_stack_is_decoded_a_few_pages_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knuckle.video.animation._BATCH_BYTES", 3 * 64 * 48 * 6)
    with open_source(stack(tmp_path / "a.tif", 8)) as source:
        assert [number_of(frame.image) for frame in source] == list(range(8))


def test_a_stack_that_is_cut_off_says_so_after_what_is_whole(tmp_path: Path) -> None:
    whole = stack(tmp_path / "a.tif", 8).read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) * 2 // 3])
    seen = []
    with open_source(tmp_path / "cut.tif") as source, pytest.raises(SourceBrokenError, match="cut"):
        seen.extend(number_of(frame.image) for frame in source)
    assert seen == list(range(len(seen))) and len(seen) in (4, 5)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif"])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_an_animation_that_is_cut_off_is_no_single_picture(
    suffix: str, share: float, tmp_path: Path
) -> None:
    whole = stack(tmp_path / f"a{suffix}", 40, duration=100).read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole[: int(len(whole) * share)])
    try:
        with open_source(path) as source:
            n_frames = len(list(source))
    except SourceError as error:
        assert "cut" in str(error) or "whole" in str(error)
    else:
        assert n_frames > 1  # to libav an animated PNG has no end


def test_a_small_copy_in_a_tiff_is_no_page(tmp_path: Path) -> None:
    """As scanners and microscopes add them."""
    whole, small = Image.fromarray(picture(3)), Image.fromarray(picture(3, (24, 18)))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    whole.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    with open_source(tmp_path / "a.tif") as source:
        assert len(list(source)) == 1


def test_a_page_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    data = bytearray(stack(tmp_path / "a.tif").read_bytes())
    width = data.index(b"\x00\x01\x04\x00\x01\x00\x00\x00\x40\x00\x00\x00")  # tag 256, long, 64
    data[width + 8 : width + 12] = (1 << 30).to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(SourceUnreadableError, match="claims to be"):
        open_source(tmp_path / "a.tif")


def test_an_animation_that_needs_too_much_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNUCKLE_MAX_GIGABYTES", "0.00004")
    with pytest.raises(SourceUnreadableError, match="4 pictures at once"):
        open_source(stack(tmp_path / "a.webp", lossless=True))


@pytest.mark.parametrize(
    ("numbers", "runs"),
    [((0, 1, 2, 3, 4), [(0, 2), (2, 4), (4, 5)]), ((0, 2, 3), [(0, 1), (2, 4)]), ((), [])],
)
def test_pages_are_read_in_runs(numbers: tuple[int, ...], runs: list[tuple[int, int]]) -> None:
    assert list(tiff.runs_of(numbers, 2)) == runs


@pytest.mark.parametrize("white", [127, 1023, 4095])
def test_a_pnm_says_what_white_is(white: int, tmp_path: Path) -> None:
    values = np.round(picture(9) * (white / 255)).astype(">u2" if white > 255 else "u1")
    (tmp_path / "a.ppm").write_bytes(b"P6 # by hand\n64 48\n%d\n" % white + values.tobytes())
    with open_source(tmp_path / "a.ppm") as source:
        (frame,) = source
    np.testing.assert_allclose(frame.image, picture(9), atol=2)


@pytest.mark.parametrize("suffix", [".tif", ".webp", ".png", ".gif"])
def test_the_viewer_shows_the_picture_of_each_frame(suffix: str, tmp_path: Path) -> None:
    path = stack(tmp_path / f"a{suffix}", duration=100)
    frames = np.zeros(4, FRAME)
    frames["frame"] = range(4)
    with open_source(path) as source:
        frames["time_s"] = [frame.time_s for frame in source]
    info = RunInfo(str(path), (64, 48), CAMERA)
    shown = pictures_of(Recording(info, frames, np.zeros(0, HAND)), path)
    assert [number_of(shown(row)) for row in (0, 2, 3, 1)] == [0, 2, 3, 1]


@pytest.mark.parametrize(("codec", "b_frames"), [("libx264", "3"), ("mpeg4", "2")])
def test_frames_of_an_avi_are_evenly_spaced(codec: str, b_frames: str, tmp_path: Path) -> None:
    """It has no times at which frames are shown; with B-frames libav's guesses change places."""
    path = write_video(tmp_path / "a.avi", 20, codec=codec, stream_options={"bf": b_frames})
    with open_source(path) as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == list(range(20))
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 1 / 30, atol=2e-3)


def test_a_packet_without_bytes_is_the_last_picture_once_more(tmp_path: Path) -> None:
    """As Theora has it, where nothing moves."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(6):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            for packet in stream.encode(frame.reformat(format="yuv420p")):
                if index == 3:
                    empty = av.Packet()
                    empty.stream, empty.pts, empty.dts = packet.stream, packet.pts, packet.dts
                    empty.time_base = packet.time_base
                    packet = empty
                container.mux(packet)
    with open_source(tmp_path / "a.mkv") as source:
        frames = list(source)
    assert [frame.time_s for frame in frames][:3] == pytest.approx([0, 1 / 30, 2 / 30], abs=1e-3)
    assert len(frames) == 5


def test_pixels_are_never_a_hundred_times_as_wide_as_high(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 2)
    with av.open(str(path)) as before, av.open(str(tmp_path / "b.mkv"), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        stream.sample_aspect_ratio = 150
        for packet in before.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                after.mux(packet)
    with open_source(tmp_path / "b.mkv") as source:
        assert source.size == (64, 48)


def test_a_picture_with_exif_by_an_address_is_turned(tmp_path: Path) -> None:
    """Where libav reads it, and hands on more beside the picture than PyAV knows."""
    turned = Image.fromarray(picture(5)).transpose(HELD[6])
    turned.save(tmp_path / "a.jpg", exif=orientation(6))
    (tmp_path / "a.jpg").rename(tmp_path / "a.bin")
    with open_source(tmp_path / "a.bin") as source:
        (frame,) = source
    assert is_upright(frame.image)


def test_a_clock_that_ends_before_it_begins(tmp_path: Path) -> None:
    """As of a stream whose counter starts again at 0 (after 26.5 hours) in its middle."""
    with av.open(str(tmp_path / "a.ts"), "w", options={"output_ts_offset": "95443.5"}) as out:
        stream = out.add_stream("mpeg2video", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(48):
            frame = av.VideoFrame.from_ndarray(picture(index % 64), format="rgb24")
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode())
    with open_source(tmp_path / "a.ts") as source:
        frames = list(source)  # asks for its length
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 1 / 24, atol=1e-3)
