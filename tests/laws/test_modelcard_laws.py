"""A network's card survives the file, and only its own format is read."""

import json

import pytest

from knuckle.hand import JOINT_NAMES
from knuckle.modelcard import ModelCard
from knuckle.stages import STAGES

CARD = ModelCard(
    "keypoints",
    "2026.1.1",
    input_size=128,
    mean=(123.675, 116.28, 103.53),
    std=(58.4, 57.1, 57.4),
    feature_size=32,
    recipe="small",
    extra={"map_size": 32.0},
)


@pytest.mark.parametrize("kind", STAGES)
def test_cards_come_back(kind: str) -> None:
    card = ModelCard(kind, "1")
    assert ModelCard.from_metadata(card.to_metadata()) == card
    assert ModelCard.from_metadata(CARD.to_metadata() | {"author": "someone"}) == CARD


def test_files_of_others_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.onnx is not a network exported by this Knuckle"):
        ModelCard.from_metadata({"author": "someone"}, "model.onnx")


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_other_fields_are_refused(change: str) -> None:
    metadata = CARD.to_metadata()
    if change == "missing":
        del metadata["knuckle.units"]
    else:
        metadata["knuckle.colour"] = '"BGR"'
    with pytest.raises(ValueError, match=change):
        ModelCard.from_metadata(metadata)


def test_broken_values_are_refused() -> None:
    metadata = CARD.to_metadata() | {"knuckle.mean": "not json"}
    with pytest.raises(ValueError, match="mean"):
        ModelCard.from_metadata(metadata, "model.onnx")
    metadata = CARD.to_metadata() | {"knuckle.mean": "7"}
    with pytest.raises(ValueError, match="mean"):
        ModelCard.from_metadata(metadata, "model.onnx")


def test_other_formats_and_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="this model has format 99"):
        ModelCard.from_metadata(CARD.to_metadata() | {"knuckle.format": "99"})
    other_order = json.dumps(list(reversed(JOINT_NAMES)))
    with pytest.raises(ValueError, match="orders the joints differently"):
        ModelCard.from_metadata(CARD.to_metadata() | {"knuckle.joint_order": other_order})
