"""``knuckle track`` with several cameras, from videos on disk to files on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import knuckle.views
import knuckle.views.lateness
import knuckle.views.sync
from dot_world import blank, paint, true_hand
from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.errors import InputError
from knuckle.job import open_sinks
from knuckle.output import open_recording
from knuckle.results import Frame, Instant
from knuckle.viewer import play
from knuckle.views.lateness import Lateness
from knuckle.views.record import RigRecord
from knuckle.views.rig import Rig
from rigs import rig as make_rig

N_FRAMES = 8
LENS = Camera(560.0, 560.0, 319.5, 239.5)
RIG = make_rig(2, 24.0, lenses=(LENS,))


def truth(index: int) -> np.ndarray:
    """(21, 3) mm in the world."""
    joints = true_hand(LENS, (0.0, 0.0, 600.0)).joints_mm
    return joints - joints.mean(axis=0) + np.array((3.0 * index, 0.0, 0.0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of each camera, and the rig without its unit."""
    folder = tmp_path_factory.mktemp("rig")
    for each in RIG.cameras:
        with av.open(str(folder / f"{each.name}.mkv"), "w") as container:
            stream = container.add_stream("ffv1", rate=30)
            stream.width, stream.height, stream.pix_fmt = 640, 480, "bgr0"
            for index in range(N_FRAMES):
                seen = each.T_camera_from_world(truth(index))
                hand = replace(
                    true_hand(LENS, (0, 0, 600)), joints_mm=seen, joints_px=LENS.project(seen)
                )
                image = paint(blank(640, 480), [hand])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
    RIG.save(folder / "rig.toml")
    return folder


def track(folder: Path, *more: object) -> int:
    videos = [str(folder / f"{name}.mkv") for name in RIG.names]
    return main(["track", *videos, "--rig", str(folder / "rig.toml"), *map(str, more)])


def test_every_format_of_the_world_and_of_every_camera(
    folder: Path, dot_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    formats = ["--format", "npz,json,csv", "--overlay", "--max-hands", 1]
    assert track(folder, "-o", tmp_path, "--weights", dot_weights, *formats) == 0
    assert "8 frames" in capsys.readouterr().out
    assert not (tmp_path / "overlay.mp4").exists()
    for name in ("hands.npz", "hands.jsonl", "hands.csv"):
        world = open_recording(tmp_path / name)
        assert world.info.space == "world" and "rig.toml" in world.info.units["_mm"]
        assert len(world.frames) == N_FRAMES and len(world.hands) >= N_FRAMES - 1
        last = world.hands[-1]
        off = np.linalg.norm(last["joints_mm"] - truth(int(last["frame"])), axis=1)
        assert np.median(off) < 12
    again = Rig.load(tmp_path / "rig.toml")
    for number, each in enumerate(again.cameras):
        recording = open_recording(tmp_path / each.name)
        assert recording.info.space == "camera"
        assert (tmp_path / each.name / "overlay.mp4").stat().st_size > 0
        seen = each.T_camera_from_world(world.hands["joints_mm"].astype(float))
        np.testing.assert_allclose(recording.hands["joints_mm"], seen, atol=0.05)
        np.testing.assert_allclose(
            recording.hands["joints_px"], RIG.cameras[number].camera.project(seen), atol=0.2
        )


def test_the_world_has_one_clock_and_each_camera_its_own(tmp_path: Path) -> None:
    picture = np.zeros((480, 640, 3), np.uint8)
    first = [Frame(picture, i / 30, i) for i in range(4)]
    second = [Frame(picture, 3.2 + i / 30, i) for i in range(4)]
    record = RigRecord(tmp_path, RIG, ["a", "b"], [(640, 480)] * 2, ["csv", "npz"], open_sinks)
    with record:
        for i, frame in enumerate(first):
            record.write(Instant((None if i == 2 else frame, second[i]), i / 30), [])
    times = open_recording(tmp_path / "hands.npz").frames["time_s"]
    np.testing.assert_allclose(times, np.arange(4) / 30)
    own = open_recording(tmp_path / RIG.names[1] / "hands.npz").frames["time_s"]
    np.testing.assert_allclose(own, 3.2 + np.arange(4) / 30)


def test_what_joins_hands_and_pictures_is_of_one_camera(tmp_path: Path) -> None:
    picture, sizes = np.zeros((480, 640, 3), np.uint8), [(640, 480)] * 2
    first, second = (Frame(picture, 0.0, 0, name=name) for name in ("a.png", "b.png"))
    formats = ["lerobot", "rrd", "coco"]
    with RigRecord(tmp_path, RIG, ["a", "b"], sizes, formats, open_sinks) as record:
        record.write(Instant((first, second), 0.0), [])
        record.write(Instant((None, replace(second, time_s=0.1, index=1)), 0.1), [])
    assert not (tmp_path / "lerobot").exists()
    assert (tmp_path / "hands.rrd").exists()
    assert all((tmp_path / name / "lerobot").is_dir() for name in RIG.names)
    images = json.loads((tmp_path / "hands.coco.json").read_text())["images"]
    assert [each["file_name"] for each in images] == ["a.png", "000001.jpg"]  # none of the second


def test_what_is_viewed_of_a_rig_is_before_its_first_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(play, "view", lambda found, *_, **__: shown.append(found.info.space))
    sizes, picture = [(640, 480)] * 2, np.zeros((480, 640, 3), np.uint8)
    with RigRecord(tmp_path, RIG, ["a", "b"], sizes, ["npz"], open_sinks) as record:
        record.write(Instant((Frame(picture, 0.0, 0),) * 2, 0.0), [])
    assert main(["view", str(tmp_path)]) == 0
    assert f"{tmp_path / RIG.names[0]}, the first camera of the rig" in capsys.readouterr().out
    assert main(["view", str(tmp_path / "hands.npz")]) == 0  # as it is named
    (tmp_path / "rig.toml").unlink()
    assert main(["view", str(tmp_path)]) == 0
    assert shown == ["camera", "world", "world"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--camera", "x.json"], "--camera is for one camera"),
        (["--offline"], "--offline is for one camera"),
        (["--views", "cam_0,cam_9"], "has no camera cam_9: its cameras are cam_0, cam_1"),
        (["--views", "cam_0"], "names 1 camera for 2 sources: expected one for each"),
        (["--unit", "feet"], "unit is one of mm, cm, m, inch"),
    ],
)
def test_wrong_flags_are_told(
    folder: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert track(folder, *arguments) == 2
    assert says in capsys.readouterr().err


def test_a_video_that_is_not_there_is_told_before_whose_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = [str(folder / f"{RIG.names[0]}.mkv"), str(folder / "nowhere.mkv")]
    assert main(["track", *videos, "--rig", str(folder / "rig.toml")]) == 2
    assert "nowhere.mkv does not exist" in capsys.readouterr().err


def test_why_the_cameras_cannot_be_written_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "taken" / "rig.toml").mkdir(parents=True)
    assert track(folder, "-o", folder / "taken") == 2
    assert "rig.toml (is a directory): expected a file" in capsys.readouterr().err


