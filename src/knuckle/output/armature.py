"""A moving hand as a skeleton with bones of constant length, for programs that animate.

The axes are those that such programs share: x right, **y up**, z towards the viewer; the camera is
at the origin and looks along -z. A rig's world is turned so that y is up. At rest a hand is flat,
its fingers along y, its palm towards z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knuckle.bones import STEP_OF_BONE, bone_frames, hand_frame
from knuckle.hand import BONES, FINGER_NAMES, N_BONES, N_JOINTS, Side, bone_lengths, bone_vectors
from knuckle.mesh import hand_skin
from knuckle.output.timeline import Motion

_SEGMENTS = ("Metacarpal", "Proximal", "Intermediate", "Distal")
_THUMB_SEGMENTS = ("Carpal", "Metacarpal", "Proximal", "Distal")


def bone_names(side: Side) -> list[str]:
    """(20,) as avatars call them: ``RightThumbCarpal``, … ``RightLittleDistal``."""
    return [
        f"{side.capitalize()}{finger.capitalize()}{segment}"
        for finger in FINGER_NAMES
        for segment in (_THUMB_SEGMENTS if finger == "thumb" else _SEGMENTS)
    ]


@dataclass(frozen=True, eq=False)
class Armature:
    """One hand. A bone turns about its near end, within the bone before it."""

    side: Side  # which hand
    rest_mm: np.ndarray  # (21, 3) the joints of the flat hand with this person's bones, wrist at 0
    root_mm: np.ndarray  # (T, 3) the wrist
    root: np.ndarray  # (T, 3, 3) how the whole hand is turned from rest
    turns: np.ndarray  # (T, 20, 3, 3) how each bone is turned, in the frame of the bone before it
    seen: np.ndarray  # (T,) bool

    @classmethod
    def of(cls, motion: Motion, side: Side) -> Armature:
        """Bones as long as they mostly are, turned as they were found."""
        joints = motion.joints_mm
        lengths = np.median(bone_lengths(joints[motion.seen]), axis=0)
        rest = rest_joints(lengths, side)
        whole = hand_frame(joints, side) @ hand_frame(rest, side).T
        back = bone_frames(rest, side).swapaxes(-1, -2)
        turned = bone_frames(joints, side) @ back  # (T, 20, 3, 3)
        before = np.concatenate([whole[:, None], turned[:, :-1]], axis=1)
        before[:, STEP_OF_BONE == 0] = whole[:, None]
        return cls(side, rest, joints[:, 0], whole, before.swapaxes(-1, -2) @ turned, motion.seen)

    @property
    def offsets_mm(self) -> np.ndarray:
        """(20, 3) from the near to the far end of each bone at rest."""
        return bone_vectors(self.rest_mm)

    def joints_mm(self) -> np.ndarray:
        """(T, 21, 3) where the joints come to lie, y up."""
        joints = np.empty((len(self.root), N_JOINTS, 3))
        joints[:, 0] = self.root_mm
        turned = self.root
        for bone, (near, far) in enumerate(BONES):
            turned = (self.root if STEP_OF_BONE[bone] == 0 else turned) @ self.turns[:, bone]
            joints[:, far] = joints[:, near] + turned @ self.offsets_mm[bone]
        return joints


def rest_joints(lengths_mm: np.ndarray, side: Side) -> np.ndarray:
    """(21, 3) a flat hand with bones (20,) of these lengths, wrist at 0."""
    flat = hand_skin().joints_mm * ([1, 1, 1] if side == "right" else [-1, 1, 1])
    along = bone_vectors(flat)
    along *= (lengths_mm / np.linalg.norm(along, axis=1))[:, None]
    joints = np.zeros((N_JOINTS, 3))
    for bone in range(N_BONES):
        near, far = BONES[bone]
        joints[far] = joints[near] + along[bone]
    return joints
