"""Movements of two hands that come together, touch and part: smooth from keyframe to keyframe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from knuckle.errors import InputError
from knuckle.render.contact import gap_mm, resolve
from knuckle.render.hand_model import FOREARM_ROW, HandModel, HandParameters
from knuckle.render.interaction.closing import (
    MAX_GAP_MM,
    Contact,
    are_free,
    meet,
    moved_apart,
    own_penetration_mm,
)
from knuckle.render.interaction.frames import (
    Pair,
    body_turn,
    direction_between,
    merged,
    mirror,
    palm_mm,
    palm_offset,
    turned,
    unit,
)
from knuckle.render.interaction.meetings import NAMES, shares_of
from knuckle.render.poses import MAX_PENETRATION_MM, constrain, minimum_jerk, sample_poses
from knuckle.render.rotations import rotation_from_vector, vector_from_rotation

#: Smoothing of the changes that resolve contact, pass by pass, s; the last pass is not smoothed.
_SMOOTH_S = (0.10, 0.06, 0.03, 0.0)
_SHORTEST_S = 2.8  # less than any meeting with its coming and going lasts
_DETOUR_MM = 320.0  # from palm to palm
_PACE_MM_S, _PACE_RAD_S = 300.0, 1.5  # mean speed on the way from state to state, at most


def interaction_motion(
    rng: np.random.Generator,
    time_s: Float[np.ndarray, " time"],
    right_shape: Float[np.ndarray, " coefficient"],
    left_shape: Float[np.ndarray, " coefficient"],
    model: HandModel | None = None,
    mix: Mapping[str, float] | None = None,
) -> Pair:
    """Two hands that come together, touch (hold, rub, clasp and open) and part, again and again.

    Every stretch of the way has minimum jerk (Flash and Hogan, J. Neurosci. 1985); where flesh
    would pass through flesh, hands and fingers give way, smoothly in time.

    Args:
        rng: source of randomness.
        time_s: (T,) increasing times.
        right_shape: (S,) of the right hand.
        left_shape: (S,) of the left hand.
        model: the hand model; the one that ships if None.
        mix: share of each kind of meeting, see ``sample_interactions``.

    Returns:
        The right and the left hand, T each, in a common world frame: that of a person who faces
        the viewer, x to the person's left, y down, z away from the viewer, millimetres, the hands
        around its origin. ``R_camera_from_hand`` is the turn into that world. The hands overlap by
        no more than ``MAX_OVERLAP_MM`` at any time.

    Raises:
        ValueError: ``time_s`` is empty or does not increase.
    """
    time_s = np.asarray(time_s, dtype=np.float64)
    if time_s.ndim != 1 or not len(time_s) or (np.diff(time_s) <= 0).any():
        raise InputError(f"expected increasing times (T,), got {time_s.shape}")
    model = model or HandModel.load()
    mirrored = rng.random() < 0.5
    shapes = [np.atleast_2d(np.asarray(shape, np.float32)) for shape in (right_shape, left_shape)]
    if mirrored:
        shapes.reverse()
    clock = time_s - time_s[0]
    clock = clock + rng.uniform(0.0, 2.5)  # begin anywhere in the first meeting
    keys = _keyframes(rng, clock[-1], shapes, shares_of(mix))
    first, second = _without_overlap(clock, *keys.at(clock, shapes))
    first, second = _in_the_world(rng, clock, keys, first, second)
    return (mirror(second), mirror(first)) if mirrored else (first, second)


class _State(NamedTuple):
    """One state of both hands, or several along a first axis."""

    pose_deg: np.ndarray  # (2, 17, 3) of the first and of the second hand
    palm_mm: np.ndarray  # (3,) place of the second hand's palm, in the frame of the first
    turn: np.ndarray  # (3, 3) of the second hand, there
    upright: np.ndarray  # (3, 3) from the frame of the first hand to the world


@dataclass(frozen=True, eq=False)
class _Keyframes:
    """K states that a movement passes through, and when each is reached and left (K, 2)."""

    states: _State
    time_s: np.ndarray

    def at(self, time_s: np.ndarray, shapes: list[np.ndarray]) -> Pair:
        """The hands interpolated between the keyframes, in the frame of the first."""
        k, ease = self._progress(time_s)
        pose_deg, palm_mm, turns, _ = self.states
        change = pose_deg[k + 1] - pose_deg[k]
        poses = (pose_deg[k] + ease[:, None, None, None] * change).transpose(1, 0, 2, 3)
        turn = _between(turns, k, ease)
        palm = palm_mm[k] + ease[:, None] * (palm_mm[k + 1] - palm_mm[k])
        first_shape, second_shape = (np.repeat(shape, len(time_s), 0) for shape in shapes)
        first = HandParameters.at_origin(poses[0], first_shape)
        root = palm - palm_offset(turn)
        return first, HandParameters(poses[1], second_shape, turn, root, "left")

    def upright_at(self, time_s: np.ndarray) -> np.ndarray:
        """(T, 3, 3) from the frame of the first hand to the world."""
        return _between(self.states.upright, *self._progress(time_s))

    def _progress(self, time_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The keyframe before each time (T,), and the share of the way to the next one (T,)."""
        k = np.searchsorted(self.time_s[:, 0], time_s, side="right") - 1
        k = np.clip(k, 0, len(self.time_s) - 2)
        leave, reach = self.time_s[k, 1], self.time_s[k + 1, 0]
        x = np.clip((time_s - leave) / np.maximum(reach - leave, 1e-9), 0, 1)
        return k, minimum_jerk(x)


