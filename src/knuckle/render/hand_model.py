"""The parametric hand: 21 joints and a skinned mesh from joint angles, shape, side and place.

The hand frame, in millimetres: origin at the wrist joint, **y** to the knuckle of the middle
finger, **x** to the thumb's side, **z** out of the palm. For a right hand it is right-handed. A
left hand is the right hand's mirror image, x -> -x in the hand frame, with triangles turned round:
its thumb lies at negative x, and ``R_camera_from_hand`` is a proper rotation for both sides.

The flat hand is pose zero: fingers straight and parallel to y, the thumb's three bones in one
line. Every bone has a frame ``R_hand_from_bone`` with **x** the axis of flexion, **y** along the
bone and **z** out of its pad. A bone turns by ``Rx(flexion) @ Rz(-spread) @ Ry(twist)`` in its own
frame (flexion about the axis fixed in the bone before it, twist about its own length, spread about
the floating axis: the order that the ISB recommends, Wu et al. 2005). So

* flexion is positive towards the palm, for every finger and the thumb,
* spread is positive towards x: to the thumb's side for the fingers and the wrist, away from the
  palm (palmar abduction) for the thumb,
* twist is positive about the bone's own length; it turns the pad towards x.

The rows of ``pose_deg (17, 3)``, columns flexion, spread, twist:

====== ==========================================================================================
0      the palm's arch: turns the little finger's metacarpal, and the ring finger's half as much
1-3    thumb CMC, MCP, IP
4-6    index MCP, PIP, DIP
7-9    middle MCP, PIP, DIP
10-12  ring MCP, PIP, DIP
13-15  little MCP, PIP, DIP
16     wrist: the forearm turns against the hand, which keeps ``R_camera_from_hand``. Signs are
       those of the wrist: flexion brings palm and forearm together, spread is radial deviation.
====== ==========================================================================================

Skinning is linear blending of four bones a vertex, so that one GPU thread can do one vertex.
``bone_transforms`` gives the 19 matrices it needs: the palm, the 15 finger bones in the order
above, the forearm, and the ring and little metacarpals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

import numba
import numpy as np
from jaxtyping import Float, Float32, Int32

from knuckle.errors import InputError
from knuckle.hand import Side, check_side
from knuckle.rows import Rows

N_POSE_ROWS = 17
N_BONES = 19

#: Rows of ``pose_deg``.
PALM_ARCH_ROW = 0
FOREARM_ROW = 16
#: (5, 3) rows of each finger, base to tip.
FINGER_ROWS = np.arange(1, 16).reshape(5, 3)

#: Columns of ``pose_deg``.
FLEXION, SPREAD, TWIST = 0, 1, 2

#: Parts a vertex can belong to: index of the bone that moves it most.
PART_NAMES: tuple[str, ...] = (
    "palm",
    "thumb metacarpal", "thumb proximal", "thumb distal",
    "index proximal", "index middle", "index distal",
    "middle proximal", "middle middle", "middle distal",
    "ring proximal", "ring middle", "ring distal",
    "little proximal", "little middle", "little distal",
    "forearm", "ring metacarpal", "little metacarpal",
)  # fmt: skip

FOREARM_BONE = PART_NAMES.index("forearm")
#: The part of what belongs to no hand.
NO_PART = 255
#: Where the elbow is in the flat hand's frame.
ELBOW_MM = np.array([0.0, -235.0, -3.0])

_MIRROR = np.array([-1.0, 1.0, 1.0], dtype=np.float32)
#: Fields of ``HandParameters`` that have a row for each hand.


def sides_of(side: Side | Sequence[Side], n: int) -> tuple[Side, ...]:
    """The side of each of N hands, from one for all or one each."""
    if isinstance(side, str):
        return (check_side(side),) * n
    if len(side) != n:
        raise InputError(f"expected one side or {n} sides, got {len(side)}")
    return tuple(check_side(each) for each in side)


@dataclass(frozen=True)
class HandParameters(Rows):
    """Pose, shape and place of N hands.

    ``side`` may be given as one for all; it is stored as one per hand. ``root_mm`` is the wrist
    joint in the camera frame. Everything is stored as float32.
    """

    pose_deg: Float[np.ndarray, "hand 17 3"]
    shape: Float[np.ndarray, "hand coefficient"]
    R_camera_from_hand: Float[np.ndarray, "hand 3 3"]
    root_mm: Float[np.ndarray, "hand 3"]
    side: Side | Sequence[Side] = "right"

    def __post_init__(self) -> None:
        pose = np.asarray(self.pose_deg, dtype=np.float32)
        if pose.ndim != 3 or pose.shape[1:] != (N_POSE_ROWS, 3):
            raise InputError(f"expected pose_deg of shape (N, {N_POSE_ROWS}, 3), got {pose.shape}")
        n = len(pose)
        shape = np.asarray(self.shape, dtype=np.float32)
        if shape.ndim != 2 or len(shape) != n:
            raise InputError(f"expected shape of shape ({n}, S), got {shape.shape}")
        arrays = {"pose_deg": pose, "shape": shape}
        for name, tail in (("R_camera_from_hand", (3, 3)), ("root_mm", (3,))):
            array = np.asarray(getattr(self, name), dtype=np.float32)
            if array.shape != (n, *tail):
                raise InputError(f"expected {name} of shape {(n, *tail)}, got {array.shape}")
            arrays[name] = array
        for name, array in arrays.items():
            object.__setattr__(self, name, array)
        object.__setattr__(self, "side", sides_of(self.side, n))

    def __len__(self) -> int:
        return len(self.pose_deg)

    @property
    def sides(self) -> tuple[Side, ...]:
        """(N,) the side of each hand."""
        return self.side  # type: ignore[return-value]  # stored so

    def is_left(self) -> np.ndarray:
        """(N,) bool."""
        return np.array([side == "left" for side in self.sides], dtype=bool)

    def R_camera_from_right(self) -> np.ndarray:
        """(N, 3, 3) from the right hand's frame to the camera's: left hands are mirrored."""
        left = self.is_left()[:, None, None]
        return np.where(left, self.R_camera_from_hand * _MIRROR, self.R_camera_from_hand)

    @classmethod
    def at_origin(
        cls, pose_deg: np.ndarray, shape: np.ndarray, side: Side | Sequence[Side] = "right"
    ) -> HandParameters:
        """N hands, wrist at the origin, hand frame and camera frame the same."""
        n = len(pose_deg)
        return cls(pose_deg, shape, np.tile(np.eye(3), (n, 1, 1)), np.zeros((n, 3)), side)

    @classmethod
    def at_rest(cls, n: int, n_shape: int, side: Side = "right") -> HandParameters:
        """N flat mean hands at the origin."""
        return cls.at_origin(np.zeros((n, N_POSE_ROWS, 3)), np.zeros((n, n_shape)), side)


@dataclass(frozen=True)
class HandModel:
    """The arrays of the asset and what they do. All right-handed; left hands are mirrored."""

    #: (V, 3) the mean flat hand with forearm, in the hand frame.
    vertices_mm: Float32[np.ndarray, "vertex 3"]
    #: (F, 3) triangles of a right hand, counter-clockwise seen from outside.
    faces: Int32[np.ndarray, "face 3"]
    #: (F, 3, 2) texture coordinates of each triangle's corners, 0..1.
    uv: Float32[np.ndarray, "face 3 2"]
    part: np.ndarray  # (V,) index into ``PART_NAMES``
    #: (V,) 1 on a fingernail, 0 elsewhere, between at its border.
    nail: Float32[np.ndarray, " vertex"]
    #: ``skin_index``, ``skin_weight``: (V, 4) bones that move a vertex, and their weights (sum 1).
    skin_index: np.ndarray
    skin_weight: Float32[np.ndarray, "vertex 4"]
    #: (S, V, 3) displacement per unit (one standard deviation) of coefficient. Coefficient 0 is
    #: overall size.
    shape_basis_mm: Float32[np.ndarray, "coefficient vertex 3"]
    shape_names: tuple[str, ...]  # (S,) names of the coefficients
    #: ``joints_mm``, ``joints_basis_mm``: (21, 3) and (S, 21, 3), the same for the joints.
    joints_mm: Float32[np.ndarray, "21 3"]
    joints_basis_mm: Float32[np.ndarray, "coefficient 21 3"]
    bone_parent: np.ndarray  # (19,) the bone before a bone (-1: none)
    bone_pivot: np.ndarray  # (19,) the joint about which a bone turns
    #: ``bone_pose_row``, ``bone_pose_gain``: (19,) row of ``pose_deg`` that turns a bone (-1:
    #: none), and the share of its angles that it takes.
    bone_pose_row: np.ndarray
    bone_pose_gain: Float32[np.ndarray, " bone"]
    #: (19, 3, 3) frame of each bone in the flat hand.
    R_hand_from_bone: Float32[np.ndarray, "19 3 3"]

    @classmethod
    @cache
    def load(cls) -> HandModel:
        """The hand that ships in the package (read once)."""
        with resources.files("knuckle.render").joinpath("assets/hand.npz").open("rb") as file:
            arrays = {
                name: value.astype(np.float32) if value.dtype == np.float16 else value
                for name, value in np.load(file).items()
            }
        return cls(shape_names=tuple(arrays.pop("shape_names").tolist()), **arrays)

    @property
    def n_shape(self) -> int:
        """Number of shape coefficients."""
        return len(self.shape_basis_mm)

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return len(self.vertices_mm)

    def faces_of(self, side: Side) -> Int32[np.ndarray, "face 3"]:
        """Triangles with their outside counter-clockwise for that side."""
        return self.faces if check_side(side) == "right" else self.faces[:, ::-1]

    def rest_joints(
        self, shape: Float[np.ndarray, "hand coefficient"]
    ) -> Float32[np.ndarray, "hand 21 3"]:
        """Joints of flat right hands of the given shapes, in the hand frame, mm."""
        return self.joints_mm + _weighted_sum(shape, self.joints_basis_mm)

    def rest_vertices(
        self, shape: Float[np.ndarray, "hand coefficient"]
    ) -> Float32[np.ndarray, "hand vertex 3"]:
        """Vertices of flat right hands of the given shapes, in the hand frame, mm."""
        return self.vertices_mm + _weighted_sum(shape, self.shape_basis_mm)

    def bone_transforms(self, params: HandParameters) -> Float32[np.ndarray, "hand 19 3 4"]:
        """What skinning applies to the flat hand: T_posed_from_rest of each bone.

        Both frames are the right hand's hand frame; mirroring and placing come after.
        """
        return self.transforms_from_pose(params.pose_deg, self.rest_joints(params.shape))

    def joints(self, params: HandParameters) -> Float32[np.ndarray, "hand 21 3"]:
        """Joints in the camera frame, mm."""
        rest = self.rest_joints(params.shape)
        return _place(self.joints_from_pose(params.pose_deg, rest), params)

    def vertices(self, params: HandParameters) -> Float32[np.ndarray, "hand vertex 3"]:
        """Skinned vertices in the camera frame, mm."""
        rest = self.rest_vertices(params.shape)
        transforms = self.bone_transforms(params)  # (N, 19, 3, 4)
        # Blend the matrices as one product with the dense weights: faster than gathering four.
        blended = self.dense_weights @ transforms.reshape(len(rest), N_BONES, 12)
        blended = blended.reshape(*rest.shape[:2], 3, 4)
        posed = blended[..., 3].copy()
        for k in range(3):
            posed += blended[..., k] * rest[..., k, None]
        return _place(posed, params)

    @cached_property
    def dense_weights(self) -> Float32[np.ndarray, "vertex 19"]:
        """Share of each bone in each vertex."""
        dense = np.zeros((self.n_vertices, N_BONES), dtype=np.float32)
        np.put_along_axis(dense, self.skin_index.astype(np.int64), self.skin_weight, axis=1)
        return dense

    def joints_from_pose(
        self, pose_deg: Float[np.ndarray, "hand 17 3"], rest_joints: Float[np.ndarray, "hand 21 3"]
    ) -> Float32[np.ndarray, "hand 21 3"]:
        """Posed joints in the right hand's frame, from the joints of the flat hand, mm."""
        transforms = self.transforms_from_pose(pose_deg, rest_joints)[:, BONE_OF_JOINT]
        return (transforms[..., :3] @ rest_joints[..., None])[..., 0] + transforms[..., 3]

    def transforms_from_pose(
        self, pose_deg: Float[np.ndarray, "hand 17 3"], rest_joints: Float[np.ndarray, "hand 21 3"]
    ) -> Float32[np.ndarray, "hand 19 3 4"]:
        """``bone_transforms`` from the joints of the flat hand, walking from the palm outwards."""
        transforms = np.empty((len(pose_deg), N_BONES, 3, 4), dtype=np.float32)
        _walk_outwards(
            np.deg2rad(np.asarray(pose_deg, dtype=np.float32)),
            np.array(rest_joints, dtype=np.float32, order="C"),  # one layout to compile for
            self.bone_pose_row, self.bone_pose_gain, self.R_hand_from_bone,
            self.bone_parent, self.bone_pivot, transforms,
        )  # fmt: skip
        return transforms


