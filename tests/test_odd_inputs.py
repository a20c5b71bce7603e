"""What people hit: names, places, times and processes that nobody thinks of at first."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import socket
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import knuckle
import knuckle.crop
from clips import number_of, picture, write_images, write_video
from fakes import CAMERA, FakeTracker
from knuckle.camera import Camera
from knuckle.data.shards import read_shard, write_shard
from knuckle.errors import InputError
from knuckle.output import OutputError, RunInfo
from knuckle.output.overlay import OverlaySink
from knuckle.pipeline.estimator import check_boxes
from knuckle.results import Frame
from knuckle.sample import Sample
from knuckle.stages import Network
from knuckle.stages.keypoints import KeypointEstimator
from knuckle.stages.network import _session_options
from knuckle.track.clock import Clock
from knuckle.two_pass import refuse_pipe
from knuckle.video import SourceError, SourceNotFoundError, SourceUnreadableError, open_source
from knuckle.video.seek import PicturesByTime
from knuckle.viewer import live as live_module
from knuckle.viewer.gate import port_to_serve_on
from knuckle.viewer.stage import StageSettings

SOURCES = Path(knuckle.__file__).parents[1]


def numbers(source: str | Path) -> list[int]:
    with open_source(source) as frames:
        return [number_of(frame.image) for frame in frames]


# Names ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["10:30:00.mp4", "http:x.mp4", "100%.mp4", "é 1.mp4", "a#b?c.mp4"])
def test_any_name_of_a_file_is_read_and_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path("plain.mp4"), 3).rename(name)
    assert numbers(name) == [0, 1, 2]
    pictures = PicturesByTime(name)
    assert number_of(pictures.at(0.0)) == 0
    pictures.close()
    folder = Path(f"{name}-hands")
    folder.mkdir()
    with OverlaySink(folder, RunInfo(name, (64, 48), CAMERA, fps=30.0)) as sink:
        sink.write(Frame(picture(5), 0.0, 0), [])
    assert numbers(sink.path) == [5]


@pytest.mark.parametrize("name", ["clip.mp4", "my clip é.mp4", "100%41.mp4"])
def test_a_file_url_is_its_file(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / "plain.mp4", 3).rename(tmp_path / name)
    for url in (path.as_uri(), f"file://{path}", path.as_uri().replace("//", "//localhost", 1)):
        assert numbers(url) == [0, 1, 2]
    write_images(tmp_path / "some frames", 2)
    assert numbers((tmp_path / "some frames").as_uri()) == [0, 1]


@pytest.mark.parametrize("name", ["9" * 20, "0" * 12 + "9" * 5000, "/dev/video" + "9" * 20])
def test_a_camera_number_beyond_all_cameras(name: str) -> None:
    with pytest.raises(SourceNotFoundError, match="there is no camera"):
        open_source(name)


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20))
def test_any_key_survives_a_shard(tmp_path_factory: pytest.TempPathFactory, key: str) -> None:
    path = tmp_path_factory.mktemp("shard") / "a.tar"
    nobody = Sample(image=picture(0), hands=(), key=key)
    write_shard(path, [nobody, replace(nobody, key=f"{key}.b")])
    assert [sample.key for sample in read_shard(path)] == [key, f"{key}.b"]


# Sizes ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [(20000, 64), (64, 17001)])
def test_a_picture_larger_than_the_encoder_takes(size: tuple[int, int], tmp_path: Path) -> None:
    with OverlaySink(tmp_path, RunInfo("x", size, CAMERA)) as sink:
        sink.write(Frame(np.full((*size[::-1], 3), 90, np.uint8), 0.0, 0), [])
    with av.open(str(sink.path)) as container:
        (shown,) = container.decode(video=0)
    assert shown.width / shown.height == pytest.approx(size[0] / size[1], rel=0.05)
    assert max(shown.width, shown.height) > 8000


def test_interlaced_video_that_changes_its_size(tmp_path: Path) -> None:
    interlaced = {"x264-params": "tff=1"}
    sizes = [(64, 48), (96, 64), (64, 48)]
    stream = b""
    for size in sizes:
        part = write_video(tmp_path / "part.h264", 6, size=size, stream_options=interlaced)
        stream += part.read_bytes()
    (tmp_path / "all.h264").write_bytes(stream)
    with open_source(tmp_path / "all.h264") as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 3, 4, 5] * 3


def test_many_crops_are_looked_at_a_few_at_a_time(dot_weights: Path) -> None:
    network = Network(dot_weights / "keypoints.onnx", "keypoints")
    estimator = KeypointEstimator(network)
    crops = [
        knuckle.crop.Crop((30.0 + i, 25.0), 30.0, 0.0, mirror=False, out_size=128)
        for i in range(37)
    ]
    sizes = []
    run = Network.__call__

    def counted(self: Network, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        sizes.append(len(inputs["crop"]))
        return run(self, **inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "__call__", counted)
        together = estimator(picture(5), crops)
    assert sizes == [4] * 9 + [1]
    alone = [estimator(picture(5), [crop]).points_crop for crop in crops]
    np.testing.assert_allclose(together.points_crop, np.concatenate(alone), atol=1e-3)


def test_threads_are_no_more_than_processors() -> None:
    assert _session_options(10**12).intra_op_num_threads == (os.cpu_count() or 1)
    assert _session_options(1).intra_op_num_threads == 1


# Gaps -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gap", ["dangling link", "folder", "forbidden"])
@pytest.mark.parametrize("index", [0, 2])
def test_one_entry_that_cannot_be_opened_is_a_gap(
    gap: str, index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = write_images(tmp_path / "frames", 4) / f"frame {index}.png"
    bad.unlink()
    if gap == "dangling link":
        bad.symlink_to("/nowhere/a.png")
    elif gap == "folder":
        bad.mkdir()
    else:
        bad.touch()
        _forbid(bad, monkeypatch)
    with open_source(tmp_path / "frames") as source:
        assert [frame.index for frame in source] == [i for i in range(4) if i != index]
    assert source.losses.damaged == 1


def test_an_image_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").touch()
    _forbid(tmp_path / "a.png", monkeypatch)
    with pytest.raises(SourceUnreadableError, match=r"cannot be opened .* change its permissions"):
        open_source(tmp_path / "a.png")


def _forbid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``chmod 000``, also for root, as whom the tests may run."""
    read = np.fromfile

    def refused(name: Path, **options: object) -> np.ndarray:
        if name == path:
            raise PermissionError(13, "Permission denied", str(name))
        return read(name, **options)

    monkeypatch.setattr(np, "fromfile", refused)