def _between(turns: np.ndarray, k: np.ndarray, ease: np.ndarray) -> np.ndarray:
    """(T, 3, 3) rotations interpolated from each keyframe (rows k) to the next."""
    steps = vector_from_rotation(turns[:-1].transpose(0, 2, 1) @ turns[1:])
    return turns[k] @ rotation_from_vector(steps[k] * ease[:, None])


def _keyframes(
    rng: np.random.Generator, end_s: float, shapes: list[np.ndarray], shares: np.ndarray
) -> _Keyframes:
    """Meetings one after another until the time is over."""
    episodes = int(np.ceil(end_s / _SHORTEST_S)) + 1
    kind = rng.choice(len(NAMES), episodes, p=shares)
    first_shape, second_shape = (np.repeat(shape, episodes, 0) for shape in shapes)
    pairs = meet(rng, first_shape, second_shape, kind, moving=True)
    closed = _rubbed(rng, pairs)
    uprights, _ = body_turn(*pairs.closed)
    states: list[_State] = []
    for e, (upright, back) in enumerate(zip(uprights, pairs.approach.retreat, strict=True)):
        opened = _state(pairs.opened, e, upright)
        near = opened._replace(palm_mm=opened.palm_mm + back * rng.uniform(55, 80))
        comes, goes = (
            _apart(rng, opened._replace(palm_mm=opened.palm_mm + back * rng.uniform(130, 230)))
            for _ in range(2)
        )
        touching = [_state(pair, e, upright) for pair in closed]
        detour = [_around(states[-1], comes)] if states else []
        states += [*detour, comes, near, opened, *touching, opened, near, goes]
    keys = _State(*(np.stack(values) for values in zip(*states, strict=True)))
    return _Keyframes(keys, _schedule(rng, keys))


def _around(goes: _State, comes: _State) -> _State:
    """A state between two others by which the second hand goes round the first, not through it."""
    middle = np.array([0.0, 60.0, 0.0])  # of the first hand's palm
    # A little towards the fingers: on the other side is the arm.
    sides = unit(goes.palm_mm - middle) + unit(comes.palm_mm - middle) + (0.0, 0.4, 0.0)
    place = middle + _DETOUR_MM * unit(sides)
    half = np.array([0.5])
    turns = [_between(np.stack(pair), np.array([0]), half)[0] for pair in
             zip(goes[2:], comes[2:], strict=True)]  # fmt: skip
    return _State(0.5 * (goes.pose_deg + comes.pose_deg), place, *turns)


def _schedule(rng: np.random.Generator, states: _State) -> np.ndarray:
    """(K, 2) when each state is reached and left: at limited speeds, with occasional rests."""
    taken_s = np.linalg.norm(np.diff(states.palm_mm, axis=0), axis=1) / _PACE_MM_S
    for each in (states.turn, states.upright):
        angle = vector_from_rotation(each[:-1].transpose(0, 2, 1) @ each[1:])
        taken_s = np.maximum(taken_s, np.linalg.norm(angle, axis=1) / _PACE_RAD_S)
    taken_s = np.maximum(taken_s, rng.uniform(0.3, 0.6, len(taken_s)))
    rest = np.maximum(rng.uniform(-0.4, 0.4, len(states.turn)), 0.0)
    reached = np.concatenate([[0.0], np.cumsum(taken_s + rest[:-1])])
    return np.stack([reached, reached + rest], axis=1)


def _rubbed(rng: np.random.Generator, pairs: Contact) -> list[Pair]:
    """The closed pairs, and three more states: the second hand slides, fingers move a little."""
    states, approach = [pairs.closed], pairs.approach
    for _ in range(3):
        last = states[-1]
        slid = resolve(*_slid(rng, *last, approach.normal), approach.touch)
        first, second = resolve(*slid, steps=8)
        good = are_free(first, second) & (gap_mm(first, second) <= MAX_GAP_MM)
        states.append((merged(good, first, last[0]), merged(good, second, last[1])))
    return states


def _slid(
    rng: np.random.Generator, first: HandParameters, second: HandParameters, normal: np.ndarray
) -> Pair:
    """The second hand slid over the first, the fingers of both moved a little."""
    n = len(first)
    slide = rng.normal(0, 9.0, (n, 3))
    slide -= (slide * normal).sum(-1, keepdims=True) * normal
    twist = rotation_from_vector(normal * rng.normal(0, 0.12, (n, 1)))
    turn = twist @ second.R_camera_from_hand
    root = palm_mm(second) + slide - palm_offset(turn)
    second = replace(second, R_camera_from_hand=turn, root_mm=root)
    return _jittered(rng, first), _jittered(rng, second)