# The palm is done; metacarpals before the fingers that they carry.
_OUTWARDS = np.array([17, 18, 16, *range(1, 16)])
#: (21,) the bone that carries each joint: the last one that ends in it.
BONE_OF_JOINT = np.array([0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 17, 10, 11, 12, 18, 13, 14, 15])


@numba.njit(cache=True, nogil=True, fastmath=True)
def _walk_outwards(
    pose: np.ndarray, rest_joints: np.ndarray, pose_row: np.ndarray, gain: np.ndarray,
    frames: np.ndarray, parent: np.ndarray, pivot_of: np.ndarray, transforms: np.ndarray,
) -> None:  # fmt: skip
    """Fill (N, 19, 3, 4) from poses (N, 17, 3) in radians and flat joints (N, 21, 3)."""
    turn, half = np.empty((3, 3), np.float32), np.empty((3, 3), np.float32)
    for n in range(len(pose)):
        transforms[n, 0] = 0.0
        for k in range(3):
            transforms[n, 0, k, k] = 1.0
        for bone in _OUTWARDS:
            before, here = transforms[n, parent[bone]], transforms[n, bone]
            turn_about_axes(pose[n, pose_row[bone]], gain[bone], turn)  # row -1 has gain 0
            product(frames[bone], turn, half)
            product(half, frames[bone].T, turn)  # in axes of the flat hand
            product(before, turn, here)
            pivot = rest_joints[n, pivot_of[bone]]
            for i in range(3):
                # The pivot moves with the bone before; the bone turns about it.
                here[i, 3] = before[i, 3]
                for j in range(3):
                    here[i, 3] += (before[i, j] - here[i, j]) * pivot[j]