# Addresses and pipes ----------------------------------------------------------------------------
class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize("name", ["piped.webm", "raw.h264", "picture.png"])
def test_a_file_without_a_duration_has_an_end_all_the_same(name: str, tmp_path: Path) -> None:
    if name == "picture.png":
        write_images(tmp_path, 1)
        (tmp_path / "frame 0.png").rename(tmp_path / name)
    else:
        codec = "libvpx" if name.endswith("webm") else "libx264"
        live = {"live": "1"} if codec == "libvpx" else {}
        write_video(tmp_path / name, 5, codec=codec, container_options=live)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with open_source(f"http://127.0.0.1:{server.server_port}/{name}") as source:
            assert not source.info.live
            assert len(list(source)) == (1 if name == "picture.png" else 5)
    finally:
        server.shutdown()
        server.server_close()


def test_a_pipe_is_refused_where_it_would_be_read_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (str(tmp_path / "pipe"), (tmp_path / "pipe").as_uri()):
        with pytest.raises(ValueError, match=r"twice, but .* is a pipe"):
            refuse_pipe(name)
    refuse_pipe(str(write_video(tmp_path / "clip.mp4", 1)))
    refuse_pipe("nothing there.mp4")
    refuse_pipe("a\0b")


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_host_that_cannot_be_bound_is_an_error_at_once(host: str) -> None:
    from knuckle.viewer.stage import Stage

    with pytest.raises(OutputError, match="cannot serve on"):
        Stage(StageSettings(host=host), "x", size=(64, 48), max_hands=1)


