"""What a hand is: its joints, its bones, its sides, and the angles between them.

Everything in Knuckle uses one joint order, ``Joint``: wrist first, then thumb, index, middle,
ring and little finger, each from base to tip. Data sets and other systems are mapped to it by
name where they are read (``order_from_names``), and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from numbers import Real
from typing import Literal, get_args

import numpy as np

from knuckle.errors import InputError

Side = Literal["left", "right"]
SIDES: tuple[Side, ...] = get_args(Side)


class Joint(IntEnum):
    """The 21 joints. Where each sits anatomically is described in ``docs/conventions.md``."""

    WRIST = 0
    THUMB_CMC = 1
    THUMB_MCP = 2
    THUMB_IP = 3
    THUMB_TIP = 4
    INDEX_MCP = 5
    INDEX_PIP = 6
    INDEX_DIP = 7
    INDEX_TIP = 8
    MIDDLE_MCP = 9
    MIDDLE_PIP = 10
    MIDDLE_DIP = 11
    MIDDLE_TIP = 12
    RING_MCP = 13
    RING_PIP = 14
    RING_DIP = 15
    RING_TIP = 16
    LITTLE_MCP = 17
    LITTLE_PIP = 18
    LITTLE_DIP = 19
    LITTLE_TIP = 20


N_JOINTS = len(Joint)
JOINT_NAMES: tuple[str, ...] = tuple(joint.name.lower() for joint in Joint)
FINGER_NAMES: tuple[str, ...] = ("thumb", "index", "middle", "ring", "little")

#: (5, 4) joints of each finger, base to tip.
FINGERS = np.arange(1, N_JOINTS).reshape(5, 4)
#: (5,) fingertips.
TIPS = FINGERS[:, -1]
#: (21,) parent of each joint; the wrist is its own.
PARENTS = np.array([0] + [0 if j % 4 == 1 else j - 1 for j in range(1, N_JOINTS)])
#: (20, 2) bones as (parent, child); bone b ends in joint b + 1.
BONES = np.stack([PARENTS[1:], np.arange(1, N_JOINTS)], axis=1)
N_BONES = len(BONES)
#: The bones from the wrist to the tip of the middle finger: their sum is the hand's length.
MIDDLE_RAY = slice(Joint.MIDDLE_MCP - 1, Joint.MIDDLE_TIP)
#: (20,) mm, bones of an average adult's hand in the order of ``hand.BONES``: thumb to little,
#: each from the wrist to the tip. Those of the mean hand of the rendered training data.
MEAN_LENGTHS_MM = np.array(
    [
        [34.7, 36.8, 33.3, 25.3],
        [87.8, 40.4, 22.8, 22.6],
        [83.4, 47.1, 27.0, 21.8],
        [80.3, 41.3, 25.5, 22.8],
        [78.6, 33.4, 18.1, 17.1],
    ]
).ravel()
#: (4,) knuckles of the four fingers: with the wrist they span the palm.
KNUCKLES = FINGERS[1:, 0]


def other_side(side: Side) -> Side:
    """The opposite side: what a hand looks like in a mirror."""
    return "left" if check_side(side) == "right" else "right"


def check_side(side: str) -> Side:
    """Return ``side`` if it is one, else raise ``ValueError``."""
    if side not in SIDES:
        raise InputError(f"side must be 'left' or 'right', got {side!r}")
    return side


#: Wrist to the tip of the middle finger, mm: below a newborn's, above the largest that is known.
_SHORTEST_MM, _LONGEST_MM = 40.0, 400.0
#: No hand is so small; in metres all are.
_LEAST_EXTENT_MM = 1.0


def check_hand_length(length_mm: float) -> float:
    """Return a person's length from wrist to middle fingertip, mm.

    Raises:
        TypeError: it is no number.
        ValueError: no hand has this length; mostly it is in centimetres.
    """
    if not isinstance(length_mm, Real):
        raise TypeError(
            f"hand_length_mm must be a number, got {length_mm!r} ({type(length_mm).__name__}): "
            "convert it with float(...)"
        )
    if not _SHORTEST_MM <= length_mm <= _LONGEST_MM:
        raise InputError(
            f"hand_length_mm must be in {_SHORTEST_MM:g}..{_LONGEST_MM:g} mm, from the wrist to "
            f"the tip of the middle finger, got {length_mm:g}: an adult's is about 185"
        )
    return length_mm


def order_from_names(names: Sequence[str]) -> np.ndarray:
    """(21,) int index ``i`` so that ``theirs[i]`` is in ``Joint`` order.

    The names, as in ``JOINT_NAMES``, are in the order in which the other system stores its joints.

    Raises:
        ValueError: names are missing, unknown or doubled.
    """
    lower = [name.lower() for name in names]
    if sorted(lower) != sorted(JOINT_NAMES):
        missing = sorted(set(JOINT_NAMES) - set(lower))
        unknown = sorted(set(lower) - set(JOINT_NAMES))
        raise InputError(
            f"expected the {N_JOINTS} joint names, each once; missing {missing}, unknown {unknown}"
        )
    return np.array([lower.index(name) for name in JOINT_NAMES])


def bone_vectors(joints: np.ndarray) -> np.ndarray:
    """Each bone as a vector, from its parent to its child: (..., 21, D) -> (..., 20, D)."""
    return joints[..., 1:, :] - joints.take(BONES[:, 0], axis=-2)


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    """Length of each bone, in the unit of ``joints``: (..., 21, D) -> (..., 20)."""
    vectors = bone_vectors(joints)
    return np.sqrt((vectors * vectors).sum(axis=-1))


def hand_length(joints: np.ndarray) -> np.ndarray:
    """Length along the bones from the wrist to the middle fingertip: (..., 21, 3) -> (...).

    That of the stretched hand, whatever its pose.
    """
    return bone_lengths(joints)[..., MIDDLE_RAY].sum(axis=-1)


def extent_px(joints_px: np.ndarray) -> np.ndarray:
    """Longer side of the box around the joints in a picture: (..., 21, 2) -> (...)."""
    return (joints_px.max(axis=-2) - joints_px.min(axis=-2)).max(axis=-1)


def box_px(joints_px: np.ndarray) -> tuple[float, float, float, float]:
    """The box (x0, y0, x1, y1) around the joints (21, 2) of one hand in a picture."""
    x, y = joints_px.T.tolist()  # of so few numbers, Python knows the least before NumPy starts
    return min(x), min(y), max(x), max(y)


def middle_px(joints_px: np.ndarray) -> np.ndarray:
    """Middle of the box around the joints in a picture: (..., 21, 2) -> (..., 2)."""
    return (joints_px.min(axis=-2) + joints_px.max(axis=-2)) / 2


def palm_frame(joints_mm: np.ndarray, side: Side) -> np.ndarray:
    """Axes of the palm of hands (..., 21, 3) in any right-handed frame: (..., 3, 3) **columns**.

    x towards the thumb's side, y from the wrist to the knuckles, z out of the palm. For a right
    hand this is a rotation; for a left hand it is a reflection, so that coordinates in it are those
    of a right hand.
    """
    wrist = joints_mm[..., Joint.WRIST, :]
    y = unit(joints_mm[..., KNUCKLES, :].mean(axis=-2) - wrist)
    across = joints_mm[..., Joint.INDEX_MCP, :] - joints_mm[..., Joint.LITTLE_MCP, :]
    x = unit(across - (across * y).sum(-1, keepdims=True) * y)
    # With the fingers up and the palm towards you, a right thumb points right.
    z = np.cross(x, y) if side == "right" else np.cross(y, x)
    return np.stack([x, y, z], axis=-1)


def wrist_axes(joints_mm: np.ndarray, side: Side) -> np.ndarray:
    """Axes of the wrist as robots' software has them, a rotation for both sides.

    Args:
        joints_mm: (..., 21, 3) joints in any right-handed frame.
        side: which hand this is.

    Returns:
        (..., 3, 3) with the axes as **columns**: z from the wrist to the middle finger's knuckle,
        x out of the palm, y = z x x (to the thumb's side of a right hand).
    """
    wrist = joints_mm[..., Joint.WRIST, :]
    z = unit(joints_mm[..., Joint.MIDDLE_MCP, :] - wrist)
    aside = joints_mm[..., Joint.INDEX_MCP, :] - joints_mm[..., Joint.MIDDLE_MCP, :]
    x = unit(np.cross(aside, z) if check_side(side) == "right" else np.cross(z, aside))
    return np.stack([x, np.cross(z, x), z], axis=-1)


#: (15,) the joints that bend, in the order of ``joint_angles``: three per finger.
ARTICULATIONS = FINGERS[:, :3].reshape(-1)


def joint_angles(joints_mm: np.ndarray, side: Side) -> np.ndarray:
    """Flexion and spread at each of the 15 bending joints, in degrees.

    The bone before a joint and the bone after it are compared in the frame of the palm, carried
    along the finger. Flexion is positive towards the palm; spread is positive towards the thumb's
    side. A straight finger in the plane of the palm has flexion 0. Signs are the same for both
    sides. Beyond a finger's base, spread is what is left out of the plane of flexion: it is near
    zero in a healthy hand.

    Args:
        joints_mm: (..., 21, 3), any right-handed frame, any unit.
        side: which hand this is.

    Returns:
        (..., 15, 2) degrees, (flexion, spread), in the order of ``ARTICULATIONS``.
    """
    axes = palm_frame(joints_mm, side)
    local = (joints_mm - joints_mm[..., :1, :]) @ axes  # (..., 21, 3) as a right hand
    bones = unit(bone_vectors(local)).reshape(*local.shape[:-2], 5, 4, 3)
    inward = carried(bones, np.array([0.0, 0.0, 1.0]))[..., :-1, :]
    along, after = bones[..., :-1, :], bones[..., 1:, :]
    aside = np.cross(along, inward)  # towards the thumb's side
    a, s, i = (_dot(after, axis) for axis in (along, aside, inward))  # (..., 5, 3, 1)
    angles = np.concatenate([np.arctan2(i, a), np.arctan2(s, np.hypot(a, i))], axis=-1)
    return np.degrees(angles).reshape(*local.shape[:-2], 15, 2)


def carried(bones: np.ndarray, out_of_palm: np.ndarray) -> np.ndarray:
    """What faces out of the palm (..., 3), carried along each finger: it turns with the flexion.

    Returns:
        (..., 5, 4, 3) directions of length 1, each at right angles to its bone.
    """
    inward, before, inwards = out_of_palm, bones[..., 0, :], np.empty_like(bones)
    for k in range(4):
        along = bones[..., k, :]
        flexion = np.arctan2(_dot(along, inward), _dot(along, before)) if k else 0.0
        inward = inward * np.cos(flexion) - before * np.sin(flexion)
        inward = inwards[..., k, :] = unit(inward - _dot(inward, along) * along)
        before = along
    return inwards


def check_millimetres(joints: np.ndarray, name: str = "joints_mm") -> None:
    """Refuse a hand (21, 3) in metres; what is not finite does not count.

    ``name`` is what whoever gave it calls it.

    Raises:
        ValueError: the hand is smaller than any, but for one that is all at one place.
    """
    known = joints[np.isfinite(joints).all(axis=1)]
    extent = float(np.ptp(known, axis=0).max()) if len(known) else 0.0
    if 0 < extent < _LEAST_EXTENT_MM:
        raise InputError(
            f"{name} must be millimetres, got a hand that is {extent:.2g} of them wide: multiply "
            "metres by 1000"
        )


def in_picture(points_px: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(...,) bool: which points (..., 2) lie on a pixel of a picture of (W, H)."""
    width, height = size
    inside = (points_px > -0.5) & (points_px < (width - 0.5, height - 0.5))
    return np.asarray(inside.all(axis=-1))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Of length 1; nothing stays nothing."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1, keepdims=True)
