"""Reading InterHand2.6M's three label files, record by record, into columns.

A broken record is told in a sentence that names the file and the record. What the columns are put
together to is ``interhand_index``.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.camera import Camera
from knuckle.data.json_stream import BrokenDataError, JsonStream, fault_of
from knuckle.errors import InputError

#: Joints of both hands in one annotation: right 0-20, left 21-41.
N_BOTH = 42
HAND_TYPES = ("right", "left", "interacting")

#: Receives one sentence per fault, with the file and the record.
FaultSink = Callable[[str], None]


def raise_fault(sentence: str) -> None:
    """The usual sink: the first fault ends the reading."""
    raise BrokenDataError(sentence)


@dataclass(frozen=True)
class LabelFiles:
    """The three JSON files of one split."""

    data: Path
    camera: Path
    joint_3d: Path


def read_cameras(
    path: Path, fault: FaultSink
) -> tuple[list[tuple[int, str]], dict[str, np.ndarray]]:
    """[capture] -> {campos, camrot, focal, princpt} -> [camera], as a table."""
    shapes = {"campos": (3,), "camrot": (3, 3), "focal": (2,), "princpt": (2,)}
    names: list[tuple[int, str]] = []
    table: dict[str, list[np.ndarray]] = {key: [] for key in shapes}
    with JsonStream(path) as stream:
        for capture in stream.members():
            entry = stream.value()
            for camera in _names(entry, "campos"):
                where = f"{path}, capture {capture}, camera {camera}"
                try:
                    number = _whole("capture", capture)
                    values = {
                        key: _array(entry[key][camera], shape) for key, shape in shapes.items()
                    }
                    Camera(*values["focal"].tolist(), *values["princpt"].tolist())  # checks them
                except (KeyError, ValueError, TypeError) as error:
                    fault(f"{where}: {_say(error)}")
                    continue
                names.append((number, str(camera)))
                for key, value in values.items():
                    table[key].append(value)
    return names, {
        key: np.array(table[key], np.float64).reshape(-1, *shape) for key, shape in shapes.items()
    }


def read_steps(path: Path, fault: FaultSink) -> dict[str, np.ndarray]:
    """[capture][frame] -> 42 x 3 world coordinates and their validity, as a table."""
    capture_column, frame_column = array("q"), array("q")
    coordinates, validity = array("f"), bytearray()
    with JsonStream(path) as stream:
        for capture in stream.members():
            for frame in stream.members():
                entry = stream.value()
                try:
                    step = _whole("capture", capture), _whole("frame", frame)
                    world = _array(entry["world_coord"], (N_BOTH, 3))
                    valid = _validity(entry["joint_valid"])
                    if not np.isfinite(world[np.frombuffer(valid, bool)]).all():
                        raise InputError("a valid joint's world_coord is not finite")
                except (KeyError, ValueError, TypeError) as error:
                    fault(f"{path}, capture {capture}, frame {frame}: {_say(error)}")
                    continue
                capture_column.append(step[0])
                frame_column.append(step[1])
                coordinates.frombytes(world.astype(np.float32).tobytes())
                validity += valid
    return {
        "step_capture": np.array(capture_column, np.int64),
        "step_frame": np.array(frame_column, np.int64),
        "world_coord": np.frombuffer(coordinates, np.float32).reshape(-1, N_BOTH, 3).copy(),
        "step_valid": np.frombuffer(validity, bool).reshape(-1, N_BOTH).copy(),
    }


class Images:
    """Columns over ``images[]`` while they grow."""

    def __init__(self) -> None:
        self.numbers = {
            key: array("q")
            for key in ("id", "width", "height", "capture", "subject", "frame_idx", "sequence")
        }
        self.camera_of = array("q")
        self.cameras: dict[str, int] = {}
        self.sequences: dict[str, int] = {}
        self.names = bytearray()
        self.name_end = array("q")

    def add(self, image: dict[str, Any]) -> None:
        """One entry of ``images[]``; raises KeyError, ValueError or TypeError if it is broken."""
        keys = ("id", "width", "height", "capture", "frame_idx")
        row = {key: _whole(key, image[key]) for key in keys}
        row["subject"] = _whole("subject", image.get("subject", -1))
        name, camera, sequence = image["file_name"], str(image["camera"]), str(image["seq_name"])
        if not isinstance(name, str) or not name:
            raise InputError(f"file_name is {name!r}")
        row["sequence"] = self.sequences.setdefault(sequence, len(self.sequences))
        for key, value in row.items():
            self.numbers[key].append(value)
        self.camera_of.append(self.cameras.setdefault(camera, len(self.cameras)))
        self.names += name.encode()
        self.name_end.append(len(self.names))


def _whole(key: str, value: Any) -> int:
    """A whole number, also where a copy of the labels has it as text."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{key} is {value!r:.40}, expected a whole number") from None