@numba.njit(cache=True, nogil=True, fastmath=True)
def turn_about_axes(angles: np.ndarray, gain: float, out: np.ndarray) -> None:
    """``rotation_from_angles`` of one bone, radians."""
    cf, cs, ct = np.cos(angles[0] * gain), np.cos(angles[1] * gain), np.cos(angles[2] * gain)
    sf, ss, st = np.sin(angles[0] * gain), np.sin(angles[1] * gain), np.sin(angles[2] * gain)
    out[0, 0], out[0, 1], out[0, 2] = cs * ct, ss, cs * st
    out[1, 0], out[1, 1], out[1, 2] = sf * st - cf * ss * ct, cf * cs, -cf * ss * st - sf * ct
    out[2, 0], out[2, 1], out[2, 2] = -sf * ss * ct - cf * st, sf * cs, cf * ct - sf * ss * st


@numba.njit(cache=True, nogil=True, fastmath=True)
def product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """The 3 x 3 corners of two matrices multiplied."""
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]


def rotation_from_angles(
    angles_deg: Float[np.ndarray, "*batch 3"],
) -> Float32[np.ndarray, "*batch 3 3"]:
    """Rx(flexion) @ Rz(-spread) @ Ry(twist), from degrees."""
    radians = np.deg2rad(np.asarray(angles_deg, dtype=np.float32))
    cos, sin = np.cos(radians), np.sin(radians)
    cf, cs, ct = (cos[..., k] for k in range(3))
    sf, ss, st = (sin[..., k] for k in range(3))
    out = np.empty((*radians.shape[:-1], 3, 3), dtype=np.float32)
    out[..., 0, 0], out[..., 0, 1], out[..., 0, 2] = cs * ct, ss, cs * st
    out[..., 1, 0] = -cf * ss * ct + sf * st
    out[..., 1, 1] = cf * cs
    out[..., 1, 2] = -cf * ss * st - sf * ct
    out[..., 2, 0] = -sf * ss * ct - cf * st
    out[..., 2, 1] = sf * cs
    out[..., 2, 2] = -sf * ss * st + cf * ct
    return out


