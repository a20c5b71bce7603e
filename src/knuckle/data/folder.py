"""A folder of your own labels: pictures and one ``labels.jsonl``.

The first line says what the rest means; every further line is one picture::

    {"format": "knuckle-labels", "version": 1, "joint_order": ["wrist", "thumb_cmc", …]}
    {"file": "images/0001.jpg", "split": "train", "group": "anna/walk", "complete": true,
     "camera": {"fx": 600, "fy": 600, "cx": 319.5, "cy": 239.5, "distortion": []},
     "video": ["anna/walk/front", 12], "hand_map": "masks/0001.png",
     "hands": [{"side": "left", "joints_px": [[x, y], … 21], "valid": [1, …],
                "joints_mm": [[x, y, z], …], "visible": [1, …]}]}

Only ``file`` and ``hands`` with ``side`` and ``joints_px`` must be there. Pixels: (0, 0) is the
centre of the top-left one. Millimetres: camera frame, x right, y down, z forward. Joints may stand
in any order that ``joint_order`` names. ``hand_map``: 0 background, i + 1 the i-th hand, 255
unknown.
"""

from __future__ import annotations

import hashlib
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
    inside,
    read_grey,
)
from knuckle.errors import InputError, reading
from knuckle.hand import check_millimetres, order_from_names
from knuckle.sample import HandLabel

FORMAT = "knuckle-labels"
VERSION = 1
_LABELS = "labels.jsonl"


class Folder(LabelledSet):
    """A folder with ``labels.jsonl``.

    Args:
        root: the folder.
        split: one of the splits that its records name; "all" for every record.
    """

    name = "folder"
    splits = ("train", "val", "test", "all")

    def __init__(self, root: Path, split: str = "all") -> None:
        self.root, self.split = Path(root), split
        path = self.root / _LABELS
        self._lines = _read_lines(path)
        self._order = _read_header(path, self._lines[0][1])
        kept = [line for line in self._lines[1:] if split in ("all", line[1].get("split"))]
        self.report = DropReport(total=len(self._lines) - 1, kept=len(kept))
        self.report.drop(f"not of the split {split!r}", len(self._lines) - 1 - len(kept))
        if not kept:
            known = sorted({str(line[1].get("split")) for line in self._lines[1:]})
            raise BrokenDataError(
                f"{path} has no record of the split {split!r}; it has {', '.join(known) or 'none'}"
            )
        self._records, broken = [], []
        for number, entry in kept:
            try:
                self._records.append(self._parse(entry))
            except KeyError as error:
                broken.append(f"line {number}: {error} is missing")
            except ValueError as error:
                broken.append(f"line {number}: {error}")
            except (TypeError, IndexError, AttributeError):
                broken.append(
                    f"line {number}: not as knuckle.data.folder describes it, found {entry!r:.60}"
                )
        if broken:
            raise BrokenRecordsError(path, broken)

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether ``root`` holds ``labels.jsonl``."""
        return (root / _LABELS).exists()

    def __len__(self) -> int:
        return len(self._records)

    def record(self, index: int) -> Record:
        """The labels of one picture."""
        return self._records[index][0]

    def hand_map(self, index: int) -> np.ndarray | None:
        """The mask of a picture that has one."""
        name = self._records[index][1]
        if name is None:
            return None
        return read_grey(inside(self.root, name))

    def groups(self) -> Groups:
        """Records of one ``group`` belong together; those without are each their own."""
        names = [record.group or record.key for record, _ in self._records]
        # A name has the same number in every split.
        digests = [hashlib.sha1(name.encode()).digest() for name in names]
        number = np.array([int.from_bytes(digest[:6], "big") for digest in digests], np.int64)
        return Groups.of(len(self), sequence=number)

    def _parse(self, entry: dict[str, Any]) -> tuple[Record, str | None]:
        camera, video = entry.get("camera"), entry.get("video")
        record = Record(
            key=Path(entry["file"]).with_suffix("").as_posix().replace("/", "_"),
            path=inside(self.root, entry["file"]),
            hands=tuple(self._hand(hand) for hand in entry["hands"]),
            camera=None if camera is None else _camera(camera),
            complete=bool(entry.get("complete", True)),
            group=str(entry.get("group", "")),
            video=None if video is None else (str(video[0]), int(video[1])),
        )
        hand_map = entry.get("hand_map")
        if hand_map is not None:
            inside(self.root, hand_map)
        return record, hand_map

    def _hand(self, hand: dict[str, Any]) -> HandLabel:
        def ordered(name: str, kind: type) -> np.ndarray | None:
            return None if hand.get(name) is None else _array(name, hand[name], kind)[self._order]

        joints_px = ordered("joints_px", float)
        if joints_px is None:
            raise KeyError("joints_px")
        valid, joints_mm = ordered("valid", bool), ordered("joints_mm", float)
        label = HandLabel(
            side=hand["side"],
            joints_px=joints_px,
            valid=np.ones(len(joints_px), bool) if valid is None else valid,
            joints_mm=joints_mm,
            visible=ordered("visible", bool),
        )
        if joints_mm is not None:
            check_millimetres(joints_mm[label.valid])
        return label


def _array(name: str, values: Any, kind: type) -> np.ndarray:
    try:
        return np.array(values, kind)
    except (ValueError, TypeError, OverflowError):
        raise InputError(f"{name} must be numbers, found {values!r:.40}") from None


def _camera(values: dict[str, Any]) -> Camera:
    numbers = [values[key] for key in ("fx", "fy", "cx", "cy")]
    fx, fy, cx, cy = _array("camera", numbers, float).tolist()
    distortion = _array("distortion", values.get("distortion", ()), float)
    return Camera(fx, fy, cx, cy, tuple(distortion.ravel().tolist()))


def _read_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line number, object) of every line that is not empty; the first is the header."""
    if not path.exists():
        raise MissingDataError(f"{path} does not exist; see knuckle.data.folder for what it holds")
    lines = []
    with reading(path, "UTF-8 text", "write it again", error=BrokenDataError):
        text = path.read_text(encoding="utf-8-sig")
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            entry = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            raise BrokenDataError(
                f"{path}, line {number} is not JSON: expected one object a line; write it again"
            ) from None
        if entry is not None:
            if not isinstance(entry, dict):
                raise BrokenDataError(
                    f"{path}, line {number} must be an object, found {entry!r:.40}"
                )
            lines.append((number, entry))
    if not lines:
        raise BrokenDataError(f"{path} is empty")
    return lines


def _read_header(path: Path, header: dict[str, Any]) -> np.ndarray:
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise BrokenDataError(
            f'{path}: its first line must be {{"format": "{FORMAT}", "version": {VERSION}, '
            f'"joint_order": […]}}, found {json.dumps(header)[:80]}'
        )
    try:
        return order_from_names(header["joint_order"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise BrokenDataError(f"{path}, joint_order: {error}") from None
