"""Two hands out of each other, and into touch."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numba
import numpy as np

from knuckle.render.contact.balls import MOVE_COLUMNS, MOVE_ROWS, MOVES, Balls, FlatHands
from knuckle.render.contact.flesh import Flesh
from knuckle.render.contact.gaps import NearestBalls
from knuckle.render.hand_model import N_BONES, HandParameters
from knuckle.render.poses import MAX_PENETRATION_MM, constrain
from knuckle.render.rotations import rotation_from_vector

#: How deep flesh is pressed where hands touch, by the balls, mm.
GIVE_MM = 1.0

#: The second hand as a whole: standard deviations of its shift (mm) and its turn (degrees).
_SHIFT_MM, _TURN_DEG = 6.0, 6.0
_SD = np.concatenate([
    np.full(3, _SHIFT_MM), np.full(3, np.deg2rad(_TURN_DEG)),
    *[np.deg2rad([sd for _, _, sd in MOVES])] * 2,
]).astype(np.float32)  # fmt: skip
_CONTACTS = 28  # overlaps looked at in one step
_OVERLAP_MM, _TOUCH_MM = 0.3, 1.5  # one unit of residual
_OWN_GIVE_MM = MAX_PENETRATION_MM - 1.0
_REACH_MM = 30.0  # what is further off is not pulled into touch
_LARGEST_STEP = 1.0  # in standard deviations
_SETTLED = 0.6  # residual below which nothing needs to be done any more
_PALM_MM = np.array([0.0, 60.0, 0.0], dtype=np.float32)  # about where the second hand turns


def resolve(
    first: HandParameters,
    second: HandParameters,
    touch: np.ndarray | None = None,
    *,
    steps: int = 14,
    give_mm: float | np.ndarray = GIVE_MM,
    freedom: np.ndarray | None = None,
) -> tuple[HandParameters, HandParameters]:
    """Move two hands until they no longer pass through each other, and touch where they shall.

    Damped Gauss-Newton on the deepest overlaps: each step is the smallest one, in units of how
    willingly every joint and the second hand move, that ends the overlaps as far as they are
    linear. What no longer overlaps is left where it is.

    Args:
        first: N hands; their wrists stay in their places.
        second: N hands in the same frame.
        touch: (N, S) bones that shall come to touch anything of the other hand: 0..18 of the first
            hand, 19 + bone of the second one, -1 for none. A bone further off than 30 mm is let be.
        steps: iterations.
        give_mm: overlap that is left, as flesh yields; one for all or (N,).
        freedom: (50,) factor on how willingly shift (3), turn (3), and the first and the second
            hand's ``MOVES`` (22 each) change; 1 if None.

    Returns:
        Both hands, moved. Whether they are free is for ``penetration_mm`` to say.
    """
    sd = _SD if freedom is None else _SD * np.asarray(freedom, np.float32)
    shapes = FlatHands.of(first.shape), FlatHands.of(second.shape)
    busy = np.arange(len(first))
    give = np.broadcast_to(np.asarray(give_mm, np.float32), len(first))[:, None]
    for _ in range(steps):
        one, two = first.take(busy), second.take(busy)
        own = shapes[0].take(busy), shapes[1].take(busy)
        closing = None if touch is None else touch[busy]
        residual, jacobian = _contacts(one, two, own, closing, give[busy])
        step = _least_step(residual, jacobian * sd) * sd
        one, two = _moved(one, two, step)
        first, second = first.with_rows(busy, one), second.with_rows(busy, two)
        busy = busy[np.abs(residual).max(axis=1) > _SETTLED]
        if not len(busy):
            break
    return first, second


@numba.njit(cache=True, nogil=True, fastmath=True)
def _least_step(residual: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """(N, 50) smallest step that ends the residuals (N, C) as far as it can, damped.

    With J the rows of residuals that are not zero: -J' (J J' + 1)^-1 residual, by Cholesky.
    """
    n_rows, n_moves = jacobian.shape[1:]
    steps = np.zeros((len(residual), n_moves), np.float32)
    lower = np.empty((n_rows, n_rows), np.float64)
    solved = np.empty(n_rows, np.float64)
    rows = np.empty(n_rows, np.int64)
    for n in range(len(residual)):
        count = 0
        for c in range(n_rows):
            if residual[n, c] != 0:
                rows[count] = c
                count += 1
        for i in range(count):
            for j in range(i + 1):
                total = 1.0 if i == j else 0.0
                for m in range(n_moves):
                    total += jacobian[n, rows[i], m] * jacobian[n, rows[j], m]
                for k in range(j):
                    total -= lower[i, k] * lower[j, k]
                lower[i, j] = np.sqrt(total) if i == j else total / lower[j, j]
        for i in range(count):
            total = np.float64(residual[n, rows[i]])
            for k in range(i):
                total -= lower[i, k] * solved[k]
            solved[i] = total / lower[i, i]
        for i in range(count - 1, -1, -1):
            for k in range(i + 1, count):
                solved[i] -= lower[k, i] * solved[k]
            solved[i] /= lower[i, i]
        for m in range(n_moves):
            total = 0.0
            for i in range(count):
                total -= jacobian[n, rows[i], m] * solved[i]
            steps[n, m] = min(max(total, -_LARGEST_STEP), _LARGEST_STEP)
    return steps


def _contacts(
    first: HandParameters, second: HandParameters, shapes: tuple[FlatHands, FlatHands],
    touch: np.ndarray | None, give_mm: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Residuals (N, C) and their slopes (N, C, 50): what overlaps, and what shall touch."""
    hands = first, second
    balls = [Balls.of(hand.pose_deg, shape) for hand, shape in zip(hands, shapes, strict=True)]
    turns = [hand.R_camera_from_right() for hand in hands]
    at = [
        ball.centre_mm @ turn.transpose(0, 2, 1) + hand.root_mm[:, None]
        for ball, turn, hand in zip(balls, turns, hands, strict=True)
    ]
    nearest = NearestBalls.of(at[0], balls[0].radius_mm, at[1], balls[1].radius_mm)
    one, two, gap = _deepest_pairs(nearest)
    weight = np.where(gap < -give_mm, 1.0 / _OVERLAP_MM, 0.0)
    if touch is not None:
        bone_one, bone_two, bone_gap = _nearest_to_bones(
            nearest.partner, nearest.gap_mm, touch, _first_balls()
        )
        one, two = np.concatenate([one, bone_one], 1), np.concatenate([two, bone_two], 1)
        gap = np.concatenate([gap, bone_gap], 1)
        weight = np.concatenate([weight, (bone_gap < _REACH_MM) / _TOUCH_MM], 1)
    weight = weight.astype(np.float32)
    ends = [np.take_along_axis(a, i[..., None], 1) for a, i in zip(at, (one, two), strict=True)]
    apart = ends[0] - ends[1]
    apart *= (weight / np.maximum(np.sqrt((apart**2).sum(axis=2)), 1e-3))[..., None]
    palm = (turns[1] @ _PALM_MM + second.root_mm)[:, None]
    jacobian = np.concatenate([
        -apart, -_cross(ends[1] - palm, apart),
        balls[0].slopes(one, apart @ turns[0]), -balls[1].slopes(two, apart @ turns[1]),
    ], axis=2)  # fmt: skip
    residual = (np.minimum(gap, _REACH_MM) + give_mm) * weight
    return _with_own_contacts(residual, jacobian, balls)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., 3) cross product; numpy's own takes four times as long."""
    return a[..., _NEXT] * b[..., _LAST] - a[..., _LAST] * b[..., _NEXT]


