"""Prediction files: what a system said about a data set, from this project or any other.

One JSON object a line (``.jsonl``, or ``.jsonl.gz``): a header, then one line a picture. The format
is described for other systems in ``docs/predictions.md``; their joint order is mapped by name here.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from knuckle.errors import InputError, refuse_unknown
from knuckle.hand import (
    JOINT_NAMES,
    N_JOINTS,
    Side,
    check_millimetres,
    check_side,
    order_from_names,
)
from knuckle.results import HandPose

FORMAT = "knuckle-predictions"
VERSION = 1
#: Did the system find the hands itself, or was it given the true boxes?
Boxes = Literal["own", "true"]
#: Was the system given the true intrinsics?
Intrinsics = Literal["given", "assumed"]


@dataclass(frozen=True)
class System:
    """Who predicted, and what it was told."""

    name: str  # of the system, with its version
    boxes: Boxes = "own"  # see ``Boxes``
    intrinsics: Intrinsics = "given"  # see ``Intrinsics``

    def __post_init__(self) -> None:
        if self.boxes not in ("own", "true"):
            raise InputError(f"boxes must be 'own' or 'true', got {self.boxes!r}")
        if self.intrinsics not in ("given", "assumed"):
            raise InputError(f"intrinsics must be 'given' or 'assumed', got {self.intrinsics!r}")

    def __str__(self) -> str:
        """All of it, for people."""
        return f"{self.name}, boxes {self.boxes}, intrinsics {self.intrinsics}"


@dataclass(frozen=True, eq=False, kw_only=True)
class PredictedHand:
    """One hand in one picture. At least one of the three kinds of joints is there."""

    side: Side  # left or right
    score: float = 1.0  # 0..1, how sure it is that this is a hand
    joints_px: np.ndarray | None = None  # (21, 2), or None
    joints_mm: np.ndarray | None = None  # (21, 3) in the camera frame, or None
    #: (21, 3) relative to the wrist, axes of the camera frame, or None.
    joints_root_mm: np.ndarray | None = None
    visible: np.ndarray | None = None  # (21,) bool, or None
    mask: np.ndarray | None = None  # (H, W) bool, or None

    def __post_init__(self) -> None:
        check_side(self.side)
        given = 0
        for name, width in (("joints_px", 2), ("joints_mm", 3), ("joints_root_mm", 3)):
            value = getattr(self, name)
            if value is None:
                continue
            given += 1
            if value.shape != (N_JOINTS, width) or not np.isfinite(value).all():
                raise InputError(
                    f"{name} must be {N_JOINTS} x {width} finite numbers, got shape {value.shape}, "
                    f"{np.count_nonzero(~np.isfinite(value))} of them not finite"
                )
        if not given:
            raise InputError("a hand needs joints_px, joints_mm or joints_root_mm")

    @classmethod
    def from_pose(cls, pose: HandPose, *, with_mask: bool = False) -> PredictedHand:
        """What the project's own pipeline gives."""
        return cls(
            side=pose.side,
            score=pose.score,
            joints_px=pose.joints_px,
            joints_mm=pose.joints_mm,
            visible=pose.visible,
            mask=pose.mask if with_mask and pose.crop_mask is not None else None,
        )

    @property
    def relative_mm(self) -> np.ndarray | None:
        """(21, 3) relative to the wrist, from whichever 3D there is."""
        if self.joints_root_mm is not None:
            return self.joints_root_mm - self.joints_root_mm[0]
        return None if self.joints_mm is None else self.joints_mm - self.joints_mm[0]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a system said: key of the picture -> hands. A picture that is not there had none."""

    system: System
    hands: Mapping[str, Sequence[PredictedHand]] = field(default_factory=dict)


# --------------------------------------------------------------------------------------------
# Files
# --------------------------------------------------------------------------------------------
def read_predictions(path: Path) -> Predictions:
    """Read a prediction file.

    Raises:
        ValueError: it is none, or a line of it is broken; says which.
    """
    lines = _lines(path)
    try:
        _, header = next(lines)
    except StopIteration:
        raise InputError(f"{path} is empty; expected a header line") from None
    system, order = _parse_header(path, header)
    hands: dict[str, list[PredictedHand]] = {}
    for number, entry in lines:
        try:
            refuse_unknown(entry, ("key", "hands"))
            key, said = entry["key"], entry["hands"]
            if not isinstance(key, str):
                raise InputError(f"key must be text as docs/predictions.md lists it, got {key!r}")
            if key in hands:
                raise InputError(f"the picture {key} comes twice")
            if not isinstance(said, list):
                raise InputError(f"hands must be a list, empty for none, got {said!r:.40}")
            hands[key] = [_parse_hand(hand, order) for hand in said]
        except (KeyError, TypeError, ValueError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{path}, line {number}: {what}") from None
    return Predictions(system, hands)


class PredictionWriter:
    """Writes a prediction file line by line; one that was interrupted is continued.

    Use as a context manager. ``done`` are the keys that the file already has.
    """

    def __init__(self, path: Path, system: System) -> None:
        self.path, self.system = path, system
        self.done: set[str] = set()

    def __enter__(self) -> PredictionWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._continue()
        else:
            with _open(self.path, "w") as file:
                file.write(json.dumps(_header(self.system)) + "\n")
        self._file = open(self.path, "a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, key: str, hands: Iterable[PredictedHand]) -> None:
        """Add one picture."""
        self._file.write(_line(key, hands))

    def _continue(self) -> None:
        """Keep the whole lines of a file that may have been broken off; drop the rest."""
        whole = self.path.read_bytes()
        whole = whole[: whole.rfind(b"\n") + 1]
        self.path.write_bytes(whole)
        known = read_predictions(self.path)
        if known.system != self.system:
            raise InputError(
                f"{self.path} holds the answers of {known.system}, not of {self.system}: give "
                "another folder (-o), or remove it"
            )
        self.done = set(known.hands)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a whole prediction file (gzipped if its name ends in .gz)."""
    with _open(path, "w") as file:
        file.write(json.dumps(_header(predictions.system)) + "\n")
        for key, hands in predictions.hands.items():
            file.write(_line(key, hands))