def sample_shapes(
    rng: np.random.Generator, n: int, n_shape: int, child_share: float = 0.1
) -> Float32[np.ndarray, "hand coefficient"]:
    """Shapes of random people: adults, and a share of children (from about four years).

    Coefficients are standard normal, cut at 2.5. The size of a child's hand is uniform between
    115 and 165 mm.
    """
    shape = np.clip(rng.standard_normal((n, n_shape)), -2.5, 2.5)
    child = rng.random(n) < child_share
    length_mm = rng.uniform(115.0, 165.0, n)
    shape[child, 0] = ((length_mm - MEAN_HAND_LENGTH_MM) / HAND_LENGTH_SD_MM)[child]
    return shape.astype(np.float32)


#: Length of the mean hand, wrist joint to the end of the middle finger, and its standard deviation
#: over adults of both sexes: what one unit of coefficient 0 adds.
MEAN_HAND_LENGTH_MM = 183.0
HAND_LENGTH_SD_MM = 11.5


def _weighted_sum(shape: np.ndarray, basis: np.ndarray) -> np.ndarray:
    flat = np.asarray(shape, dtype=np.float32) @ basis.reshape(len(basis), -1)
    return flat.reshape(-1, *basis.shape[1:])


def _place(points_mm: np.ndarray, params: HandParameters) -> np.ndarray:
    """From the right hand's frame (N, K, 3) to the camera frame, mirroring left hands."""
    return points_mm @ params.R_camera_from_right().transpose(0, 2, 1) + params.root_mm[:, None]
