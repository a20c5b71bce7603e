r"""Labels for hands that neither teacher nor detector finds: a network proposes, people choose.

    python tools/hands_by_eye.py propose runs/data/labels_more.json ../shared/data runs/by_eye
    python tools/hands_by_eye.py choose runs/by_eye 0.0 3.1 … --out recipes/by_eye.json
    python tools/hands_by_eye.py add runs/data/labels_more.json recipes/by_eye.json OUT

Where nothing was found, the keypoint network looks at every place, in all orientations, as either
side. Its few most likely answers are shown beside the picture on numbered sheets; a person names
those that are right to within a finger's width. ``add`` makes labels of them, half as trusted as
others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tyro
from missed_hands import unknown, without_explained
from rich.progress import track

from knuckle import draw
from knuckle.codec import DetectedHand
from knuckle.data.convention import teachers_joints
from knuckle.data.photograph_labels import LabelledPhoto, labelled_photos, read_labels
from knuckle.hand import FINGERS, SIDES, Joint, Side, extent_px
from knuckle.pipeline import EstimatorSettings, judge, propose
from knuckle.pipeline.frame import hands_of
from knuckle.pipeline.looks import Looks, Proposal
from knuckle.pipeline.networks import Networks

#: Sizes of hands that are looked for, as shares of the picture's longer side, and their places.
_SIZES, _PLACES = (0.25, 0.4, 0.6, 0.9), (0.2, 0.5, 0.8)
#: So many answers are followed up, and so many shown; looks in a batch.
_FOLLOWED, _SHOWN, _BATCH = 14, 3, 16
#: Joints named by eye are right to within a finger's width, as a share of the hand.
_SPREAD = 0.04
_TILE_PX, _ROWS = 250, 8


def answers(networks: Networks, image: np.ndarray) -> list[tuple[Side, np.ndarray]]:
    """What may be hands where none is found: side and joints (21, 2) px, the likeliest first."""
    detections, settings = networks.detect(image), networks.settings
    first = Looks.at(networks, image, propose.detected(networks, detections.hands))
    if hands_of(networks, image, first, detections, settings.max_hands)[1]:
        return []
    height, width = image.shape[:2]
    guesses = [
        DetectedHand((x * width, y * height), size * max(height, width), turn, side)
        for size in _SIZES
        for x in _PLACES
        for y in _PLACES
        for turn in propose.TURNS
        for side in SIDES
    ]
    looks = _looks(networks, image, [networks.crop_of(guess) for guess in guesses])
    likeliest = looks.take(np.argsort(-looks.worth, kind="stable")[:_FOLLOWED])
    for _ in range(2):  # each crop is better than the one before
        seen = likeliest.seen
        crops = [networks.crop_around(p, seen.side(i)) for i, p in enumerate(seen.points_px)]
        likeliest = _looks(networks, image, crops)
    seen, kept = likeliest.seen, list[int]()
    for i in np.argsort(-likeliest.worth, kind="stable").tolist():
        alike = (k for k in kept if seen.side(k) == seen.side(i))
        if not any(judge.same_joints(seen, i, seen, k) for k in alike):
            kept.append(i)
    return [(seen.side(i), seen.points_px[i]) for i in kept[:_SHOWN]]


def _looks(networks: Networks, image: np.ndarray, crops: list[Any]) -> Looks:
    looks = Looks.none()
    for k in range(0, len(crops), _BATCH):
        looks += Looks.at(networks, image, [Proposal(c, "box") for c in crops[k : k + _BATCH]])
    return looks


def _tiles(number: int, photo: LabelledPhoto, hands: list[dict[str, Any]]) -> Iterator[np.ndarray]:
    """The picture, and the same with each answer drawn into it."""
    scale = _TILE_PX / max(photo.image.shape[:2])
    small = cv2.resize(photo.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for k in range(-1, _SHOWN):
        tile = np.zeros((_TILE_PX, _TILE_PX, 3), np.uint8)
        tile[: small.shape[0], : small.shape[1]] = small
        name = str(number)
        if 0 <= k < len(hands):
            joints = np.array(hands[k]["joints_px"]) * scale
            for finger, colour in zip(FINGERS, draw.FINGER_COLOURS, strict=True):
                line = np.int32(joints[[Joint.WRIST, *finger]])
                cv2.polylines(tile, [line], False, colour, 1, cv2.LINE_AA)
            name = f"{number}.{k} {hands[k]['side']}"
        draw.caption(tile, name, (4, _TILE_PX - 6))
        yield tile


def _of_stages(weights: Path | None) -> Networks:
    return Networks(EstimatorSettings(weights_dir=weights))


@dataclass(frozen=True)
class Propose:
    """Draw what may be hands in pictures in which none is known and none is found."""

    labels: tyro.conf.Positional[Path]
    root: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    datasets: tuple[str, ...] = ("photos_more",)
    weights: Path | None = None
    """Folder of other networks than the shipped ones."""

    def run(self) -> None:
        """Write sheets and what they show."""
        self.out.mkdir(parents=True, exist_ok=True)
        records = [
            record
            for record in read_labels(self.labels)["records"]
            if record["dataset"] in self.datasets and not record["hands"]
        ]
        asked = self.out / "asked.json"
        asked.write_text(json.dumps({"records": records}))
        networks, shown, tiles = _of_stages(self.weights), list[dict[str, Any]](), []
        for photo in track(labelled_photos(asked, self.root), "photographs", total=len(records)):
            if hands := [_chosen(*answer) for answer in answers(networks, photo.image)]:
                tiles += _tiles(len(shown), photo, hands)
                shown.append({key: photo.record[key] for key in ("dataset", "file")})
                shown[-1]["hands"] = hands
        (self.out / "shown.json").write_text(json.dumps(shown))
        per_sheet = _ROWS * (1 + _SHOWN)
        for k in range(0, len(tiles), per_sheet):
            picture = draw.sheet(tiles[k : k + per_sheet], 1 + _SHOWN)
            cv2.imwrite(str(self.out / f"{k // per_sheet:03d}.png"), picture[..., ::-1])
        print(f"{len(shown)} pictures on sheets in {self.out}")


def _chosen(side: Side, joints_px: np.ndarray) -> dict[str, Any]:
    return {"side": side, "joints_px": np.round(joints_px, 1).tolist()}


@dataclass(frozen=True)
class Choose:
    """Keep the answers that are right."""

    shown: tyro.conf.Positional[Path]
    """Folder of the sheets."""
    right: tyro.conf.Positional[tuple[str, ...]]
    """Their numbers, such as 12.0."""
    out: Path

    def run(self) -> None:
        """Write the chosen hands by picture."""
        shown = json.loads((self.shown / "shown.json").read_text())
        chosen: dict[int, list[dict[str, Any]]] = {}
        for name in self.right:
            picture, hand = map(int, name.split("."))
            chosen.setdefault(picture, []).append(shown[picture]["hands"][hand])
        records = [shown[k] | {"hands": hands} for k, hands in sorted(chosen.items())]
        self.out.write_text("[" + ",\n".join(map(json.dumps, records)) + "]\n")
        print(f"{len(self.right)} hands in {len(records)} pictures: {self.out}")


@dataclass(frozen=True)
class Add:
    """Add hands that were chosen to a file of labels."""

    labels: tyro.conf.Positional[Path]
    chosen: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]

    def run(self) -> None:
        """Write the labels with them."""
        labels = read_labels(self.labels)
        listed = json.loads(self.chosen.read_text())
        chosen = {_picture(r): list(map(label_of, r["hands"])) for r in listed}
        labels["records"] = [
            without_explained(record, unknown(chosen.get(_picture(record), []), record))
            for record in labels["records"]
        ]
        self.out.write_text(json.dumps(labels))
        print(f"{sum(map(len, chosen.values()))} hands in {len(chosen)} pictures: {self.out}")


def _picture(record: dict[str, Any]) -> tuple[str, str]:
    return record["dataset"], record["file"]


def label_of(hand: dict[str, Any]) -> dict[str, Any]:
    """A chosen hand as the teacher records one, in the teacher's convention."""
    joints_px = np.array(hand["joints_px"])
    spread = round(float(extent_px(joints_px)) * _SPREAD, 2)
    return {
        "side": hand["side"],
        "joints_px": np.round(teachers_joints(joints_px), 2).tolist(),
        "spread_px": [spread] * len(joints_px),
        "world_mm": [[None] * 3] * len(joints_px),
        "hits": 1,
        "asked": 1,
        "seen": 0,
        "side_share": 1.0,
        "score": 1.0,
        "by": "eye",
    }


if __name__ == "__main__":
    tyro.cli(Propose | Choose | Add).run()
