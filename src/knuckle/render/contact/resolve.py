"""Two hands out of each other, and into touch."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from knuckle.render.contact.balls import MOVE_COLUMNS, MOVE_ROWS, MOVES, Balls, FlatHands
from knuckle.render.contact.flesh import Flesh
from knuckle.render.contact.gaps import gaps_between, turns_of
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
        one, two = first[busy], second[busy]
        own = shapes[0][busy], shapes[1][busy]
        closing = None if touch is None else touch[busy]
        residual, jacobian = _contacts(one, two, own, closing, give[busy])
        step = _least_step(residual, jacobian * sd) * sd
        one, two = _moved(one, two, step)
        first, second = first.with_rows(busy, one), second.with_rows(busy, two)
        busy = busy[np.abs(residual).max(axis=1) > _SETTLED]
        if not len(busy):
            break
    return first, second


def _least_step(residual: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """(N, 50) smallest step that ends the residuals (N, C) as far as it can, damped."""
    turned = jacobian.transpose(0, 2, 1)
    normal = jacobian @ turned + np.eye(residual.shape[1], dtype=np.float32)
    step = -(turned @ np.linalg.solve(normal, residual[..., None]))[..., 0]
    return np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)


def _contacts(
    first: HandParameters, second: HandParameters, shapes: tuple[FlatHands, FlatHands],
    touch: np.ndarray | None, give_mm: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Residuals (N, C) and their slopes (N, C, 50): what overlaps, and what shall touch."""
    hands = first, second
    balls = [Balls.of(hand.pose_deg, shape) for hand, shape in zip(hands, shapes, strict=True)]
    turns = [turns_of(hand) for hand in hands]
    at = [
        ball.centre_mm @ turn.transpose(0, 2, 1) + hand.root_mm[:, None]
        for ball, turn, hand in zip(balls, turns, hands, strict=True)
    ]
    gaps = gaps_between(at[0], balls[0].radius_mm, at[1], balls[1].radius_mm)
    one, two, gap = _deepest_pairs(gaps)
    weight = np.where(gap < -give_mm, 1.0 / _OVERLAP_MM, 0.0)
    if touch is not None:
        bone_one, bone_two, bone_gap = _nearest_to_bones(gaps, touch)
        wanted = (touch >= 0) & (bone_gap < 30.0)
        one, two = np.concatenate([one, bone_one], 1), np.concatenate([two, bone_two], 1)
        gap = np.concatenate([gap, bone_gap], 1)
        weight = np.concatenate([weight, wanted / _TOUCH_MM], 1)
    weight = weight.astype(np.float32)
    ends = [np.take_along_axis(a, i[..., None], 1) for a, i in zip(at, (one, two), strict=True)]
    apart = ends[0] - ends[1]
    apart /= np.maximum(np.linalg.norm(apart, axis=2, keepdims=True), 1e-3)
    palm = (turns[1] @ _PALM_MM + second.root_mm)[:, None]
    jacobian = np.concatenate([
        -apart, -np.cross(ends[1] - palm, apart),
        balls[0].slopes(one, apart @ turns[0]), -balls[1].slopes(two, apart @ turns[1]),
    ], axis=2)  # fmt: skip
    residual, jacobian = (gap + give_mm) * weight, jacobian * weight[..., None]
    return _with_own_contacts(residual, jacobian, balls)


def _with_own_contacts(
    residual: np.ndarray, jacobian: np.ndarray, balls: list[Balls]
) -> tuple[np.ndarray, np.ndarray]:
    """The residuals and slopes, and those of either hand's fingers in each other and the palm."""
    residuals, jacobians = [residual], [jacobian]
    for number, hand in enumerate(balls):
        gap, slopes = hand.own_contacts()
        weight = np.where(gap < -_OWN_GIVE_MM, 1.0 / _OVERLAP_MM, 0.0).astype(np.float32)
        residuals.append((gap + _OWN_GIVE_MM).astype(np.float32) * weight)
        wide = np.zeros((*gap.shape, jacobian.shape[2]), np.float32)
        low = 6 + number * len(MOVES)
        wide[..., low : low + len(MOVES)] = slopes * weight[..., None]
        jacobians.append(wide)
    return np.concatenate(residuals, axis=1), np.concatenate(jacobians, axis=1)


def _deepest_pairs(gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first hand's balls that are deepest in the second, each with its partner: (N, C) each."""
    partner = gaps.argmin(axis=2)
    least = np.take_along_axis(gaps, partner[..., None], 2)[..., 0]
    one = np.argpartition(least, _CONTACTS, axis=1)[:, :_CONTACTS]
    return one, np.take_along_axis(partner, one, 1), np.take_along_axis(least, one, 1)


def _nearest_to_bones(
    gaps: np.ndarray, touch: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every bone of ``touch`` its nearest pair of balls and their gap: (N, S) each."""
    starts = np.searchsorted(Flesh.load().bone, np.arange(N_BONES + 1))
    each = np.arange(len(gaps))
    found = []
    for side in (gaps, gaps.transpose(0, 2, 1)):
        partner = side.argmin(axis=2)
        least = np.take_along_axis(side, partner[..., None], 2)[..., 0]
        for low, high in pairwise(starts):
            own = low + least[:, low:high].argmin(axis=1)
            found.append((own, partner[each, own], least[each, own]))
    own, partner, least = (np.stack(values, axis=1) for values in zip(*found, strict=True))
    slot = np.maximum(touch, 0)
    own, partner, least = (np.take_along_axis(a, slot, 1) for a in (own, partner, least))
    of_second = slot >= N_BONES
    return np.where(of_second, partner, own), np.where(of_second, own, partner), least


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
    palm = turns_of(second) @ _PALM_MM + second.root_mm
    rotation = rotation_from_vector(turn)
    arm = (rotation @ (second.root_mm - palm)[..., None])[..., 0]
    return replace(first, pose_deg=poses[0]), replace(
        second,
        pose_deg=poses[1],
        R_camera_from_hand=rotation @ second.R_camera_from_hand,
        root_mm=palm + arm + shift,
    )
