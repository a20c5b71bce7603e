"""The tip of the thumb meets the tip of a finger."""

from __future__ import annotations

import numba
import numpy as np
from jaxtyping import Float

from knuckle.hand import FINGERS
from knuckle.render.hand_model import (
    FINGER_ROWS,
    FLEXION,
    PALM_ARCH_ROW,
    SPREAD,
    TWIST,
    HandModel,
    product,
    rotation_from_angles,
    turn_about_axes,
)
from knuckle.render.poses.anatomy import THUMB, constrain
from knuckle.render.poses.penetration import mean_hand_joints

# Which angles of the thumb and of a finger may move to bring their tips together: bone of the
# chain, column, and how willingly (standard deviation, degrees).
_THUMB_MOVES = ((0, FLEXION, 15.0), (0, SPREAD, 12.0), (0, TWIST, 10.0), (1, FLEXION, 14.0),
                (2, FLEXION, 14.0))  # fmt: skip
_FINGER_MOVES = ((0, FLEXION, 12.0), (0, SPREAD, 5.0), (1, FLEXION, 14.0), (2, FLEXION, 10.0))
# A fingertip is a ball around a point this far before the tip joint, with this radius (mm).
_TIP_SETBACK_MM = 2.0
_TIP_RADIUS_MM = np.array([6.4, 5.6, 5.6, 5.5, 4.7])
TIP_PRESS_MM = 1.0  # by how much two tips flatten each other
_CARRIER = np.array([0, 0, 0, 17, 18])  # bone that carries each finger's base


def meet_thumb(
    pose_deg: np.ndarray, finger: np.ndarray, contact_deg: np.ndarray, steps: int = 5
) -> np.ndarray:
    """Move thumb and one finger of each pose so that their tips touch.

    Damped Gauss-Newton: the balls of the two tips must touch, the normals at the places where they
    are meant to touch should face each other, and the pose should stay near the given one.

    Args:
        pose_deg: (N, 17, 3).
        finger: (N,) int, ``INDEX`` .. ``LITTLE``.
        contact_deg: (N, 2) where thumb and finger touch: 0 the middle of the pad, 90 the very tip.
        steps: iterations.

    Returns:
        (N, 17, 3) degrees within range.
    """
    moved = pose_deg.copy()
    thumb = np.full_like(finger, THUMB)
    sides = ((thumb, _THUMB_MOVES, contact_deg[:, 0]), (finger, _FINGER_MOVES, contact_deg[:, 1]))
    starts = [_moving_angles(pose_deg, which, moves)[0] for which, moves, _ in sides]
    sigma = np.array([sd for _, moves, _ in sides for *_, sd in moves])
    distance = (_TIP_RADIUS_MM[THUMB] + _TIP_RADIUS_MM[finger] - TIP_PRESS_MM)[:, None]
    each = np.arange(len(moved))[:, None]
    for _ in range(steps):
        tips, slopes = zip(*(_tip_jacobian(moved, *side) for side in sides), strict=True)
        centre_gap = tips[0][:, :3] - tips[1][:, :3]
        meant = tips[0][:, 3:] - tips[1][:, 3:]  # direction from thumb to finger, were they facing
        meant /= np.linalg.norm(meant, axis=1, keepdims=True)
        residual = np.concatenate(
            [centre_gap + distance * meant, tips[0][:, 3:] + tips[1][:, 3:]], axis=1
        )
        finger_sign = np.repeat([-1.0, 1.0], 3)[:, None]
        jacobian = np.concatenate([slopes[0], slopes[1] * finger_sign], axis=2)  # (N, 6, 9)
        residual, jacobian = residual / _TOLERANCE, jacobian / _TOLERANCE[:, None]
        pull = np.concatenate([
            _moving_angles(moved, which, moves)[0] - start
            for (which, moves, _), start in zip(sides, starts, strict=True)], axis=1)  # fmt: skip
        transposed = jacobian.transpose(0, 2, 1)
        normal = transposed @ jacobian + np.diag(1.0 / sigma**2)
        gradient = (transposed @ residual[..., None])[..., 0] + pull / sigma**2
        step = np.clip(-np.linalg.solve(normal, gradient[..., None])[..., 0], -25.0, 25.0)
        parts = np.split(step, [len(_THUMB_MOVES)], axis=1)
        for (which, moves, _), part in zip(sides, parts, strict=True):
            angles, rows, columns = _moving_angles(moved, which, moves)
            moved[each, rows, columns] = angles + part
        moved = constrain(moved)
    return moved


# One unit of residual: 0.4 mm between the tips, 0.35 between their normals.
_TOLERANCE = np.repeat([0.4, 0.35], 3)


