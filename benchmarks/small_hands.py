"""Small hands: how many are found, by their share of the picture, and how many are false.

    python benchmarks/small_hands.py --mediapipe-python PEERS/bin/python

Photographs of people some metres away that are held out of training, with a teacher's labels, as
they are and in front of a room without hands that makes the picture 1.4 and 2 times as wide, like a
camera with a wider view. A hand counts as found if its joints lie within 0.3 of its extent on
average. In the rooms, and in the hand-free pictures that are held out of training
(``hand_free.py``), everything found is false. Every picture is processed on its own, at the default
settings except ``smallest_hand``; then some of them as videos, in which a hand-held camera sees
most of them for a second and a half: a hand is found if it is reported in every frame of the last
half second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from board import (
    KNUCKLE,
    LABELS,
    PEER,
    SHARED,
    Data,
    Hand,
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
from knuckle import HandTracker
from knuckle.data.photograph_labels import LabelledPhoto
from knuckle.hand import Joint
from knuckle.pipeline.settings import FOUND_FROM
from peers.process import MediaPipe, MediaPipeSettings

#: The largest hand of a photograph of people some metres off, as a share of its longer side.
_FAR = 0.12
#: So many times as wide as the photograph is a picture.
_WIDER = (1.0, 1.4, 2.0)
#: Borders of the columns, shares of the picture's longer side.
_SHARES = (0.02, 0.035, 0.05, 0.07, 0.12)
_SMALLEST = (FOUND_FROM, 0.03, 0.02)
#: A video: most hands in it, frames, those of its end, share of the picture that is seen.
_MOST, _FRAMES, _LAST, _SEEN = 2, 45, 15, 0.92


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


#: Joints (M, 21, 2) px that are told of each frame.
Following = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def views(scene: Scene, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Frames of a video over a scene, and (2,) px by which the scene lies aside in each.

    Each number has a way and a shake of its own.
    """
    height, width = scene.image.shape[:2]
    size = round(_SEEN * width), round(_SEEN * height)
    room, phase = (1 - _SEEN) / 2 * np.array([width, height]), 2.4 * number
    frames = []
    for t in np.linspace(-1, 1, _FRAMES):
        way = t * np.array([np.cos(phase), np.sin(phase)])
        shake = 0.03 * np.sin(np.array([40.0, 31.0]) * t + phase)
        middle = np.array([width, height]) / 2 + room * np.clip(way + shake, -1, 1)
        aside = np.array(size) / 2 - middle
        matrix = np.array([[1, 0, aside[0]], [0, 1, aside[1]]])
        border = cv2.BORDER_REPLICATE
        frames.append((cv2.warpAffine(scene.image, matrix, size, borderMode=border), aside))
    return frames


def in_video(scene: Scene, number: int, follow: Following) -> tuple[np.ndarray, int]:
    """(N,) share of the last frames in which each hand is found; false hands in all frames."""
    frames, asides = zip(*views(scene, number), strict=True)
    told = [joints - aside for joints, aside in zip(follow(frames), asides, strict=True)]
    found = np.mean([scene.found(joints) for joints in told[-_LAST:]], axis=0)
    return found, sum(map(scene.n_false, told))


def by_knuckle(weights: Path | None, smallest_hand: float | None = None) -> Following:
    """The tracker as its users call it, but for what is the smallest hand."""
    tracker = HandTracker(max_hands=_MOST, weights_dir=weights, smallest_hand=smallest_hand)

    def follow(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        tracker.reset()
        return [_joints(tracker(frame)) for frame in frames]

    return follow


def by_mediapipe(python: Path) -> Following:
    """MediaPipe in video mode."""
    peer = MediaPipe(python, MediaPipeSettings(max_hands=_MOST))
    return lambda frames: [_joints(hands) for hands in peer.track(frames)]


def _joints(hands: Sequence[Hand]) -> np.ndarray:
    return np.array([hand.joints_px for hand in hands]).reshape(-1, len(Joint), 2)


def _answers(system: System, pictures: Sequence[Scene]) -> list[np.ndarray]:
    """(M, 21, 2) px of each picture's hands."""
    return [_joints(hands) for hands in system(pictures)]


@dataclass(frozen=True)
class SmallHands:
    """Count small hands that are found, and what is none."""

    data: Data = SHARED
    labels: Labels = LABELS
    mediapipe_python: PeerPython = None
    weights: Weights = None
    every: int = 1
    """Only each how-manieth picture."""
    videos_every: int = 2
    """Only each how-manieth of these pictures with no more than two hands as a video; 0: none."""

    def run(self) -> None:
        """Measure and print."""
        pictures = scenes(self.data, self.labels)[:: self.every]
        self._print_pictures(pictures)
        if self.videos_every:
            few = [scene for scene in pictures if len(scene.joints_px) <= _MOST]
            self._print_videos(few[:: self.videos_every])

    def _print_pictures(self, pictures: Sequence[Scene]) -> None:
        empty = hand_free(self.data)[:: self.every]
        columns = _Columns(pictures)
        table = Table({
            "system": "",
            **columns.named,
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
            recall = columns.means([scene.found(joints) for scene, joints in pairs])
            n_false = sum(scene.n_false(joints) for scene, joints in pairs)
            per_100 = 100 * float(np.mean([len(hands) for hands in system(empty)]))
            print(table.row(name, *recall, n_false, per_100), flush=True)

    def _print_videos(self, pictures: Sequence[Scene]) -> None:
        columns = _Columns(pictures)
        head = {"system": "", **columns.named, "false in rooms, per 1,000 frames": "{:.1f}"}
        table = Table(head)
        print(f"\n{len(pictures)} videos of {_FRAMES} frames\n\n{table.head}")
        systems = {
            KNUCKLE: by_knuckle(self.weights),
            f"{KNUCKLE}, smallest_hand={FOUND_FROM}": by_knuckle(
                self.weights, smallest_hand=FOUND_FROM
            ),
        }
        if self.mediapipe_python is not None:
            systems[PEER] = by_mediapipe(self.mediapipe_python)
        for name, follow in systems.items():
            told = [in_video(scene, number, follow) for number, scene in enumerate(pictures)]
            per_1000 = 1000 * sum(n for _, n in told) / (len(pictures) * _FRAMES)
            print(table.row(name, *columns.means([found for found, _ in told]), per_1000))


class _Columns:
    """Hands of scenes by their share of the picture."""

    def __init__(self, pictures: Sequence[Scene]) -> None:
        shares = np.concatenate([scene.shares for scene in pictures])
        self._of_hands = np.digitize(shares, _SHARES) - 1
        names = [f"{low:.1%} to {high:.1%}" for low, high in pairwise(_SHARES)]
        counts = [(self._of_hands == k).sum() for k in range(len(names))]
        #: Heads of a table's columns, with how many hands there are, and how a cell is written.
        self.named = {f"{name} ({n})": "{:.0%}" for name, n in zip(names, counts, strict=True)}

    def means(self, values: Sequence[np.ndarray]) -> list[float]:
        """Of values (N,) of the hands of each scene, the mean of each column."""
        of_hands = np.concatenate(values)
        return [float(of_hands[self._of_hands == k].mean()) for k in range(len(self.named))]


if __name__ == "__main__":
    command(SmallHands)
