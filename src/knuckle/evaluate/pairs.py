"""Every true hand of a data set beside what a system said about it, as arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from knuckle.camera import Camera
from knuckle.data.labelled import LabelledSet, Record
from knuckle.errors import InputError
from knuckle.evaluate.predictions import PredictedHand, Predictions
from knuckle.hand import N_JOINTS, SIDES, Joint
from knuckle.metrics import boundary_f, mask_iou, match_hands
from knuckle.sample import UNKNOWN, HandLabel

#: "side": the surest predicted hand of the same side, wherever it is (InterHand2.6M shows one
#: person: the protocols of the papers know only "the right hand" and "the left hand").
#: "place": ``metrics.match_hands``.
Matching = Literal["side", "place"]
#: A hand that is less sure than this does not count as said to be there.
PRESENT = 0.5


@dataclass(frozen=True, eq=False)
class ScoredHands:
    """H true hands in S pictures, and what was predicted for each.

    Where nothing is known, numbers are NaN: a prediction for a missed hand, 3D without labels.
    """

    keys: list[str]  # (S,) of the pictures
    videos: list[tuple[str, int] | None]  # (S,) (name, frame) or None
    picture: np.ndarray  # (H,) index of the picture
    side: np.ndarray  # (H,) index into ``SIDES``
    two: np.ndarray  # (H,) bool, whether its picture shows two hands
    valid: np.ndarray  # (H, 21) bool
    true_px: np.ndarray  # (H, 21, 2)
    true_mm: np.ndarray  # (H, 21, 3) in the camera frame
    true_visible: np.ndarray  # (H, 21) 1, 0, or NaN where not labelled
    found: np.ndarray  # (H,) bool, whether a prediction is matched
    predicted_px: np.ndarray  # (H, 21, 2) as the true ones
    predicted_mm: np.ndarray  # (H, 21, 3) in the camera frame
    relative_mm: np.ndarray  # (H, 21, 3) predicted, relative to the wrist
    predicted_side: np.ndarray  # (H,) index into ``SIDES``, -1 where missed
    predicted_visible: np.ndarray  # (H, 21) 1, 0, or NaN
    intrinsics: np.ndarray  # (H, 4) fx, fy, cx, cy
    mask_iou: np.ndarray  # (H,)
    mask_f: np.ndarray  # (H,)
    sides_known: np.ndarray  # (S,) bool, whether the data set vouches for which hands are there
    true_sides: np.ndarray  # (S, 2) bool, by index into ``SIDES``
    predicted_sides: np.ndarray  # (S, 2) bool, by index into ``SIDES``
    #: ``scores``, ``correct``: (P,) of all predicted hands: how sure, and whether matched with a
    #: true hand of the same side.
    scores: np.ndarray
    correct: np.ndarray

    def __len__(self) -> int:
        return len(self.picture)

    @property
    def has_3d(self) -> np.ndarray:
        """(H,) bool: hands whose true 3D is known."""
        return np.isfinite(self.true_mm[:, Joint.WRIST, 0])


def pair(dataset: LabelledSet, predictions: Predictions, matching: Matching) -> ScoredHands:
    """Match what was predicted with what is true, picture by picture.

    Pictures are not read; masks are, where both sides have them.

    Raises:
        ValueError: there is no true hand, or no prediction is about any of the pictures.
    """
    hands: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    said_hands: list[tuple[float, bool]] = []
    known = 0
    for index in range(len(dataset)):
        record = dataset.record(index)
        said = predictions.hands.get(record.key, ())
        known += record.key in predictions.hands
        partner = _match(record, said, matching)
        pictures.append(_picture(record, said))
        masks = _masks(dataset, index, said, partner)
        for label, hand, overlap in zip(record.hands, partner, masks, strict=True):
            hands.append({"picture": index, **_hand(record, label, hand), **overlap})
        said_hands += _judged(record, said, partner)
    if not hands:
        raise InputError(f"{dataset.name}, {dataset.split}: there is no labelled hand to score")
    if not known:
        raise InputError(
            f"none of the {len(dataset)} pictures of {dataset.name}, {dataset.split}, is in the "
            f"predictions: their keys should look like {dataset.record(0).key!r}"
        )
    strangers = len(predictions.hands) - known
    if strangers and known < len(dataset):
        warnings.warn(
            f"{len(dataset) - known:,} of {len(dataset):,} pictures have no line in the "
            f"predictions (their hands count as missed), and {strangers:,} lines are of no picture "
            f"that is scored: should their keys look like {dataset.record(0).key!r}?",
            stacklevel=1,  # said once, however often these are paired
        )
    scores, correct = np.array(said_hands, float).reshape(-1, 2).T
    lists = {name: [row[name] for row in pictures] for name in pictures[0]}
    return ScoredHands(
        keys=lists.pop("keys"),
        videos=lists.pop("videos"),
        scores=scores,
        correct=correct > 0,
        **{name: np.array(values, bool) for name, values in lists.items()},
        **{name: np.array([row[name] for row in hands]) for name in hands[0]},
    )


def _judged(
    record: Record, said: Sequence[PredictedHand], partner: Sequence[PredictedHand | None]
) -> Iterator[tuple[float, bool]]:
    """Of each predicted hand, how sure it is and whether it is right; without unlabelled ones."""
    sides = {id(p): true.side for p, true in zip(partner, record.hands, strict=True) if p}
    for hand in said:
        # Where not every hand is labelled, an unmatched one may well be a hand: not counted.
        if record.complete or id(hand) in sides:
            yield hand.score, sides.get(id(hand)) == hand.side


def _match(
    record: Record, said: Sequence[PredictedHand], matching: Matching
) -> list[PredictedHand | None]:
    """The predicted hand about each true hand of a picture, or None."""
    if matching == "side":
        surest = sorted(said, key=lambda hand: -hand.score)
        return [next((h for h in surest if h.side == true.side), None) for true in record.hands]
    points = [_points_px(hand, record.camera) for hand in said]
    placed = [i for i, p in enumerate(points) if p is not None]
    matches = match_hands(
        [said[i].side for i in placed],
        np.array([points[i] for i in placed]).reshape(-1, N_JOINTS, 2),
        [hand.side for hand in record.hands],
        np.array([hand.joints_px for hand in record.hands]).reshape(-1, N_JOINTS, 2),
        np.array([hand.valid for hand in record.hands]).reshape(-1, N_JOINTS),
    )
    partner: list[PredictedHand | None] = [None] * len(record.hands)
    for match in matches:
        partner[match.true] = said[placed[match.predicted]]
    return partner


def _points_px(hand: PredictedHand, camera: Camera | None) -> np.ndarray | None:
    """(21, 2) px of a predicted hand: its own, or its 3D seen through the true camera."""
    if hand.joints_px is not None:
        return hand.joints_px
    if hand.joints_mm is None or camera is None:
        return None
    return camera.project(hand.joints_mm)


def _masks(
    dataset: LabelledSet,
    index: int,
    said: Sequence[PredictedHand],
    partner: Sequence[PredictedHand | None],
) -> Iterator[dict[str, float]]:
    """Overlap of the masks, where the data set and the prediction have one."""
    hand_map = dataset.hand_map(index) if any(h.mask is not None for h in said) else None
    for number, hand in enumerate(partner, start=1):
        iou = f = np.nan
        if hand_map is not None and hand is not None and hand.mask is not None:
            true, known = hand_map == number, hand_map != UNKNOWN
            iou = mask_iou(hand.mask, true, known=known)
            f = boundary_f(hand.mask, true, known=known)
        yield {"mask_iou": iou, "mask_f": f}


def _picture(record: Record, said: Sequence[PredictedHand]) -> dict[str, Any]:
    """What ``ScoredHands`` holds of a picture."""
    present = {hand.side for hand in said if hand.score >= PRESENT}
    true = {hand.side for hand in record.hands}
    return {
        "keys": record.key,
        "videos": record.video,
        "sides_known": record.sides_known,
        "true_sides": [side in true for side in SIDES],
        "predicted_sides": [side in present for side in SIDES],
    }


def _hand(record: Record, label: HandLabel, hand: PredictedHand | None) -> dict[str, Any]:
    """What ``ScoredHands`` holds of a true hand and its partner."""
    camera = record.camera
    return {
        "side": SIDES.index(label.side),
        "two": len(record.hands) > 1,
        "valid": label.valid,
        "true_px": label.joints_px,
        "true_mm": _or_nan(label.joints_mm, 3),
        "true_visible": _or_nan(label.visible),
        "found": hand is not None,
        "predicted_px": _or_nan(_points_px(hand, camera) if hand else None, 2),
        "predicted_mm": _or_nan(hand.joints_mm if hand else None, 3),
        "relative_mm": _or_nan(hand.relative_mm if hand else None, 3),
        "predicted_side": -1 if hand is None else SIDES.index(hand.side),
        "predicted_visible": _or_nan(hand.visible if hand else None),
        "intrinsics": (camera.fx, camera.fy, camera.cx, camera.cy) if camera else (np.nan,) * 4,
    }


def _or_nan(values: np.ndarray | None, width: int | None = None) -> np.ndarray:
    shape = (N_JOINTS,) if width is None else (N_JOINTS, width)
    return np.full(shape, np.nan) if values is None else np.asarray(values, float)
