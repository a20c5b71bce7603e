"""False hands: detections in pictures without a hand, and what else the system finds.

    python benchmarks/hand_free.py --mediapipe-python PEERS/bin/python

Hand-free pictures are those in the folders of ``no_hands`` that are held out of training
(``data.photographs.HAND_FREE_HELD_BACK``). To show what a threshold costs, they are paired with
photographs with a box around each hand: ``photos_finger_count``, those held out of training. Every
picture is processed on its own, with own detection, at the default settings; the second table
sweeps thresholds, listing hands below a fifth of the picture's longer side separately.

Videos without hands are pans over the hand-free pictures, a second each, as from a hand-held
camera: tracks in them are counted per minute.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import cv2
import numpy as np

from board import (
    KNUCKLE,
    PEER,
    SHARED,
    Data,
    PeerPython,
    Table,
    Weights,
    command,
    knuckle_system,
    mediapipe_system,
)
from knuckle import HandTracker
from knuckle.data.photographs import HAND_FREE_HELD_BACK, is_validation
from knuckle.pipeline.settings import FOUND_FROM
from peers.process import MediaPipeSettings

#: A hand is found where a box of the answer meets its box by so much (intersection over union).
_MEETS = 0.3
#: A hand smaller than this share of the picture's longer side is small.
_SMALL = 0.2
#: A pan: frames, share of the picture that is seen, px of the frame's longer side.
_FRAMES, _SEEN, _FRAME_PX = 30, 0.8, 640
_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, eq=False)
class Answer:
    """A system's hands in one picture: boxes (N, 4) px and scores (N,)."""

    boxes_xyxy: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and the boxes of its hands, of which there may be none."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    boxes_xyxy: np.ndarray  # (N, 4)
    camera: None = None


Answering = Callable[[Sequence[Picture]], list[Answer]]


def hand_free(data: Path) -> list[Picture]:
    """The held-back pictures without hands."""
    folders = [data / "no_hands" / name for name in HAND_FREE_HELD_BACK]
    paths = sorted(path for folder in folders for path in folder.rglob("*.jpg"))
    if not paths:
        raise FileNotFoundError(f"no pictures in {', '.join(map(str, folders))}")
    return [Picture(_read(path), np.zeros((0, 4))) for path in paths]


def pan(image: np.ndarray, number: int) -> Iterator[np.ndarray]:
    """A second of video over a picture; each number has a way, a shake and a zoom of its own."""
    height, width = image.shape[:2]
    scale = _FRAME_PX / (_SEEN * max(height, width))
    size = round(_SEEN * width * scale), round(_SEEN * height * scale)
    room = (1 - _SEEN) / 2 * np.array([width, height])
    phase = 2.4 * number
    for t in np.linspace(-1, 1, _FRAMES):
        way = t * np.array([np.cos(phase), np.sin(phase)])
        shake = 0.03 * np.sin(np.array([40.0, 31.0]) * t + phase)
        zoom = scale * (1 + 0.1 * t)
        middle = np.array([width, height]) / 2 + room * np.clip(way + shake, -1, 1)
        shift = np.array(size) / 2 - zoom * middle
        matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
        yield cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE)


def followed(pictures: Sequence[Picture], weights: Path | None, **options: float) -> np.ndarray:
    """(tracks a minute, share of the frames with a hand) in pans over pictures without hands."""
    tracker = HandTracker(weights_dir=weights, **options)
    tracks = frames = 0
    for number, picture in enumerate(pictures):
        tracker.reset()
        told = [tracker(frame) for frame in pan(picture.image, number)]
        tracks += len({hand.track_id for hands in told for hand in hands})
        frames += sum(map(bool, told))
    seconds = len(pictures) * _FRAMES / 30
    return np.array([60 * tracks / seconds, frames / (len(pictures) * _FRAMES)])


def with_boxes(data: Path) -> list[Picture]:
    """Photographs with hands, held out of training."""
    folder = data / "photos_finger_count"
    boxes = json.loads((folder / "boxes.json").read_text())
    names = [name for name in sorted(boxes) if is_validation(f"{folder.name}/{name}")]
    return [
        Picture(_read(folder / name), np.array([box["box_xyxy"] for box in boxes[name]], float))
        for name in names
    ]


