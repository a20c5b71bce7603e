"""The tip of the thumb meets the tip of a finger."""

from __future__ import annotations

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
    rotation_from_angles,
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
    n, count = len(pose_deg), len(moves)
    rows = FINGER_ROWS[finger]
    each = np.arange(n)[:, None]
    chains = np.tile(pose_deg[each, rows], (count + 1, 1, 1, 1))  # (K + 1, N, 3 bones, 3)
    for k, (bone, column, _) in enumerate(moves):
        chains[k + 1, :, bone, column] += probe_deg
    base = np.tile(_carrier_turn(pose_deg, finger), (count + 1, 1, 1))
    tips = _tip_ball(chains.reshape(-1, 3, 3), base, np.tile(finger, count + 1),
                        np.tile(contact_deg, count + 1)).reshape(count + 1, n, 6)  # fmt: skip
    return tips[0], ((tips[1:] - tips[0]) / probe_deg).transpose(1, 2, 0)


def _carrier_turn(pose_deg: np.ndarray, finger: np.ndarray) -> np.ndarray:
    """(N, 3, 3) turn of the metacarpal that carries each finger."""
    model = HandModel.load()
    gain = model.bone_pose_gain[_CARRIER[finger]]
    return rotation_from_angles(pose_deg[:, PALM_ARCH_ROW] * gain[:, None])


def _tip_ball(
    chain_deg: np.ndarray, base: np.ndarray, finger: np.ndarray, contact_deg: np.ndarray
) -> np.ndarray:
    """(N, 6) centre of the tip's ball (mm, hand frame, mean hand) and normal where it touches.

    ``chain_deg`` (N, 3 bones, 3) are the finger's own angles, ``base`` (N, 3, 3) the turn of the
    metacarpal, which turns about the wrist.
    """
    model = HandModel.load()
    bones = FINGER_ROWS[finger]  # the bones of fingers have the numbers of their pose rows
    frame = model.R_hand_from_bone[bones[:, 0]]  # one frame for the whole straight finger
    turns = rotation_from_angles(chain_deg)
    pivots = model.joints_mm[FINGERS[finger]]  # (N, 4, 3)
    lengths = np.linalg.norm(np.diff(pivots, axis=1), axis=2)  # (N, 3)
    rotation = base @ frame
    point = (base @ pivots[:, 0, :, None])[..., 0]
    for k in range(3):
        rotation = rotation @ turns[:, k]
        along = lengths[:, k] - (_TIP_SETBACK_MM if k == 2 else 0.0)
        point = point + rotation[..., 1] * along[:, None]
    angle = np.deg2rad(contact_deg)[:, None]
    normal = np.cos(angle) * rotation[..., 2] + np.sin(angle) * rotation[..., 1]
    return np.concatenate([point, normal], axis=1)


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
