"""``hands.glb``: both hands with their skin, moving; for Blender, game engines, web pages."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.bones import quaternions
from knuckle.camera import Camera
from knuckle.hand import BONES, N_BONES
from knuckle.mesh import hand_mesh, hand_skin, vertex_normals
from knuckle.output.armature import Armature, bone_names
from knuckle.output.records import Recording
from knuckle.output.staged import ExportSink
from knuckle.output.timeline import Timeline

_SKIN_COLOUR, _NAIL_COLOUR = np.array([0.78, 0.56, 0.45]), np.array([0.90, 0.70, 0.64])
_FLOAT, _UNSIGNED_BYTE, _UNSIGNED_SHORT = 5126, 5121, 5123
_TYPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_COMPONENTS = {"float32": _FLOAT, "uint8": _UNSIGNED_BYTE, "uint16": _UNSIGNED_SHORT}
_VERTICES, _INDICES = 34962, 34963


class GlbSink(ExportSink):
    """glTF 2.0 in one file: metres, y up, a skeleton, a skin and an animation for each side.

    Bones keep the length that they mostly have. A hand is away (scaled to nothing) while it is not
    seen. The camera that saw them stands where it stood, as a node.
    """

    filename = "hands.glb"

    def _export(self, recording: Recording, whole: Path) -> None:
        timeline = Timeline.of(recording)
        scene = _Scene(timeline.times_s - timeline.times_s[:1])
        for side, motion in timeline.motions.items():
            scene.add(Armature.of(motion, side))
        if scene.nodes and self.info.space == "camera" and not self.info.camera.fisheye:
            scene.add_camera(self.info.camera, *self.info.size)
        whole.write_bytes(scene.glb(json.loads(self.info.to_json())))


@dataclass
class _Scene:
    """A glTF that grows by a hand at a time."""

    times_s: np.ndarray
    nodes: list[dict[str, Any]] = field(default_factory=list)
    meshes: list[dict[str, Any]] = field(default_factory=list)
    skins: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    channels: list[dict[str, Any]] = field(default_factory=list)
    samplers: list[dict[str, Any]] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    cameras: list[dict[str, Any]] = field(default_factory=list)
    buffer: bytearray = field(default_factory=bytearray)
    clock: int | None = None

    def add(self, hand: Armature) -> None:
        """A skeleton, the skin on it, and how it moves."""
        first = len(self.nodes)
        self._add_skeleton(hand, first)
        self._add_skin(hand, first)
        if len(self.times_s):
            self._add_motion(hand, first)

    def add_camera(self, camera: Camera, width: int, height: int) -> None:
        """What filmed them, at the origin; glTF knows lenses that are centred and straight."""
        lens = {
            "yfov": 2 * math.atan(height / 2 / camera.fy),
            "aspectRatio": (width / camera.fx) / (height / camera.fy),
            "znear": 0.01,
        }
        self.roots.append(len(self.nodes))
        self.nodes.append({"name": "VideoCamera", "camera": len(self.cameras)})
        self.cameras.append({"name": "VideoCamera", "type": "perspective", "perspective": lens})

    def _add_skeleton(self, hand: Armature, first: int) -> None:
        """The wrist, then the 20 bones, each at its near end."""
        name = f"{hand.side.capitalize()}Hand"
        fingers = [first + 1 + bone for bone in range(0, N_BONES, 4)]
        self.nodes.append({"name": name, "children": fingers})
        at_m = hand.offsets_mm / 1000
        for bone, bone_name in enumerate(bone_names(hand.side)):
            node: dict[str, Any] = {"name": bone_name}
            if bone % 4 > 0:
                node["translation"] = at_m[bone - 1].tolist()
            if bone % 4 < 3:
                node["children"] = [first + 2 + bone]
            self.nodes.append(node)
        self.roots.append(first)

    def _add_skin(self, hand: Armature, first: int) -> None:
        mesh, skin = hand_mesh(hand.rest_mm, hand.side), hand_skin()
        vertices_m = (mesh.vertices_mm / 1000).astype(np.float32)
        weights, joints = _four_heaviest(skin.weights_of_ours)
        colours = _SKIN_COLOUR + skin.nail[:, None] * (_NAIL_COLOUR - _SKIN_COLOUR)
        opaque = np.concatenate([colours, np.ones((len(colours), 1))], axis=1)
        colours = np.round(255 * opaque).astype(np.uint8)
        normals = vertex_normals(vertices_m, mesh.faces).astype(np.float32)
        attributes = {
            "POSITION": self._accessor(vertices_m, _VERTICES, bounds=True),
            "NORMAL": self._accessor(normals, _VERTICES),
            "COLOR_0": self._accessor(colours, _VERTICES, unit=True),
            "JOINTS_0": self._accessor(joints, _VERTICES),
            "WEIGHTS_0": self._accessor(weights, _VERTICES),
        }
        indices = self._accessor(mesh.faces.astype(np.uint16).ravel(), _INDICES)
        primitive = {"attributes": attributes, "indices": indices, "material": 0}
        name = f"{hand.side.capitalize()}Skin"
        self.meshes.append({"name": name, "primitives": [primitive]})
        near_m = hand.rest_mm[np.concatenate([[0], BONES[:, 0]])] / 1000
        bind = np.tile(np.eye(4, dtype=np.float32), (len(near_m), 1, 1))
        bind[:, 3, :3] = -near_m  # columns first: the last row is the shift
        self.skins.append(
            {
                "joints": list(range(first, first + 1 + N_BONES)),
                "inverseBindMatrices": self._accessor(bind),
                "skeleton": first,
            }
        )
        self.roots.append(len(self.nodes))
        self.nodes.append({"name": name, "mesh": len(self.meshes) - 1, "skin": len(self.skins) - 1})

    def _add_motion(self, hand: Armature, first: int) -> None:
        self._animate(first, "translation", (hand.root_mm / 1000).astype(np.float32))
        turns = np.concatenate([hand.root[:, None], hand.turns], axis=1)  # (T, 21, 3, 3)
        for node, of_node in enumerate(np.moveaxis(quaternions(turns), 1, 0)):
            self._animate(first + node, "rotation", _without_flips(of_node).astype(np.float32))
        shown = np.repeat(hand.seen[:, None], 3, axis=1).astype(np.float32)
        self._animate(first, "scale", shown, "STEP")

    def _animate(self, node: int, path: str, values: np.ndarray, how: str = "LINEAR") -> None:
        if self.clock is None:
            self.clock = self._accessor(self.times_s.astype(np.float32), bounds=True)
        sampler = {"input": self.clock, "output": self._accessor(values), "interpolation": how}
        target = {"node": node, "path": path}
        self.channels.append({"sampler": len(self.samplers), "target": target})
        self.samplers.append(sampler)

    def _accessor(
        self, values: np.ndarray, target: int | None = None, *, bounds: bool = False,
        unit: bool = False,
    ) -> int:  # fmt: skip
        """Put an array (n, …) into the buffer; returns the number to call it by."""
        view = {"buffer": 0, "byteOffset": len(self.buffer), "byteLength": values.nbytes}
        self.views.append(view if target is None else {**view, "target": target})
        self.buffer += np.ascontiguousarray(values).tobytes()
        self.buffer += bytes(-len(self.buffer) % 4)
        accessor: dict[str, Any] = {
            "bufferView": len(self.views) - 1,
            "componentType": _COMPONENTS[values.dtype.name],
            "count": len(values),
            "type": _TYPES[values.shape[1:]],
        }
        if unit:
            accessor["normalized"] = True
        if bounds:
            low, high = values.min(axis=0), values.max(axis=0)
            accessor |= {"min": np.ravel(low).tolist(), "max": np.ravel(high).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def glb(self, info: dict[str, Any]) -> bytes:
        """The file; ``info`` goes into its extras."""
        document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": f"Knuckle {info['knuckle']}"},
            "extras": {"knuckle": info},
        }
        if self.nodes:
            document |= {
                "scene": 0,
                "scenes": [{"nodes": self.roots}],
                "nodes": self.nodes,
                "meshes": self.meshes,
                "skins": self.skins,
                "materials": [
                    {
                        "name": "skin",
                        "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.6},
                        "doubleSided": True,  # the wrist is open
                    }
                ],
                "accessors": self.accessors,
                "bufferViews": self.views,
                "buffers": [{"byteLength": len(self.buffer)}],
            }
        if self.cameras:
            document["cameras"] = self.cameras
        if self.channels:
            animation = {"name": "hands", "channels": self.channels, "samplers": self.samplers}
            document["animations"] = [animation]
        text = json.dumps(document, separators=(",", ":")).encode()
        chunks = _chunk(b"JSON", text + b" " * (-len(text) % 4))
        if self.buffer:
            chunks += _chunk(b"BIN\0", bytes(self.buffer))
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("<I4s", len(data), kind) + data


def _four_heaviest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V, 4) float32 weights that sum to 1, and (V, 4) uint8 joints that they are of."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    heaviest = np.take_along_axis(weights, joints, axis=1)
    heaviest = (heaviest / heaviest.sum(axis=1, keepdims=True)).astype(np.float32)
    joints[heaviest == 0] = 0
    return heaviest, joints.astype(np.uint8)


def _without_flips(quaternion: np.ndarray) -> np.ndarray:
    """(T, 4) with signs so that neighbours are near each other."""
    flips = np.sum(quaternion[1:] * quaternion[:-1], axis=1) < 0
    return quaternion * np.where(np.cumsum(np.concatenate([[0], flips])) % 2, -1, 1)[:, None]
