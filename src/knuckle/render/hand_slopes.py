"""The joints of the parametric hand and their slopes: how each moves with each angle and shape.

The same kinematic chain as ``hand_model``, in float64 and for right hands only; what fits the hand
to labels (``fitting``) climbs down along these slopes. They are exact: a joint that hangs on a
turning bone moves at right angles to the axis (angles), and posed bones add up (shape).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float

from knuckle.hand import BONES, FINGERS, N_JOINTS
from knuckle.render.hand_model import (
    BONE_OF_JOINT,
    FINGER_ROWS,
    FOREARM_ROW,
    N_BONES,
    N_POSE_ROWS,
    HandModel,
)
from knuckle.render.poses import RANGES_DEG


def _free_angles() -> np.ndarray:
    free = RANGES_DEG[..., 1] > RANGES_DEG[..., 0]
    free[FOREARM_ROW] = False  # no joint of the hand depends on it
    return np.argwhere(free)


#: (A, 2) row and column of ``pose_deg`` of every angle that a joint depends on and anatomy allows.
FREE_ANGLES = _free_angles()
N_FREE = len(FREE_ANGLES)


def free_angles_of(pose_deg: np.ndarray) -> np.ndarray:
    """(N, A) the free angles of poses (N, 17, 3)."""
    return pose_deg[:, FREE_ANGLES[:, 0], FREE_ANGLES[:, 1]]


def pose_of(angles_deg: np.ndarray) -> np.ndarray:
    """(N, 17, 3) the poses with these free angles (N, A), all others 0."""
    pose = np.zeros((len(angles_deg), N_POSE_ROWS, 3))
    pose[:, FREE_ANGLES[:, 0], FREE_ANGLES[:, 1]] = angles_deg
    return pose


#: Bones that turn at the same time, from the palm outwards: metacarpals, then the fingers' bones.
_LEVELS = (np.array([17, 18]), *FINGER_ROWS.T)


@dataclass(frozen=True, eq=False)
class HandChain:
    """What the joints of a hand depend on."""

    bones_mm: np.ndarray  # (20, 3) the bones of the flat mean hand, parent joint to child joint
    bones_basis_mm: np.ndarray  # (S, 20, 3) how they grow with each coefficient of the shape
    parent: np.ndarray  # (19,) the bone that carries each bone of the skeleton
    frame: np.ndarray  # (19, 3, 3) ``R_hand_from_bone``
    row: np.ndarray  # (19,) row of the pose that turns each bone
    gain: np.ndarray  # (19,) the share that each takes of it
    pivot: np.ndarray  # (K,) joint about which each elementary turn turns
    turn: np.ndarray  # (K, 2) bone and column of each elementary turn
    turn_angle: np.ndarray  # (K,) which of ``FREE_ANGLES`` drives it
    turn_gain: np.ndarray  # (K,) and by how much
    pair: np.ndarray  # (M, 2) elementary turn and a joint that it moves

    @classmethod
    def of(cls, model: HandModel) -> HandChain:
        """The chain of a hand model."""
        turns = [
            (bone, column, angle)
            for angle, (row, column) in enumerate(FREE_ANGLES)
            for bone in np.flatnonzero((model.bone_pose_row == row) & (model.bone_pose_gain != 0))
        ]
        turn = np.array([(bone, column) for bone, column, _ in turns])
        pairs = [
            (k, joint)
            for k, (bone, _) in enumerate(turn)
            for joint in range(N_JOINTS)
            # A bone does not move the joint about which it turns.
            if bone in _carriers(model, joint) and joint != model.bone_pivot[bone]
        ]
        return cls(
            bones_mm=_bones(model.joints_mm),
            bones_basis_mm=_bones(model.joints_basis_mm),
            parent=model.bone_parent,
            frame=model.R_hand_from_bone.astype(np.float64),
            row=model.bone_pose_row,
            gain=model.bone_pose_gain.astype(np.float64),
            pivot=model.bone_pivot[turn[:, 0]],
            turn=turn,
            turn_angle=np.array([angle for *_, angle in turns]),
            turn_gain=model.bone_pose_gain[turn[:, 0]].astype(np.float64),
            pair=np.array(pairs),
        )

    @property
    def n_shape(self) -> int:
        """Number of shape coefficients."""
        return len(self.bones_basis_mm)

    def joints(
        self, angles_deg: Float[np.ndarray, "hand angle"], shape: Float[np.ndarray, "hand shape"]
    ) -> Float[np.ndarray, "hand 21 3"]:
        """Joints in the right hand's frame, wrist at the origin, mm."""
        return self._posed(angles_deg, shape)[0]

    def joints_and_slopes(
        self, angles_deg: Float[np.ndarray, "hand angle"], shape: Float[np.ndarray, "hand shape"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Joints, and their derivatives.

        Args:
            angles_deg: (N, A) in the order of ``FREE_ANGLES``.
            shape: (N, S) coefficients.

        Returns:
            (N, 21, 3) mm in the right hand's frame, and (N, 21, 3, A + S) mm per degree and per
            unit of shape.
        """
        joints, turned, axes = self._posed(angles_deg, shape)
        slopes = np.zeros((*joints.shape, N_FREE + self.n_shape))

        turn, joint = self.pair.T
        bone, column = self.turn[turn].T
        axis = axes[:, bone, :, column].transpose(1, 0, 2)  # (N, M, 3)
        arm = joints[:, joint] - joints[:, self.pivot[turn]]
        per_degree = np.deg2rad(self.turn_gain[turn])[:, None]
        slopes[:, joint, :, self.turn_angle[turn]] = (
            per_degree * np.cross(axis, arm)
        ).transpose(1, 0, 2)  # fmt: skip

        grown = turned[:, BONE_OF_JOINT[1:]] @ self.bones_basis_mm.transpose(1, 2, 0)
        slopes[..., N_FREE:][:, 1:] = _along_fingers(grown)  # (N, 20, 3, S)
        return joints, slopes

    def _posed(
        self, angles_deg: np.ndarray, shape: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Joints (N, 21, 3), turns of the bones (N, 19, 3, 3), axes of their angles in columns."""
        pose = pose_of(angles_deg)
        local, local_axes = _turn_and_axes(pose[:, self.row] * self.gain[:, None])
        turned = np.tile(np.eye(3), (len(pose), N_BONES, 1, 1))
        axes = np.zeros_like(turned)
        for bones in _LEVELS:
            frame = turned[:, self.parent[bones]] @ self.frame[bones]
            axes[:, bones] = frame @ local_axes[:, bones]
            turned[:, bones] = frame @ local[:, bones] @ self.frame[bones].transpose(0, 2, 1)
        flat = self.bones_mm + np.tensordot(shape, self.bones_basis_mm, axes=1)  # (N, 20, 3)
        joints = np.zeros((len(pose), N_JOINTS, 3))
        joints[:, 1:] = _along_fingers((turned[:, BONE_OF_JOINT[1:]] @ flat[..., None])[..., 0])
        return joints, turned, axes


@cache
def hand_chain() -> HandChain:
    """The chain of the hand that ships in the package."""
    return HandChain.of(HandModel.load())


def _bones(joints: np.ndarray) -> np.ndarray:
    """(..., 21, 3) joints -> (..., 20, 3) bones, float64."""
    joints = joints.astype(np.float64)
    return joints[..., BONES[:, 1], :] - joints[..., BONES[:, 0], :]


def _carriers(model: HandModel, joint: int) -> list[int]:
    """The bones on which a joint hangs, the last first."""
    bones = [int(BONE_OF_JOINT[joint])]
    while model.bone_parent[bones[-1]] >= 0:
        bones.append(int(model.bone_parent[bones[-1]]))
    return bones


def _along_fingers(steps: np.ndarray) -> np.ndarray:
    """Sums from the wrist to each joint: (N, 20, ...) of each bone -> (N, 20, ...)."""
    by_finger = steps.reshape(len(steps), *FINGERS.shape, *steps.shape[2:])
    return by_finger.cumsum(axis=2).reshape(steps.shape)


def _turn_and_axes(angles_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rx(flexion) @ Rz(-spread) @ Ry(twist), and the axes about which each angle turns it.

    (..., 3) degrees -> (..., 3, 3) and (..., 3, 3), axes in columns, both in the bone's frame.
    """
    radians = np.deg2rad(angles_deg)
    (cf, cs, ct), (sf, ss, st) = np.moveaxis(np.cos(radians), -1, 0), np.moveaxis(
        np.sin(radians), -1, 0)  # fmt: skip
    zero, one = np.zeros_like(cf), np.ones_like(cf)
    # The columns of Rx @ Rz: twist turns about the second, spread against the third of Rx.
    x = np.stack([cs, -cf * ss, -sf * ss], axis=-1)
    y = np.stack([ss, cf * cs, sf * cs], axis=-1)
    z = np.stack([zero, -sf, cf], axis=-1)
    ct, st = ct[..., None], st[..., None]
    turn = np.stack([ct * x - st * z, y, st * x + ct * z], axis=-1)
    flexion_axis = np.stack([one, zero, zero], axis=-1)
    return turn, np.stack([flexion_axis, -z, y], axis=-1)