def _moving_angles(
    pose_deg: np.ndarray, finger: np.ndarray, moves: tuple[tuple[int, int, float], ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles (N, K) of ``moves`` on each pose's finger, with their rows (N, K) and columns (K,)."""
    rows = FINGER_ROWS[finger][:, [bone for bone, _, _ in moves]]
    columns = np.array([column for _, column, _ in moves])
    return pose_deg[np.arange(len(pose_deg))[:, None], rows, columns], rows, columns


def _tip_jacobian(
    pose_deg: np.ndarray,
    finger: np.ndarray,
    moves: tuple[tuple[int, int, float], ...],
    contact_deg: np.ndarray,
    probe_deg: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Centre and normal of the tip (N, 6), and their slopes (N, 6, K) per degree."""
    model = HandModel.load()
    tips = np.empty((len(pose_deg), 6))
    slopes = np.empty((len(pose_deg), 6, len(moves)))
    bones, columns = np.array([move[:2] for move in moves]).T
    rows = FINGER_ROWS[finger]  # the bones of fingers have the numbers of their pose rows
    _fill_tips(
        pose_deg[np.arange(len(pose_deg))[:, None], rows], _carrier_turn(pose_deg, finger),
        model.R_hand_from_bone[rows[:, 0]],  # one frame for the whole straight finger
        model.joints_mm[FINGERS[finger]], np.deg2rad(contact_deg), bones, columns, probe_deg,
        tips, slopes,
    )  # fmt: skip
    return tips, slopes


def _carrier_turn(pose_deg: np.ndarray, finger: np.ndarray) -> np.ndarray:
    """(N, 3, 3) turn of the metacarpal that carries each finger."""
    model = HandModel.load()
    gain = model.bone_pose_gain[_CARRIER[finger]]
    return rotation_from_angles(pose_deg[:, PALM_ARCH_ROW] * gain[:, None])


@numba.njit(cache=True, nogil=True)
def _fill_tips(
    chain_deg: np.ndarray, base: np.ndarray, frame: np.ndarray, joints: np.ndarray,
    contact: np.ndarray, bones: np.ndarray, columns: np.ndarray, probe_deg: float,
    tips: np.ndarray, slopes: np.ndarray,
) -> None:  # fmt: skip
    """Tips (N, 6) and their slopes (N, 6, K) by finite differences, see ``_tip_ball``."""
    probed, tip, lengths = np.empty((3, 3)), np.empty(6), np.empty(3)
    start = np.empty((3, 3))
    for n in range(len(chain_deg)):
        for k in range(3):
            lengths[k] = np.sqrt(((joints[n, k + 1] - joints[n, k]) ** 2).sum())
        lengths[2] -= _TIP_SETBACK_MM
        product(base[n], frame[n], start)
        knuckle = base[n, :, 0] * joints[n, 0, 0]
        for c in range(1, 3):
            knuckle += base[n, :, c] * joints[n, 0, c]
        _tip_ball(chain_deg[n], start, knuckle, lengths, contact[n], tips[n])
        for k in range(len(bones)):
            probed[:] = chain_deg[n]
            probed[bones[k], columns[k]] += probe_deg
            _tip_ball(probed, start, knuckle, lengths, contact[n], tip)
            slopes[n, :, k] = (tip - tips[n]) / probe_deg


@numba.njit(cache=True, nogil=True)
def _tip_ball(
    chain_deg: np.ndarray, start: np.ndarray, knuckle: np.ndarray, lengths: np.ndarray,
    contact: float, tip: np.ndarray,
) -> None:  # fmt: skip
    """Fill (6,) centre of the tip's ball (mm, hand frame, mean hand), and normal where it touches.

    ``chain_deg`` (3 bones, 3) are the finger's own angles; it begins at ``knuckle`` (3,) with its
    axes turned by ``start`` (3, 3), and is touched at an angle (radians) from the pad's middle.
    """
    turn, before, after = np.empty((3, 3)), start.copy(), np.empty((3, 3))
    tip[:3] = knuckle
    for k in range(3):
        turn_about_axes(np.radians(chain_deg[k]), 1.0, turn)
        product(before, turn, after)
        before[:] = after
        tip[:3] += after[:, 1] * lengths[k]
    tip[3:] = np.cos(contact) * after[:, 2] + np.sin(contact) * after[:, 1]


def tip_gap_mm(pose_deg: Float[np.ndarray, "hand 17 3"], finger: np.ndarray) -> np.ndarray:
    """(N,) gap between the balls of the thumb's tip and of a finger's, negative if they overlap.

    On the mean hand, in mm; ``finger`` (N,) is ``INDEX`` .. ``LITTLE``.
    """
    joints = mean_hand_joints(pose_deg)
    centres = []
    for which in (np.full_like(finger, THUMB), finger):
        before, tip = (joints[np.arange(len(joints)), FINGERS[which, k]] for k in (2, 3))
        back = before - tip
        back /= np.linalg.norm(back, axis=1, keepdims=True)
        centres.append(tip + _TIP_SETBACK_MM * back)
    distance = np.linalg.norm(centres[0] - centres[1], axis=1)
    return distance - _TIP_RADIUS_MM[THUMB] - _TIP_RADIUS_MM[finger]
