r"""Labels for hands that the teacher of the photographs misses and our own networks find.

    python tools/missed_hands.py recipes/labels.json.xz ../shared/data runs/data/labels_more.json

MediaPipe, the teacher, misses hands seen edge-on, fists, and hands that hold something or hang
down; these places stay "uncertain", so that nothing is learnt there. A network trained on the rest
finds many of them. A hand that it finds in the picture and in the mirrored picture, with a high
score and in the same place, becomes a label; it says so (``"by": "knuckle"``), has no 3D, and its
joints are written in the teacher's convention, like all others. Then pack the new file and train.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.progress import track

from knuckle import HandEstimator, HandPose
from knuckle.data.convention import teachers_joints
from knuckle.data.photograph_labels import labelled_photos, read_labels

#: What scores less in the picture or in its mirror image is not named.
_LEAST_SCORE = 0.85
#: In both the joints must be so near to each other, as a share of the hand's longer side.
_AGREE = 0.08
#: A hand this near to a labelled one, overlap over the smaller box, is that one or disturbed by it.
_KNOWN = 0.25
#: The longer side of a hand, px: smaller ones look like anything.
_SMALLEST_PX = 18


def missed_hands(
    estimator: HandEstimator, image: np.ndarray, record: dict[str, Any]
) -> list[dict[str, Any]]:
    """The hands of a picture that its record does not have.

    Args:
        estimator: with several looks a hand, as the label is their mean.
        image: (H, W, 3) uint8 RGB.
        record: the teacher's, see ``teacher.py``.

    Returns:
        Hands as in records.
    """
    known = [_box(np.array(hand["joints_px"])) for hand in record["hands"]]
    here = [
        hand
        for hand in estimator(image)
        if hand.score >= _LEAST_SCORE
        and np.ptp(hand.joints_px, axis=0).max() >= _SMALLEST_PX
        and not any(_share(_box(hand.joints_px), box) > _KNOWN for box in known)
    ]
    if not here:
        return []
    mirrored = estimator(np.ascontiguousarray(image[:, ::-1]))
    pairs = ((hand, _same_in_mirror(hand, mirrored, image.shape[1])) for hand in here)
    return [_record(hand, joints_px) for hand, joints_px in pairs if joints_px is not None]


def _same_in_mirror(hand: HandPose, mirrored: list[HandPose], width: int) -> np.ndarray | None:
    """The joints (21, 2) of the same hand found in the mirrored picture, mirrored back."""
    size = np.ptp(hand.joints_px, axis=0).max()
    for other in mirrored:
        joints_px = [width - 1, 0] + other.joints_px * [-1, 1]
        apart = np.linalg.norm(joints_px - hand.joints_px, axis=-1).mean()
        if other.score >= _LEAST_SCORE and other.side != hand.side and apart < _AGREE * size:
            return np.asarray(joints_px)
    return None


def _record(hand: HandPose, mirrored_px: np.ndarray) -> dict[str, Any]:
    """A hand as the teacher records one; two answers, so no median."""
    joints_px = (hand.joints_px + mirrored_px) / 2
    apart = np.linalg.norm(hand.joints_px - mirrored_px, axis=-1)
    unsure = np.ptp(joints_px, axis=0).max() * 0.02  # two answers of one network agree too well
    return {
        "side": hand.side,
        "joints_px": np.round(teachers_joints(joints_px), 2).tolist(),
        "spread_px": np.round(np.maximum(apart, unsure), 2).tolist(),
        "world_mm": [[None] * 3] * 21,
        "hits": 2,
        "asked": 2,
        "seen": 0,
        "side_share": 1.0,
        "score": round(float(hand.score), 3),
        "by": "knuckle",
    }


def _box(joints_px: np.ndarray) -> np.ndarray:
    return np.concatenate([joints_px.min(axis=0), joints_px.max(axis=0)])


def _share(a: np.ndarray, b: np.ndarray) -> float:
    """What two boxes share, of the smaller one."""
    inner = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(inner / max(min((a[2:] - a[:2]).prod(), (b[2:] - b[:2]).prod()), 1e-9))


def unknown(found: list[dict[str, Any]], record: dict[str, Any]) -> list[dict[str, Any]]:
    """Those hands that a record does not have yet."""
    boxes = [_box(np.array(hand["joints_px"])) for hand in record["hands"]]
    return [
        hand
        for hand in found
        if not any(_share(_box(np.array(hand["joints_px"])), box) > _KNOWN for box in boxes)
    ]


def without_explained(record: dict[str, Any], found: list[dict[str, Any]]) -> dict[str, Any]:
    """The record with these hands, and without the doubts that they settle."""
    boxes = [_box(np.array(hand["joints_px"])) for hand in found]
    doubts = [
        doubt
        for doubt in record["uncertain"]
        if not any(_share(np.array(doubt), box) > _KNOWN for box in boxes)
    ]
    empty = record["empty"] and not found
    return record | {"hands": [*record["hands"], *found], "uncertain": doubts, "empty": empty}


@dataclass(frozen=True)
class MissedHands:
    """Add the hands that our networks find and the teacher missed to a file of labels."""

    labels: tyro.conf.Positional[Path]
    root: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    weights: Path | None = None
    """Folder of other networks than the shipped ones."""

    def run(self) -> None:
        """Ask about every picture in which the teacher had doubts or saw nothing."""
        labels = read_labels(self.labels)
        asked = [
            record
            for record in labels["records"]
            if record["frame"] is None and (record["uncertain"] or not record["hands"])
        ]
        doubtful = self.out.with_suffix(".doubtful")
        doubtful.write_text(json.dumps({"records": asked}))
        estimator = HandEstimator(looks=4, max_hands=6, weights_dir=self.weights)
        more: dict[tuple[str, str], dict[str, Any]] = {}
        for photo in track(labelled_photos(doubtful, self.root), "photographs", total=len(asked)):
            record = photo.record
            if found := missed_hands(estimator, photo.image, record):
                more[record["dataset"], record["file"]] = without_explained(record, found)
        doubtful.unlink()
        labels["records"] = [more.get((r["dataset"], r["file"]), r) for r in labels["records"]]
        self.out.write_text(json.dumps(labels))
        hands = sum("by" in hand for record in more.values() for hand in record["hands"])
        print(f"{hands} hands in {len(more)} of {len(asked)} pictures: {self.out}")


if __name__ == "__main__":
    tyro.cli(MissedHands).run()
