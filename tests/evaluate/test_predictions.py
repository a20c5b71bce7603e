"""Prediction files come back as they were written, from any joint order, and say what is broken."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.evaluate.predictions import (
    PredictedHand,
    Predictions,
    PredictionWriter,
    System,
    mask_from_rle,
    read_predictions,
    rle_from_mask,
    write_predictions,
)
from knuckle.hand import JOINT_NAMES

SYSTEM = System("a system 1.0", boxes="true", intrinsics="assumed")


def some_hand(seed: int, side: str = "left") -> PredictedHand:
    rng = np.random.default_rng(seed)
    return PredictedHand(
        side=side,
        score=0.75,
        joints_px=rng.uniform(0, 300, (21, 2)),
        joints_mm=rng.uniform(-100, 900, (21, 3)),
        visible=rng.random(21) < 0.5,
        mask=rng.random((6, 9)) < 0.5,
    )


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.gz"])
def test_a_file_comes_back(tmp_path: Path, name: str) -> None:
    hands = {"a": [some_hand(0), some_hand(1, "right")], "b": []}
    write_predictions(tmp_path / name, Predictions(SYSTEM, hands))
    back = read_predictions(tmp_path / name)
    assert back.system == SYSTEM
    assert list(back.hands) == ["a", "b"]
    for got, hand in zip(back.hands["a"], hands["a"], strict=True):
        assert (got.side, got.score) == (hand.side, hand.score)
        assert np.allclose(got.joints_px, hand.joints_px, atol=1e-3)
        assert np.allclose(got.joints_mm, hand.joints_mm, atol=1e-3)
        assert np.array_equal(got.visible, hand.visible)
        assert np.array_equal(got.mask, hand.mask)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.floats(0, 1))
def test_run_lengths_come_back(seed: int, height: int, width: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    assert np.array_equal(mask_from_rle(rle_from_mask(mask)), mask)


def test_run_lengths_are_those_of_coco() -> None:
    mask = np.array([[0, 1], [1, 1]], bool)  # down the columns: 0, 1, 1, 1
    assert rle_from_mask(mask) == {"size": [2, 2], "counts": [1, 3]}
    assert rle_from_mask(~mask) == {"size": [2, 2], "counts": [0, 1, 3]}
    with pytest.raises(ValueError, match="add up to 3"):
        mask_from_rle({"size": [2, 2], "counts": [1, 2]})


def test_joints_in_another_order_are_put_in_ours(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(21)
    hand = some_hand(0)
    header = {
        "format": "knuckle-predictions",
        "version": 1,
        "system": "theirs",
        "boxes": "own",
        "intrinsics": "given",
        "joint_order": [JOINT_NAMES[j] for j in order],
    }
    line = {
        "key": "a",
        "hands": [{"side": "left", "joints_root_mm": hand.joints_mm[order].tolist()}],
    }
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(header) + "\n\n" + json.dumps(line) + "\n")
    (got,) = read_predictions(path).hands["a"]
    assert np.allclose(got.joints_root_mm, hand.joints_mm)
    assert np.allclose(got.relative_mm, hand.joints_mm - hand.joints_mm[0])
    assert got.score == 1


def test_an_interrupted_file_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    with PredictionWriter(path, SYSTEM) as writer:
        writer.write("a", [some_hand(0)])
        writer.write("b", [])
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"key": "c", "ha')  # killed while it wrote
    with PredictionWriter(path, SYSTEM) as writer:
        assert writer.done == {"a", "b"}
        writer.write("c", [some_hand(2)])
    assert list(read_predictions(path).hands) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="not of"), PredictionWriter(path, System("another")):
        pass


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"hands": []}', "line 2: 'key' is missing"),
        ('{"key": "a", "hands": [{"side": "up", "joints_px": []}]}', "21 entries"),
        ('{"key": "a", "hands": [{"side": "left"}]}', "needs joints_px, joints_mm or"),
        ('{"key": 326750, "hands": []}', "key must be text .* got 326750"),
        ('{"key": "a", "hands": null}', "hands must be a list"),
        ('{"key": "a", "hands": [{"side": "left", "score": 98}]}', "score must be a number in 0"),
        (
            '{"key": "a", "hands": [{"side": "left", "mask": {"size": [9, 9], "counts": "02"}}]}',
            "COCO's compressed ones",
        ),
        ('{"key": "a", "hands": [{"side": "left", "joint_mm": []}]}', "did you mean joints_mm"),
        ('{"key": "a", "hands": [{"side": "left", "track": 3}]}', "'track': there are side, sco"),
        ('{"key": "a", "hands": [], "hand": []}', "no field 'hand': did you mean hands"),
        ('{"key": "a", "hands": ["left"]}', "expected an object with side, .* got 'left'"),
        ('{"key": "a", "hands"', "line 2 is not a line of predictions"),
        ("[1, 2]", "expected an object"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "p.jsonl"
    write_predictions(path, Predictions(SYSTEM))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=message):
        read_predictions(path)


@pytest.mark.parametrize("name", ["joints_mm", "joints_root_mm"])
def test_a_hand_in_metres_is_refused(tmp_path: Path, name: str) -> None:
    path, joints = tmp_path / "p.jsonl", np.random.default_rng(0).normal(0, 40, (21, 3))
    for factor in (1.0, 0.0):  # a system may see nothing but a point
        hand = PredictedHand(side="left", **{name: joints * factor})
        write_predictions(path, Predictions(SYSTEM, {"a": [hand]}))
        assert len(read_predictions(path).hands["a"]) == 1
    hand = PredictedHand(side="left", **{name: joints / 1000})
    write_predictions(path, Predictions(SYSTEM, {"a": [hand]}))
    with pytest.raises(ValueError, match=f"line 2: {name} must be millimetres"):
        read_predictions(path)


def test_bad_values_and_headers(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    with pytest.raises(ValueError, match="does not exist"):
        read_predictions(path)
    path.write_text("")
    with pytest.raises(ValueError, match="is empty"):
        read_predictions(path)
    path.write_text('{"format": "coco"}\n')
    with pytest.raises(ValueError, match="first line must hold"):
        read_predictions(path)
    write_predictions(path, Predictions(SYSTEM))
    path.write_text(path.read_text().replace('"wrist"', '"elbow"'))
    with pytest.raises(ValueError, match=r"missing .'wrist'"):
        read_predictions(path)
    with pytest.raises(ValueError, match="side must be"):
        PredictedHand(side="up", joints_px=np.zeros((21, 2)))
    with pytest.raises(ValueError, match="42 of them not finite"):
        PredictedHand(side="left", joints_px=np.full((21, 2), np.nan))
    with pytest.raises(ValueError, match="boxes must be"):
        System("x", boxes="some")