def test_threads_are_cameras_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def tracker(rig: Rig, **options: object) -> None:
        given.update(options)
        raise ValueError("seen enough")

    monkeypatch.setattr(knuckle.views, "RigTracker", tracker)
    assert track(folder, "--threads", 1) == 2
    assert given["workers"] == 1


def test_the_order_that_is_taken_where_no_name_tells_it_is_told(
    folder: Path, tmp_path: Path, dot_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, letter in zip(RIG.names, "xy", strict=True):
        (tmp_path / f"{letter}.mkv").symlink_to(folder / f"{name}.mkv")
    videos = [str(tmp_path / f"{letter}.mkv") for letter in "xy"]
    rig, out = str(folder / "rig.toml"), str(tmp_path / "out")
    how = ["--weights", str(dot_weights), "--format", "json", "-o", out]
    assert main(["track", *videos, "--rig", rig, *how]) == 0
    assert "x.mkv is taken for cam_0, y.mkv is taken for cam_1" in capsys.readouterr().err


def test_offsets_are_looked_for_at_the_rate_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def follow(source: str, *_: object, fps: float | None = None, **__: object) -> None:
        raise InputError(f"{Path(source).name} is read at {fps}")

    monkeypatch.setattr(knuckle.views.sync, "follow", follow)
    for name in RIG.names:
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "0.png"), np.zeros((480, 640, 3), np.uint8))
    RIG.save(tmp_path / "rig.toml")
    images = [str(tmp_path / name) for name in RIG.names]
    how = ["--rig", str(tmp_path / "rig.toml"), "--sync", "--fps", "60"]
    assert main(["track", *images, *how]) == 2
    assert "cam_0 is read at 60" in capsys.readouterr().err


def test_wrong_sources_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (str(folder / f"{name}.mkv") for name in RIG.names)
    assert main(["track", first, second]) == 2
    assert "2 sources need --rig FILE" in capsys.readouterr().err
    assert main(["track", first, "--rig", str(folder / "rig.toml")]) == 2
    assert "a rig needs two sources or more" in capsys.readouterr().err
    assert main(["track", first, second, "--rig", "nowhere.toml"]) == 2
    assert "nowhere.toml does not exist" in capsys.readouterr().err


