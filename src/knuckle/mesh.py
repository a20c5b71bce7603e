"""A hand that can be drawn: skin over 21 joints, in closed form.

The skin is that of the project's own parametric hand (CC0, ``render/assets/hand.npz``). Every bone
of it is laid onto the bone that was found, turned as ``bones.bone_frames`` says, as long as it is
and as thick as the whole hand is large; the palm is stretched over the wrist and the knuckles.
Linear blending does the rest. Nothing is searched for: what takes longer and needs the training
libraries is ``render.fitting``, which also finds the shape of the person's hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

import numpy as np

from knuckle.bones import aligned, bone_frames, hand_frame
from knuckle.errors import InputError
from knuckle.hand import BONES, KNUCKLES, N_BONES, N_JOINTS, Joint, Side, bone_lengths, check_side

#: Bones of the skin: the palm, three for each finger, the forearm, two metacarpals.
_PALM, _FOREARM, _N_SKIN_BONES = 0, 16, 19
#: (17,) bones of the skin that follow one of ours, and (17,) which, in the order of ``hand.BONES``.
_SKIN_BONES = np.array([*range(1, 16), 17, 18])
_OUR_BONES = np.array([4 * f + k for f in range(5) for k in (1, 2, 3)] + [12, 16])
#: What the palm is stretched over.
_PALM_JOINTS = np.array([Joint.WRIST, Joint.THUMB_CMC, *KNUCKLES])
_MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False, repr=False)
class HandMesh:
    """The skin of a hand; open at the wrist.

    Attributes:
        vertices_mm: (V, 3) in the camera frame.
        faces: (F, 3) triangles, counter-clockwise seen from outside.
    """

    vertices_mm: np.ndarray
    faces: np.ndarray

    def __repr__(self) -> str:
        return f"<mesh of a hand: {len(self.vertices_mm)} vertices, {len(self.faces)} faces>"

    @cached_property
    def normals(self) -> np.ndarray:
        """(V, 3) out of the skin, of length 1."""
        return vertex_normals(self.vertices_mm, self.faces)


def hand_mesh(joints_mm: np.ndarray, side: Side) -> HandMesh:
    """Skin over joints (21, 3) in any right-handed frame.

    Raises:
        ValueError: the joints are not (21, 3) and finite.
    """
    joints = np.asarray(joints_mm, np.float64)
    if joints.shape != (N_JOINTS, 3) or not np.isfinite(joints).all():
        raise InputError(f"expected finite joints of shape ({N_JOINTS}, 3), got {joints.shape}")
    skin = hand_skin()
    if check_side(side) == "right":
        return HandMesh(skin.over(joints), skin.faces)
    return HandMesh(skin.over(joints * _MIRROR) * _MIRROR, skin.faces[:, ::-1])


def pad_frames(joints: np.ndarray, side: Side) -> np.ndarray:
    """(..., 20, 3, 3) ``bone_frames`` turned so that z leaves each bone on the side of its pad."""
    skin = hand_skin()
    turn = skin.frames.swapaxes(-1, -2) @ skin.R_hand_from_pad
    if check_side(side) == "left":
        turn = turn * _MIRROR[:, None] * _MIRROR
    return bone_frames(joints, side) @ turn


@dataclass(frozen=True, eq=False)
class HandSkin:
    """A flat right hand in its own frame: x to the thumb's side, y to the knuckles, z out of it."""

    vertices_mm: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3)
    nail: np.ndarray  # (V,) 1 on a fingernail, 0 elsewhere
    weights: np.ndarray  # (V, 19) how much each bone moves a vertex; they sum to 1
    joints_mm: np.ndarray  # (21, 3)
    #: (20, 3, 3) for each bone in the order of ``hand.BONES``: y along it, z out of its pad. A
    #: thumb's pad does not look where the palm does.
    R_hand_from_pad: np.ndarray

    @cached_property
    def frames(self) -> np.ndarray:
        """(20, 3, 3) ``bone_frames`` of the flat hand."""
        return bone_frames(self.joints_mm, "right")

    @cached_property
    def lengths_mm(self) -> np.ndarray:
        """(20,) of its bones."""
        return bone_lengths(self.joints_mm)

    @property
    def weights_of_ours(self) -> np.ndarray:
        """(V, 21) the same for the wrist, and then our bones in the order of ``hand.BONES``."""
        ours = np.zeros((len(self.weights), 1 + N_BONES))
        ours[:, 0] = self.weights[:, _PALM] + self.weights[:, _FOREARM]
        ours[:, 1 + _OUR_BONES] = self.weights[:, _SKIN_BONES]
        return ours

    def over(self, joints_mm: np.ndarray) -> np.ndarray:
        """(V, 3) the skin laid over the joints (21, 3) of a right hand."""
        return self._weighted @ self._transforms(joints_mm).swapaxes(-1, -2).reshape(-1, 3)

    @cached_property
    def _weighted(self) -> np.ndarray:
        """(V, 19 * 4) so that blending is one product with the transposed transforms."""
        homogeneous = np.concatenate([self.vertices_mm, np.ones((len(self.weights), 1))], axis=1)
        return (self.weights[..., None] * homogeneous[:, None]).reshape(len(self.weights), -1)

    def _transforms(self, joints_mm: np.ndarray) -> np.ndarray:
        """(19, 3, 4) from the flat hand to the joints, for each bone of the skin."""
        lengths = bone_lengths(joints_mm)
        scale = lengths.sum() / self.lengths_mm.sum()
        ratio = np.full((N_BONES, 3), scale)
        ratio[:, 1] = lengths / self.lengths_mm
        stretched = bone_frames(joints_mm, "right") * ratio[:, None, :]
        turned = stretched @ self.frames.swapaxes(-1, -2)  # (20, 3, 3)
        near = BONES[:, 0]
        shift = joints_mm[near] - (turned @ self.joints_mm[near][..., None])[..., 0]
        transforms = np.empty((_N_SKIN_BONES, 3, 4))
        transforms[_SKIN_BONES] = np.concatenate([turned, shift[..., None]], -1)[_OUR_BONES]
        transforms[[_PALM, _FOREARM]] = self._palm_transform(joints_mm, scale)
        return transforms

    def _palm_transform(self, joints_mm: np.ndarray, scale: float) -> np.ndarray:
        """(3, 4): stretched in its plane to meet the joints of the palm, as thick as the hand."""
        here, there = hand_frame(self.joints_mm, "right"), hand_frame(joints_mm, "right")
        rest = (self.joints_mm - self.joints_mm[0]) @ here
        posed = (joints_mm - joints_mm[0]) @ there
        # The wrist stays where it is; in the plane, what meets the others best.
        flat = rest[_PALM_JOINTS, :2]
        plane = np.linalg.solve(flat.T @ flat, flat.T @ posed[_PALM_JOINTS, :2])
        stretch = np.diag([0.0, 0.0, scale])
        stretch[:2, :2] = plane.T
        turn = there @ stretch @ here.T
        return np.concatenate([turn, (joints_mm[0] - turn @ self.joints_mm[0])[:, None]], axis=1)


