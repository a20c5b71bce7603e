"""The command: what it writes, what it says, how it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
import signal
import subprocess
import sys
import typing
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

import knuckle.pipeline
from clips import FakeCapture, write_images, write_video
from fakes import FakeTracker
from knuckle.camera import Camera
from knuckle.cli import VERBS, main, run_verb
from knuckle.cli.tracking import default_folder, report
from knuckle.errors import ENDING_SIGNALS
from knuckle.job import Summary, open_sinks
from knuckle.output import SINKS, OutputError, RunInfo, open_recording
from knuckle.results import Frame
from miniatures import write_folder

TESTS = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _fake_tracker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(knuckle.pipeline, "HandTracker", lambda **options: FakeTracker())
    monkeypatch.chdir(tmp_path)


def assert_one_sentence(capsys: pytest.CaptureFixture[str], pattern: str) -> None:
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("knuckle: ")
    assert "Traceback" not in err
    assert re.search(pattern, err), err


class TestTrack:
    def test_writes_all_formats(self, capsys: pytest.CaptureFixture[str]) -> None:
        write_video(Path("clip.mp4"), 12)
        formats = ",".join(name for name in SINKS if name != "overlay")
        assert main(["track", "clip.mp4", "--format", formats, "--overlay"]) == 0
        out = capsys.readouterr().out
        assert "12 frames" in out
        for sink in SINKS.values():
            path = Path("clip-hands") / sink.filename
            assert path.exists()
            assert str(path) in out
        recording = open_recording("clip-hands")
        assert len(recording.frames) == 12
        assert recording.info.source == "clip.mp4"
        assert recording.info.weights == FakeTracker.versions
        assert recording.info.camera == Camera.assume(64, 48)

    def test_a_result_is_converted(self, capsys: pytest.CaptureFixture[str]) -> None:
        write_video(Path("clip.mp4"), 6)
        assert main(["track", "clip.mp4", "--format", "json"]) == 0
        capsys.readouterr()
        assert main(["convert", "clip-hands", "--format", "TRC, Coco"]) == 0
        assert capsys.readouterr().out.split() == [
            "clip-hands/hands.trc",
            "clip-hands/hands.coco.json",
        ]
        assert main(["convert", "clip-hands", "--format", "lerobot"]) == 2
        assert_one_sentence(capsys, "lerobot needs the pictures of the video")

    def test_commands_that_are_proposed_can_be_typed(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path("my clips").mkdir()
        write_video(Path("my clips/it's.mp4"), 2)
        assert main(["track", "my clips"]) == 2
        assert_one_sentence(capsys, "knuckle corpus 'my clips' tracks")
        assert main(["track", "my clips/it's.mp4", "-o", "out"]) == 0
        assert main(["convert", "out", "--format", "overlay"]) == 2
        command = re.search("run knuckle (.*)$", capsys.readouterr().err)
        assert command is not None and main(shlex.split(command[1])) == 0

    def test_the_overlay_shows_the_frames_and_the_hands(self) -> None:
        write_video(Path("clip.mp4"), 12, size=(322, 241), pixel_format="yuv444p")
        main(["track", "clip.mp4", "-o", "out", "--overlay"])
        with av.open("clip.mp4") as before, av.open("out/overlay.mp4") as after:
            plain = [f.to_ndarray(format="rgb24") for f in before.decode(video=0)]
            drawn = [f.to_ndarray(format="rgb24") for f in after.decode(video=0)]
        assert len(drawn) == len(plain)
        assert drawn[0].shape == (242, 322, 3)  # even sides
        changed = np.abs(drawn[5][:241].astype(int) - plain[5]).max(axis=2) > 60
        assert 0.005 < changed.mean() < 0.3

    def test_a_given_camera_is_used(self) -> None:
        camera = Camera(50.0, 50.0, 31.0, 23.0)
        camera.save("camera.json")
        write_images(Path("images"), 3)
        assert main(["track", "images", "--camera", "camera.json", "--fps", "10"]) == 0
        recording = open_recording("images-hands")
        assert recording.info.camera == camera
        np.testing.assert_allclose(recording.frames["time_s"], [0, 0.1, 0.2])

    @pytest.mark.parametrize(
        ("arguments", "pattern"),
        [
            (["none.mp4"], "none.mp4 does not exist"),
            (["notes.mp4"], "not a video"),
            (["empty"], "holds no images"),
            (["93"], "camera 93 gives no picture"),
            (["clip.mp4", "-o", "notes.mp4/out"], "cannot make the folder"),
            (["clip.mp4", "--format", "xml"], "no format 'xml'"),
            (["clip.mp4", "--format", " ,"], "no format was given"),
            (["clip.mp4", "--camera", "none.json"], "camera file none.json does not exist"),
            (["clip.mp4", "--camera", "empty"], "camera file empty does not exist"),
            (["clip.mp4", "--camera", "notes.mp4"], "is not JSON"),
            (["clip.mp4", "--fps", "25"], "brings its own times"),
        ],
    )
    def test_bad_input_is_one_sentence_and_code_2(
        self, arguments: list[str], pattern: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_video(Path("clip.mp4"), 3)
        Path("notes.mp4").write_text("shopping list\n" * 100)
        Path("empty").mkdir()
        assert main(["track", *arguments]) == 2
        assert_one_sentence(capsys, pattern)

    def test_a_cut_video_keeps_what_came_before(self, capsys: pytest.CaptureFixture[str]) -> None:
        whole = write_video(Path("whole.mp4"), 300)
        data = whole.read_bytes()
        Path("cut.mp4").write_bytes(data[: len(data) * 6 // 10])
        assert main(["track", "cut.mp4", "--overlay"]) == 2
        assert_one_sentence(capsys, "breaks off after")
        assert len(open_recording("cut-hands/hands.npz").frames) > 100
        assert len(open_recording("cut-hands/hands.csv").frames) > 100


def test_a_live_source_leaves_no_file_of_a_second_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cv2.VideoCapture", FakeCapture())
    assert main(["track", "0", "--offline", "-o", "out"]) == 2
    assert_one_sentence(capsys, "0 is live: record it first")
    assert not Path("out").exists()


INTERRUPTED = """
import sys, time
import knuckle.pipeline
from fakes import FakeTracker
from knuckle.cli import main
tracker = FakeTracker(lambda frame: (time.sleep(0.02), print(frame.index, flush=True)))
knuckle.pipeline.HandTracker = lambda **options: tracker
sys.exit(main(["track", sys.argv[1], "-o", sys.argv[2], "--overlay"]))
"""


def test_ctrl_c_leaves_valid_files_and_code_130(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", 600)
    command = [sys.executable, "-c", INTERRUPTED, str(video), str(tmp_path / "out")]
    with subprocess.Popen(
        command, cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        while child.stdout.readline() != "20\n":
            pass
        child.send_signal(signal.SIGINT)
        out, err = child.stdout.read(), child.stderr.read()
    assert child.returncode == 130
    assert err == "knuckle: stopped; what came before is in the files\n"
    n_frames = int(re.search(r"(\d+) frames in", out)[1])
    assert 21 <= n_frames < 600
    for name in ("hands.npz", "hands.jsonl", "hands.csv"):
        assert len(open_recording(tmp_path / "out" / name).frames) == n_frames


def _all_words() -> Iterator[list[str]]:
    """Every verb, or every action of one that has several, as it is typed."""
    for name, verb in VERBS.items():
        actions = typing.get_type_hints(verb, include_extras=True).get("action")
        for action in typing.get_args(actions) or [None]:
            yield [name] if action is None else [name, action.__metadata__[0].name]


class TestHelp:
    def test_every_verb_explains_every_flag(self, capsys: pytest.CaptureFixture[str]) -> None:
        for verb in VERBS:
            with pytest.raises(SystemExit) as ended:
                main([verb, "--help"])
            assert ended.value.code == 0
            assert f"usage: knuckle {verb}" in capsys.readouterr().out

    @pytest.mark.parametrize("words", list(_all_words()), ids=" ".join)
    def test_help_is_plain(
        self,
        words: list[str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("COLUMNS", "400")  # nothing is wrapped but what is written so
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        said = capsys.readouterr().out
        # Of values that stand for "nothing", and of types, users know nothing.
        assert not re.findall(r"\(default: (?:None|True|False|''|inf|)\)", said)
        assert not re.findall(r"\{None\S*|\b(?:STR|PATH)\b", said)
        explained = re.findall(r"^│ (?:-\S.*?)?  +(\S.*?) +│$", said, re.MULTILINE)
        told = [line for line in explained if line != "show this help message and exit"]
        assert all(line[-1] in ".)" for line in told)

    def test_help_imports_no_library_that_is_slow(self) -> None:
        script = (
            "import sys; sys.argv = ['knuckle', '--help']\n"
            "from knuckle.cli import main\n"
            "try: main()\nexcept SystemExit: pass\n"
            "slow = {'numpy', 'cv2', 'av', 'onnxruntime', 'torch'}\n"
            "sys.exit(', '.join(slow & set(sys.modules)) or 0)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--version"]) == 0
        assert re.fullmatch(r"knuckle \d+\.\d+\.\d+\n", capsys.readouterr().out)
        with pytest.raises(SystemExit):
            main(["--help"])
        assert "--version" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["bench", "clip.mp4", "--frames", "0"], "at least 1 frame"),
        (["bench", "clip.mp4", "--mediapipe-python", "none"], "there is no none"),
        (["live", "--camera-index", "-1"], "count from 0"),
        (["live", "--source", "clip.mp4", "--format", "csv"], "give a folder as --record"),
        (["live", "--camera-index", "0", "--source", "clip.mp4"], "exclude each other: give one"),
        (["camera", "rig", "a.mp4", "b.mp4", "--intrinsics", " c.json"], r"file c\.json does not"),
        (["track", "clip.mp4", "--unit", "m"], "--unit is for several cameras"),
        (["track", "clip.mp4", "--sync"], "--sync is for several cameras"),
        (["camera", "rig", "clip.mp4", "b.mp4", "--hand-length-mm", "18.5"], "must be in 40..400"),
    ],
)
def test_bad_numbers_and_names_are_one_sentence(
    arguments: list[str], pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(Path("clip.mp4"), 2)
    assert main(arguments) == 2
    assert re.search(pattern, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("verb", "flag", "value"),
    [
        (["track"], "threads", 3),
        (["bench"], "threads", 3),
        (["live", "--source"], "threads", 3),
        (["track"], "hand_length_mm", 176.0),
        (["live", "--source"], "hand_length_mm", 176.0),
    ],
)
def test_what_is_given_reaches_the_tracker(
    verb: list[str], flag: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {}

    def tracker(**options: object) -> None:
        given.update(options)
        raise ValueError("seen enough")

    monkeypatch.setattr(knuckle.pipeline, "HandTracker", tracker)
    write_video(Path("clip.mp4"), 2)
    assert main([*verb, "clip.mp4", f"--{flag.replace('_', '-')}", str(value)]) == 2
    assert given[flag] == value


def test_a_warning_is_a_sentence_without_a_place_in_the_program() -> None:
    main(["--version"])
    said = warnings.formatwarning(UserWarning("it is so"), UserWarning, "file.py", 3, None)
    assert said == "knuckle: it is so\n"


def test_a_camera_of_another_size_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    write_video(Path("clip.mp4"), 2)
    Camera(640.0, 640.0, 319.5, 239.5).save("large.json")
    Camera(64.0, 64.0, 33.0, 24.0).save("right.json")
    assert main(["track", "clip.mp4", "--camera", "right.json", "--format", "json"]) == 0
    assert capsys.readouterr().err == ""
    with pytest.warns(UserWarning, match="64 x 48 pictures: was it calibrated at another size"):
        assert main(["track", "clip.mp4", "--camera", "large.json", "--format", "json"]) == 0


@pytest.mark.parametrize("verb", [["track"], ["live", "--source"]])
@pytest.mark.parametrize("focal", [1e9, 4.2])
def test_a_camera_that_is_none_is_refused_before_the_work(
    verb: list[str], focal: float, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(Path("clip.mp4"), 2)
    Camera(focal, focal, 31.5, 23.5).save("strange.json")
    assert main([*verb, "clip.mp4", "--camera", "strange.json"]) == 2
    assert_one_sentence(capsys, r"with fx=.* px, 64 px would span .*expected .*in pixels")
    assert not Path("clip-hands").exists()


@pytest.mark.parametrize("verb", ["plot", "view"])
def test_a_result_that_is_missing_is_called_so(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "nothere"]) == 2
    assert_one_sentence(capsys, "nothere does not exist: give a file or folder that")


class TestWhereResultsGo:
    """A file where a folder should be stands for every place that cannot be written."""

    @pytest.mark.parametrize(
        "arguments",
        [
            ["track", "clip.mp4", "-o", "taken/out"],
            ["track", "clip.mp4", "--offline", "-o", "taken/out"],
            ["live", "--source", "clip.mp4", "--record", "taken/out"],
            ["plot", "clip-hands", "-o", "taken/plot.png"],
            ["camera", "calibrate", "clip.mp4", "-o", "taken/camera.json"],
            ["data", "synth", "taken/out", "--frames", "16", "--cameras", "2"],
            ["data", "render", "crops", "taken/out", "--count", "4"],
            ["data", "show", "labelled", "-o", "taken/sheet.jpg"],
            ["data", "split", "labelled", "-o", "taken/split.json"],
            ["data", "pack", "labelled", "taken/out"],
            ["data", "fit", "labelled", "taken/out"],
            ["evaluate", "knuckle", "labelled", "-o", "taken/out"],
        ],
        ids=" ".join,
    )
    def test_it_is_said_in_one_sentence_before_the_work(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_video(Path("clip.mp4"), 2)
        write_folder(Path("labelled"))
        main(["track", "clip.mp4", "--format", "json"])
        Path("taken").touch()
        capsys.readouterr()
        assert main(arguments) == 2
        assert_one_sentence(capsys, r"cannot make the folder taken\S* \(.*\): choose another place")

    def test_a_folder_that_is_missing_is_made(self) -> None:
        write_video(Path("clip.mp4"), 2)
        main(["track", "clip.mp4", "--format", "json"])
        assert main(["plot", "clip-hands", "-o", "new/plot.png"]) == 0
        assert Path("new/plot.png").is_file()

    def test_a_folder_is_no_name_for_a_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        write_video(Path("clip.mp4"), 2)
        assert main(["camera", "calibrate", "clip.mp4", "-o", "."]) == 2
        assert_one_sentence(capsys, "is a folder: expected the name of a file")


class TestTheHintAtTheTraceback:
    def failing(self, surprise: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> int:
        monkeypatch.setattr(VERBS["track"], "run", lambda self: surprise())
        return main(["track", "clip.mp4"])

    def test_a_mistake_of_the_user_needs_none(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["track", "clip.mp4", "--raw", "--offline"]) == 2
        assert "KNUCKLE_TRACEBACK" not in capsys.readouterr().err

    def test_what_nobody_foresaw_has_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.failing(lambda: np.zeros(3) + np.zeros(4), monkeypatch) == 2
        assert_one_sentence(capsys, r"\(KNUCKLE_TRACEBACK=1 shows where\)")

    def test_a_surprise_within_knuckle_has_it_too(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def project_text() -> np.ndarray:  # NumPy fails in a line of Knuckle's that raises nothing
            return Camera.assume(64, 48).project("text")  # type: ignore[arg-type]

        assert self.failing(project_text, monkeypatch) == 2
        assert_one_sentence(capsys, r"\(KNUCKLE_TRACEBACK=1 shows where\)")

    def test_what_the_system_says_is_put_into_a_sentence(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def full() -> None:
            raise OSError(errno.ENOSPC, "No space left on device", "fits.npz")

        assert self.failing(full, monkeypatch) == 2
        assert_one_sentence(capsys, r"fits.npz \(no space left on device\): check the path")


@pytest.mark.parametrize(
    ("files", "told"),
    [([], "stopped\n"), ([Path("a.npz")], "stopped; what came before is in the files\n")],
)
def test_files_are_spoken_of_where_there_are_some(
    files: list[Path], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(Summary(files=files, signal_number=signal.SIGINT)) == 128 + signal.SIGINT
    assert capsys.readouterr().err == f"knuckle: {told}"


def test_ctrl_c_while_the_arguments_are_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tyro.cli", interrupted)
    assert main(["track", "clip.mp4"]) == 130
    assert_one_sentence(capsys, "interrupted")


def test_a_missing_library_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(self: object) -> int:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(VERBS["track"], "run", run)
    assert main(["track", "clip.mp4"]) == 2
    assert_one_sentence(capsys, r"pip install 'knuckle\[train\]'")


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("videos/a.b.mp4", "a.b-hands"),
        ("images/", "images-hands"),
        ("0", "camera-0-hands"),
        ("rtsp://10.0.0.1:554/live?x=1", "live-hands"),
        (f"{'a' * 251}.mp4", f"{'a' * 200}-hands"),
        (f"a{'é' * 120}.mp4", f"a{'é' * 99}-hands"),
        ("in\udcff another alphabet.mp4", "in another alphabet-hands"),
    ],
)
def test_results_go_to_a_folder_named_after_the_source(source: str, folder: str) -> None:
    assert default_folder(source) == Path(folder)


def test_another_recording_of_the_same_name_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for source in ("s1/cam.mp4", "s2/cam.mp4"):
        info = RunInfo.of(source, (64, 48))
        for sink in open_sinks(["json"], default_folder(source), info):
            sink.close()
    assert default_folder("s1/cam.mp4") == Path("cam-hands")  # its own result is made anew
    assert default_folder("s2/cam.mp4") == Path("cam-hands-2")
    assert default_folder("s3/cam.mp4") == Path("cam-hands-3")
    assert default_folder("s1/cam.mp4", live=True) == Path("cam-hands-3")


def test_what_a_rig_of_cameras_saw_before_is_not_written_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cv2.VideoCapture", lambda index: FakeCapture(n_frames=3)(index))
    monkeypatch.setattr("knuckle.video.webcam._PAUSE_S", 0.0)
    monkeypatch.setattr("knuckle.views.RigTracker", lambda *args, **options: NoHands())
    write_rig(Path("rig.toml"))
    for folder in ("camera-0-hands", "camera-0-hands-2"):
        assert main(["track", "0", "1", "--rig", "rig.toml", "--unit", "mm"]) == 2  # unplugged
        assert "stopped after" in capsys.readouterr().err
        assert len(open_recording(folder).frames) > 0


class NoHands:
    """Stands in for a ``RigTracker``."""

    versions, remarks = FakeTracker.versions, ()

    def __call__(self, instant: object) -> list[typing.Any]:
        return []


def write_rig(path: Path) -> Path:
    """Two cameras, named a and b."""
    text = (
        f"[cam_{name}]\nname = '{name}'\nsize = [64, 48]\n"
        "matrix = [[80.0, 0, 31.5], [0, 80.0, 23.5], [0, 0, 1]]\n"
        "distortions = [0.0, 0, 0, 0, 0]\nrotation = [0.0, 0, 0]\n"
        f"translation = [{x}, 0, 0]\n"
        for name, x in (("a", 0.0), ("b", -100.0))
    )
    path.write_text("".join(text))
    return path


class TestTheSourceIsNeverWrittenOver:
    @pytest.mark.parametrize("known_as", ["itself", "a link", "a hard link"])
    def test_by_whatever_name(self, known_as: str, capsys: pytest.CaptureFixture[str]) -> None:
        folder, source = Path("out"), Path("clip.mp4")
        folder.mkdir()
        before = write_video(source, 3).read_bytes()
        if known_as == "itself":
            source = source.rename(folder / "overlay.mp4")
        elif known_as == "a link":
            (folder / "overlay.mp4").symlink_to(source.resolve())
        else:
            (folder / "overlay.mp4").hardlink_to(source)
        assert main(["track", str(source), "--output", "out", "--overlay"]) == 2
        assert_one_sentence(capsys, r"overlay\.mp4 is the source itself")
        assert source.read_bytes() == before

    def test_nor_is_the_calibration_of_its_cameras(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rig = write_rig(Path("rig.toml"))
        before = rig.read_text()
        monkeypatch.setattr("knuckle.views.RigTracker", lambda *args, **options: FakeTracker())
        videos = [str(write_video(Path(f"{name}.mp4"), 3)) for name in "ab"]
        assert main(["track", *videos, "--rig", "rig.toml", "--unit", "mm", "-o", "."]) == 2
        assert_one_sentence(capsys, "rig.toml would be written over")
        assert rig.read_text() == before


@pytest.mark.parametrize("name", ["-dash.mp4", "--flag.mp4"])
def test_what_stands_behind_two_dashes_is_a_name(name: str) -> None:
    write_video(Path("clip.mp4"), 3).rename(name)
    assert main(["track", "--output", "out", "--", name]) == 0
    assert open_recording("out").info.source == f"./{name}"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_name_in_another_alphabet_is_read_written_and_told(encoding: str) -> None:
    write_video(Path("clip.mp4"), 3).rename("kl\u00e4r\udcff.mp4")
    program = "import sys; from knuckle.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "track", "kl\u00e4r\udcff.mp4", "-o", "\udcfe"]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert main(["track", "kl\u00e4r\udcff.mp4", "-o", "\udcfe"]) == 0  # with hands
    assert main(["plot", "\udcfe"]) == 0


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    info = RunInfo.of("cam.mp4", (64, 48))
    first = open_sinks(["json", "csv"], tmp_path, info)
    first[0].close()
    with pytest.raises(OutputError, match="another run is writing into"):
        open_sinks(["npz"], tmp_path, info)
    first[1].close()
    for sink in open_sinks(["npz"], tmp_path, info):
        sink.close()


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_shell_has_closed(closed: str) -> None:
    """No file of the results takes their place, and nothing is missed but what would be printed."""
    write_images(Path("pictures"), 3)
    program = "import sys; from knuckle.cli import main; sys.exit(main())"
    command = f'"$0" -c "$1" track pictures -o out {closed}'
    done = subprocess.run(["sh", "-c", command, sys.executable, program], check=False)
    assert done.returncode == 0
    assert len(open_recording("out").frames) == 3


@pytest.mark.parametrize("arguments", [["--version"], ["track", "--help"]])
def test_what_is_printed_has_no_room(arguments: list[str]) -> None:
    program = "import sys; from knuckle.cli import main; sys.exit(main())"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert re.fullmatch("knuckle: .*no space left on device.*\n", done.stderr)


ENDED = """
import os, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as without nohup, which these tests may run under
from knuckle.cli import run_verb
class Verb:
    def run(self):
        if not os.fork():
            print(os.getpid(), flush=True)
        time.sleep(60)
