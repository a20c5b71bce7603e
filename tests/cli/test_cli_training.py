"""The verbs of the training side, from the command line to their rooms."""

from __future__ import annotations

import json
import shutil
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

import test_export
from dot_world import blank, paint, true_hand
from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.cli.training import complete_networks
from knuckle.data import shards
from knuckle.data.datasets import open_dataset
from knuckle.evaluate.predictions import Predictions, System, write_predictions
from knuckle.hand import JOINT_NAMES
from knuckle.stages import read_card
from miniatures import InterHandScene, predictions_from_truth, write_folder, write_interhand

CAMERA = Camera(300.0, 310.0, 155.0, 122.0)


@pytest.fixture(autouse=True)
def _in_a_new_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def package_weights(dot_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The networks of ``dot_world``, as if the package came with them."""
    package = Path("package").resolve()
    shutil.copytree(dot_weights, package / "weights")
    monkeypatch.setattr("knuckle.stages.network.resources.files", lambda name: package)
    return package / "weights"


def write_dots(root: Path, n_pictures: int = 6) -> None:
    """A labelled folder whose hands the networks of ``dot_world`` read."""
    lines = [{"format": "knuckle-labels", "version": 1, "joint_order": list(JOINT_NAMES)}]
    root.mkdir()
    for number in range(n_pictures):
        hand = true_hand(CAMERA, (-30.0 + 5 * number, 75.0, 450.0), side="right")
        image = paint(blank(), [hand])
        cv2.imwrite(str(root / f"{number}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        lines.append(
            {
                "file": f"{number}.png",
                "camera": {"fx": CAMERA.fx, "fy": CAMERA.fy, "cx": CAMERA.cx, "cy": CAMERA.cy},
                "hands": [
                    {
                        "side": hand.side,
                        "joints_px": hand.joints_px.tolist(),
                        "joints_mm": hand.joints_mm.tolist(),
                    }
                ],
            }
        )
    (root / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_evaluate_measures_networks_and_prediction_files(
    dot_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dots(Path("dots"))
    assert main(["evaluate", str(dot_weights), "dots", "-o", "first"]) == 0
    first = capsys.readouterr().out
    report = json.loads(next(Path("first").glob("*.json")).read_text())
    assert report["system"]["boxes"] == "own"
    assert Path("first/predictions.jsonl").is_file()
    arguments = ["evaluate", "first/predictions.jsonl", "dots", "-o", "second", "--no-pictures"]
    assert main(arguments) == 0
    second = json.loads(next(Path("second").glob("*.json")).read_text())
    assert second["scores"] == report["scores"]
    assert "first/" in first


@pytest.mark.usefixtures("without_plots")
def test_one_network_is_measured_with_the_packaged_others(
    package_weights: Path,
) -> None:
    shutil.copyfile(package_weights / "lifter.onnx", "mine.onnx")
    folder = complete_networks(Path("mine.onnx"), Path("whole"))
    assert sorted(path.name for path in folder.iterdir()) == [
        *("detector.onnx", "keypoints.onnx", "lifter.onnx")
    ]
    assert complete_networks(package_weights, Path("unused")) == package_weights
    write_dots(Path("dots"), n_pictures=2)
    assert main(["evaluate", "mine.onnx", "dots", "-o", "out", "--no-pictures"]) == 0


@pytest.mark.parametrize("given", ["run", "run/last.ckpt", "run/weights.pt"])
def test_a_training_run_or_its_checkpoint_is_exported_to_be_measured(given: str) -> None:
    test_export.save_run(Path("run"), "lifter")
    Path("run/last.ckpt").write_bytes(b"what resuming needs")
    folder = complete_networks(Path(given), Path("whole"))
    assert sorted(path.stem for path in folder.iterdir()) == ["detector", "keypoints", "lifter"]
    assert read_card(folder / "lifter.onnx").version == "test"
    assert read_card(folder / "keypoints.onnx").version != "test"  # the package's


def test_evaluate_takes_a_checkpoint_for_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def stop(given: Path, folder: Path) -> Path:
        asked.append(given)
        raise FileNotFoundError("far enough")

    monkeypatch.setattr("knuckle.cli.training.complete_networks", stop)
    write_dots(Path("dots"), n_pictures=1)
    Path("last.ckpt").write_bytes(b"\x80\x02")  # would be no file of predictions
    assert main(["evaluate", "last.ckpt", "dots", "-o", "out"]) == 2
    assert asked == [Path("last.ckpt")]


@pytest.mark.usefixtures("package_weights", "without_plots")
def test_the_packages_networks_are_meant_beside_a_clone() -> None:
    write_dots(Path("dots"), n_pictures=1)
    Path("knuckle").mkdir()
    assert main(["evaluate", "knuckle", "dots", "-o", "out", "--no-pictures"]) == 0


def test_an_unknown_protocol_is_refused_before_anything_is_predicted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["evaluate", "knuckle", "none", "--protocol", "mine"]) == 2
    assert "protocol must be one of moon" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["none", "other.jsonl", "rig"])
def test_an_evaluation_that_fails_leaves_no_empty_folder(model: str) -> None:
    write_dots(Path("dots"), n_pictures=1)
    write_predictions(Path("other.jsonl"), Predictions(System("x"), {"another": []}))
    assert main(["evaluate", model, "dots"]) == 2
    assert not Path("evaluation").exists()


@pytest.mark.usefixtures("without_plots")
def test_results_of_two_systems_never_meet_in_one_folder(dot_weights: Path) -> None:
    write_dots(Path("dots"), n_pictures=4)
    for split in ("all", "70/15/15:test"):
        assert main(["evaluate", str(dot_weights), "dots", "--split", split, "--no-pictures"]) == 0
    assert sorted(path.name for path in Path("evaluation").iterdir()) == sorted(
        [f"{dot_weights.stem}-dots-70_15_15_test", f"{dot_weights.stem}-dots-all"]
    )


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("rig", ["--protocol", "moon"]),
        ("rig", ["--clean"]),
        ("truth.jsonl", ["--boxes", "true"]),
        ("knuckle", ["--views", "400001,400002"]),
        ("knuckle", ["--decoding", "argmax"]),
        ("knuckle", ["--root-depth", "own"]),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(
    model: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("truth.jsonl").touch()
    assert main(["evaluate", model, "none", *options]) == 2
    assert f"{options[0]} changes nothing for " in capsys.readouterr().err


@pytest.mark.usefixtures("without_plots")
def test_protocols_share_answers_and_not_results(dot_weights: Path) -> None:
    write_dots(Path("dots"), n_pictures=1)
    arguments = ["evaluate", str(dot_weights), "dots", "--no-pictures"]
    assert main([*arguments, "--protocol", "moon"]) == main(arguments) == 0
    (folder,) = Path("evaluation").iterdir()
    assert [path.name for path in folder.rglob("predictions.jsonl")] == ["predictions.jsonl"]
    reports = {path.parent: json.loads(path.read_text()) for path in folder.rglob("results.json")}
    names = {path: report["protocol"]["name"] for path, report in reports.items()}
    assert names == {folder: "knuckle", folder / "moon": "moon"}


@pytest.mark.usefixtures("without_plots")
def test_given_boxes_are_another_result(dot_weights: Path) -> None:
    write_dots(Path("dots"), n_pictures=1)
    for options in ([], ["--boxes", "true"], ["--intrinsics", "assumed"]):
        assert main(["evaluate", str(dot_weights), "dots", "--no-pictures", *options]) == 0
    assert len(list(Path("evaluation").iterdir())) == 3


@pytest.mark.usefixtures("without_plots")
def test_networks_that_were_trained_on_are_asked_anew(
    dot_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their version is the recipe's, which is what it was."""
    write_dots(Path("dots"), n_pictures=1)
    shutil.copytree(dot_weights, "mine")
    arguments = ["evaluate", "mine", "dots", "-o", "out", "--no-pictures"]
    assert main(arguments) == main(arguments) == 0  # nothing changed: it goes on where it was
    lifter = onnx.load("mine/lifter.onnx")
    lifter.doc_string = "trained on"
    onnx.save(lifter, "mine/lifter.onnx")
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "holds the answers of mine (" in told
    assert "boxes own" in told


@pytest.mark.usefixtures("without_plots")
def test_evaluate_selects_records_of_interhand_only(capsys: pytest.CaptureFixture[str]) -> None:
    write_interhand(Path("set"), InterHandScene({3: 3}), split="test")
    dataset = open_dataset(Path("set"))
    write_predictions(Path("truth.jsonl"), predictions_from_truth(dataset))
    arguments = ["evaluate", "truth.jsonl", "set", "--no-pictures"]
    assert main([*arguments, "--hands", "two", "--protocol", "intaghand"]) == 0
    out = capsys.readouterr().out
    assert "4 of 12 records kept" in out
    write_dots(Path("dots"), n_pictures=1)
    assert main(["evaluate", "truth.jsonl", "dots", "--hands", "two"]) == 2
    assert "only InterHand2.6M" in capsys.readouterr().err


def test_a_data_set_is_divided(capsys: pytest.CaptureFixture[str]) -> None:
    people = {number: number for number in range(20)}
    scene = InterHandScene(people, sequences=("a",), steps=(0,), cameras=("400026",))
    write_interhand(Path("set"), scene, split="train")
    assert main(["data", "split", "set", "-o", "split.json"]) == 0
    assert "by subject" in capsys.readouterr().out
    assert json.loads(Path("split.json").read_text())["level"] == "subject"


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["evaluate", "none", "dots"], "no file of predictions, no network"),
        (["evaluate", "none", "empty"], "is none of the data sets"),
        (["train", "none.toml"], "recipe none.toml does not exist"),
        (["train", "broken.toml"], "is not TOML"),
        (["export", "empty"], "is no training run"),
        (["export", "empty", "--share", "0.5"], "give their folder as --average-with"),
        (["train", "empty"], "empty is a folder: give one of the recipes in it"),
        (["data", "check", "empty"], "is none of the data sets"),
        (["data", "show", "dots", "-o", "dots/0.png/sheet.jpg"], "0.png"),
        (["camera", "show", "none.json"], "does not exist"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(
    arguments: list[str], pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dots(Path("dots"), 1)
    Path("empty").mkdir()
    Path("broken.toml").write_text("kind = ")
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("knuckle: ")
    assert err.count("\n") == 1
    assert pattern in err


def test_data_is_packed_counted_checked_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(Path("folder"))
    assert main(["data", "stats", "folder", "--read"]) == 0
    out = capsys.readouterr().out
    assert "4 pictures, 4 left and 4 right hands" in out
    assert "320 x 240 (4)" in out
    assert main(["data", "pack", "folder", "shards", "--what", "crops"]) == 0
    packed = list(shards.read(sorted(Path("shards").glob("*.tar"))))
    assert len(packed) == 8
    assert packed[0].image.shape == (224, 224, 3)
    assert main(["data", "show", "folder", "-o", "sheet.png", "--count", "3"]) == 0
    assert cv2.imread("sheet.png").std() > 10


def test_what_cannot_be_shown_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(Path("folder"))
    assert main(["data", "show", "folder", "-o", "sheet"]) == 2
    assert "sheet is no name of a picture" in capsys.readouterr().err
    assert main(["data", "show", "folder", "--count", "0"]) == 2
    assert "1 picture or more to show, got 0" in capsys.readouterr().err


def test_shards_of_an_earlier_run_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(Path("folder"))
    Path("shards").mkdir()
    Path("shards/other-000000.tar").touch()
    pack = ["data", "pack", "folder", "shards"]
    assert main(pack) == 0
    assert "1 shard in shards; of other runs 1 lie there" in capsys.readouterr().out
    assert main([*pack, "--size-px", "64"]) == 0
    assert "1 of them were there before and are kept" in capsys.readouterr().out


def test_check_finds_a_picture_that_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    write_dots(Path("dots"), 3)
    assert main(["data", "check", "dots"]) == 0
    assert "3 pictures, no fault" in capsys.readouterr().out
    Path("dots/1.png").unlink()
    assert main(["data", "check", "dots"]) == 2
    assert "1.png" in capsys.readouterr().out


def test_render_writes_shards(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "render", "crops", "made", "--count", "2"]) == 0
    assert "1 shard in made" in capsys.readouterr().out
    (shard,) = Path("made").glob("*.tar")
    assert len(list(shards.read_shard(shard))) == 2


class TestCalibrate:
    TRUE = Camera(410.0, 405.0, 330.0, 230.0, (-0.12, 0.03, 0.0, 0.0))
    COLUMNS, ROWS, SIZE = 7, 5, (640, 480)

    @cached_property
    def rays(self) -> np.ndarray:
        """(960, 1280, 3) of a sensor that is finer than the pictures, whose pixels are means."""
        scale = 2
        width, height = self.SIZE[0] * scale, self.SIZE[1] * scale
        pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
        fine = self.TRUE.resized(scale, scale)
        return np.concatenate([fine.rays(pixels), np.ones((height, width, 1))], axis=2)

    def view(self, rng: np.random.Generator) -> np.ndarray:
        """A picture of a board somewhere before the camera, painted ray by ray."""
        turn, _ = cv2.Rodrigues(rng.uniform(-0.6, 0.6, 3))
        place = np.array([rng.uniform(-2.5, 2.5), rng.uniform(-1.5, 1.5), rng.uniform(8, 12)])
        depth = (place @ turn[:, 2]) / (self.rays @ turn[:, 2])
        on_board = (self.rays * depth[..., None] - place) @ turn[:, :2]
        x, y = (
            np.floor(on_board[..., 0] + self.COLUMNS / 2),
            np.floor(on_board[..., 1] + self.ROWS / 2),
        )
        inside = (x >= -1) & (x < self.COLUMNS) & (y >= -1) & (y < self.ROWS)
        white = ~inside | ((x + y) % 2 == 0)
        grey = np.where(white, 230, 25).astype(np.uint8)
        return cv2.resize(grey, self.SIZE, interpolation=cv2.INTER_AREA)

    def test_finds_the_camera_that_took_the_pictures(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rng = np.random.default_rng(3)
        Path("board").mkdir()
        for index in range(16):
            cv2.imwrite(f"board/{index}.png", self.view(rng))
        arguments = ["--columns", str(self.COLUMNS), "--rows", str(self.ROWS)]
        assert main(["camera", "calibrate", "board", *arguments, "-o", "camera.json"]) == 0
        found = Camera.load("camera.json")
        assert found.fx == pytest.approx(self.TRUE.fx, rel=0.01)
        assert found.fy == pytest.approx(self.TRUE.fy, rel=0.01)
        assert found.cx == pytest.approx(self.TRUE.cx, abs=4)
        assert found.cy == pytest.approx(self.TRUE.cy, abs=4)
        assert found.distortion[0] == pytest.approx(self.TRUE.distortion[0], abs=0.03)
        assert "views, corners within 0." in capsys.readouterr().out
        assert main(["camera", "show", "camera.json"]) == 0
        assert "about 6" in capsys.readouterr().out

    def test_the_view_of_a_fisheye_is_that_of_its_angles(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Camera(200, 200, 299.5, 239.5, fisheye=True).save("wide.json")
        assert main(["camera", "show", "wide.json"]) == 0
        assert f"{np.degrees(300 / 200) * 2:.1f}° across" in capsys.readouterr().out

    def test_no_board(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("board").mkdir()
        cv2.imwrite("board/0.png", np.full((240, 320), 90, np.uint8))
        assert main(["camera", "calibrate", "board"]) == 2
        assert "found it in 0 of 1 frames" in capsys.readouterr().err
        assert main(["camera", "calibrate", "board", "--columns", "2"]) == 2
        assert "at least 3 x 3 inner corners, got 2 x 6" in capsys.readouterr().err
