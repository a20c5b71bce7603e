"""Things near hands: sleeves, watches, rings, and objects that hands hold or that hide them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knuckle.render.hand_model import PART_NAMES, HandModel

#: ``Mesh.part`` of what is no part of a hand.
NO_PART = 255
FOREARM_BONE = PART_NAMES.index("forearm")


@dataclass(frozen=True, eq=False)
class Solid:
    """Triangles in a frame of their own.

    Attributes:
        vertices_mm: (V, 3) float32.
        faces: (F, 3) int32, anticlockwise from outside.
        uv: (F, 3, 2) float32, 0..1.
        closed: has no visible inside.
    """

    vertices_mm: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    closed: bool = True

    def placed(self, rotation: np.ndarray, origin_mm: np.ndarray) -> np.ndarray:
        """The vertices, turned and moved, (V, 3) float32."""
        return (self.vertices_mm @ rotation.T + origin_mm).astype(np.float32)


def lathe(profile_mm: np.ndarray, *, segments: int = 14, closed: bool = True) -> Solid:
    """What a lathe makes: a profile (K, 2) of (radius, height along y), turned about y."""
    rings = np.repeat(profile_mm[:, None, :1], segments, axis=1)[..., 0]
    return loft(rings, profile_mm[:, 1], closed=closed)


def loft(radii_mm: np.ndarray, heights_mm: np.ndarray, *, closed: bool) -> Solid:
    """A tube about y whose radius depends on height and angle.

    Args:
        radii_mm: (K, S) radius of each ring at each of S angles, from x towards -z.
        heights_mm: (K,) where along y each ring lies. Rising heights put the outside outwards.
        closed: whether it has no visible inside (its ends have radius 0 or are never seen).
    """
    rings, segments = radii_mm.shape
    angle = 2 * np.pi * np.arange(segments) / segments
    vertices = np.stack(
        [
            radii_mm * np.cos(angle),
            np.broadcast_to(heights_mm[:, None], radii_mm.shape),
            -radii_mm * np.sin(angle),
        ],
        axis=-1,
    ).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(segments), indexing="ij")
    i, j = i.reshape(-1), j.reshape(-1)
    k = (j + 1) % segments
    a, b, c, d = i * segments + j, i * segments + k, (i + 1) * segments + j, (i + 1) * segments + k
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]).astype(np.int32)
    u, v = j / segments, i / max(rings - 1, 1)
    du, dv = 1 / segments, 1 / max(rings - 1, 1)
    uv = np.concatenate(
        [
            np.stack([np.stack([u, v], 1), np.stack([u + du, v], 1), np.stack([u, v + dv], 1)], 1),
            np.stack(
                [np.stack([u + du, v], 1), np.stack([u + du, v + dv], 1), np.stack([u, v + dv], 1)], 1
            ),
        ]
    )
    return Solid(vertices.astype(np.float32), faces, uv.astype(np.float32), closed)


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
    uv = np.concatenate([np.tile(square[[0, 1, 2]], (6, 1, 1)), np.tile(square[[0, 2, 3]], (6, 1, 1))])
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
    return lathe(np.array([[0, -h], [r, -h * 0.85], [r, h * 0.95], [r * 0.8, h], [0, h]]), segments=8)


_SEGMENTS = 20


@dataclass(frozen=True)
class Band:
    """Something worn round a bone: a sleeve, a watch strap, a bracelet, a ring.

    Attributes:
        bone: the bone that it moves with.
        start_mm, end_mm: from where to where along the bone's y axis, from its joint.
        clearance_mm: from the skin to its inside.
        thickness_mm: of the material.
        wrinkles_mm: how much its surface is crumpled.
        rings: how finely it is made.
    """

    bone: int
    start_mm: float
    end_mm: float
    clearance_mm: float = 1.0
    thickness_mm: float = 1.5
    wrinkles_mm: float = 0.0
    rings: int = 2

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
            rest_vertices_mm, rest_joints_mm: (V, 3), (21, 3) the flat hand of the wearer.
            rng: for the wrinkles.
        """
        pivot = rest_joints_mm[model.bone_pivot[self.bone]]
        mine = model.part == self.bone
        if self.bone == FOREARM_BONE:
            mine = mine | (model.part == 0) & (model.vertices_mm[:, 1] < 12.0)
        local = (rest_vertices_mm[mine] - pivot) @ model.R_hand_from_bone[self.bone]
        heights = np.linspace(self.start_mm, self.end_mm, self.rings)
        skin = np.stack([_girth(local, height, self._reach()) for height in heights])
        outside = skin + self.clearance_mm + self.thickness_mm
        if self.wrinkles_mm > 0:
            crumple = rng.normal(0, 1, outside.shape)
            crumple = crumple + np.roll(crumple, 1, axis=1) + np.roll(crumple, -1, axis=1)
            outside = outside + np.maximum(crumple * self.wrinkles_mm / 1.7, -self.clearance_mm)
        inside = outside - self.thickness_mm
        # Outside, round the rim near the hand, and back on the inside.
        radii = np.concatenate([outside[:1] * 0.995, outside, outside[-1:] * 0.99, inside[::-1]])
        rim = 0.3 * self.thickness_mm
        heights = np.concatenate([heights[:1] - rim, heights, heights[-1:] + rim, heights[::-1]])
        return loft(radii, heights, closed=False)

    def _reach(self) -> float:
        return max(0.7 * abs(self.end_mm - self.start_mm) / max(self.rings - 1, 1), 5.0)


def _girth(points: np.ndarray, height: float, reach: float) -> np.ndarray:
    """(S,) outermost radius of points near a height, at each angle from x towards -z."""
    near = np.abs(points[:, 1] - height) < reach
    while near.sum() < 12:
        reach *= 1.5
        near = np.abs(points[:, 1] - height) < reach
    x, z = points[near, 0], points[near, 2]
    radius = np.hypot(x, z)
    angle = np.arctan2(-z, x) % (2 * np.pi)
    order = np.argsort(angle)
    at = 2 * np.pi * np.arange(_SEGMENTS) / _SEGMENTS
    girth = np.interp(at, angle[order], radius[order], period=2 * np.pi)
    # The skin may bulge between two angles: take the neighbours' radius into account.
    return np.maximum(girth, 0.5 * (np.roll(girth, 1) + np.roll(girth, -1)))
