"""The balls of posed hands, and how they move when joints turn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from knuckle.render.contact.flesh import Flesh
from knuckle.render.hand_model import (
    BONE_OF_JOINT,
    FINGER_ROWS,
    FLEXION,
    FOREARM_ROW,
    N_BONES,
    SPREAD,
    HandModel,
    rotation_from_angles,
)
from knuckle.render.poses import (
    DIP,
    MCP,
    PIP,
    finger_capsules,
    mean_palm_length_mm,
    segment_gap,
)

#: (22,) rows and columns of ``pose_deg`` that ``resolve`` may change, and how willingly: their
#: standard deviations in degrees. The wrist's turn the forearm.
MOVES = tuple(
    [(int(FINGER_ROWS[0, 0]), FLEXION, 8.0), (int(FINGER_ROWS[0, 0]), SPREAD, 8.0),
     (int(FINGER_ROWS[0, 1]), FLEXION, 10.0), (int(FINGER_ROWS[0, 2]), FLEXION, 10.0)]
    + [(int(row), FLEXION, 10.0) for row in MCP] + [(int(row), SPREAD, 5.0) for row in MCP]
    + [(int(row), FLEXION, 12.0) for row in PIP] + [(int(row), FLEXION, 7.0) for row in DIP]
    + [(FOREARM_ROW, FLEXION, 10.0), (FOREARM_ROW, SPREAD, 6.0)]
)  # fmt: skip
MOVE_ROWS = np.array([row for row, _, _ in MOVES])
MOVE_COLUMNS = np.array([column for _, column, _ in MOVES])


@dataclass(frozen=True, eq=False)
class Balls:
    """The balls of N posed hands, in each hand's own right-handed frame.

    Attributes:
        centre_mm, radius_mm: (N, K, 3) and (N, K).
        joints_mm: (N, 21, 3).
        axis, pivot_mm: (N, 22, 3) about what each of ``MOVES`` turns.
    """

    centre_mm: np.ndarray
    radius_mm: np.ndarray
    joints_mm: np.ndarray
    axis: np.ndarray
    pivot_mm: np.ndarray

    @classmethod
    def of(cls, pose_deg: np.ndarray, shape: FlatHands) -> Balls:
        """The balls of hands (N) in poses (N, 17, 3)."""
        model, flesh = HandModel.load(), Flesh.load()
        transforms = model.transforms_from_pose(pose_deg, shape.joints_mm)  # (N, 19, 3, 4)
        blended = (flesh.weight @ transforms.reshape(len(pose_deg), N_BONES, 12)).reshape(
            *shape.centre_mm.shape[:2], 3, 4
        )
        centre = (blended[..., :3] @ shape.centre_mm[..., None])[..., 0] + blended[..., 3]
        of_joint = transforms[:, BONE_OF_JOINT]
        joints = (of_joint[..., :3] @ shape.joints_mm[..., None])[..., 0] + of_joint[..., 3]
        axis, pivot = _axes(model, transforms, pose_deg, shape.joints_mm)
        return cls(centre, shape.radius_mm, joints, axis, pivot)

    def slopes(self, ball: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """(N, C, 22) mm per radian: how far balls (N, C) move along directions (N, C, 3)."""
        at = np.take_along_axis(self.centre_mm, ball[..., None], axis=1)
        return self._levers(at, direction) * _carried()[ball]

    def own_contacts(self, worst: int = 6) -> tuple[np.ndarray, np.ndarray]:
        """Gaps (N, C) between the fingers that reach deepest into each other or into the palm, by
        the capsules of ``poses.finger_penetration_mm``, and their slopes (N, C, 22).
        """
        starts, ends, radii, pairs = finger_capsules()
        one, two = pairs.T
        joints = self.joints_mm
        apart, at = segment_gap(
            joints[:, starts[one]], joints[:, ends[one]], joints[:, starts[two]],
            joints[:, ends[two]],
        )  # fmt: skip
        scale = np.linalg.norm(joints[:, 9] - joints[:, 0], axis=1) / mean_palm_length_mm()
        distance = np.linalg.norm(apart, axis=2)
        gap = distance - (radii[one] + radii[two]) * scale[:, None]
        deepest = np.argpartition(gap, worst, axis=1)[:, :worst]
        apart, at, distance = (
            np.take_along_axis(a, deepest[..., None], 1) for a in (apart, at, distance[..., None])
        )
        direction = apart / np.maximum(distance, 1e-3)
        slopes = self._levers(at, direction) * _carried_capsules()[one[deepest]]
        slopes -= self._levers(at - apart, direction) * _carried_capsules()[two[deepest]]
        return np.take_along_axis(gap, deepest, 1), slopes

    def _levers(self, at: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """(N, C, 22) what turning each joint does to points that it carries, along directions."""
        lever = np.cross(at, direction) @ self.axis.transpose(0, 2, 1)
        lever -= direction @ np.cross(self.axis, self.pivot_mm).transpose(0, 2, 1)
        return lever


@dataclass(frozen=True, eq=False)
class FlatHands:
    """What the shape of N hands says: flat joints (N, 21, 3), balls (N, K, 3) and (N, K)."""

    joints_mm: np.ndarray
    centre_mm: np.ndarray
    radius_mm: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> FlatHands:
        return FlatHands(self.joints_mm[rows], self.centre_mm[rows], self.radius_mm[rows])

    @classmethod
    def of(cls, shape: np.ndarray) -> FlatHands:
        """From the coefficients (N, S) of people's shapes."""
        return cls(HandModel.load().rest_joints(shape), *Flesh.load().rest(shape))


