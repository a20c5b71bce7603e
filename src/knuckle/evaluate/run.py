"""One evaluation from end to end: a system answers, its answers are paired, scored and reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knuckle.camera import Camera
from knuckle.data.labelled import LabelledSet, OnProgress, Record
from knuckle.errors import InputError
from knuckle.evaluate.measures import Measures, measure
from knuckle.evaluate.pairs import ScoredHands, pair
from knuckle.evaluate.predictions import (
    PredictedHand,
    Predictions,
    PredictionWriter,
    System,
    read_predictions,
)
from knuckle.evaluate.protocols import PROTOCOLS, Protocol, Scores, score
from knuckle.results import HandPose

#: What is evaluated: image (H, W, 3) uint8 RGB, camera or None, boxes (N, 4) px or None -> hands.
PoseSystem = Callable[[np.ndarray, Camera | None, np.ndarray | None], Sequence[HandPose]]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The outcome: what was evaluated, how, and what came out."""

    protocol: Protocol  # what the scores mean
    system: System  # who predicted, and what it was told
    dataset: LabelledSet  # the truth
    pairs: ScoredHands  # matched as the protocol says
    scores: Scores  # of the protocol
    measures: Measures  # of pairs matched by place, the same under every protocol
    placed: ScoredHands  # those pairs


def protocol_named(name: str) -> Protocol:
    """The protocol with this name in ``PROTOCOLS``; ``ValueError`` if there is none."""
    if name not in PROTOCOLS:
        raise InputError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {name!r}")
    return PROTOCOLS[name]


def evaluate(dataset: LabelledSet, predictions: Predictions, protocol: str) -> Evaluation:
    """Score predictions, by the keys of a data set's records, under a protocol of ``PROTOCOLS``.

    Raises:
        ValueError: no such protocol, no truth, predictions about other pictures, or predictions
            that lack what the protocol needs.
    """
    chosen = protocol_named(protocol)
    pairs = pair(dataset, predictions, chosen.matching)
    placed = pairs if chosen.matching == "place" else pair(dataset, predictions, "place")
    if pairs.has_3d.any() and not chosen.counted(pairs).any():
        raise InputError(
            f"the protocol {protocol} counts none of the {len(pairs)} hands of {dataset.name}, "
            f"{dataset.split}: it takes {chosen.hands} hands with a valid "
            f"{chosen.root.name.lower()}; choose another protocol"
        )
    return Evaluation(
        protocol=chosen,
        system=predictions.system,
        dataset=dataset,
        pairs=pairs,
        scores=score(chosen, pairs),
        measures=measure(placed),
        placed=placed,
    )


def predict(
    dataset: LabelledSet,
    pose_system: PoseSystem,
    system: System,
    path: Path,
    *,
    on_progress: OnProgress = lambda done, of: None,
) -> Predictions:
    """Run a system on every picture; what is then in its prediction file.

    A file that is there is continued: an interrupted run loses nothing.

    The ``boxes`` and ``intrinsics`` of ``system`` say what the pose system is told.
    """
    with PredictionWriter(path, system) as writer:
        for index in range(len(dataset)):
            record = dataset.record(index)
            if record.key not in writer.done:
                poses = _ask(pose_system, system, dataset.image(index), record)
                masked = dataset.hand_map(index) is not None
                hands = [PredictedHand.from_pose(pose, with_mask=masked) for pose in poses]
                writer.write(record.key, hands)
            on_progress(index + 1, len(dataset))
    return read_predictions(path)


def _ask(
    pose_system: PoseSystem, system: System, image: np.ndarray, record: Record
) -> Sequence[HandPose]:
    camera = record.camera if system.intrinsics == "given" else None
    if system.boxes == "own":
        return pose_system(image, camera, None)
    boxes = true_boxes(record)
    return pose_system(image, camera, boxes) if len(boxes) else ()


def true_boxes(record: Record) -> np.ndarray:
    """(N, 4) tightest boxes around the labelled joints of every hand that has any, px."""
    points = [hand.joints_px[hand.valid] for hand in record.hands if hand.valid.any()]
    boxes = [np.concatenate([p.min(axis=0) - 0.5, p.max(axis=0) + 0.5]) for p in points]
    return np.array(boxes).reshape(-1, 4)
