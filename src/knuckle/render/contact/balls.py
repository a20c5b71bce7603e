"""The balls of posed hands, and how they move when joints turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numba
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
)
from knuckle.render.poses import (
    DIP,
    MCP,
    PIP,
    capsule_gaps_mm,
    finger_capsules,
    segment_gap,
)
from knuckle.rows import Rows

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


#: From gaps to weights of the same shape.
Weigh = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Balls:
    """The balls of N posed hands, in each hand's own right-handed frame."""

    #: ``centre_mm``, ``radius_mm``: (N, K, 3) and (N, K).
    centre_mm: np.ndarray
    radius_mm: np.ndarray
    joints_mm: np.ndarray  # (N, 21, 3)
    axis: np.ndarray  # (N, 22, 3) along which each of ``MOVES`` turns
    pivot_mm: np.ndarray  # (N, 22, 3) about which it does

    @classmethod
    def of(cls, pose_deg: np.ndarray, shape: FlatHands) -> Balls:
        """The balls of hands (N) in poses (N, 17, 3)."""
        model, flesh = HandModel.load(), Flesh.load()
        transforms = model.transforms_from_pose(pose_deg, shape.joints_mm)  # (N, 19, 3, 4)
        blended = flesh.weight @ transforms.reshape(len(pose_deg), N_BONES, 12)
        blended = blended.reshape(*shape.centre_mm.shape[:2], 3, 4)
        centre = blended[..., 3].copy()
        for k in range(3):
            centre += blended[..., k] * shape.centre_mm[..., k, None]
        of_joint = transforms[:, BONE_OF_JOINT]
        joints = (of_joint[..., :3] @ shape.joints_mm[..., None])[..., 0] + of_joint[..., 3]
        axis, pivot = _axes(model, transforms, pose_deg, shape.joints_mm)
        return cls(centre, shape.radius_mm, joints, axis, pivot)

    def slopes(self, ball: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """(N, C, 22) mm per radian: how far balls (N, C) move along directions (N, C, 3)."""
        at = np.take_along_axis(self.centre_mm, ball[..., None], axis=1)
        return self._levers(at, direction, ball, _carried())

    def own_contacts(self, weight_of: Weigh, worst: int = 6) -> tuple[np.ndarray, np.ndarray]:
        """Fingers that reach deepest into each other or into the palm.

        By the capsules of ``poses.finger_penetration_mm``.

        Args:
            weight_of: weights (N, C) of gaps (N, C).
            worst: C, so many are looked at.

        Returns:
            Their gaps (N, C) and slopes (N, C, 22), the latter weighted.
        """
        starts, ends, _, pairs = finger_capsules()
        gaps = capsule_gaps_mm(self.joints_mm)
        deepest = np.argpartition(gaps, worst, axis=1)[:, :worst]
        gap = np.take_along_axis(gaps, deepest, 1)
        weight = weight_of(gap)
        one, two = pairs[deepest].transpose(2, 0, 1)
        corners = [
            np.take_along_axis(self.joints_mm, joint[..., None], 1)
            for joint in (starts[one], ends[one], starts[two], ends[two])
        ]
        apart, at = segment_gap(*corners)
        distance = np.sqrt((apart**2).sum(axis=2))
        direction = apart * (weight / np.maximum(distance, 1e-3))[..., None]
        slopes = self._levers(at, direction, one, _carried_capsules())
        slopes -= self._levers(at - apart, direction, two, _carried_capsules())
        return gap, slopes

    def _levers(
        self, at: np.ndarray, direction: np.ndarray, body: np.ndarray, carried: np.ndarray
    ) -> np.ndarray:
        # Of one layout, or each layout is compiled for seconds.
        pivot, body = np.ascontiguousarray(self.pivot_mm), np.ascontiguousarray(body)
        return _levers(at, direction, self.axis, pivot, body, carried)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _levers(
    at: np.ndarray, direction: np.ndarray, axis: np.ndarray, pivot: np.ndarray,
    body: np.ndarray, carried: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """(N, C, 22) what turning each joint does to points (N, C, 3), along directions (N, C, 3).

    Each point belongs to one of some bodies (N, C), of which ``carried`` (B, 22) says how much
    each joint takes along.
    """
    n_moves = axis.shape[1]
    levers = np.zeros((*body.shape, n_moves), np.float32)
    for n in range(body.shape[0]):
        for c in range(body.shape[1]):
            dx, dy, dz = direction[n, c]
            if dx == 0 and dy == 0 and dz == 0:
                continue
            for m in range(n_moves):
                share = carried[body[n, c], m]
                if share == 0:
                    continue
                x, y, z = at[n, c] - pivot[n, m]
                ax, ay, az = axis[n, m]
                turned = (ay * z - az * y) * dx + (az * x - ax * z) * dy + (ax * y - ay * x) * dz
                levers[n, c, m] = share * turned
    return levers


@dataclass(frozen=True, eq=False)
class FlatHands(Rows):
    """What the shape of N hands says: flat joints (N, 21, 3), balls (N, K, 3) and (N, K)."""

    joints_mm: np.ndarray
    centre_mm: np.ndarray
    radius_mm: np.ndarray

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
    gain = model.bone_pose_gain[bones]
    flexion = np.deg2rad(pose_deg[:, MOVE_ROWS, FLEXION] * gain)
    # The axis of flexion stays; that of spread, -z, turns about it.
    local = np.zeros((len(pose_deg), len(MOVES), 3), np.float32)
    spreads = MOVE_COLUMNS == SPREAD
    local[..., 0] = ~spreads * gain
    local[..., 1] = np.sin(flexion) * spreads * gain
    local[..., 2] = -np.cos(flexion) * spreads * gain
    axis = (before[..., :3] @ (model.R_hand_from_bone[bones] @ local[..., None]))[..., 0]
    pivot = joints_mm[:, model.bone_pivot[bones], :, None]
    return axis, (before[..., :3] @ pivot + before[..., 3:])[..., 0]
