"""COCO-WholeBody (Jin et al., ECCV 2020): 2D hands of people in COCO's photographs.

A person has a left and a right hand with 21 keypoints and a box each; ``…_valid`` says whether they
were labelled. Hands that were not are places to ignore, never examples of "no hand".
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.data.json_stream import (
    BrokenDataError,
    BrokenRecordsError,
    JsonStream,
    MissingDataError,
    fault_of,
)
from knuckle.data.labelled import (
    DropReport,
    Groups,
    LabelledSet,
    Record,
    check_split,
    inside,
    is_finite,
)
from knuckle.errors import InputError
from knuckle.hand import JOINT_NAMES, N_JOINTS, SIDES, order_from_names
from knuckle.sample import HandLabel

#: COCO-WholeBody's order of one hand is ours: the wrist, then each finger from the palm to the tip.
_ORDER = order_from_names(JOINT_NAMES)
_LABEL_FILES = {split: f"coco_wholebody_{split}_v1.0.json" for split in ("train", "val")}


class CocoWholeBody(LabelledSet):
    """The photographs of COCO-WholeBody in which at least one hand is labelled.

    Args:
        root: the folder that holds ``train2017`` / ``val2017`` and, there or in ``annotations``,
            the label files.
        split: train or val.
    """

    name = "coco_wholebody"
    splits = ("train", "val")
    license = "CC-BY-NC-4.0"  # of its labels

    def __init__(self, root: Path, split: str = "val") -> None:
        check_split("COCO-WholeBody", split, _LABEL_FILES)
        self.split = split
        self.images = Path(root) / f"{split}2017"
        path = _label_file(Path(root), split)
        if path is None:
            raise MissingDataError(f"{root} has no {_LABEL_FILES[split]}, nor has its annotations/")
        self._file_names, self._hands, self._ignored = _read_labels(path)
        self.ids = sorted(self._hands)
        self.report = DropReport(total=len(self._file_names), kept=len(self.ids))
        self.report.drop("no labelled hand", len(self._file_names) - len(self.ids))
        if not self.ids:
            raise BrokenDataError(f"{path} labels no hand")

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether ``root`` holds a label file of COCO-WholeBody."""
        return any(_label_file(root, split) for split in _LABEL_FILES)

    def __len__(self) -> int:
        return len(self.ids)

    def record(self, index: int) -> Record:
        """The labelled hands of all people in one photograph."""
        number = self.ids[index]
        return Record(
            key=f"{self.split}_{number:012d}",
            path=inside(self.images, self._file_names[number]),
            hands=tuple(self._hands[number]),
            complete=False,
            ignore_xyxy=np.reshape(np.array(self._ignored.get(number, []), np.float64), (-1, 4)),
            group=str(number),
        )

    def groups(self) -> Groups:
        """Every photograph is its own."""
        return Groups.of(len(self), step=np.array(self.ids, np.int64))


def _label_file(root: Path, split: str) -> Path | None:
    places = (root / _LABEL_FILES[split], root / "annotations" / _LABEL_FILES[split])
    return next((path for path in places if path.exists()), None)


def _read_labels(
    path: Path,
) -> tuple[dict[int, str], dict[int, list[HandLabel]], dict[int, list[np.ndarray]]]:
    """File names, labelled hands and boxes of unlabelled hands, by image id."""
    names: dict[int, str] = {}
    hands: dict[int, list[HandLabel]] = defaultdict(list)
    ignored: dict[int, list[np.ndarray]] = defaultdict(list)
    broken: list[str] = []
    with JsonStream(path) as stream:
        for key in stream.members():
            if key not in ("images", "annotations"):
                stream.skip()
                continue
            for number in stream.elements():
                entry = stream.value()
                try:
                    if not isinstance(entry, dict):
                        raise InputError(f"expected an object, found {entry!r:.40}")
                    if key == "images":
                        names[int(entry["id"])] = str(entry["file_name"])
                        inside(path.parent, entry["file_name"])
                    else:
                        _add_person(entry, hands, ignored)
                except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
                    broken.append(f"{key}[{number}]: {fault_of(error, 'COCO-WholeBody')}")
    if broken:
        raise BrokenRecordsError(path, broken)
    unknown = set(hands) - set(names)
    if unknown:
        raise BrokenDataError(f"{path}: image_id {min(unknown)} of an annotation is not in images")
    return names, dict(hands), dict(ignored)


def _add_person(
    person: dict[str, Any],
    hands: dict[int, list[HandLabel]],
    ignored: dict[int, list[np.ndarray]],
) -> None:
    image = int(person["image_id"])
    for side in SIDES:
        x, y, width, height = np.asarray(person[f"{side}hand_box"], np.float64)
        if person[f"{side}hand_valid"]:
            values = np.ravel(np.asarray(person[f"{side}hand_kpts"], np.float64))
            if not is_finite(values, (3 * N_JOINTS,)):
                raise InputError(f"{side}hand_kpts must be {3 * N_JOINTS} finite numbers")
            points = values.reshape(N_JOINTS, 3)
            valid = points[_ORDER, 2] > 0
            joints_px = np.where(valid[:, None], points[_ORDER, :2], 0.0)
            hands[image].append(HandLabel(side=side, joints_px=joints_px, valid=valid))
        elif width > 0 and height > 0:
            ignored[image].append(np.array([x, y, x + width, y + height]))
