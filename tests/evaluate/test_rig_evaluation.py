"""``knuckle evaluate rig`` on a small synthetic capture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from captures import write_capture_with_dots
from knuckle.cli import main
from knuckle.data.interhand26m import InterHand26M, Selection
from knuckle.data.labelled import Record
from knuckle.evaluate.rig import Instant, RigEvaluation, Row, Truth, instants, truths_of
from knuckle.sample import HandLabel
from rigs import hand_mm
from rigs import rig as make_rig


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("capture")
    write_capture_with_dots(root)
    return root


def test_the_truth_is_one_from_wherever_it_is_seen(capture: Path) -> None:
    dataset = InterHand26M(capture, "test", Selection.official())
    found = list(instants(dataset, ["400001", "400002"]))
    assert found and all(len(instant.rows) == 2 for instant in found)
    for instant in found:
        for truth in truths_of(dataset, instant):
            for row, each in zip(instant.rows, instant.rig.cameras, strict=True):
                labels = {hand.side: hand for hand in dataset.record(row).hands}
                label = labels[truth.side]
                np.testing.assert_allclose(
                    each.project(truth.joints_mm), label.joints_px, atol=0.05
                )


def test_a_joint_outside_of_one_picture_is_known_from_another() -> None:
    rig = make_rig(2)
    joints = hand_mm(np.random.default_rng(0))

    class Pictures:
        def record(self, row: int) -> Record:
            """The first camera does not see the wrist, the second not the tips."""
            valid = np.arange(21) >= 1 if row == 0 else np.arange(21) % 4 != 0
            valid[0] = row == 1
            seen = np.where(valid[:, None], rig.cameras[row].T_camera_from_world(joints), 0.0)
            label = HandLabel(
                side="right", joints_px=np.zeros((21, 2)), valid=valid, joints_mm=seen
            )
            return Record(key=str(row), path=Path("none"), hands=(label,))

    instant = Instant("one", 0.0, (0, 1), rig)
    (truth,) = truths_of(Pictures(), instant)  # type: ignore[arg-type]
    assert truth.valid.all()
    np.testing.assert_allclose(truth.joints_mm, joints, atol=1e-9)


def test_a_missed_hand_costs_a_hundred() -> None:
    truth = Truth("right", np.random.default_rng(0).normal(0, 50, (21, 3)), np.ones(21, bool), None)
    row = Row()
    row.add(truth.joints_mm + np.array([10.0, 0, 0]), truth, None)
    row.add(None, truth, None)
    row.add(truth.joints_mm + np.array([400.0, 0, 0]), truth, None)
    numbers = row.numbers
    assert numbers["capped_mm"] == pytest.approx((10 + 100 + 100) / 3)
    assert numbers["coverage"] == pytest.approx(2 / 3)
    assert numbers["wrist_mm"] == pytest.approx(0, abs=1e-9)


def test_what_the_labels_do_not_say_is_not_known(tmp_path: Path) -> None:
    """As of InterHand2.6M, which does not say what is hidden."""
    truth = Truth("right", np.random.default_rng(0).normal(0, 50, (21, 3)), np.ones(21, bool), None)
    row = Row()
    row.add(truth.joints_mm, truth, None)
    outcome = RigEvaluation(("a", "b"), {2: row})
    assert "| 0.0 mm | – | 0.0 mm |" in outcome.table()

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    read = json.loads(outcome.save(tmp_path).read_text(), parse_constant=refuse)
    assert read["views"]["2"]["hidden_mm"] is None


def test_the_command_prints_and_writes(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "rig", str(capture), "--views", "400001,400002", "-o", str(tmp_path)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "| views | hands | found |" in said and "\n| 2 |" in said
    assert set(json.loads((tmp_path / "rig.json").read_text())["views"]) == {"1", "2"}
    assert main([*command[:-3], "400001", "-o", str(tmp_path)]) == 2
    assert "expected the names of two or more cameras" in capsys.readouterr().err
    assert main([*command[:-3], "400001,999999", "-o", str(tmp_path)]) == 2
    assert "no pictures of camera 999999: its cameras are 400001" in capsys.readouterr().err
