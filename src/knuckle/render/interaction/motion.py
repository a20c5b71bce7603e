"""Two hands that come together, touch and part: meetings strung together, smooth in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from knuckle.errors import InputError
from knuckle.render.contact import gap_mm, resolve
from knuckle.render.hand_model import FOREARM_ROW, HandModel, HandParameters
from knuckle.render.interaction.closing import (
    MAX_GAP_MM,
    Met,
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
from knuckle.render.poses import MAX_PENETRATION_MM, constrain, sample_poses
from knuckle.render.rotations import rotation_from_vector, vector_from_rotation

#: Smoothing of what contact adds to a movement, pass by pass (s): the last one is exact.
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
    keys = _key_states(rng, clock[-1], shapes, shares_of(mix))
    first, second = _freed(clock, *keys.at(clock, shapes))
    first, second = _in_the_world(rng, clock, keys, first, second)
    return (mirror(second), mirror(first)) if mirrored else (first, second)


@dataclass(frozen=True, eq=False)
class _Keys:
    """States that a movement passes through.

    Attributes:
        time_s: (K, 2) when each is reached and left.
        pose_deg: (K, 2, 17, 3) of the first and of the second hand.
        palm_mm: (K, 3) place of the second hand's palm, in the frame of the first.
        turn: (K, 3, 3) of the second hand, there.
        upright: (K, 3, 3) from the frame of the first hand to the world.
    """

    time_s: np.ndarray
    pose_deg: np.ndarray
    palm_mm: np.ndarray
    turn: np.ndarray
    upright: np.ndarray

    def at(self, time_s: np.ndarray, shapes: list[np.ndarray]) -> Pair:
        """The hands on the straight way from state to state, in the frame of the first."""
        k, ease = self._progress(time_s)
        change = self.pose_deg[k + 1] - self.pose_deg[k]
        poses = (self.pose_deg[k] + ease[:, None, None, None] * change).transpose(1, 0, 2, 3)
        turn = _between(self.turn, k, ease)
        palm = self.palm_mm[k] + ease[:, None] * (self.palm_mm[k + 1] - self.palm_mm[k])
        first_shape, second_shape = (np.repeat(shape, len(time_s), 0) for shape in shapes)
        first = HandParameters.at_origin(poses[0], first_shape)
        root = palm - palm_offset(turn)
        return first, HandParameters(poses[1], second_shape, turn, root, "left")

    def upright_at(self, time_s: np.ndarray) -> np.ndarray:
        """(T, 3, 3) from the frame of the first hand to the world."""
        return _between(self.upright, *self._progress(time_s))

    def _progress(self, time_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The state before each time (T,), and how far the way to the next one is gone (T,)."""
        k = np.searchsorted(self.time_s[:, 0], time_s, side="right") - 1
        k = np.clip(k, 0, len(self.time_s) - 2)
        leave, reach = self.time_s[k, 1], self.time_s[k + 1, 0]
        x = np.clip((time_s - leave) / np.maximum(reach - leave, 1e-9), 0, 1)
        return k, x**3 * (10 - 15 * x + 6 * x**2)


def _between(turns: np.ndarray, k: np.ndarray, ease: np.ndarray) -> np.ndarray:
    """(T, 3, 3) turns a part of the way from each state (rows k) to the next."""
    steps = vector_from_rotation(turns[:-1].transpose(0, 2, 1) @ turns[1:])
    return turns[k] @ rotation_from_vector(steps[k] * ease[:, None])


def _key_states(
    rng: np.random.Generator, end_s: float, shapes: list[np.ndarray], shares: np.ndarray
) -> _Keys:
    """Meetings one after another until the time is over."""
    episodes = int(np.ceil(end_s / _SHORTEST_S)) + 1
    kind = rng.choice(len(NAMES), episodes, p=shares)
    first_shape, second_shape = (np.repeat(shape, episodes, 0) for shape in shapes)
    met = meet(rng, first_shape, second_shape, kind, way_in=True)
    closed = _rubs(rng, met)
    uprights, _ = body_turn(*met.closed)
    states: list[State] = []
    for e, (upright, back) in enumerate(zip(uprights, met.retreat, strict=True)):
        opened = _state(met.opened, e, upright)
        near = _drawn_back(opened, back * rng.uniform(55, 80))
        comes, goes = (
            _strayed(rng, _drawn_back(opened, back * rng.uniform(130, 230))) for _ in range(2)
        )
        touching = [_state(pair, e, upright) for pair in closed]
        detour = [_detour(states[-1], comes)] if states else []
        states += [*detour, comes, near, opened, *touching, opened, near, goes]
    return _Keys(_timed(rng, states), *(np.stack(values) for values in zip(*states, strict=True)))


def _detour(goes: State, comes: State) -> State:
    """A state on the way round the first hand: between two others on either side of it."""
    middle = np.array([0.0, 60.0, 0.0])  # of the first hand's palm
    sides = unit(goes[1] - middle) + unit(comes[1] - middle) + (0.0, 0.4, 0.0)  # not the arm's
    place = middle + _DETOUR_MM * unit(sides)
    half = np.array([0.5])
    turns = [_between(np.stack(pair), np.array([0]), half)[0] for pair in
             zip(goes[2:], comes[2:], strict=True)]  # fmt: skip
    return 0.5 * (goes[0] + comes[0]), place, turns[0], turns[1]


