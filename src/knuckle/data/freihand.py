"""FreiHAND (Zimmermann et al., ICCV 2019): single right hands, 224 x 224, with 3D joints and masks.

32,560 training moments, each as four pictures with other backgrounds; 3,960 evaluation pictures.
Labels are metres in the camera frame. The evaluation labels were published later and may be absent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    is_finite,
    read_rgb,
)
from knuckle.errors import reading
from knuckle.hand import JOINT_NAMES, N_JOINTS, order_from_names
from knuckle.sample import HandLabel

#: FreiHAND's order is ours: the wrist, then each finger from the palm to the tip.
_ORDER = order_from_names(JOINT_NAMES)
_MM_PER_METRE = 1000.0
_FOLDERS = {"train": "training", "test": "evaluation"}


class FreiHand(LabelledSet):
    """FreiHAND as it is unpacked.

    Args:
        root: the folder that holds ``training`` and ``training_xyz.json``.
        split: train or test (their "evaluation").
    """

    name = "freihand"
    splits = ("train", "test")
    license = "LicenseRef-FreiHAND-research-only"

    def __init__(self, root: Path, split: str = "train") -> None:
        check_split("FreiHAND", split, _FOLDERS)
        self.split = split
        self.folder = Path(root) / _FOLDERS[split]
        self.K = _load(self.folder, "K", (3, 3))
        self.xyz_m = _load(self.folder, "xyz", (N_JOINTS, 3))
        if len(self.K) != len(self.xyz_m):
            raise BrokenDataError(
                f"{self.folder}_K.json has {len(self.K)} records, {self.folder}_xyz.json "
                f"{len(self.xyz_m)}: they are not of one release"
            )
        self.files = self._expected_files()
        self.report = DropReport(total=len(self.files), kept=len(self.files))

    def _expected_files(self) -> list[Path]:
        """Every picture that the labels speak of; training has four versions of each moment."""
        folder, moments = self.folder / "rgb", len(self.xyz_m)
        versions = 4 if (folder / f"{moments:08d}.jpg").exists() else 1
        return [folder / f"{number:08d}.jpg" for number in range(versions * moments)]

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether ``root`` looks like FreiHAND."""
        return any((root / f"{folder}_xyz.json").exists() for folder in _FOLDERS.values())

    def __len__(self) -> int:
        return len(self.files)

    def record(self, index: int) -> Record:
        """The labels of one picture.

        Raises:
            BrokenDataError: they are none.
        """
        path = self.files[index]
        moment = self._moment(path)
        with reading(path, "a picture with labels", "leave it out", error=BrokenDataError):
            K = self.K[moment]
            camera = Camera(K[0, 0], K[1, 1], K[0, 2], K[1, 2])
            joints_mm = self.xyz_m[moment][_ORDER] * _MM_PER_METRE
            hand = HandLabel(side="right", joints_px=camera.project(joints_mm), joints_mm=joints_mm)
        return Record(
            key=f"{self.split}_{path.stem}",
            path=path,
            hands=(hand,),
            camera=camera,
            group=f"{self.split}/{moment}",
        )

    def hand_map(self, index: int) -> np.ndarray | None:
        """The hand's mask, where one ships: one for the four pictures of a training moment."""
        path = self.folder / "mask" / f"{self._moment(self.files[index]):08d}.jpg"
        return (read_rgb(path)[..., 0] > 127).astype(np.uint8) if path.exists() else None

    def groups(self) -> Groups:
        """People and sequences are unknown; which pictures are of one moment is known."""
        # Odd numbers for the evaluation part: its moments are others than those of training.
        step = np.array([self._moment(path) for path in self.files]) * 2 + (self.split == "test")
        return Groups.of(len(self), step=step)

    def _moment(self, path: Path) -> int:
        return int(path.stem) % len(self.xyz_m)


def _load(folder: Path, part: str, shape: tuple[int, ...]) -> np.ndarray:
    """(N, *shape) from ``<folder>_<part>.json``."""
    path = Path(f"{folder}_{part}.json")
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(values, list):
            raise BrokenDataError(f"{path} must be a list of records; unpack FreiHAND again")
    except FileNotFoundError:
        raise MissingDataError(f"{path} does not exist; unpack FreiHAND's labels again") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise BrokenDataError(f"{path} is not whole JSON; unpack it again") from None
    broken = [
        f"record {number}: expected {shape} finite numbers, found {described(value)}"
        for number, value in enumerate(values)
        if not is_finite(value, shape)
    ]
    if broken:
        raise BrokenRecordsError(path, broken)
    return np.asarray(values, np.float64).reshape(-1, *shape)