_NEXT, _LAST = np.array([1, 2, 0]), np.array([2, 0, 1])


def _with_own_contacts(
    residual: np.ndarray, jacobian: np.ndarray, balls: list[Balls]
) -> tuple[np.ndarray, np.ndarray]:
    """The residuals and slopes, and those of either hand's fingers in each other and the palm."""
    residuals, jacobians = [residual], [jacobian]
    for number, hand in enumerate(balls):
        gap, slopes = hand.own_contacts(_own_weight)
        residuals.append((gap + _OWN_GIVE_MM) * _own_weight(gap))
        wide = np.zeros((*gap.shape, jacobian.shape[2]), np.float32)
        low = 6 + number * len(MOVES)
        wide[..., low : low + len(MOVES)] = slopes
        jacobians.append(wide)
    return np.concatenate(residuals, axis=1), np.concatenate(jacobians, axis=1)


def _own_weight(gap_mm: np.ndarray) -> np.ndarray:
    """What a gap between two fingers of one hand counts: nothing unless they are too deep."""
    return np.where(gap_mm < -_OWN_GIVE_MM, np.float32(1.0 / _OVERLAP_MM), np.float32(0.0))


def _deepest_pairs(nearest: NearestBalls) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first hand's balls that are deepest in the second, each with its partner: (N, C) each."""
    partner, gap = nearest.partner[0], nearest.gap_mm[0]
    one = np.argpartition(gap, _CONTACTS, axis=1)[:, :_CONTACTS]
    return one, np.take_along_axis(partner, one, 1), np.take_along_axis(gap, one, 1)


@cache
def _first_balls() -> np.ndarray:
    """(20,) the first ball of each bone, and how many balls there are."""
    return np.searchsorted(Flesh.load().bone, np.arange(N_BONES + 1))


@numba.njit(cache=True, nogil=True)
def _nearest_to_bones(
    partner: np.ndarray, gap_mm: np.ndarray, touch: np.ndarray, first_ball: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest pair of balls and its gap for every bone of ``touch``: (N, S) each.

    The gap is infinite where there is no bone.
    """
    one, two = np.zeros(touch.shape, np.int64), np.zeros(touch.shape, np.int64)
    gap = np.full(touch.shape, np.inf, np.float32)
    for n in range(touch.shape[0]):
        for s in range(touch.shape[1]):
            if touch[n, s] < 0:
                continue
            hand, bone = touch[n, s] // N_BONES, touch[n, s] % N_BONES
            for own in range(first_ball[bone], first_ball[bone + 1]):
                if gap_mm[hand, n, own] < gap[n, s]:
                    gap[n, s] = gap_mm[hand, n, own]
                    other = partner[hand, n, own]
                    one[n, s], two[n, s] = (own, other) if hand == 0 else (other, own)
    return one, two, gap


def _moved(
    first: HandParameters, second: HandParameters, step: np.ndarray
) -> tuple[HandParameters, HandParameters]:
    """Both hands after a step (N, 50)."""
    shift, turn, *angles = np.split(step, [3, 6, 6 + len(MOVES)], axis=1)
    poses = []
    for hand, change in zip((first, second), angles, strict=True):
        pose = hand.pose_deg.copy()
        pose[:, MOVE_ROWS, MOVE_COLUMNS] += np.rad2deg(change)
        poses.append(constrain(pose))
    palm = second.R_camera_from_right() @ _PALM_MM + second.root_mm
    rotation = rotation_from_vector(turn)
    arm = (rotation @ (second.root_mm - palm)[..., None])[..., 0]
    return replace(first, pose_deg=poses[0]), replace(
        second,
        pose_deg=poses[1],
        R_camera_from_hand=rotation @ second.R_camera_from_hand,
        root_mm=palm + arm + shift,
    )