sys.exit(run_verb(Verb()))
"""


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_verb_that_is_ended_from_outside_says_so(number: int) -> None:
    """What it had open is closed as by Ctrl-C; a worker just ends."""
    with subprocess.Popen(
        [sys.executable, "-c", ENDED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        os.kill(int(child.stdout.readline()), number)
        child.send_signal(number)
        _, err = child.communicate(timeout=30)
    assert child.returncode == 128 + number
    assert err == "knuckle: ended from outside\n"


SWALLOWED = """
import os, signal, sys, threading
class Library:  # takes what is raised as it is imported for a part that is missing, as trimesh does
    def find_spec(self, name, *_):
        if name == "trimesh":
            try:
                signal.raise_signal(signal.Signals[sys.argv[2]])
            except BaseException:
                pass
sys.meta_path.insert(0, Library())
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what runs in a background
from knuckle.cli import main
sys.exit(main(["view", sys.argv[1], "--port", "0"]))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_that_a_library_swallows_is_heard(name: str) -> None:
    """The page was served as if nobody had pressed Ctrl-C."""
    with SINKS["npz"](Path.cwd(), RunInfo.of("a.mp4", (64, 48))) as sink:
        sink.write(Frame(np.zeros((48, 64, 3), np.uint8), 0.0, 0), [])
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED, str(sink.path), name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 128 + signal.Signals[name]
    assert "http" not in done.stdout
    assert done.stderr.count("\n") == 1


@pytest.fixture
def heard_signals() -> Iterator[None]:
    """What runs in a background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_that_a_library_makes_an_error_of_is_an_end(
    name: str, capsys: pytest.CaptureFixture[str], heard_signals: None
) -> None:
    """A library in C++ that is interrupted as it is imported says that it cannot be."""

    class Verb:
        def run(self) -> int:
            with contextlib.suppress(BaseException):
                signal.raise_signal(signal.Signals[name])
            raise ImportError("initialization failed")

    assert run_verb(Verb()) == 128 + signal.Signals[name]
    assert_one_sentence(capsys, "interrupted")
