"""Refits, on real pictures, the odds that a detection is a hand, and what each feature is worth.

    python benchmarks/hand_odds.py [--weights DIR]

Uses every detection down to a low score in held-back pictures without hands and in photographs with
labelled hands that were held out of training. A logistic regression weighs the detector's score,
the look's presence and the share of keypoints found; its results are ``_NAMED``,
``_PER_PRESENCE``, ``_PER_NEAR`` in ``pose/keypoints.py``. The detector's log odds count in full
(``judge.detected_odds``): their weight should come out near 1. A detection that touches a labelled
hand is one; one that meets no label in photographs counts neither way, as labels miss hands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from board import LABELS, SHARED, Data, Labels, Table, Weights, command
from hand_free import Picture, hand_free, overlap
from held_back import held_back
from knuckle.pipeline import EstimatorSettings, judge, propose
from knuckle.pipeline.frame import one_each
from knuckle.pipeline.networks import Networks

#: The detector names what scores so little.
_THRESHOLD = 0.1
#: A place is a hand where its box meets a hand's by so much of the union.
_MEETS = 0.3
#: Weights are drawn towards 0 by so little that it only matters where hands and others part fully.
_RIDGE = 0.05
_FALSE = (1, 2, 4, 7, 12)
TELLS = ("presence", "near", "detector")


def labelled(labels: Path, root: Path) -> Iterator[Picture]:
    """Photographs with their labelled hands, held out of training, as large as they are."""
    for photo in held_back(root, labels):
        joints = np.array([hand["joints_px"] for hand in photo.hands]).reshape(-1, 21, 2)
        boxes = np.concatenate([joints.min(axis=1), joints.max(axis=1)], axis=1)
        yield Picture(photo.image, boxes)


def tells_of(networks: Networks, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) log odds that each named place tells by, and (N,) how much it meets a hand."""
    named = networks.detect(picture.image).hands
    if not named:
        return np.zeros((0, len(TELLS))), np.zeros(0)
    guesses = [[proposal] for proposal in propose.detected(networks, named)]
    looks = one_each(networks, picture.image, guesses)
    points = looks.points_px
    boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    near = looks.look_score / np.maximum(looks.presence, 1e-9)
    tells = [_logit(looks.presence, 0.999), _logit(near, 0.99), judge.detected_odds(named)]
    meets = [max((overlap(box, own) for own in picture.boxes_xyxy), default=0.0) for box in boxes]
    return np.stack(tells, axis=1), np.array(meets)


def _logit(probability: np.ndarray, surest: float) -> np.ndarray:
    inside = np.clip(probability, 1 - surest, surest)
    return np.asarray(np.log(inside / (1 - inside)))


def fitted(tells: np.ndarray, is_hand: np.ndarray, steps: int = 50) -> np.ndarray:
    """(4,) weights of (N, 3) tells and the constant, by Newton's steps of a logistic regression."""
    rows = np.column_stack([tells, np.ones(len(tells))])
    ridge = np.array([_RIDGE] * tells.shape[1] + [1e-6])
    weights = np.zeros(len(ridge))
    for _ in range(steps):
        said = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (is_hand - said) - ridge * weights
        curve = rows.T @ (rows * (said * (1 - said))[:, None]) + np.diag(ridge)
        weights = weights + np.linalg.solve(curve, slope)
    return weights


@dataclass(frozen=True)
class HandOdds:
    """Fit what a named place's looks are worth, on photographs."""

    data: Data = SHARED
    labels: Labels = LABELS
    weights: Weights = None

    def run(self) -> None:
        """Ask, fit and print."""
        settings = EstimatorSettings(
            detector_threshold=_THRESHOLD, max_hands=6, weights_dir=self.weights
        )
        networks = Networks(settings)
        none = [tells_of(networks, picture)[0] for picture in hand_free(self.data)]
        shown = [tells_of(networks, picture) for picture in labelled(self.labels, self.data)]
        hands = [tells[meets >= _MEETS] for tells, meets in shown]
        report(np.concatenate(none), np.concatenate(hands), len(none))


def report(none: np.ndarray, hands: np.ndarray, pictures: int) -> None:
    """Print the weights, and what thresholds of the odds bring."""
    is_hand = np.repeat([0.0, 1.0], [len(none), len(hands)])
    weights = fitted(np.concatenate([none, hands]), is_hand)
    said = ", ".join(f"{name} {w:.2f}" for name, w in zip(TELLS, weights, strict=False))
    print(
        f"{len(none)} places that are none, {len(hands)} hands: {said}, constant {weights[-1]:.1f}"
    )
    table = Table({"false per 100 pictures": "{:.1f}", "score": "{:.2f}", "hands kept": "{:.1%}"})
    false, kept = (np.sort(_odds(tells, weights))[::-1] for tells in (none, hands))
    rows = [
        (100 * n / pictures, float(1 / (1 + np.exp(-false[n]))), float((kept > false[n]).mean()))
        for n in _FALSE
    ]
    print(table.text(rows))


def _odds(tells: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    return tells @ np.asarray(weights[:-1]) + weights[-1]


if __name__ == "__main__":
    command(HandOdds)
