"""Readers of the files that are meant for other programs: strict ones, and other people's.

Each refuses what its format does not allow, so that reading a file is a test of it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from knuckle.video import open_source


@dataclass
class BvhJoint:
    name: str
    offset: np.ndarray
    parent: int
    channels: list[str] = field(default_factory=list)
    first: int = 0


class Bvh:
    """A motion file, token by token; anything unexpected fails."""

    def __init__(self, path: Path) -> None:
        self._tokens = iter(path.read_text().split())
        self.joints: list[BvhJoint] = []
        self.ends: list[tuple[int, np.ndarray]] = []
        self._width = 0
        self._expect("HIERARCHY", "ROOT")
        self._read_joint(-1)
        self._expect("MOTION", "Frames:")
        count = int(next(self._tokens))
        self._expect("Frame", "Time:")
        self.frame_s = float(next(self._tokens))
        values = np.array([float(token) for token in self._tokens])
        self.values = values.reshape(count, self._width)

    def _expect(self, *words: str) -> None:
        for word in words:
            assert next(self._tokens) == word

    def _numbers(self, n: int) -> np.ndarray:
        return np.array([float(next(self._tokens)) for _ in range(n)])

    def _read_joint(self, parent: int) -> None:
        name = next(self._tokens)
        self._expect("{", "OFFSET")
        number, joint = len(self.joints), BvhJoint(name, self._numbers(3), parent)
        self.joints.append(joint)
        self._expect("CHANNELS")
        joint.channels = [next(self._tokens) for _ in range(int(next(self._tokens)))]
        joint.first, self._width = self._width, self._width + len(joint.channels)
        while (token := next(self._tokens)) != "}":
            if token == "JOINT":
                self._read_joint(number)
            else:
                assert token == "End"
                self._expect("Site", "{", "OFFSET")
                self.ends.append((number, self._numbers(3)))
                self._expect("}")

    def places(self) -> dict[str, np.ndarray]:
        """Name -> (T, 3) of each joint, and of each end by its joint's name and `` end``."""
        at, turned = [], []
        for joint in self.joints:
            place = np.tile(joint.offset, (len(self.values), 1))
            turn = np.tile(np.eye(3), (len(self.values), 1, 1))
            for k, channel in enumerate(joint.channels, start=joint.first):
                axis, kind = "XYZ".index(channel[0]), channel[1:]
                if kind == "position":
                    place[:, axis] += self.values[:, k]
                else:
                    assert kind == "rotation"
                    turn = turn @ about(axis, np.radians(self.values[:, k]))
            if joint.parent >= 0:
                place = at[joint.parent] + (turned[joint.parent] @ place[..., None])[..., 0]
                turn = turned[joint.parent] @ turn
            at.append(place)
            turned.append(turn)
        found = {joint.name: place for joint, place in zip(self.joints, at, strict=True)}
        for number, offset in self.ends:
            found[f"{self.joints[number].name} end"] = at[number] + turned[number] @ offset
        return found


def about(axis: int, angle: np.ndarray) -> np.ndarray:
    """(n, 3, 3) turns about a coordinate axis."""
    turn = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turn[:, axis, axis] = 1
    turn[:, i, i] = turn[:, j, j] = np.cos(angle)
    turn[:, j, i], turn[:, i, j] = np.sin(angle), -np.sin(angle)
    return turn