@cache
def _bones_of_moves() -> np.ndarray:
    """(22,) the bone that each of ``MOVES`` turns."""
    rows = HandModel.load().bone_pose_row
    return np.array([int(np.flatnonzero(rows == row)[-1]) for row in MOVE_ROWS])


@cache
def _carried_capsules() -> np.ndarray:
    """(19, 22) whether a joint of ``MOVES`` carries each of ``poses.finger_capsules``."""
    carried = np.zeros((19, len(MOVES)), np.float32)
    for finger, rows in enumerate(FINGER_ROWS):
        for bone in range(3):
            carried[3 * finger + bone] = np.isin(MOVE_ROWS, rows[: bone + 1])
    return carried


@cache
def _carried() -> np.ndarray:
    """(K, 22) share of each ball that goes along when a joint of ``MOVES`` turns."""
    parent, weight = HandModel.load().bone_parent, Flesh.load().weight
    carried = np.zeros((len(weight), len(MOVES)), np.float32)
    for bone in range(N_BONES):
        above, chain = bone, [bone]
        while parent[above] >= 0:
            above = int(parent[above])
            chain.append(above)
        carried += weight[:, bone : bone + 1] * np.isin(_bones_of_moves(), chain)
    return carried


def _axes(
    model: HandModel, transforms: np.ndarray, pose_deg: np.ndarray, joints_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Axes (N, 22, 3) and pivots (N, 22, 3) of ``MOVES`` in posed hands."""
    bones = _bones_of_moves()
    before = transforms[:, model.bone_parent[bones]]
    flexed = np.zeros((len(pose_deg), len(MOVES), 3), np.float32)
    flexed[..., 0] = pose_deg[:, MOVE_ROWS, FLEXION] * model.bone_pose_gain[bones]
    local = np.where((MOVE_COLUMNS == FLEXION)[:, None], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0])
    local = local * model.bone_pose_gain[bones, None]
    turned = rotation_from_angles(flexed) @ local.astype(np.float32)[..., None]
    axis = (before[..., :3] @ (model.R_hand_from_bone[bones] @ turned))[..., 0]
    pivot = joints_mm[:, model.bone_pivot[bones], :, None]
    return axis, (before[..., :3] @ pivot + before[..., 3:])[..., 0]