class Rows:
    """Columns over ``annotations[]`` while they grow."""

    def __init__(self) -> None:
        self.annotation, self.image = array("q"), array("q")
        self.bbox = array("f")
        self.joint_valid, self.hand_type, self.hand_type_valid = bytearray(), array("b"), array("b")

    def add(self, annotation: dict[str, Any]) -> None:
        """One entry of ``annotations[]``; raises KeyError, ValueError or TypeError if broken."""
        identity, image = (_whole(key, annotation[key]) for key in ("id", "image_id"))
        bbox = _array(annotation["bbox"], (4,))
        valid = _validity(annotation["joint_valid"])
        kind = annotation["hand_type"]
        if kind not in HAND_TYPES:
            raise InputError(f"hand_type is {kind!r}, expected one of {', '.join(HAND_TYPES)}")
        if not np.isfinite(bbox).all():
            raise InputError(f"bbox is {bbox.tolist()}")
        known = bool(np.ravel(annotation["hand_type_valid"])[0])
        self.annotation.append(identity)
        self.image.append(image)
        self.bbox.extend(bbox)
        self.joint_valid += valid
        self.hand_type.append(HAND_TYPES.index(kind))
        self.hand_type_valid.append(known)


def read_data(path: Path, fault: FaultSink) -> tuple[Images, Rows, list[str]]:
    """``images[]``, ``annotations[]``, and the names of the sequences."""
    images, rows = Images(), Rows()
    readers = {"images": images.add, "annotations": rows.add}
    with JsonStream(path) as stream:
        for key in stream.members():
            if key not in readers:
                stream.skip()
                continue
            for number in stream.elements():
                entry = stream.value()
                try:
                    readers[key](entry)
                except (KeyError, ValueError, TypeError, IndexError) as error:
                    identity = entry.get("id") if isinstance(entry, dict) else None
                    fault(f"{path}, {key}[{number}] (id {identity}): {_say(error)}")
    if not rows.annotation:
        fault(f"{path} holds no annotation; expected the keys 'images' and 'annotations'")
    return images, rows, list(images.sequences)


def _array(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"expected {shape} numbers, found {values!r:.60}") from None
    if found.shape != shape:
        raise InputError(f"expected shape {shape}, found {found.shape}")
    return found


def _say(error: Exception) -> str:
    return fault_of(error, "InterHand2.6M")


def _names(entry: Any, key: str) -> list[str]:
    """Those under a key of an object; none where there is none."""
    found = entry.get(key) if isinstance(entry, dict) else None
    return list(found) if isinstance(found, dict) else []


def _validity(values: Any) -> bytes:
    """42 flags, flat or nested as 42 x 1, numbers or booleans -> 42 bytes of 0 and 1."""
    flat = [value[0] if isinstance(value, list) and len(value) == 1 else value for value in values]
    if len(flat) != N_BOTH or any(isinstance(value, list) for value in flat):
        raise InputError(f"joint_valid has {len(flat)} entries, expected {N_BOTH}")
    return bytes(map(bool, flat))