def test_a_port_that_is_taken_is_none() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port_to_serve_on("127.0.0.1", port) == port


def test_port_0_is_any_free_one() -> None:
    from knuckle.viewer.stage import Stage

    with Stage(StageSettings(port=0), "x", size=(64, 48), max_hands=1) as stage:
        assert int(stage.url.rpartition(":")[2]) > 0


def test_a_picture_stays_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(live_module.time, "sleep", interrupted)
    write_images(tmp_path, 1)
    with open_source(tmp_path / "frame 0.png") as source:
        summary = live_module.live(source, FakeTracker(), [], StageSettings(port=18180))
    assert summary.n_frames == 1 and summary.signal_number == signal.SIGINT


# Processes --------------------------------------------------------------------------------------
def test_a_source_tells_a_forked_child_why_it_gives_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_source(write_video(tmp_path / "a.mp4", 3)) as source:
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(SourceError, match="opened in another process"):
            next(source)
        with pytest.raises(TypeError, match="send its name"):
            pickle.dumps(source)


def test_a_network_is_opened_again_in_a_copy(dot_weights: Path) -> None:
    network = Network(dot_weights / "keypoints.onnx", "keypoints")
    crop = np.zeros((1, 128, 128, 3), np.uint8)
    asked = {"crop": crop, "known_px": np.zeros((1, 21, 2), np.float32)}
    expected = network(**asked)["keypoints_px"]
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        np.testing.assert_array_equal(other(**asked)["keypoints_px"], expected)


if hasattr(os, "fork"):

    def test_a_used_tracker_works_in_a_forked_child() -> None:
        """As in the worker of a data loader; the child also ends, by Python's own way out."""
        script = """if True:
            import os, sys, knuckle
            with knuckle.open_source(knuckle.demo_clip()) as source:
                one, two = next(source), next(source)
            used, unused = knuckle.HandTracker(threads=2), knuckle.HandEstimator(threads=2)
            used(one), unused(one)
            if os.fork() == 0:
                print(len(used(two)), flush=True)
                sys.exit()
            print(os.wait()[1], len(used(two)))
        """
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.stdout.split() == ["1", "0", "1"], done.stderr


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_tracker_that_follows_hands_can_be_copied(copied) -> None:
    tracker = knuckle.HandTracker()
    with open_source(SOURCES / "knuckle/demo/hands.mp4") as source:
        first, second = next(source), next(source)
    known = [hand.track_id for hand in tracker(first)]
    other = copied(tracker)
    here, there = tracker(second), other(second)
    assert known and [hand.track_id for hand in here] == [hand.track_id for hand in there]
    for one, two in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.joints_mm, two.joints_mm)