class Glb:
    """A binary glTF with what the specification says of it, and the picture it shows at a time."""

    _SIZES: dict[str, int] = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}  # noqa: RUF012
    _TYPES: dict[int, Any] = {5121: np.uint8, 5123: np.uint16, 5126: np.float32}  # noqa: RUF012

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        chunks = list(self._chunks(data))
        assert [kind for kind, _ in chunks] in ([b"JSON"], [b"JSON", b"BIN\0"])
        self.json = json.loads(chunks[0][1])
        self._blob = chunks[1][1] if len(chunks) > 1 else b""
        assert self.json["asset"]["version"] == "2.0"
        for number, buffer in enumerate(self.json.get("buffers", [])):
            assert number == 0
            assert 0 <= len(self._blob) - buffer["byteLength"] < 4
        for sampler in (s for a in self.json.get("animations", []) for s in a["samplers"]):
            clock = self.array(sampler["input"])
            accessor = self.json["accessors"][sampler["input"]]
            assert (np.diff(clock) > 0).all()
            assert (accessor["min"], accessor["max"]) == ([clock.min()], [clock.max()])
            assert len(self.array(sampler["output"])) == len(clock)

    @staticmethod
    def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
        at = 12
        while at < len(data):
            length, kind = struct.unpack_from("<I4s", data, at)
            assert length % 4 == 0
            yield kind, data[at + 8 : at + 8 + length]
            at += 8 + length

    def array(self, number: int) -> np.ndarray:
        """An accessor's values."""
        accessor = self.json["accessors"][number]
        view = self.json["bufferViews"][accessor["bufferView"]]
        dtype, size = self._TYPES[accessor["componentType"]], self._SIZES[accessor["type"]]
        assert view["byteOffset"] % 4 == 0
        assert view["byteLength"] == accessor["count"] * size * np.dtype(dtype).itemsize
        values = np.frombuffer(self._blob, dtype, accessor["count"] * size, view["byteOffset"])
        return values.reshape(-1, size) if size > 1 else values

    @property
    def count(self) -> int:
        """Key frames."""
        animations = self.json.get("animations")
        return len(self.array(animations[0]["samplers"][0]["input"])) if animations else 0

    def worlds(self, key: int | None) -> list[np.ndarray]:
        """(4, 4) of every node, at a key frame or at rest."""
        nodes = [self._at_rest(node) for node in self.json["nodes"]]
        if key is not None:
            animation = self.json["animations"][0]
            for channel in animation["channels"]:
                values = self.array(animation["samplers"][channel["sampler"]]["output"])
                nodes[channel["target"]["node"]][channel["target"]["path"]] = values[key]
        worlds: list[Any] = [None] * len(nodes)
        waiting = [(root, np.eye(4)) for root in self.json["scenes"][0]["nodes"]]
        while waiting:
            number, above = waiting.pop()
            assert worlds[number] is None  # a tree
            worlds[number] = above @ matrix(**nodes[number])
            children = self.json["nodes"][number].get("children", [])
            waiting += [(child, worlds[number]) for child in children]
        return worlds

    @staticmethod
    def _at_rest(node: dict[str, Any]) -> dict[str, np.ndarray]:
        still = {"translation": [0, 0, 0], "rotation": [0, 0, 0, 1], "scale": [1, 1, 1]}
        return {path: np.array(node.get(path, value)) for path, value in still.items()}

    def skin(self, name: str, key: int | None) -> np.ndarray:
        """(V, 3) where the skin of that name is."""
        (node,) = (node for node in self.json["nodes"] if node["name"] == name)
        (primitive,) = self.json["meshes"][node["mesh"]]["primitives"]
        skin, worlds = self.json["skins"][node["skin"]], self.worlds(key)
        bind = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
        moves = np.array([worlds[joint] for joint in skin["joints"]]) @ bind
        attributes = {what: self.array(a) for what, a in primitive["attributes"].items()}
        weights, joints = attributes["WEIGHTS_0"], attributes["JOINTS_0"]
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(attributes["NORMAL"], axis=1), 1, atol=1e-5)
        assert joints.max() < len(skin["joints"])
        assert self.array(primitive["indices"]).max() < len(weights)
        points = attributes["POSITION"]
        blended = (weights[..., None, None] * moves[joints]).sum(axis=1)
        return (blended[:, :3, :3] @ points[..., None])[..., 0] + blended[:, :3, 3]


def matrix(translation: np.ndarray, rotation: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(4, 4) from glTF's three parts."""
    assert abs(np.linalg.norm(rotation) - 1) < 1e-5
    (x, y, z), w = rotation[:3], rotation[3]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    whole = np.eye(4)
    whole[:3, :3] = (np.eye(3) + 2 * w * cross + 2 * cross @ cross) * scale
    whole[:3, 3] = translation
    return whole


def read_trc(path: Path) -> tuple[dict[str, str], pd.DataFrame]:
    """What its head says, and columns by marker and axis."""
    lines = path.read_text().splitlines()
    kind = lines[0].split("\t")
    assert kind == ["PathFileType", "4", "(X/Y/Z)", path.name]
    head = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    names = lines[3].split("\t")
    assert names[:2] == ["Frame#", "Time"]
    markers = [name for name in names[2:] if name]
    assert len(markers) == int(head["NumMarkers"]) == len(set(markers))
    assert names[2:] == [cell for name in markers for cell in (name, "", "")]
    axes = [f"{axis}{k}" for k in range(1, len(markers) + 1) for axis in "XYZ"]
    assert lines[4].split("\t") == ["", "", *axes]
    assert lines[5] == ""
    rows = [[float(cell or "nan") for cell in line.split("\t")] for line in lines[6:]]
    assert len(rows) == int(head["NumFrames"])
    columns = ["frame", "time", *(f"{m}.{axis}" for m in markers for axis in "xyz")]
    return head, pd.DataFrame(rows, columns=columns)


def read_mot(path: Path) -> pd.DataFrame:
    """Its table; the head must be true."""
    lines = path.read_text().splitlines()
    head = dict(line.split("=") for line in lines[1:5])
    assert lines[5] == "endheader"
    assert head["inDegrees"] == "yes"
    table = pd.read_csv(path, sep="\t", skiprows=6)
    assert table.shape == (int(head["nRows"]), int(head["nColumns"]))
    return table


def read_dlc(path: Path) -> pd.DataFrame:
    """As DeepLabCut and movement read it."""
    return pd.read_csv(path, header=[0, 1, 2, 3], index_col=0)


def _c3d_count(path: Path) -> int:
    import ezc3d

    return ezc3d.c3d(str(path))["data"]["points"].shape[2]


def _video_count(path: Path) -> int:
    with open_source(path) as source:
        return len(list(source))


#: By name, how many frames a complete file holds.
COUNTS: dict[str, Callable[[Path], int]] = {
    "overlay.mp4": _video_count,
    "hands.bvh": lambda path: len(Bvh(path).values),
    "hands.glb": lambda path: Glb(path).count,
    "hands.trc": lambda path: len(read_trc(path)[1]),
    "hands.mot": lambda path: len(read_mot(path)),
    "hands.c3d": _c3d_count,
    "hands_dlc.csv": lambda path: len(read_dlc(path)),
    "hands.coco.json": lambda path: len(json.loads(path.read_text())["images"]),
    "lerobot": lambda path: pq.read_table(path / "data/chunk-000/file-000.parquet").num_rows,
}
