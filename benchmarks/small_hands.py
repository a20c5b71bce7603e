"""Small hands: how many are found, by their share of the picture, and what is taken for one.

    python benchmarks/small_hands.py --mediapipe-python PEERS/bin/python

Photographs of people some metres off that are held out of training, with a teacher's labels, as
they are and before a room without hands that makes the picture 1.4 and 2 times as wide: what a
camera with a wider view would see. A hand counts as found where its joints lie within 0.3 of its
extent on average. In the rooms, and in the hand-free pictures that are held out of training
(``hand_free.py``), everything that is found is false. Every picture is asked on its own, at the
default settings but for ``smallest_hand``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from board import (
    KNUCKLE,
    LABELS,
    SHARED,
    Data,
    Labels,
    PeerPython,
    System,
    Table,
    Weights,
    command,
    knuckle_system,
    with_peer,
)
from hand_free import hand_free
from held_back import FOUND, held_back, joints_of
from knuckle.data.photograph_labels import LabelledPhoto

#: The largest hand of a photograph of people some metres off, as a share of its longer side.
_FAR = 0.12
#: So many times as wide as the photograph is a picture.
_WIDER = (1.0, 1.4, 2.0)
#: Borders of the columns, shares of the picture's longer side.
_SHARES = (0.02, 0.035, 0.05, 0.07, 0.12)
_SMALLEST = (0.03, 0.02)


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture with small hands, and where nothing is a hand."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    joints_px: np.ndarray  # (N, 21, 2)
    photo_xyxy: np.ndarray  # (4,) outside of it there is no hand
    camera: None = None

    @property
    def shares(self) -> np.ndarray:
        """(N,) of the picture's longer side that each hand takes."""
        return np.ptp(self.joints_px, axis=1).max(axis=-1) / max(self.image.shape[:2])

    def found(self, joints_px: np.ndarray) -> np.ndarray:
        """(N,) bool, which hands are among those that a system gives, (M, 21, 2)."""
        gaps = self.joints_px[:, None] - joints_px[None]  # (N, M, 21, 2)
        extents = np.ptp(self.joints_px, axis=1).max(axis=-1)
        near = np.linalg.norm(gaps, axis=-1).mean(axis=-1) < FOUND * extents[:, None]
        return near.any(axis=1)

    def n_false(self, joints_px: np.ndarray) -> int:
        """How many of the hands (M, 21, 2) lie where none is."""
        middles, (x0, y0, x1, y1) = joints_px.mean(axis=1), self.photo_xyxy
        inside = (middles >= (x0, y0)).all(axis=1) & (middles < (x1, y1)).all(axis=1)
        return int((~inside).sum())


def far_photos(data: Path, labels: Path) -> list[LabelledPhoto]:
    """Held-back photographs all of whose labelled hands are small."""
    return [
        photo
        for photo in held_back(data, labels)
        if photo.hands and Scene(photo.image, joints_of(photo), np.zeros(4)).shares.max() < _FAR
    ]


def before_room(photo: LabelledPhoto, room: np.ndarray, wider: float, at: np.ndarray) -> Scene:
    """The photograph somewhere (0..1, 0..1) in the picture of a room, so many times as wide."""
    height, width = photo.image.shape[:2]
    size = np.rint(wider * np.array([width, height])).astype(int)
    fills = np.ceil(np.array(room.shape[1::-1]) * (size / room.shape[1::-1]).max()).astype(int)
    picture = cv2.resize(room, fills.tolist())[: size[1], : size[0]].copy()
    x, y = (at * (size - (width, height))).astype(int)
    picture[y : y + height, x : x + width] = photo.image
    joints_px = joints_of(photo) + np.array([x, y])
    return Scene(picture, joints_px, np.array([x, y, x + width, y + height]))


def scenes(data: Path, labels: Path) -> list[Scene]:
    """All photographs, as they are and before rooms."""
    rng = np.random.default_rng(0)
    rooms, photos = [picture.image for picture in hand_free(data)], far_photos(data, labels)
    return [
        before_room(photo, rooms[int(rng.integers(len(rooms)))], wider, rng.random(2))
        for wider in _WIDER
        for photo in photos
    ]


def _answers(system: System, pictures: Sequence[Scene]) -> list[np.ndarray]:
    """(M, 21, 2) px of each picture's hands."""
    return [
        np.array([hand.joints_px for hand in hands]).reshape(-1, 21, 2)
        for hands in system(pictures)
    ]


@dataclass(frozen=True)
class SmallHands:
    """Count small hands that are found, and what is none."""

    data: Data = SHARED
    labels: Labels = LABELS
    mediapipe_python: PeerPython = None
    weights: Weights = None
    every: int = 1
    """Only each how-manieth picture."""

    def run(self) -> None:
        """Measure and print."""
        pictures = scenes(self.data, self.labels)[:: self.every]
        empty = hand_free(self.data)[:: self.every]
        shares = np.concatenate([scene.shares for scene in pictures])
        columns = np.digitize(shares, _SHARES) - 1  # which column each hand is in
        names = [f"{low:.1%} to {high:.1%}" for low, high in pairwise(_SHARES)]
        counts = [f"{name} ({(columns == k).sum()})" for k, name in enumerate(names)]
        table = Table({
            "system": "",
            **dict.fromkeys(counts, "{:.0%}"),
            "false in rooms": "{}",
            "false per 100 hand-free pictures": "{:.1f}",
        })  # fmt: skip
        print(f"{len(pictures)} pictures, {len(empty)} without a hand\n\n{table.head}")
        systems: dict[str, System] = {KNUCKLE: knuckle_system(self.weights)}
        for share in _SMALLEST:
            name = f"{KNUCKLE}, smallest_hand={share}"
            systems[name] = knuckle_system(self.weights, smallest_hand=share)
        for name, system in with_peer(systems, self.mediapipe_python).items():
            answers = _answers(system, pictures)
            pairs = list(zip(pictures, answers, strict=True))
            found = np.concatenate([scene.found(joints) for scene, joints in pairs])
            recall = [float(found[columns == k].mean()) for k in range(len(names))]
            n_false = sum(scene.n_false(joints) for scene, joints in pairs)
            per_100 = 100 * float(np.mean([len(hands) for hands in system(empty)]))
            print(table.row(name, *recall, n_false, per_100), flush=True)


if __name__ == "__main__":
    command(SmallHands)