@pytest.mark.parametrize("time_s", [float("nan"), float("inf"), -float("inf"), None, "0.1"])
def test_a_time_that_is_no_number_is_refused(time_s: object) -> None:
    with pytest.raises((TypeError, ValueError), match="a frame's time_s must be"):
        Frame(picture(0), time_s, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("index", [None, "0", 1.5])
def test_an_index_that_is_no_whole_number_is_refused(index: object) -> None:
    with pytest.raises(TypeError, match="a frame's index must be"):
        Frame(picture(0), 0.0, index)  # type: ignore[arg-type]


def test_the_package_works_inside_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as package:
        for path in sorted((SOURCES / "knuckle").rglob("*")):
            if path.suffix in (".py", ".onnx", ".mp4"):
                package.write(path, path.relative_to(SOURCES))
    script = """if True:
        import sys
        sys.path.insert(0, sys.argv[1])
        sys.meta_path[:] = [m for m in sys.meta_path if "editable" not in repr(m).lower()]
        import numpy, knuckle
        assert ".zip" in knuckle.__file__
        knuckle.HandTracker()(numpy.zeros((48, 64, 3), numpy.uint8))
        with knuckle.open_source(knuckle.demo_clip()) as source:
            assert next(source).index == 0
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-c", script, str(tmp_path / "package.zip")]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path)


def run_python(*lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
    )


def test_ctrl_c_while_modules_load() -> None:
    done = run_python(
        "import builtins, sys",
        "real = builtins.__import__",
        "def load(name, *rest):",
        "    if name == 'tyro': raise KeyboardInterrupt",
        "    return real(name, *rest)",
        "builtins.__import__ = load",
        "from knuckle.__main__ import main",
        "sys.exit(main())",
    )
    assert (done.returncode, done.stderr) == (130, "knuckle: interrupted\n")


@pytest.mark.parametrize("arguments", ["--help", "track --help"])
def test_a_reader_that_has_enough_is_no_trouble(arguments: str) -> None:
    command = f"{sys.executable} -m knuckle {arguments} | true"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
    )
    assert done.stderr == ""


# What callers pass ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "boxes", [[["a"] * 4], [[1, 2, 3, 4], [1, 2]], [[-1e300] * 2 + [1e300] * 2]]
)
def test_boxes_that_are_none(boxes: object) -> None:
    with pytest.raises(InputError, match=r"box"):
        check_boxes(boxes)


@pytest.mark.parametrize("shape", [(5,), (1, 5), (5, 1)])
def test_distortion_as_opencv_gives_it(shape: tuple[int, ...]) -> None:
    given = np.reshape([0.1, 0.01, 0, 0, 0], shape)
    camera = knuckle.Camera(300, 300, 160, 120, given)
    camera.check_fits(320, 240)
    assert camera == knuckle.Camera(300, 300, 160, 120, (0.1, 0.01, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("image", [None, [[0]], "clip.mp4"])
def test_what_is_no_image_is_told_by_a_frame(image: object) -> None:
    with pytest.raises(TypeError, match="a frame's image must be a NumPy array"):
        Frame(image, 0.0, 0)


@pytest.mark.parametrize("time_s", [np.timedelta64(1, "s"), np.datetime64("2026-11-28")])
def test_times_of_numpy_are_no_seconds(time_s: object) -> None:
    with pytest.raises(TypeError, match="time_s must be a number of seconds"):
        Frame(picture(0), time_s, 0)


@pytest.mark.parametrize("since_1970", [1_764_000_000_000, 1_764_000_000_000_000_000])
def test_times_in_other_units_are_refused_where_nobody_means_them(since_1970: int) -> None:
    with pytest.raises(InputError, match="nanoseconds by 1e9"):
        Frame(picture(0), since_1970, 0)


def test_steps_in_other_units_are_told_once() -> None:
    clock = Clock()
    with pytest.warns(UserWarning, match="time_s in seconds") as caught:
        for index in range(5):
            clock.tick(index * 33_333_333)
    assert len(caught) == 1


def test_a_camera_of_another_size_is_told_once() -> None:
    camera = Camera(1400.0, 1400.0, 959.5, 539.5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            Camera.given_or_assumed(camera, 640, 480)
    (told,) = caught
    assert "640 x 480 pictures: was it calibrated at another size?" in str(told.message)


def test_what_is_no_option_of_a_source(tmp_path: Path) -> None:
    write_images(tmp_path / "frames", 2)
    with pytest.raises(TypeError, match=r"Camera\.load"):
        open_source(tmp_path / "frames", camera="camera.json")
    with pytest.raises(TypeError, match="fps must be a number, got '30'"):
        open_source(tmp_path / "frames", fps="30")
    with pytest.raises(SourceNotFoundError, match="an array: that is a picture already"):
        open_source(np.zeros((4, 4, 3), np.uint8))


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadableError, match="too long"):
        open_source(tmp_path / ("a" * 300))


@pytest.mark.parametrize("fps", [float("inf"), float("nan"), 0.0, -1.0])
def test_a_rate_that_is_none(fps: float, tmp_path: Path) -> None:
    write_images(tmp_path / "frames", 2)
    with pytest.raises(InputError, match="fps must be a positive number"):
        open_source(tmp_path / "frames", fps=fps)


def test_standard_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="/dev/stdin"):
        open_source("-")
