"""Fingers as avatars have them: bones of the VMC protocol, turned from the T-pose.

VMC speaks Unity's language: x right, y up, z forward, left-handed, metres, quaternions with w last.
In the T-pose the right hand's fingers point along x, the left hand's against it, palms down, thumbs
to the front and half out.
"""

from __future__ import annotations

import numpy as np

from knuckle.bones import quaternions
from knuckle.hand import FINGERS, Joint, bone_vectors, palm_frame
from knuckle.results import HandPose

#: Unity's names of the fingers, and of a finger's bones, base to tip.
_FINGERS = ("Thumb", "Index", "Middle", "Ring", "Little")
_BONES = ("Proximal", "Intermediate", "Distal")
#: Where fingers point in the T-pose, in the axes of the palm (thumb's side, knuckles, out of it).
_AHEAD, _THUMB = np.array([0.0, 1.0, 0.0]), np.array([0.5**0.5, 0.5**0.5, 0.0])
#: The palm's axes in the T-pose, in Unity's: columns for a right hand; a left one mirrors it.
_UNITY_FROM_PALM = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
_MIRROR = np.array([-1.0, 1.0, 1.0])
#: Camera frame (x right, y down, z forward, mm) to Unity's (m).
_UNITY_FROM_CAMERA = np.array([1.0, -1.0, 1.0]) / 1000


def bone_rotations(hand: HandPose) -> dict[str, np.ndarray]:
    """The 15 finger bones of a hand: Unity's name -> (4,) quaternion from its parent bone.

    The hand itself is the parent of the finger's first bones. A bone is swung from its parent's
    direction into its own by the shortest way: no finger twists.
    """
    mirror = np.ones(3) if hand.side == "right" else _MIRROR
    in_palm = bone_vectors(hand.joints_mm) @ palm_frame(hand.joints_mm, hand.side)
    in_unity = (in_palm @ _UNITY_FROM_PALM.T) * mirror
    rotations = {}
    for finger, name in enumerate(_FINGERS):
        rest = _UNITY_FROM_PALM @ (_THUMB if finger == 0 else _AHEAD) * mirror
        parent = np.eye(3)
        # The bones that end beyond a finger's first joint; of a thumb, Unity calls the metacarpal
        # proximal.
        for joint, bone in zip(FINGERS[finger, 1:], _BONES, strict=True):
            along = in_unity[joint - 1]
            turned = _shortest_turn(parent @ rest, along) @ parent
            rotations[f"{hand.side.title()}{name}{bone}"] = quaternions(parent.T @ turned)
            parent = turned
    return rotations


def wrist_pose(hand: HandPose) -> tuple[np.ndarray, np.ndarray]:
    """Where the wrist is, seen from the camera, in Unity's axes: (3,) m and (4,) quaternion.

    The quaternion turns the hand of the T-pose into this one.
    """
    mirror = np.ones(3) if hand.side == "right" else _MIRROR
    palm = palm_frame(hand.joints_mm, hand.side) * np.array([[1.0], [-1.0], [1.0]])
    rest = mirror[:, None] * _UNITY_FROM_PALM
    return hand.joints_mm[Joint.WRIST] * _UNITY_FROM_CAMERA, quaternions(palm @ rest.T)


def _shortest_turn(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(3, 3) the smallest rotation that takes one direction to another (Rodrigues)."""
    start, end = start / np.linalg.norm(start), end / max(float(np.linalg.norm(end)), 1e-9)
    axis, cos = np.cross(start, end), float(start @ end)
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + skew + skew @ skew / max(1 + cos, 1e-6)
