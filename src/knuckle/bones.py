"""How each bone is turned: a frame for every bone, from where the joints are.

Joints alone say where a bone points, not how it is turned about its own length. The missing turn is
carried from the palm outwards, as ``hand.joint_angles`` measures: what faces out of the palm stays
in the plane in which the finger bends. So the frames of a straight, a bent and a spread finger go
over into one another without a jump.
"""

from __future__ import annotations

import numpy as np

from knuckle.hand import N_BONES, Side, bone_vectors, carried, palm_frame, unit

#: (20,) how far along its finger each bone is, in the order of ``hand.BONES``.
STEP_OF_BONE = np.arange(N_BONES) % 4


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
    bones = unit(bone_vectors(joints)).reshape(*joints.shape[:-2], 5, 4, 3)
    inwards = carried(bones, palm_frame(joints, side)[..., None, :, 2])
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
    z = unit(frames[..., 2] - (frames[..., 2] * y).sum(-1, keepdims=True) * y)
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