def _timed(rng: np.random.Generator, states: list[State]) -> np.ndarray:
    """(K, 2) when each state is reached and left: in no haste, and now and then with a rest."""
    places, turns, uprights = (np.stack(values) for values in list(zip(*states, strict=True))[1:])
    way = np.linalg.norm(np.diff(places, axis=0), axis=1) / _PACE_MM_S
    for each in (turns, uprights):
        angle = vector_from_rotation(each[:-1].transpose(0, 2, 1) @ each[1:])
        way = np.maximum(way, np.linalg.norm(angle, axis=1) / _PACE_RAD_S)
    way = np.maximum(way, rng.uniform(0.3, 0.6, len(way)))
    rest = np.maximum(rng.uniform(-0.4, 0.4, len(states)), 0.0)
    reached = np.concatenate([[0.0], np.cumsum(way + rest[:-1])])
    return np.stack([reached, reached + rest], axis=1)


def _rubs(rng: np.random.Generator, met: Met, count: int = 3) -> list[Pair]:
    """The closed pairs, and how they look after the second hand has slid and fingers moved."""
    states = [met.closed]
    for _ in range(count):
        last = states[-1]
        first, second = resolve(*resolve(*_slid(rng, *last, met.normal), met.touch), steps=8)
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
    return _fidgeted(rng, first), _fidgeted(rng, second)


def _fidgeted(rng: np.random.Generator, hand: HandParameters) -> HandParameters:
    """Every angle that is used changed a little."""
    change = rng.normal(0, 3.0, hand.pose_deg.shape) * (np.abs(hand.pose_deg) > 0)
    return replace(hand, pose_deg=constrain(hand.pose_deg + change))


#: Poses (2, 17, 3) of both hands; place (3,) and turn (3, 3) of the second hand's palm in the frame
#: of the first; turn (3, 3) of that frame to the world.
State = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _state(pair: Pair, row: int, upright: np.ndarray) -> State:
    first, second = pair
    turn = second.R_camera_from_hand[row].astype(np.float64)
    palm = second.root_mm[row] + palm_offset(turn[None])[0]
    return np.stack([first.pose_deg[row], second.pose_deg[row]]), palm, turn, upright


def _drawn_back(state: State, offset_mm: np.ndarray) -> State:
    return state[0], state[1] + offset_mm, *state[2:]


def _strayed(rng: np.random.Generator, state: State) -> State:
    """Elsewhere, turned a little, and in other poses: where hands are between two meetings."""
    poses = sample_poses(rng, 2)
    poses[:, FOREARM_ROW] = state[0][:, FOREARM_ROW]
    turn = rotation_from_vector(rng.normal(0, 0.25, (1, 3)))[0] @ state[2]
    return poses, state[1] + rng.normal(0, 20.0, 3), turn, state[3]


def _freed(time_s: np.ndarray, first: HandParameters, second: HandParameters) -> Pair:
    """The movement with both hands out of each other at all times."""
    way = first, second
    for sigma_s in _SMOOTH_S:
        own = np.maximum(own_penetration_mm(first), own_penetration_mm(second))
        near = np.flatnonzero((gap_mm(first, second) < 0.0) | (own > MAX_PENETRATION_MM - 1.0))
        if not len(near):
            return first, second
        moved = resolve(first.take(near), second.take(near), steps=8, give_mm=0.8)
        first, second = first.with_rows(near, moved[0]), second.with_rows(near, moved[1])
        if sigma_s:
            first, second = _smoothed(time_s, way, (first, second), sigma_s)
    return first, _apart_in_time(time_s, first, second)


def _smoothed(
    time_s: np.ndarray, way: Pair,
    moved: Pair, sigma_s: float,
) -> Pair:  # fmt: skip
    """What was changed on the way, smoothed in time and added to the way again."""
    weight = np.exp(-0.5 * ((time_s[:, None] - time_s) / sigma_s) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    first, second = (
        replace(new, pose_deg=old.pose_deg + np.tensordot(weight, new.pose_deg - old.pose_deg, 1))
        for old, new in zip(way, moved, strict=True)
    )
    old_turn = way[1].R_camera_from_hand
    turned_by = vector_from_rotation(moved[1].R_camera_from_hand @ old_turn.transpose(0, 2, 1))
    turn = rotation_from_vector(weight @ turned_by) @ old_turn
    palm = palm_mm(way[1]) + weight @ (palm_mm(moved[1]) - palm_mm(way[1]))
    return first, replace(second, R_camera_from_hand=turn, root_mm=palm - palm_offset(turn))


def _apart_in_time(
    time_s: np.ndarray, first: HandParameters, second: HandParameters
) -> HandParameters:
    """The second hand, kept away smoothly wherever it is still too deep in the first."""
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
    rng: np.random.Generator, time_s: np.ndarray, keys: _Keys,
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