def _line(key: str, hands: Iterable[PredictedHand]) -> str:
    entry = {"key": key, "hands": [_hand_to_json(hand) for hand in hands]}
    return json.dumps(entry) + "\n"


def _open(path: Path, mode: Literal["r", "w"]) -> IO[str]:
    """A text file, gzipped if its name says so."""
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.GzipFile(path, mode), encoding="utf-8")
    return path.open(mode, encoding="utf-8-sig" if mode == "r" else "utf-8")


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not path.exists():
        raise InputError(f"the prediction file {path} does not exist")
    number = 0
    try:
        with _open(path, "r") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    entry = json.loads(line)
                    if not isinstance(entry, dict):
                        raise InputError("expected an object")
                    yield number, entry
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path}, line {number} is not a line of predictions ({error}); see docs/predictions.md"
        ) from None


def _header(system: System) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "system": system.name,
        "boxes": system.boxes,
        "intrinsics": system.intrinsics,
        "joint_order": list(JOINT_NAMES),
    }


def _parse_header(path: Path, header: dict[str, Any]) -> tuple[System, np.ndarray]:
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise InputError(
            f'{path}: its first line must hold "format": "{FORMAT}", "version": {VERSION}, '
            f"found {json.dumps(header)[:80]}; see docs/predictions.md"
        )
    try:
        system = System(str(header["system"]), header["boxes"], header["intrinsics"])
        return system, order_from_names(header["joint_order"])
    except (KeyError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}, header: {what}") from None


def _parse_hand(hand: Any, order: np.ndarray) -> PredictedHand:
    refuse_unknown(hand, [each.name for each in fields(PredictedHand)])

    def ordered(name: str, kind: type) -> np.ndarray | None:
        if hand.get(name) is None:
            return None
        values: np.ndarray = np.array(hand[name], kind)
        if values.shape[:1] != (N_JOINTS,):
            raise InputError(f"{name} must have {N_JOINTS} entries, got shape {values.shape}")
        return values[order]

    mask, score = hand.get("mask"), hand.get("score", 1.0)
    if not isinstance(score, int | float) or not 0 <= score <= 1:
        raise InputError(f"score must be a number in 0..1, got {score!r:.40}")
    predicted = PredictedHand(
        side=hand["side"],
        score=float(score),
        joints_px=ordered("joints_px", float),
        joints_mm=ordered("joints_mm", float),
        joints_root_mm=ordered("joints_root_mm", float),
        visible=ordered("visible", bool),
        mask=None if mask is None else mask_from_rle(mask),
    )
    for name in ("joints_mm", "joints_root_mm"):
        if getattr(predicted, name) is not None:
            check_millimetres(getattr(predicted, name), name)
    return predicted


def _hand_to_json(hand: PredictedHand) -> dict[str, Any]:
    entry: dict[str, Any] = {"side": hand.side, "score": round(float(hand.score), 4)}
    for name in ("joints_px", "joints_mm", "joints_root_mm"):
        value = getattr(hand, name)
        if value is not None:
            entry[name] = np.round(value, 3).tolist()
    if hand.visible is not None:
        entry["visible"] = hand.visible.astype(int).tolist()
    if hand.mask is not None:
        entry["mask"] = rle_from_mask(hand.mask)
    return entry


def rle_from_mask(mask: np.ndarray) -> dict[str, list[int]]:
    """COCO's uncompressed run lengths: column by column, zeros first. (H, W) bool -> dict."""
    flat = np.asarray(mask, bool).ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    if flat.size and flat[0]:
        counts = [0, *counts]
    return {"size": list(mask.shape), "counts": counts}


def mask_from_rle(rle: Mapping[str, Sequence[int]]) -> np.ndarray:
    """The inverse of ``rle_from_mask``: dict -> (H, W) bool."""
    if isinstance(rle["counts"], str | bytes):
        raise InputError(
            "mask: counts must be a list of run lengths, got COCO's compressed ones: decode them "
            "with pycocotools, and write them with knuckle.evaluate.predictions.rle_from_mask"
        )
    height, width = rle["size"]
    counts = np.asarray(rle["counts"], int)
    if counts.sum() != height * width:
        raise InputError(f"mask: the counts add up to {counts.sum()}, not to {height} x {width}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")
