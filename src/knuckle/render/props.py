"""Things near hands: sleeves, watches, rings, and objects that hands hold or that hide them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numba
import numpy as np

from knuckle.render.hand_model import FOREARM_BONE, HandModel


@dataclass(frozen=True, eq=False)
class Solid:
    """Triangles in a frame of their own."""

    vertices_mm: np.ndarray  # (V, 3) float32
    faces: np.ndarray  # (F, 3) int32, anticlockwise from outside
    uv: np.ndarray  # (F, 3, 2) float32, 0..1
    closed: bool = True  # has no visible inside

    def placed(self, rotation: np.ndarray, origin_mm: np.ndarray) -> np.ndarray:
        """The vertices, turned and moved, (V, 3) float32."""
        return (self.vertices_mm @ rotation.T + origin_mm).astype(np.float32)


def lathe(profile_mm: np.ndarray, *, segments: int = 14) -> Solid:
    """What a lathe makes: a profile (K, 2) of (radius, height along y), turned about y."""
    rings = np.repeat(profile_mm[:, None, :1], segments, axis=1)[..., 0]
    return loft(rings, profile_mm[:, 1], closed=True)


def loft(radii_mm: np.ndarray, heights_mm: np.ndarray, *, closed: bool) -> Solid:
    """A tube about y whose radius depends on height and angle.

    Args:
        radii_mm: (K, S) radius of each ring at each of S angles, from x towards -z.
        heights_mm: (K,) where along y each ring lies. Rising heights put the outside outwards.
        closed: whether it has no visible inside (its ends have radius 0 or are never seen).
    """
    rings, segments = radii_mm.shape
    cos, sin = _circle(segments)
    vertices = np.empty((rings, segments, 3), np.float32)
    vertices[..., 0] = radii_mm * cos
    vertices[..., 1] = heights_mm[:, None]
    vertices[..., 2] = -radii_mm * sin
    faces, uv = _tube(rings, segments)
    return Solid(vertices.reshape(-1, 3), faces, uv, closed)


@cache
def _circle(segments: int) -> tuple[np.ndarray, np.ndarray]:
    angle = 2 * np.pi * np.arange(segments) / segments
    return np.cos(angle), np.sin(angle)


@cache
def _tube(rings: int, segments: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles and texture coordinates of rings of vertices, one above the other."""
    i = np.repeat(np.arange(rings - 1), segments)
    j = np.tile(np.arange(segments), rings - 1)
    # Corners of each quad: lower left, lower right, upper left, upper right, seen from outside.
    ring = np.stack([i, i, i + 1, i + 1], axis=1)
    column = np.stack([j, j + 1, j, j + 1], axis=1)
    vertex = ring * segments + column % segments
    uv = np.stack([column / segments, ring / max(rings - 1, 1)], axis=-1)
    lower, upper = [0, 1, 2], [1, 3, 2]
    faces = np.concatenate([vertex[:, lower], vertex[:, upper]]).astype(np.int32)
    return faces, np.concatenate([uv[:, lower], uv[:, upper]]).astype(np.float32)


