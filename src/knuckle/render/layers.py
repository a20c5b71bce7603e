"""Hands without a look: who and which part is seen in each pixel, how far, and which joints show.

For hands whose shape and pose are known, such as fitted ones (``fitting``): they hide each other
and themselves. Forearms are left out: nothing in the labels of a hand says where its elbow is. Only
a stub of each, which goes straight on, stands for the skin around the wrist where joints are seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from knuckle.camera import Camera
from knuckle.hand import N_JOINTS, Side
from knuckle.render.hand_model import FOREARM_BONE, NO_PART, HandModel, HandParameters
from knuckle.render.raster import GBuffer, project_vertices
from knuckle.render.shading import SUPERSAMPLING
from knuckle.render.skin import face_parts
from knuckle.render.stage import Mesh, SkinMaterial, Stage
from knuckle.render.visibility import visible_joints

#: Length of the forearm that goes with a wrist, mm of the mean hand.
_STUB_MM = 45.0


@dataclass(frozen=True, eq=False)
class HandLayers:
    """What each pixel sees of N hands, decided at the pixel's centre."""

    hand_map: np.ndarray  # (H, W) uint8, 0 background, i + 1 where hand i is seen
    part_map: np.ndarray  # (H, W) uint8 index into ``hand_model.PART_NAMES``, or ``NO_PART``
    depth_mm: np.ndarray  # (H, W) float32 z of the nearest hand; infinite where there is none
    normals: np.ndarray  # (H, W, 3) float32 unit normals out of the skin, camera frame; 0 elsewhere
    #: (N, 21) bool, joints that no hand hides, see ``visibility``; things that are no hands are not
    #: known here.
    visible: np.ndarray

    def __len__(self) -> int:
        return len(self.visible)


def draw_layers(hands: HandParameters, camera: Camera, shape: tuple[int, int]) -> HandLayers:
    """Draw hands.

    Args:
        hands: in the camera frame.
        camera: of the picture; its distortion is applied to the vertices.
        shape: (H, W) of the picture.

    Returns:
        What each pixel sees.
    """
    stage = Stage.of(_meshes(hands, _hand_faces()))
    layers = HandLayers(
        hand_map=np.zeros(shape, np.uint8),
        part_map=np.full(shape, NO_PART, np.uint8),
        depth_mm=np.full(shape, np.inf, np.float32),
        normals=np.zeros((*shape, 3), np.float32),
        visible=np.zeros((len(hands), N_JOINTS), bool),
    )
    x0, y0, x1, y1 = _region(stage, camera, shape)
    if x0 >= x1 or y0 >= y1:
        return layers  # all hands are outside the picture
    seen_from = camera.padded(-x0, -y0)
    buffer = _drawn(stage, seen_from, (y1 - y0, x1 - x0))
    inside = np.s_[y0:y1, x0:x1]
    hit = np.nonzero(buffer.triangle >= 0)
    corners = stage.faces[buffer.triangle[hit]]  # (K, 3)
    weights = _corner_weights(buffer.bary[hit])
    part = _parts(corners % HandModel.load().n_vertices, weights)
    on_hand = part != FOREARM_BONE
    hit, part = (hit[0][on_hand], hit[1][on_hand]), part[on_hand]
    layers.hand_map[inside][hit] = stage.owner_of_mesh[stage.mesh_of_face[buffer.triangle[hit]]]
    layers.part_map[inside][hit] = part
    layers.depth_mm[inside][hit] = buffer.depth_mm[hit]
    layers.normals[inside][hit] = _normals(stage.normals[corners[on_hand]], weights[on_hand])

    fine_shape = ((y1 - y0) * SUPERSAMPLING, (x1 - x0) * SUPERSAMPLING)
    stage = Stage.of(_meshes(hands, _hand_and_stub_faces()))
    fine = _drawn(stage, seen_from.resized(SUPERSAMPLING, SUPERSAMPLING), fine_shape)
    for number, joints in enumerate(HandModel.load().joints(hands).astype(np.float64)):
        layers.visible[number] = visible_joints(joints, seen_from, stage, fine, number + 1)
    return layers


def _meshes(hands: HandParameters, keep: np.ndarray) -> list[Mesh]:
    """The kept faces (F,) of each hand; hand i belongs to owner i + 1.

    The cut at the wrist is open: seen from the elbow, the inside of the hand closes it.
    """
    vertices = HandModel.load().vertices(hands)
    return [
        Mesh(
            vertices[number],
            _faces(side)[keep],
            np.zeros((int(keep.sum()), 3, 2), np.float32),
            SkinMaterial(),
            number + 1,
            face_parts()[keep],
            closed=False,
        )
        for number, side in enumerate(hands.sides)
    ]


@cache
def _hand_faces() -> np.ndarray:
    """(F,) bool: all that have a corner on the hand."""
    model = HandModel.load()
    return (model.part[model.faces] != FOREARM_BONE).any(axis=1)


@cache
def _hand_and_stub_faces() -> np.ndarray:
    """(F,) bool."""
    model = HandModel.load()
    return _hand_faces() | (model.vertices_mm[model.faces, 1] > -_STUB_MM).all(axis=1)


@cache
def _faces(side: Side) -> np.ndarray:
    return np.ascontiguousarray(HandModel.load().faces_of(side))


def _region(stage: Stage, camera: Camera, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Columns and rows (x0, y0, x1, y1) of the picture between which all hands lie."""
    height, width = shape
    if not len(stage.vertices_mm):
        return 0, 0, 0, 0
    points = project_vertices(stage.vertices_mm, camera)[:, :2]
    x0, y0 = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.ceil(points.max(axis=0)) + 1, 0, (width, height)).astype(int)
    return int(x0), int(y0), int(x1), int(y1)


def _drawn(stage: Stage, camera: Camera, shape: tuple[int, int]) -> GBuffer:
    buffer = GBuffer.empty(*shape)
    buffer.draw(project_vertices(stage.vertices_mm, camera), stage.faces, cull=False)
    return buffer


def _corner_weights(bary: np.ndarray) -> np.ndarray:
    """(K, 3) shares of a triangle's corners, from those of the last two."""
    return np.concatenate([1.0 - bary.sum(axis=1, keepdims=True), bary], axis=1)


def _parts(corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(K,) the bone that moves each point most: borders run smoothly through triangles.

    Args:
        corners: (K, 3) vertices of the model.
        weights: (K, 3) their shares.
    """
    moved_by = (weights[..., None] * HandModel.load().dense_weights[corners]).sum(axis=1)  # (K, 19)
    return moved_by.argmax(axis=1).astype(np.uint8)


def _normals(at_corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(K, 3) unit normals between those of the corners (K, 3, 3)."""
    normals = (weights[..., None] * at_corners).sum(axis=1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return (normals / np.maximum(length, 1e-9)).astype(np.float32)
