"""A folder of your own labels: pictures and one ``labels.jsonl``.

The first line says what the rest means; every further line is one picture::

    {"format": "knuckle-labels", "version": 1, "joint_order": ["wrist", "thumb_cmc", …]}
    {"file": "images/0001.jpg", "split": "train", "group": "anna/walk", "complete": true,
     "camera": {"fx": 600, "fy": 600, "cx": 319.5, "cy": 239.5, "distortion": [], "fisheye": false},
     "video": ["anna/walk/front", 12], "hand_map": "masks/0001.png",
     "hands": [{"side": "left", "joints_px": [[x, y], … 21], "valid": [1, …],
                "joints_mm": [[x, y, z], …], "visible": [1, …]}]}

Only ``file`` and ``hands`` with ``side`` and ``joints_px`` must be there. Pixels: (0, 0) is the
centre of the top-left one. Millimetres: camera frame, x right, y down, z forward. Joints may stand
in any order that ``joint_order`` names. ``hand_map``: 0 background, i + 1 the i-th hand, 255
unknown. All hands of a picture stand on its one line; other fields than these are refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
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
from knuckle.errors import InputError, reading, refuse_unknown
from knuckle.hand import N_JOINTS, check_millimetres, order_from_names
from knuckle.sample import HandLabel

FORMAT = "knuckle-labels"
VERSION = 1
_LABELS = "labels.jsonl"
#: What may stand in a line, in its camera and in each of its hands.
_FIELDS = ("file", "split", "group", "complete", "camera", "video", "hand_map", "hands")
_OF_CAMERA = ("fx", "fy", "cx", "cy", "distortion", "fisheye")
_OF_HAND = ("side", "joints_px", "joints_mm", "valid", "visible")
#: No hand that can be labelled is so small; as shares of the picture all are.
_LEAST_EXTENT_PX = 1.0


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
        broken = [
            f"line {number}: split must be train, val or test, found {entry['split']!r:.40}"
            for number, entry in self._lines[1:]
            if entry.get("split") not in (None, "train", "val", "test")
        ]
        self._records = []
        line_of: dict[str, int] = {}
        for number, entry in kept:
            try:
                record, hand_map = self._parse(entry)
                if line_of.setdefault(record.key, number) != number:
                    raise InputError(
                        f"line {line_of[record.key]} has a picture of the same name: expected all "
                        "hands of a picture on one line, and names that differ before the suffix"
                    )
                self._records.append((record, hand_map))
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
        refuse_unknown(entry, _FIELDS)
        camera, video, group = entry.get("camera"), entry.get("video"), entry.get("group")
        record = Record(
            key=Path(entry["file"]).with_suffix("").as_posix().replace("/", "_"),
            path=inside(self.root, entry["file"]),
            hands=tuple(self._hand(hand) for hand in entry["hands"]),
            camera=None if camera is None else _camera(camera),
            complete=entry.get("complete") is None or _yes(entry, "complete"),
            group="" if group is None else str(group),
            video=None if video is None else (str(video[0]), int(video[1])),
        )
        hand_map = entry.get("hand_map")
        if hand_map is not None:
            inside(self.root, hand_map)
        return record, hand_map

    def _hand(self, hand: dict[str, Any]) -> HandLabel:
        refuse_unknown(hand, _OF_HAND)

        def ordered(name: str, read: Callable[[str, Any], np.ndarray]) -> np.ndarray | None:
            if hand.get(name) is None:
                return None
            values = read(name, hand[name])
            if values.shape[:1] != (N_JOINTS,):
                raise InputError(
                    f"{name} must have {N_JOINTS} entries, one a joint, found shape {values.shape}"
                )
            return values[self._order]

        joints_px = ordered("joints_px", _array)
        if joints_px is None:
            raise KeyError("joints_px")
        valid, joints_mm = ordered("valid", _flags), ordered("joints_mm", _array)
        label = HandLabel(
            side=hand["side"],
            joints_px=joints_px,
            valid=np.ones(len(joints_px), bool) if valid is None else valid,
            joints_mm=joints_mm,
            visible=ordered("visible", _flags),
        )
        if joints_mm is not None:
            check_millimetres(joints_mm[label.valid])
        _check_pixels(joints_px[label.valid])
        return label


def _check_pixels(joints_px: np.ndarray) -> None:
    """Refuse a hand whose joints (N, 2) are shares of the picture."""
    extent = float(np.ptp(joints_px, axis=0).max()) if len(joints_px) else 0.0
    if 0 < extent < _LEAST_EXTENT_PX:
        raise InputError(
            f"joints_px must be pixels, found a hand that is {extent:.2g} of them wide: multiply "
            "shares of the picture by its width and height"
        )


def _array(name: str, values: Any) -> np.ndarray:
    try:
        return np.array(values, float)
    except (ValueError, TypeError, OverflowError):
        raise InputError(f"{name} must be numbers, found {values!r:.40}") from None


def _flags(name: str, values: Any) -> np.ndarray:
    """Of what else than 0 and 1 one would be as good as the other."""
    numbers = _array(name, values)
    if not np.isin(numbers, (0, 1)).all():
        raise InputError(f"{name} must be 0 or 1 of each joint, found {values!r:.40}")
    return numbers.astype(bool)


def _yes(entry: dict[str, Any], name: str) -> bool:
    """Whether a field says so; "false" would."""
    value = entry.get(name, False)
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, found {value!r:.40}")
    return value


def _camera(values: dict[str, Any]) -> Camera:
    refuse_unknown(values, _OF_CAMERA)
    fx, fy, cx, cy = _array("camera", [values[key] for key in ("fx", "fy", "cx", "cy")]).tolist()
    distortion = _array("distortion", values.get("distortion", ())).ravel()
    return Camera(fx, fy, cx, cy, tuple(distortion.tolist()), fisheye=_yes(values, "fisheye"))


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