@cache
def hand_skin() -> HandSkin:
    """The skin that ships in the package, without its forearm (read once)."""
    with resources.files("knuckle").joinpath("render/assets/hand.npz").open("rb") as file:
        data = dict(np.load(file))
    faces = data["faces"][(data["part"][data["faces"]] != _FOREARM).all(axis=1)]
    kept, faces = np.unique(faces, return_inverse=True)
    weights = np.zeros((len(data["part"]), _N_SKIN_BONES))
    np.put_along_axis(weights, data["skin_index"].astype(np.int64), data["skin_weight"], axis=1)
    joints = data["joints_mm"].astype(np.float64)
    pads = bone_frames(joints, "right")
    along = pads[..., 1].copy()
    pads[_OUR_BONES[:15]] = data["R_hand_from_bone"][_SKIN_BONES[:15]]
    return HandSkin(
        vertices_mm=data["vertices_mm"][kept].astype(np.float64),
        faces=faces.reshape(-1, 3).astype(np.int32),
        nail=data["nail"][kept].astype(np.float64),
        weights=(weights / weights.sum(axis=1, keepdims=True))[kept],
        joints_mm=joints,
        R_hand_from_pad=aligned(pads, along),
    )


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) of length 1: the mean of the triangles around a vertex, larger ones count for more."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    normals = np.stack(
        [
            np.bincount(faces.ravel(), np.repeat(across[:, k], 3), minlength=len(vertices))
            for k in range(3)
        ],
        axis=1,
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
