"""How each bone is turned: a frame for every bone, from where the joints are.

Joints alone say where a bone points, not how it is turned about its own length. The missing turn is
carried from the palm outwards, as ``hand.joint_angles`` measures: what faces out of the palm stays
in the plane in which the finger bends. So the frames of a straight, a bent and a spread finger go
over into one another without a jump.
"""

from __future__ import annotations

import numpy as np

from knuckle.hand import BONES, N_BONES, Side, palm_frame

#: (20, 5) for each bone, in the order of ``hand.BONES``: which finger, and how far along it.
FINGER_OF_BONE, STEP_OF_BONE = np.divmod(np.arange(N_BONES), 4)


def bone_frames(joints: np.ndarray, side: Side) -> np.ndarray:
    """Axes of every bone.

    Args:
        joints: (..., 21, 3) in any right-handed frame and unit.
        side: which hand this is.

    Returns:
        (..., 20, 3, 3) rotations with the axes as **columns**: y along the bone to the tip, z out
        of the side that the palm is on, x = y x z (to the thumb's side of a right hand, to the
        little finger's of a left one).
    """
    bones = joints[..., BONES[:, 1], :] - joints[..., BONES[:, 0], :]
    bones = unit(bones).reshape(*bones.shape[:-2], 5, 4, 3)
    out_of_palm = palm_frame(joints, side)[..., :, 2]
    inward = np.broadcast_to(out_of_palm[..., None, :], bones[..., 0, :].shape)
    before = bones[..., 0, :]
    inwards = np.empty_like(bones)
    for step in range(4):
        along = bones[..., step, :]
        inward = inwards[..., step, :] = _turned_with(inward, before, along)
        before = along
    frames = np.stack([np.cross(bones, inwards), bones, inwards], axis=-1)
    return frames.reshape(*joints.shape[:-2], N_BONES, 3, 3)


def hand_frame(joints: np.ndarray, side: Side) -> np.ndarray:
    """(..., 3, 3) axes of the palm as columns, a rotation for both sides.

    y from the wrist to the knuckles, z out of the palm, x = y x z.
    """
    axes = palm_frame(joints, side)
    y, z = axes[..., :, 1], axes[..., :, 2]
    return np.stack([np.cross(y, z), y, z], axis=-1)


def aligned(frames: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Frames (..., 3, 3) with y along directions (..., 3), z as near to where it was as can be."""
    y = unit(along)
    z = unit(frames[..., 2] - _dot(frames[..., 2], y) * y)
    return np.stack([np.cross(y, z), y, z], axis=-1)


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """(..., 4) unit quaternions, x, y, z, w, with w >= 0, from rotations (..., 3, 3)."""
    r = np.asarray(rotations, np.float64)
    xx, yy, zz = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    # Four times the squares; the largest gives the others without a division by little.
    squares = np.stack([1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz, 1 + xx + yy + zz], -1)
    outer = np.empty((*r.shape[:-2], 4, 4))
    outer[..., range(4), range(4)] = squares
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        outer[..., i, j] = outer[..., j, i] = r[..., i, j] + r[..., j, i]
        outer[..., k, 3] = outer[..., 3, k] = r[..., j, i] - r[..., i, j]
    row = np.take_along_axis(outer, squares.argmax(-1)[..., None, None], axis=-2)[..., 0, :]
    row = unit(row)
    return np.where(row[..., 3:] < 0, -row, row)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Of length 1; nothing stays nothing."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _turned_with(inward: np.ndarray, before: np.ndarray, along: np.ndarray) -> np.ndarray:
    """``inward``, at right angles to the bone before, as the bone that follows turns it."""
    inward = unit(inward - _dot(inward, before) * before)
    flexion = np.arctan2(_dot(along, inward), _dot(along, before))
    inward = np.cos(flexion) * inward - np.sin(flexion) * before
    return unit(inward - _dot(inward, along) * along)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1, keepdims=True)