def box(size_mm: np.ndarray) -> Solid:
    """A box about the origin; every side shows the whole texture and has its own edges."""
    corner = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float) / 2
    sides = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            side = np.insert(corner, axis, sign / 2, axis=1)
            # Each side is seen anticlockwise from outside.
            right_handed = (sign > 0) ^ (axis == 1)
            sides.append(side if right_handed else side[::-1])
    vertices = (np.concatenate(sides) * size_mm).astype(np.float32)
    quads = np.arange(24).reshape(6, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    uv = np.concatenate(
        [np.tile(square[[0, 1, 2]], (6, 1, 1)), np.tile(square[[0, 2, 3]], (6, 1, 1))]
    )
    return Solid(vertices, faces, uv)


def capsule(radius: float, length: float) -> Solid:
    """A rod with round ends; length 0 gives a ball."""
    bow = np.linspace(-np.pi / 2, np.pi / 2, 10)
    height = radius * np.sin(bow) + np.where(bow < 0, -length / 2, length / 2)
    return lathe(np.stack([radius * np.cos(bow), height], axis=1))


def cylinder(radius: float, length: float, top_radius: float | None = None) -> Solid:
    """A can, or a cup where the top is wider. Doubled rings keep the rims sharp."""
    top = radius if top_radius is None else top_radius
    h = length / 2
    profile = [
        [0, -h], [radius * 0.97, -h], [radius, -h], [radius, -h * 0.95], [(radius + top) / 2, 0],
        [top, h * 0.95], [top, h], [top * 0.97, h], [0, h],
    ]  # fmt: skip
    return lathe(np.array(profile, float))


def bottle(radius: float, length: float) -> Solid:
    """A body, shoulders and a neck."""
    h = length / 2
    profile = [
        [0, -h], [radius, -h], [radius, -h * 0.9], [radius, h * 0.3], [radius * 0.8, h * 0.5],
        [radius * 0.4, h * 0.7], [radius * 0.38, h], [0, h],
    ]  # fmt: skip
    return lathe(np.array(profile, float))


def pen(length: float) -> Solid:
    """A pen or a stick that comes to a point."""
    r, h = 0.03 * length, length / 2
    return lathe(
        np.array([[0, -h], [r, -h * 0.85], [r, h * 0.95], [r * 0.8, h], [0, h]]), segments=8
    )


_SEGMENTS = 20


@dataclass(frozen=True)
class Band:
    """Something worn round a bone: a sleeve, a watch strap, a bracelet, a ring."""

    bone: int  # the bone that it moves with
    #: ``start_mm``, ``end_mm``: from where to where along the bone's y axis, from its joint.
    start_mm: float
    end_mm: float
    clearance_mm: float = 1.0  # from the skin to its inside
    thickness_mm: float = 1.5  # of the material
    wrinkles_mm: float = 0.0  # how much its surface is crumpled
    rings: int = 2  # how finely it is made

    def solid(
        self,
        model: HandModel,
        rest_vertices_mm: np.ndarray,
        rest_joints_mm: np.ndarray,
        rng: np.random.Generator,
    ) -> Solid:
        """The band on a flat hand, in the frame of its bone (origin at the bone's joint).

        Args:
            model: the hand's topology.
            rest_vertices_mm: (V, 3) the flat hand of the wearer.
            rest_joints_mm: (21, 3) its joints.
            rng: for the wrinkles.
        """
        pivot = rest_joints_mm[model.bone_pivot[self.bone]]
        mine = model.part == self.bone
        if self.bone == FOREARM_BONE:
            mine = mine | (model.part == 0) & (model.vertices_mm[:, 1] < 12.0)
        local = (rest_vertices_mm[mine] - pivot) @ model.R_hand_from_bone[self.bone]
        heights = np.linspace(self.start_mm, self.end_mm, self.rings)
        skin = _girths(local, heights, self._reach(), _SEGMENTS)
        outside = skin + self.clearance_mm + self.thickness_mm
        if self.wrinkles_mm > 0:
            crumple = rng.normal(0, 1, (len(outside), _SEGMENTS + 2))
            crumple[:, -2:] = crumple[:, :2]
            crumple = crumple[:, :-2] + crumple[:, 1:-1] + crumple[:, 2:]
            outside = outside + np.maximum(crumple * self.wrinkles_mm / 1.7, -self.clearance_mm)
        inside = outside - self.thickness_mm
        # Outside, round the rim near the hand, and back on the inside.
        radii = np.concatenate([outside[:1] * 0.995, outside, outside[-1:] * 0.99, inside[::-1]])
        rim = 0.3 * self.thickness_mm
        heights = np.concatenate([heights[:1] - rim, heights, heights[-1:] + rim, heights[::-1]])
        return loft(radii, heights, closed=False)

    def _reach(self) -> float:
        return max(0.7 * abs(self.end_mm - self.start_mm) / max(self.rings - 1, 1), 5.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _girths(points: np.ndarray, heights: np.ndarray, reach: float, segments: int) -> np.ndarray:
    """(K, S) outermost radius of points near each height, at each angle from x towards -z.

    Angles at which there is no point take what lies between their neighbours.
    """
    girths = np.zeros((len(heights), segments))
    for k in range(len(heights)):
        girth, near = girths[k], reach
        while np.count_nonzero(girth) < segments // 3:
            for p in range(len(points)):
                if abs(points[p, 1] - heights[k]) > near:
                    continue
                x, z = points[p, 0], points[p, 2]
                angle = np.arctan2(-z, x) / (2 * np.pi) * segments
                s = int(np.floor(angle + 0.5)) % segments
                girth[s] = max(girth[s], np.sqrt(x * x + z * z))
            near *= 1.5
        for s in range(segments):
            if girth[s] > 0:
                continue
            before, after = 1, 1
            while girth[(s - before) % segments] <= 0:
                before += 1
            while girth[(s + after) % segments] <= 0:
                after += 1
            low, high = girth[(s - before) % segments], girth[(s + after) % segments]
            # Negative marks it as filled in, so that later angles do not build on it.
            girth[s] = -(low * after + high * before) / (before + after)
        for s in range(segments):
            girth[s] = abs(girth[s])
    return girths
