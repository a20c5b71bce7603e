"""Photographs of single hands with 3D joints fitted to a depth camera (Ge et al., CVPR 2019).

The real-world set of hand-graph-cnn, as one ``labels.json`` beside ``images/``: 256 x 256 crops
with the crop's intrinsics. For research only, and here only for measuring. The hands often touch
the crop's border, so each picture is padded with its repeated border, and the camera with it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.data.json_stream import BrokenDataError, BrokenRecordsError, MissingDataError
from knuckle.data.labelled import (
    DropReport,
    Groups,
    LabelledSet,
    Record,
    check_split,
    described,
    inside,
    is_finite,
    read_rgb,
)
from knuckle.errors import reading
from knuckle.hand import JOINT_NAMES, N_JOINTS, order_from_names
from knuckle.sample import HandLabel

#: Theirs is ours: the wrist, then each finger from base to tip.
_ORDER = order_from_names(JOINT_NAMES)
_KEYS = {"file", "side", "fx_fy_cx_cy", "joints_mm"}


class RealHand3D(LabelledSet):
    """The photographs, padded.

    Args:
        root: the folder that holds ``labels.json`` and ``images``.
        split: "test"; there is no other.
        pad_px: border to repeat on all sides, px.
    """

    name = "real_hand_3d"
    splits = ("test",)
    license = "LicenseRef-RealHand3D-research-only"

    def __init__(self, root: Path, split: str = "test", *, pad_px: int = 64) -> None:
        check_split(self.name, split, self.splits)
        self.root, self.split, self.pad_px = Path(root), split, pad_px
        path = self.root / "labels.json"
        if not path.exists():
            raise MissingDataError(f"{path} does not exist: give the folder that holds it")
        with reading(path, "a list of labels", "unpack them again", error=BrokenDataError):
            try:
                self._labels = json.loads(path.read_text(encoding="utf-8-sig"))
            except json.JSONDecodeError as error:
                raise BrokenDataError(
                    f"{path} is not whole JSON: {error}; unpack it again"
                ) from None
            if not all(isinstance(label, dict) for label in self._labels):
                raise BrokenDataError(f"{path} must be a list of records; unpack it again")
        broken = [
            f"record {number}: {problem}"
            for number, label in enumerate(self._labels)
            if (problem := _problem(label))
        ]
        if broken:
            raise BrokenRecordsError(path, broken)
        self.report = DropReport(total=len(self._labels), kept=len(self._labels))

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether ``root`` looks like this set."""
        path = root / "labels.json"
        return path.exists() and b"fx_fy_cx_cy" in path.read_bytes()[:400]

    def __len__(self) -> int:
        return len(self._labels)

    def record(self, index: int) -> Record:
        """The labels of one padded picture."""
        where = f"{self.root / 'labels.json'}, record {index}"
        with reading(where, "the label of a hand", "leave it out", error=BrokenDataError):
            label = self._labels[index]
            camera = Camera(*label["fx_fy_cx_cy"]).padded(self.pad_px, self.pad_px)
            joints_mm = np.array(label["joints_mm"], np.float64)[_ORDER]
            return Record(
                key=Path(label["file"]).stem,
                path=inside(self.root / "images", label["file"]),
                hands=(
                    HandLabel(
                        side=label["side"], joints_px=camera.project(joints_mm), joints_mm=joints_mm
                    ),
                ),
                camera=camera,
                complete=False,  # another hand may be at the border
            )

    def image(self, index: int) -> np.ndarray:
        """The picture with its border repeated."""
        pad = self.pad_px
        image = read_rgb(self.record(index).path)
        return cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE)

    def groups(self) -> Groups:
        """People are unknown."""
        return Groups.of(len(self))


def _problem(label: dict[str, Any]) -> str | None:
    """What is wrong with a record, or None."""
    if set(label) != _KEYS:
        return f"expected {', '.join(sorted(_KEYS))}, found {', '.join(sorted(label))}"
    for key, shape in (("joints_mm", (N_JOINTS, 3)), ("fx_fy_cx_cy", (4,))):
        if not is_finite(label[key], shape):
            return f"{key} must be {shape} finite numbers, found {described(label[key])}"
    return None