def test_a_rig_of_another_resolution_is_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cameras = [replace(each, size=(1280, 960)) for each in RIG.cameras]
    Rig(tuple(cameras)).save(tmp_path / "large.toml")
    videos = [str(folder / f"{name}.mkv") for name in RIG.names]
    assert main(["track", *videos, "--rig", str(tmp_path / "large.toml")]) == 2
    said = capsys.readouterr().err
    assert "calibrated at 1280 x 960 px, its pictures are 640 x 480" in said and "--rescale" in said


def test_a_camera_that_the_rig_calls_late_is_read_so_much_later(
    folder: Path, tmp_path: Path, dot_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RIG.with_late([0.0, 0.05]).save(tmp_path / "rig.toml")
    videos = [str(folder / f"{name}.mkv") for name in RIG.names]
    how = ["--weights", str(dot_weights), "--format", "npz", "-o", str(tmp_path / "out")]
    assert main(["track", *videos, "--rig", str(tmp_path / "rig.toml"), *how]) == 0
    said = "clocks differ at one instant: cam_0.mkv +0 ms, cam_1.mkv +50 ms"
    assert said in capsys.readouterr().err
    shown = [open_recording(tmp_path / "out" / name).frames["time_s"] for name in RIG.names]
    world = open_recording(tmp_path / "out").frames["time_s"]
    own = np.union1d(np.round(shown[0], 3), np.round(shown[1] - 0.05, 3))
    assert set(np.round(world, 3)) <= set(own)  # the earliest of those taken together
    assert len(world) < len(shown[0]) + len(shown[1])
    np.testing.assert_allclose(Rig.load(tmp_path / "out" / "rig.toml").late_s, [0, 0.05])


def test_the_up_that_is_given_overrules_images_and_file(
    folder: Path, tmp_path: Path, dot_weights: Path
) -> None:
    RIG.with_up("x").save(tmp_path / "rig.toml")
    videos = [str(folder / f"{name}.mkv") for name in RIG.names]
    how = ["--weights", str(dot_weights), "--format", "npz", "-o", str(tmp_path / "out")]
    for given, up in ((["--up", "-z"], "-z"), ([], "x")):
        assert main(["track", *videos, "--rig", str(tmp_path / "rig.toml"), *how, *given]) == 0
        assert open_recording(tmp_path / "out").info.up == up
        assert Rig.load(tmp_path / "out" / "rig.toml").up == up


@pytest.mark.parametrize(
    ("rays_tell", "off_s", "said"),
    [
        (True, 0.0, "at one instant: cam_0.mkv +0 ms, cam_1.mkv +21 ± 4 ms"),
        (False, 0.009, "by fingers alone: cam_0.mkv +0 ms, cam_1.mkv +21 ± 9 ms"),
        (False, np.inf, "cam_1.mkv +21 ms; how far off these may be is not known, as they hang on"),
    ],
)
def test_offsets_that_are_found_are_those_of_the_rig_that_is_written(
    folder: Path,
    tmp_path: Path,
    dot_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rays_tell: bool,
    off_s: float,
    said: str,
) -> None:
    def by_rays(*_: object) -> Lateness:
        if not rays_tell:
            raise InputError("the hands do not tell")
        return Lateness(np.array([0.0, 0.021]), np.array([0.0, 0.004]))

    monkeypatch.setattr(knuckle.views.lateness, "lateness", by_rays)
    monkeypatch.setattr(knuckle.views.sync, "offsets", lambda _: [0.0, 0.021])
    monkeypatch.setattr(knuckle.views.sync, "doubts", lambda *_: np.array([0.0, off_s]))
    RIG.with_late([0.0, 0.7]).save(tmp_path / "rig.toml")  # of other recordings
    videos = [str(folder / f"{name}.mkv") for name in RIG.names]
    how = ["--weights", str(dot_weights), "--format", "npz", "-o", str(tmp_path / "out"), "--sync"]
    assert main(["track", *videos, "--rig", str(tmp_path / "rig.toml"), *how]) == 0
    np.testing.assert_allclose(Rig.load(tmp_path / "out" / "rig.toml").late_s, [0, 0.021])
    world = open_recording(tmp_path / "out").frames["time_s"]
    np.testing.assert_allclose(world[:3], [-0.021, 0.0, 1 / 30], atol=2e-3)
    assert said in capsys.readouterr().err