def _jittered(rng: np.random.Generator, hand: HandParameters) -> HandParameters:
    """Every joint angle that is not zero changed at random a little."""
    change = rng.normal(0, 3.0, hand.pose_deg.shape) * (np.abs(hand.pose_deg) > 0)
    return replace(hand, pose_deg=constrain(hand.pose_deg + change))


def _state(pair: Pair, row: int, upright: np.ndarray) -> _State:
    first, second = pair
    turn = second.R_camera_from_hand[row].astype(np.float64)
    palm = second.root_mm[row] + palm_offset(turn[None])[0]
    return _State(np.stack([first.pose_deg[row], second.pose_deg[row]]), palm, turn, upright)


def _apart(rng: np.random.Generator, state: _State) -> _State:
    """A state between two contacts: shifted and turned at random, in other poses."""
    poses = sample_poses(rng, 2)
    poses[:, FOREARM_ROW] = state.pose_deg[:, FOREARM_ROW]
    turn = rotation_from_vector(rng.normal(0, 0.25, (1, 3)))[0] @ state.turn
    return _State(poses, state.palm_mm + rng.normal(0, 20.0, 3), turn, state.upright)


def _without_overlap(time_s: np.ndarray, first: HandParameters, second: HandParameters) -> Pair:
    """The movement with overlaps resolved at all times, smoothly."""
    planned = first, second
    for sigma_s in _SMOOTH_S:
        own = np.maximum(own_penetration_mm(first), own_penetration_mm(second))
        near = np.flatnonzero((gap_mm(first, second) < 0.0) | (own > MAX_PENETRATION_MM - 1.0))
        if not len(near):
            return first, second
        moved = resolve(first.take(near), second.take(near), steps=8, give_mm=0.8)
        first, second = first.with_rows(near, moved[0]), second.with_rows(near, moved[1])
        if sigma_s:
            first, second = _smoothed(time_s, planned, (first, second), sigma_s)
    return first, _apart_in_time(time_s, first, second)


def _smoothed(time_s: np.ndarray, planned: Pair, moved: Pair, sigma_s: float) -> Pair:
    """The planned movement plus what was changed of it, smoothed in time."""
    weight = np.exp(-0.5 * ((time_s[:, None] - time_s) / sigma_s) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    first, second = (
        replace(new, pose_deg=old.pose_deg + np.tensordot(weight, new.pose_deg - old.pose_deg, 1))
        for old, new in zip(planned, moved, strict=True)
    )
    old_turn = planned[1].R_camera_from_hand
    turned_by = vector_from_rotation(moved[1].R_camera_from_hand @ old_turn.transpose(0, 2, 1))
    turn = rotation_from_vector(weight @ turned_by) @ old_turn
    palm = palm_mm(planned[1]) + weight @ (palm_mm(moved[1]) - palm_mm(planned[1]))
    return first, replace(second, R_camera_from_hand=turn, root_mm=palm - palm_offset(turn))


def _apart_in_time(
    time_s: np.ndarray, first: HandParameters, second: HandParameters
) -> HandParameters:
    """The second hand, pushed away smoothly wherever it still overlaps the first too much."""
    free = moved_apart(first, second)
    push = free.root_mm - second.root_mm
    if not push.any():
        return second
    # The widest push within reach, smoothed over less than that: nowhere less than needed.
    gaps = np.abs(time_s[:, None] - time_s)
    size = np.linalg.norm(push, axis=1)
    widest = np.where(gaps < 0.3, size, 0.0).max(axis=1)
    weight = np.maximum(1 - gaps / 0.3, 0)
    reach = (weight / weight.sum(axis=1, keepdims=True)) @ widest
    away = direction_between(first, second)
    return moved_apart(first, replace(second, root_mm=second.root_mm + reach[:, None] * away))


def _in_the_world(
    rng: np.random.Generator, time_s: np.ndarray, keys: _Keyframes,
    first: HandParameters, second: HandParameters,
) -> Pair:  # fmt: skip
    """Both hands upright around the origin, swaying slowly."""
    rates = rng.uniform(0.05, 0.3, (2, 3)) * 2 * np.pi
    phase = rng.uniform(0, 2 * np.pi, (2, 3))
    waves = np.sin(time_s[:, None, None] * rates + phase)  # (T, 2, 3)
    turn = rotation_from_vector(waves[:, 0] * rng.uniform(0.05, 0.35, 3)) @ keys.upright_at(time_s)
    middle = 0.5 * (palm_mm(first) + palm_mm(second))
    shift = waves[:, 1] * rng.uniform(10, 50, 3) - (turn @ middle[..., None])[..., 0]
    return turned(first, turn, shift), turned(second, turn, shift)
