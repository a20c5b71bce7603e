"""Hands that only eyes find: chosen by number, added to the labels of their pictures."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from knuckle.data.convention import own_joints
from knuckle.hand import extent_px
from knuckle.pipeline import EstimatorSettings
from knuckle.pipeline.networks import Networks

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import hands_by_eye

JOINTS = np.random.default_rng(0).uniform(20, 120, (21, 2)).round(1)
OTHER = JOINTS + 200


def record(file: str, doubt: np.ndarray = JOINTS) -> dict:
    box = [*doubt.min(axis=0), *doubt.max(axis=0)]
    return {"dataset": "p", "file": file, "hands": [], "uncertain": [box], "empty": False}


def shown_in(folder: Path) -> Path:
    hands = [{"side": side, "joints_px": JOINTS.tolist()} for side in ("left", "right")]
    pictures = [{"dataset": "p", "file": name, "hands": hands} for name in "abc"]
    (folder / "shown.json").write_text(json.dumps(pictures))
    return folder


def test_what_is_chosen_becomes_a_label_and_settles_the_doubt(tmp_path):
    chosen, labels, out = (tmp_path / name for name in ("chosen.json", "labels.json", "out.json"))
    labels.write_text(json.dumps({"records": [record("a"), record("b", OTHER), record("c")]}))
    hands_by_eye.Choose(shown_in(tmp_path), ("2.1", "1.0"), chosen).run()
    hands_by_eye.Add(labels, chosen, out).run()
    a, b, c = json.loads(out.read_text())["records"]
    assert a == record("a")
    assert [hand["side"] for hand in (*b["hands"], *c["hands"])] == ["left", "right"]
    assert len(b["uncertain"]) == 1 and not c["uncertain"]
    (label,) = c["hands"]
    np.testing.assert_allclose(own_joints(np.array(label["joints_px"])), JOINTS, atol=0.05)
    assert label["by"] == "eye"
    assert np.allclose(label["spread_px"], 0.04 * extent_px(JOINTS), atol=0.01)


def test_a_hand_that_has_a_label_is_not_added_again(tmp_path):
    chosen, labels, out = (tmp_path / name for name in ("chosen.json", "labels.json", "out.json"))
    known = record("a") | {"hands": [{"joints_px": (JOINTS + 3).tolist()}]}
    labels.write_text(json.dumps({"records": [known]}))
    hands_by_eye.Choose(shown_in(tmp_path), ("0.0",), chosen).run()
    hands_by_eye.Add(labels, chosen, out).run()
    assert json.loads(out.read_text())["records"] == [known]


@pytest.mark.parametrize("blank", [0, 255])
def test_answers_for_a_picture_in_which_nothing_is_found_are_few_and_different(dot_weights, blank):
    networks = Networks(EstimatorSettings(weights_dir=dot_weights))
    answers = hands_by_eye.answers(networks, np.full((90, 120, 3), blank, np.uint8))
    assert 1 <= len(answers) <= 3
    assert all(joints_px.shape == (21, 2) for _, joints_px in answers)


def test_the_hands_of_the_recipe_are_one_a_place_and_inside_its_form():
    path = Path(__file__).resolve().parents[2] / "recipes/by_eye.json"
    for picture in json.loads(path.read_text()):
        assert set(picture) == {"dataset", "file", "hands"}
        for hand in picture["hands"]:
            label = hands_by_eye.label_of(hand)
            assert label["side"] in ("left", "right")
            assert np.isfinite(label["joints_px"]).all() and np.shape(label["joints_px"]) == (21, 2)
