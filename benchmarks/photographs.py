"""Labelled hands in photographs: found, with the right side, and not reported twice.

    python benchmarks/photographs.py --mediapipe-python PEERS/bin/python

Photographs that are held out of training, with a teacher's labels: palms, signs, backs of hands,
held objects, people some metres away. The teachers are MediaPipe and an earlier network of ours, so
hands that neither sees are unlabelled: found and side show what was unlearnt, not who is better. A
hand **reported twice** is wrong whatever the labels: two answers lie on one hand, mostly a left and
a right one. Hands elsewhere are not counted, as they may be there unlabelled. Every picture is
processed on its own, at the default settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from board import (
    KNUCKLE,
    LABELS,
    SHARED,
    Data,
    Hand,
    Labels,
    PeerPython,
    Table,
    Weights,
    command,
    knuckle_system,
    with_peer,
)
from held_back import FOUND, held_back, joints_of
from knuckle.hand import extent_px, middle_px

#: An answer whose middle is nearer to that of a found hand than this share of its extent, and that
#: is no labelled hand itself, is that hand once more.
_TWICE = 0.6


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture with labelled hands."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    joints_px: np.ndarray  # (N, 21, 2)
    sides: tuple[str, ...]
    camera: None = None


@dataclass(frozen=True)
class Counts:
    """What became of labelled hands."""

    labelled: int = 0
    found: int = 0
    side_right: int = 0
    twice: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.labelled + other.labelled,
            self.found + other.found,
            self.side_right + other.side_right,
            self.twice + other.twice,
        )


def photos(data: Path, labels: Path) -> list[Photo]:
    """The held-back photographs in which a hand is labelled."""
    return [
        Photo(photo.image, joints_of(photo), tuple(hand["side"] for hand in photo.hands))
        for photo in held_back(data, labels)
        if photo.hands
    ]


def counts(photo: Photo, hands: Sequence[Hand]) -> Counts:
    """Compare a system's hands with the labels of one picture."""
    nearest = {k: _nearest(true, hands) for k, true in enumerate(photo.joints_px)}
    of_label = {k: i for k, i in nearest.items() if i is not None}
    taken = set(of_label.values())
    again = [
        i
        for i, hand in enumerate(hands)
        if i not in taken and any(_lies_on(hand, hands[k]) for k in taken)
    ]
    right = sum(hands[i].side == photo.sides[k] for k, i in of_label.items())
    return Counts(len(photo.sides), len(of_label), right, len(again))


def _nearest(true_px: np.ndarray, hands: Sequence[Hand]) -> int | None:
    """The hand whose joints lie on labelled ones (21, 2), or None."""
    gaps = [np.linalg.norm(hand.joints_px - true_px, axis=-1).mean() for hand in hands]
    best = int(np.argmin(gaps)) if gaps else None
    near = best is not None and gaps[best] < FOUND * float(extent_px(true_px))
    return best if near else None


def _lies_on(hand: Hand, other: Hand) -> bool:
    """Whether a hand is where another one is."""
    gap = np.linalg.norm(middle_px(hand.joints_px) - middle_px(other.joints_px))
    return bool(gap < _TWICE * float(extent_px(hand.joints_px)))


@dataclass(frozen=True)
class Photographs:
    """Count labelled hands that are found, of the right side, and reported twice."""

    data: Data = SHARED
    labels: Labels = LABELS
    mediapipe_python: PeerPython = None
    weights: Weights = None

    def run(self) -> None:
        """Measure and print."""
        pictures = photos(self.data, self.labels)
        table = Table({
            "system": "",
            "hands": "{}",
            "found": "{:.1%}",
            "found, side right": "{:.1%}",
            "reported twice": "{}",
        })  # fmt: skip
        print(f"{len(pictures)} photographs\n\n{table.head}")
        systems = {KNUCKLE: knuckle_system(self.weights)}
        for name, system in with_peer(systems, self.mediapipe_python).items():
            answers = zip(pictures, system(pictures), strict=True)
            of = sum((counts(photo, hands) for photo, hands in answers), Counts())
            shares = of.found / of.labelled, of.side_right / of.labelled
            print(table.row(name, of.labelled, *shares, of.twice), flush=True)


if __name__ == "__main__":
    command(Photographs)