def _read(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def knuckle_answers(weights: Path | None, **options: float) -> Answering:
    """Knuckle as its users call it, or with another threshold."""
    system = knuckle_system(weights, **options)
    return lambda pictures: [
        Answer(
            np.array([hand.box_xyxy for hand in hands]).reshape(-1, 4),
            np.array([hand.score for hand in hands]),
        )
        for hands in system(pictures)
    ]


def mediapipe_answers(python: Path) -> Answering:
    """MediaPipe full, which gives no score for a hand."""
    system = mediapipe_system(python, MediaPipeSettings(max_hands=8))

    def answer(pictures: Sequence[Picture]) -> list[Answer]:
        boxes = [
            np.array([[*h.joints_px.min(0), *h.joints_px.max(0)] for h in hands]).reshape(-1, 4)
            for hands in system(pictures)
        ]
        return [Answer(of_picture, np.ones(len(of_picture))) for of_picture in boxes]

    return answer


def found_hands(picture: Picture, boxes_xyxy: np.ndarray) -> np.ndarray:
    """(N,) bool, which of a picture's hands some box meets."""
    met = [[overlap(own, box) >= _MEETS for box in boxes_xyxy] for own in picture.boxes_xyxy]
    return np.array([any(row) for row in met], bool)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    inner = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(inner / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inner))


def is_small(picture: Picture) -> np.ndarray:
    """(N,) bool, which of a picture's hands are small."""
    sides = (picture.boxes_xyxy[:, 2:] - picture.boxes_xyxy[:, :2]).max(axis=1)
    return sides < _SMALL * max(picture.image.shape[:2])


@dataclass(frozen=True)
class Row:
    """What a system does at one threshold."""

    per_100: float
    pictures: float
    recall: float
    recall_small: float
    precision: float

    @classmethod
    def of(
        cls,
        empty: Sequence[Answer],
        shown: Sequence[Answer],
        pictures: Sequence[Picture],
        threshold: float,
    ) -> Row:
        """Count the hands that score at least so much."""
        false = [int((answer.scores >= threshold).sum()) for answer in empty]
        kept = [answer.boxes_xyxy[answer.scores >= threshold] for answer in shown]
        found = [found_hands(picture, boxes) for picture, boxes in zip(pictures, kept, strict=True)]
        every, small = np.concatenate(found), np.concatenate([is_small(p) for p in pictures])
        given = sum(map(len, kept)) + sum(false)
        return cls(
            per_100=100 * sum(false) / len(empty),
            pictures=float(np.mean(np.array(false) > 0)),
            recall=float(every.mean()),
            recall_small=float(every[small].mean()) if small.any() else float("nan"),
            precision=float(every.sum() / max(given, 1)),
        )

    def text(self, name: str) -> str:
        """A line of the table."""
        return _table("").row(name, *astuple(self))


def _table(of: str) -> Table:
    return Table({
        of: "",
        "false hands per 100 hand-free pictures": "{:.1f}",
        "pictures with one": "{:.1%}",
        "hands found": "{:.1%}",
        "small ones found": "{:.1%}",
        "precision over both sets": "{:.1%}",
    })  # fmt: skip


@dataclass(frozen=True)
class HandFree:
    """Count what is taken for a hand and is none, beside the hands that are found."""

    data: Data = SHARED
    mediapipe_python: PeerPython = None
    weights: Weights = None
    every: int = 1
    """Only each how-manieth picture."""

    def run(self) -> None:
        """Measure and print."""
        empty, shown = hand_free(self.data)[:: self.every], with_boxes(self.data)[:: self.every]
        hands = sum(len(picture.boxes_xyxy) for picture in shown)
        print(f"{len(empty)} pictures without a hand, {hands} hands in {len(shown)} photographs\n")
        print(_table("system, as it comes").head)
        systems = {KNUCKLE: knuckle_answers(self.weights)}
        if self.mediapipe_python is not None:
            systems[PEER] = mediapipe_answers(self.mediapipe_python)
        for name, system in systems.items():
            print(Row.of(system(empty), system(shown), shown, 0.0).text(name), flush=True)
        # Tiles are believed the more the lower the threshold is: that row would not be its own.
        lowest = knuckle_answers(
            self.weights, score_threshold=min(_THRESHOLDS), smallest_hand=FOUND_FROM
        )
        answers = lowest(empty), lowest(shown)
        print("\n" + _table("`score_threshold`, without tiles").head)
        for threshold in _THRESHOLDS:
            print(Row.of(*answers, shown, threshold).text(f"{threshold:.1f}"))
        per_minute, share = followed(empty, self.weights)
        print(
            f"\n{KNUCKLE}, {len(empty)} pans of a second: {per_minute:.1f} tracks a minute, "
            f"in {share:.1%} of the frames"
        )


if __name__ == "__main__":
    command(HandFree)
