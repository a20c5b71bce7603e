"""The teacher's joints put where Knuckle's are, and what its depth is worth.

MediaPipe, which labels the photographs, puts several joints elsewhere than ``docs/joints.md``:
fingertips further back, the knuckles of the palm further out. A network that is shown both
conventions answers with a mixture of them, a different one for each room. So labels are moved
before they are learnt: every joint becomes a weighted mean of itself and of its neighbours along
the bones. As the weights add up to 1, it does not matter where the hand is, how large, how turned,
nor which side it is of.

The weights are those that bring MediaPipe's answers on rendered hands nearest to the exact joints;
the wrist's bring its distances on photographs to the hand model's. ``benchmarks/convention.py``
fits them and says what they bring.
"""

from __future__ import annotations

import numpy as np

from knuckle.hand import BONES, FINGERS, KNUCKLES, N_JOINTS, Joint

#: Of each moved joint: its neighbours and their weights; the joint itself has the rest. Joints
#: that this brings nearer by less than a tenth stay. Rendered forearms mislead the teacher: the
#: wrist is put as far from the knuckles as the hand model's, on photographs of flat hands, and the
#: base of the thumb goes with it.
_WEIGHTS: dict[Joint, dict[Joint, float]] = {
    Joint.WRIST: {Joint(k): 0.01 for k in KNUCKLES},
    Joint.THUMB_CMC: {Joint.WRIST: 0.05, Joint.THUMB_MCP: -0.04, Joint.INDEX_MCP: 0.03},
    Joint.THUMB_MCP: {Joint.THUMB_CMC: 0.11, Joint.THUMB_IP: 0.05},
    Joint.THUMB_IP: {Joint.THUMB_MCP: -0.02, Joint.THUMB_TIP: 0.13},
    Joint.THUMB_TIP: {Joint.THUMB_IP: -0.10, Joint.THUMB_MCP: -0.08},
    Joint.INDEX_MCP: {Joint.WRIST: 0.05, Joint.INDEX_PIP: 0.06, Joint.LITTLE_MCP: -0.03},
    Joint.INDEX_TIP: {Joint.INDEX_DIP: -0.06, Joint.INDEX_PIP: -0.09},
    Joint.MIDDLE_MCP: {
        Joint.WRIST: 0.02,
        Joint.MIDDLE_PIP: -0.06,
        Joint.INDEX_MCP: 0.03,
        Joint.LITTLE_MCP: 0.06,
    },
    Joint.MIDDLE_PIP: {Joint.MIDDLE_MCP: -0.11, Joint.MIDDLE_DIP: -0.09},
    Joint.MIDDLE_DIP: {Joint.MIDDLE_PIP: -0.20, Joint.MIDDLE_TIP: -0.09},
    Joint.MIDDLE_TIP: {Joint.MIDDLE_DIP: -0.02, Joint.MIDDLE_PIP: -0.10},
    Joint.RING_MCP: {
        Joint.WRIST: 0.01,
        Joint.RING_PIP: -0.04,
        Joint.INDEX_MCP: -0.01,
        Joint.LITTLE_MCP: 0.19,
    },
    Joint.RING_TIP: {Joint.RING_DIP: -0.04, Joint.RING_PIP: -0.09},
    Joint.LITTLE_MCP: {Joint.WRIST: 0.05, Joint.LITTLE_PIP: 0.06, Joint.INDEX_MCP: -0.09},
    Joint.LITTLE_PIP: {Joint.LITTLE_MCP: -0.11, Joint.LITTLE_DIP: -0.04},
    Joint.LITTLE_TIP: {Joint.LITTLE_DIP: -0.08, Joint.LITTLE_PIP: -0.06},
}

#: Where the teacher alone is heard: rendered forearms are unlike real ones, and what networks have
#: learnt from them leads their answers on photographs away from the hand.
TEACHERS_OWN = np.array([Joint.WRIST, Joint.THUMB_CMC])

#: What the depth of a bone is on average, given the teacher's: slope and offset of the proximal,
#: middle and distal phalanges of the four fingers. Its other bones say less than a lifter does.
_BONE_DEPTH = ((0.97, 0.06), (0.78, -0.01), (0.64, -0.01))


def _matrix() -> np.ndarray:
    """(21, 21) rows of weights with sum 1."""
    matrix = np.eye(N_JOINTS)
    for joint, neighbours in _WEIGHTS.items():
        for neighbour, weight in neighbours.items():
            matrix[joint, neighbour] = weight
            matrix[joint, joint] -= weight
    return matrix


_MATRIX = _matrix()
_INVERSE = np.linalg.inv(_MATRIX)


def own_joints(joints_px: np.ndarray) -> np.ndarray:
    """The teacher's joints (..., 21, 2) in Knuckle's convention, of the same type."""
    moved = np.einsum("jk,...kd->...jd", _MATRIX, joints_px)
    return moved.astype(np.asarray(joints_px).dtype, copy=False)


def teachers_joints(joints_px: np.ndarray) -> np.ndarray:
    """Knuckle's joints (..., 21, 2) where the teacher puts them: ``own_joints`` undone."""
    return np.einsum("jk,...kd->...jd", _INVERSE, joints_px)


def own_bone_depth(world_mm: np.ndarray) -> np.ndarray:
    """What the teacher's 3D says about depth: the phalanges of the four fingers.

    Its bones are too uncertain in length and its palm stands otherwise than ours, but whether a
    finger points towards the camera it has learnt from real pictures, which renders do not teach.

    Args:
        world_mm: (21, 3) the teacher's joints, z away from the camera.

    Returns:
        (20,) the share of each bone's length that leads away from the camera, expected given the
        teacher's answer; NaN of bones of the thumb and the palm.
    """
    bones = world_mm[BONES[:, 1]] - world_mm[BONES[:, 0]]
    said = bones[:, 2] / np.maximum(np.linalg.norm(bones, axis=1), 1e-6)
    depth = np.full(len(BONES), np.nan)
    for phalanx, (slope, offset) in enumerate(_BONE_DEPTH):
        ends_there = np.isin(BONES[:, 1], FINGERS[1:, phalanx + 1])
        depth[ends_there] = slope * said[ends_there] + offset
    return depth
