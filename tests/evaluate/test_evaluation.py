"""A whole evaluation: measures worked out by hand, files, pictures, and the four real frames."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from knuckle.camera import Camera
from knuckle.data.datasets import open_dataset
from knuckle.data.labelled import LabelledSet
from knuckle.evaluate.conditions import by_quantile, sharpness
from knuckle.evaluate.pairs import pair
from knuckle.evaluate.predictions import PredictedHand, Predictions, System
from knuckle.evaluate.protocols import PROTOCOLS
from knuckle.evaluate.report import print_report, publish
from knuckle.evaluate.run import evaluate, predict
from knuckle.results import HandPose
from miniatures import (
    InterHandScene,
    predictions_from_truth,
    write_coco_wholebody,
    write_folder,
    write_interhand,
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def interhand(tmp_path: Path) -> LabelledSet:
    steps = tuple(range(0, 108, 18))
    scene = InterHandScene({3: 3}, sequences=("a",), steps=steps, hand_types=("interacting",))
    write_interhand(tmp_path / "set", scene, split="test")
    return open_dataset(tmp_path / "set", "test")


def changed(dataset: LabelledSet, change) -> Predictions:
    """The truth as predictions; ``change(number, hand)`` gives another hand, or None."""
    hands, number = {}, 0
    for key, said in predictions_from_truth(dataset).hands.items():
        hands[key] = []
        for hand in said:
            other = change(number, hand)
            hands[key] += [] if other is None else [other]
            number += 1
    return Predictions(System("changed"), hands)


def test_the_truth_is_perfect_in_every_measure(interhand: LabelledSet) -> None:
    numbers = evaluate(interhand, predictions_from_truth(interhand), "knuckle").measures.numbers
    ones = ("found", "precision", "f1", "side_accuracy", "average_precision", "auc_3d_0_50mm")
    assert all(numbers[name] == pytest.approx(1) for name in ones)
    zeros = [name for name in numbers if name.endswith(("_mm", "_px")) and "auc" not in name]
    assert all(numbers[name] == pytest.approx(0, abs=1e-6) for name in zeros)


def test_measures_of_missed_spurious_and_mistaken_hands(interhand: LabelledSet) -> None:
    truth = predictions_from_truth(interhand)
    total = sum(len(hands) for hands in truth.hands.values())

    def change(number: int, hand: PredictedHand) -> PredictedHand | None:
        if number == 0:
            return None
        if number == 1:
            other = "left" if hand.side == "right" else "right"
            return PredictedHand(side=other, joints_px=hand.joints_px, joints_mm=hand.joints_mm)
        return hand

    said = changed(interhand, change)
    first = next(iter(said.hands))
    ghost = PredictedHand(
        side="left", joints_px=np.full((21, 2), 5000.0), joints_mm=np.ones((21, 3))
    )
    said.hands[first].append(ghost)
    numbers = evaluate(interhand, said, "knuckle").measures.numbers
    found = total - 1
    assert numbers["found"] == pytest.approx(found / total)
    assert numbers["precision"] == pytest.approx(found / (found + 1))
    assert numbers["f1"] == pytest.approx(2 * found / (2 * found + 2))
    assert numbers["side_accuracy"] == pytest.approx((found - 1) / found)
    assert numbers["mpjpe_found_mm"] == pytest.approx(0, abs=1e-6)
    record = interhand.record(0)
    missed = record.hands[0]
    reach = np.linalg.norm(missed.joints_mm - missed.joints_mm[0], axis=1)[missed.valid].mean()
    assert numbers["mpjpe_penalised_mm"] == pytest.approx(reach / total)
    share = 1 - missed.valid.sum() / (20 * total)  # 20 valid joints a hand
    assert numbers["pck_2d_at_20_percent_of_box"] == pytest.approx(share)
    assert numbers["auc_3d_0_50mm"] == pytest.approx(share)


def test_masks_and_ignored_hands(tmp_path: Path) -> None:
    write_folder(tmp_path / "own")
    dataset = open_dataset(tmp_path / "own", "train")

    def change(number: int, hand: PredictedHand) -> PredictedHand:
        picture, which = divmod(number, 2)
        mask = dataset.hand_map(picture) == which + 1
        if number == 0:
            mask = mask & (np.arange(mask.shape[1]) < 0)  # says nothing
        return PredictedHand(side=hand.side, joints_px=hand.joints_px, mask=mask)

    evaluation = evaluate(dataset, changed(dataset, change), "knuckle")
    assert evaluation.measures.numbers["mask_iou"] == pytest.approx(7 / 8)
    assert evaluation.measures.numbers["mask_boundary_f"] == pytest.approx(7 / 8)
    assert evaluation.measures.numbers["epe_px"] == pytest.approx(0)
    assert np.isnan(evaluation.scores.mpjpe_mm["all"])  # the truth is 3D, the system is not


def test_2d_data_give_2d_measures(tmp_path: Path) -> None:
    write_coco_wholebody(tmp_path / "coco")
    dataset = open_dataset(tmp_path / "coco", "val")
    said = changed(
        dataset,
        lambda number, hand: PredictedHand(
            side=hand.side, joints_px=hand.joints_px + np.array([3.0, 4.0])
        ),
    )
    # A hand that nobody labelled is no mistake in photographs whose hands are not all labelled.
    next(iter(said.hands.values())).append(
        PredictedHand(side="left", joints_px=np.full((21, 2), -900.0))
    )
    evaluation = evaluate(dataset, said, "knuckle")
    assert evaluation.measures.numbers["epe_px"] == pytest.approx(5)
    assert evaluation.measures.numbers["precision"] == 1
    assert np.isnan(evaluation.scores.mpjpe_mm["all"])

    # What is written speaks of pixels, and shows nothing that is empty.
    names = {path.name for path in publish(evaluation, tmp_path / "out")}
    assert {"pck.png", "joints.png", "conditions.png", "worst.jpg"} <= names
    with (tmp_path / "out" / "joints.csv").open() as file:
        joints = {row["joint"]: row["error_px"] for row in csv.DictReader(file)}
    assert joints.keys() == evaluation.scores.joints().keys()
    assert {each for each in joints.values() if each} == {"5.000"}
    content = json.loads((tmp_path / "out" / "results.json").read_text())
    assert "keypoints alone" in content["conditions"]["3D"]
    assert content["error_by_condition"]["sharpness"][0]["error_px"] == pytest.approx(5)


def test_a_plot_of_nothing_is_not_there(tmp_path: Path) -> None:
    write_coco_wholebody(tmp_path / "coco")
    dataset = open_dataset(tmp_path / "coco", "val")
    said = changed(dataset, lambda number, hand: hand)
    names = {path.name for path in publish(evaluate(dataset, said, "knuckle"), tmp_path / "out")}
    missed = changed(dataset, lambda number, hand: None)
    left = {path.name for path in publish(evaluate(dataset, missed, "knuckle"), tmp_path / "out")}
    assert "joints.png" in names - left
    assert {path.name for path in (tmp_path / "out").iterdir()} == left


def test_motion_is_measured_over_runs_of_frames(interhand: LabelledSet) -> None:
    # 6 steps of one camera, each hand: a shake of +-1 mm in depth at every second step.
    def shake(number: int, hand: PredictedHand) -> PredictedHand:
        step = number // 4  # two cameras x two hands a step
        joints = hand.joints_mm + np.array([0, 0, step % 2])
        return PredictedHand(side=hand.side, joints_px=hand.joints_px, joints_mm=joints)

    for index in range(len(interhand)):  # every joint must be valid to measure motion
        assert interhand.record(index).video is not None
    interhand.index.columns["joint_valid"] = np.ones_like(interhand.index["joint_valid"])
    interhand.index.columns["step_valid"] = np.ones_like(interhand.index["step_valid"])
    numbers = evaluate(interhand, changed(interhand, shake), "knuckle").measures.numbers
    # second differences of 0, 1, 0, 1, 0, 1 are +-2
    assert numbers["acceleration_error_mm_per_frame2"] == pytest.approx(2)


def test_everything_is_written(interhand: LabelledSet, tmp_path: Path) -> None:
    protocol, rng = "moon", np.random.default_rng(0)

    def noisy(number: int, hand: PredictedHand) -> PredictedHand | None:
        if number == 3:
            return None
        joints = hand.joints_mm + rng.normal(0, 5, (21, 3))
        return PredictedHand(side=hand.side, joints_px=hand.joints_px, joints_mm=joints)

    evaluation = evaluate(interhand, changed(interhand, noisy), protocol)
    out = tmp_path / "out"
    names = {path.name for path in publish(evaluation, out)}
    assert names == {
        *("results.json", "hands.csv", "joints.csv"),
        *("pck.png", "joints.png", "conditions.png", "worst.jpg"),
    }
    assert all((out / name).stat().st_size > 100 for name in names)
    content = json.loads((out / "results.json").read_text())
    assert content["protocol"]["name"] == protocol
    assert content["conditions"]["split"] == "test (official)"
    assert content["conditions"]["boxes"] == "found by the system"
    assert content["scores"]["mpjpe_all_mm"] == pytest.approx(evaluation.scores.mpjpe_mm["all"])
    with (out / "hands.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(evaluation.pairs)
    assert [row["found"] for row in rows].count("0") == 1
    screen = io.StringIO()
    print_report(evaluation, Console(file=screen, width=140))
    for word in (protocol, "interhand26m", "boxes", "intrinsics", "mpjpe_all_mm"):
        assert word in screen.getvalue()


def test_a_protocol_that_counts_no_hand_says_so(tmp_path: Path) -> None:
    write_interhand(tmp_path / "set", InterHandScene({3: 3}, hand_types=("left",)), split="test")
    dataset = open_dataset(tmp_path / "set", "test")
    with pytest.raises(ValueError, match="intaghand counts none of the 12 hands"):
        evaluate(dataset, predictions_from_truth(dataset), "intaghand")
    with pytest.raises(ValueError, match="protocol must be one of moon"):
        evaluate(dataset, predictions_from_truth(dataset), "mine")


# --------------------------------------------------------------------------------------------
# Running a system
# --------------------------------------------------------------------------------------------
@dataclass
class Oracle:
    """A system that knows the truth and notes what it was told."""

    dataset: LabelledSet
    fail_after: int | None = None

    def __post_init__(self) -> None:
        self.told: list[tuple[Camera | None, np.ndarray | None]] = []

    def __call__(
        self, image: np.ndarray, camera: Camera | None, boxes: np.ndarray | None
    ) -> list[HandPose]:
        if len(self.told) == self.fail_after:
            raise KeyboardInterrupt
        self.told.append((camera, boxes))
        index = next(i for i in range(len(self.dataset)) if (self.dataset.image(i) == image).all())
        return [
            HandPose(
                side=hand.side,
                side_score=1.0,
                score=0.9,
                joints_px=hand.joints_px,
                joints_mm=hand.joints_mm,
                joint_score=np.ones(21),
                visible=np.ones(21, bool),
                joint_sigma_mm=np.ones(21),
                camera=camera or Camera.assume(334, 512),
            )
            for hand in self.dataset.record(index).hands
        ]


def test_a_system_is_run_told_what_it_should_be_and_continued(
    interhand: LabelledSet, tmp_path: Path
) -> None:
    path = tmp_path / "predictions.jsonl"
    oracle, steps = Oracle(interhand, fail_after=5), []
    with pytest.raises(KeyboardInterrupt):
        predict(interhand, oracle, System("oracle"), path)
    oracle = Oracle(interhand)
    said = predict(
        interhand, oracle, System("oracle"), path, on_progress=lambda *done: steps.append(done)
    )
    assert len(oracle.told) == len(interhand) - 5
    assert steps[-1] == (12, 12)
    assert all(camera == interhand.record(0).camera or camera for camera, _ in oracle.told)
    assert all(boxes is None for _, boxes in oracle.told)
    evaluation = evaluate(interhand, said, "moon")
    assert evaluation.scores.mpjpe_mm["all"] == pytest.approx(0, abs=2e-3)

    blind = Oracle(interhand)
    system = System("oracle", boxes="true", intrinsics="assumed")
    predict(interhand, blind, system, tmp_path / "boxed.jsonl")
    assert all(camera is None and boxes.shape == (2, 4) for camera, boxes in blind.told)


# --------------------------------------------------------------------------------------------
# Conditions
# --------------------------------------------------------------------------------------------
def test_bins_hold_equally_many_and_average_right() -> None:
    values = np.arange(100.0)
    rows = by_quantile(values, values, bins=4)
    assert [row[3] for row in rows] == [25, 25, 25, 25]
    assert rows[0][2] == pytest.approx(np.arange(25).mean())
    assert by_quantile(np.full(5, np.nan), np.ones(5)) == []
    assert by_quantile(np.zeros(5), np.ones(5)) == [(0, 0, 1, 5)]


def test_a_blurred_picture_is_less_sharp(interhand: LabelledSet, monkeypatch) -> None:
    import cv2

    pairs = pair(interhand, predictions_from_truth(interhand), "place")
    sharp = sharpness(interhand, pairs, most=3)
    assert np.isfinite(sharp).sum() == 6  # three pictures of two hands
    image = type(interhand).image
    monkeypatch.setattr(
        type(interhand), "image", lambda self, i: cv2.GaussianBlur(image(self, i), (0, 0), 3)
    )
    blurred = sharpness(interhand, pairs, most=3)
    known = np.isfinite(sharp)
    assert (blurred[known] < sharp[known]).all()


# --------------------------------------------------------------------------------------------
# The four real frames
# --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_real_frames_under_every_protocol(shared_data: Path, protocol: str) -> None:
    dataset = open_dataset(shared_data / "interhand26m_sample", "test")
    truth = evaluate(dataset, predictions_from_truth(dataset), protocol)
    assert truth.scores.mpjpe_mm["all"] == pytest.approx(0, abs=1e-6)
    assert truth.scores.mrrpe_mm == pytest.approx(0, abs=1e-6)
    assert truth.scores.handedness == 1
    assert truth.scores.n_hands == (4 if protocol == "intaghand" else 6)
