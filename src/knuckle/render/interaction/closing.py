"""Fingers close until the hands touch; pairs that pass through each other are drawn again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from knuckle.render.contact import gap_mm, penetration_mm, resolve
from knuckle.render.hand_model import FLEXION, HandModel, HandParameters, sample_shapes
from knuckle.render.interaction.approach import Approach, draw_approach
from knuckle.render.interaction.frames import Pair, direction_between, merged, mirror, upright
from knuckle.render.interaction.meetings import MEETINGS, NAMES, shares_of
from knuckle.render.poses import (
    DIP,
    MAX_PENETRATION_MM,
    MCP,
    PIP,
    constrain,
    finger_penetration_mm,
)
from knuckle.rows import Rows

#: Deepest overlap of two hands that a sampled pair may have (mm, by ``penetration_mm``), and the
#: widest gap at which they count as touching.
MAX_OVERLAP_MM, MAX_GAP_MM = 2.5, 1.0

_ROUNDS, _DRAWS = 5, 32  # of drawing again what passes through: how often, how many at least
_CURL_STEPS = 4


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two hands each in one frame."""

    #: ``right``, ``left``: N hands each.
    right: HandParameters
    left: HandParameters
    kind: np.ndarray  # (N,) how they meet: rows of ``MEETINGS``


def sample_interactions(
    rng: np.random.Generator,
    n: int,
    shapes: tuple[np.ndarray, np.ndarray] | None = None,
    mix: Mapping[str, float] | None = None,
) -> Pairs:
    """Pairs of hands of one person that touch and do not pass through each other.

    Args:
        rng: the same generator state gives the same pairs.
        n: how many.
        shapes: (N, S) of the right and of the left hands; random people's if None.
        mix: share of each kind (names of ``MEETINGS``); the meetings' own shares if None.

    Returns:
        N pairs in a frame that stands upright as a camera before the person would: x to the
        person's left, y down, z away from the viewer, its origin between the hands. They overlap
        by no more than ``MAX_OVERLAP_MM``; what did not come free after a number of draws is moved
        apart.

    Raises:
        ValueError: a name in ``mix`` is unknown, or no share is positive.
    """
    shares = shares_of(mix)
    if shapes is None:
        people = sample_shapes(rng, n, HandModel.load().n_shape)
        shapes = people, people
    mirrored = rng.random(n) < 0.5
    right, left = (np.asarray(shape, np.float32) for shape in shapes)
    first_shape = np.where(mirrored[:, None], left, right)
    second_shape = np.where(mirrored[:, None], right, left)
    kind = rng.choice(len(NAMES), n, p=shares)
    first, second = meet(rng, first_shape, second_shape, kind, moving=False).closed
    first, second = upright(first, second)
    other = mirror(second), mirror(first)
    return Pairs(merged(mirrored, other[0], first), merged(mirrored, other[1], second), kind)


@dataclass(frozen=True, eq=False)
class Contact(Rows):
    """N pairs in contact, each a first and a second hand in the frame of the first."""

    approach: Approach  # how they came together
    opened: Pair  # before the fingers close: free of each other, hardly touching
    closed: Pair  # after

    def is_good(self, *, moving: bool) -> np.ndarray:
        """(N,) bool: the closed hands touch and do not overlap; if ``moving``, nor do opened ones.

        A movement passes through the opened state, a picture does not show it.
        """
        good = are_free(*self.closed) & (gap_mm(*self.closed) <= MAX_GAP_MM)
        return good & are_free(*self.opened) if moving else good


def meet(
    rng: np.random.Generator, first_shape: np.ndarray, second_shape: np.ndarray, kind: np.ndarray,
    *, moving: bool,
) -> Contact:  # fmt: skip
    """Pairs of the given kinds, drawn again until they are good (see ``Contact.is_good``)."""
    pairs = _drawn(rng, first_shape, second_shape, kind)
    bad = np.flatnonzero(~pairs.is_good(moving=moving))
    for _ in range(_ROUNDS):
        if not len(bad):
            return pairs
        # A few pairs take as long as some dozens: better several draws of each in one go.
        copies = max(_DRAWS // len(bad), 1)
        rows = np.repeat(bad, copies)
        again = _drawn(rng, first_shape[rows], second_shape[rows], kind[rows])
        good = again.is_good(moving=moving).reshape(len(bad), copies)
        found = good.any(axis=1)
        chosen = np.arange(len(bad)) * copies + good.argmax(axis=1)  # the first good draw of each
        pairs = pairs.with_rows(bad[found], again.take(chosen[found]))
        bad = bad[~found]
    return pairs.with_rows(bad, _apart(rng, first_shape[bad], second_shape[bad], kind[bad]))


def _drawn(
    rng: np.random.Generator, first_shape: np.ndarray, second_shape: np.ndarray, kind: np.ndarray
) -> Contact:
    approach = draw_approach(rng, first_shape, second_shape, kind)
    give = np.array([meeting.give_mm for meeting in MEETINGS.values()])[kind]
    opened = resolve(approach.first, approach.second, steps=20, give_mm=give)
    closed = resolve(*_curled(rng, opened, kind), approach.touch, give_mm=give)
    closed = resolve(*closed, steps=8, give_mm=give)  # what pulls may have pressed too hard
    return Contact(approach, opened, closed)


def _curled(rng: np.random.Generator, pair: Pair, kind: np.ndarray) -> Pair:
    """Fingers bent step by step, as far as the other hand lets them."""
    most = np.array([meeting.curl_deg for meeting in MEETINGS.values()])[kind]  # (N, 3)
    rows = np.flatnonzero(most.any(axis=1))
    first, second = pair[0].take(rows), pair[1].take(rows)
    bend = most[rows] * np.sqrt(rng.random((len(rows), 1))) / _CURL_STEPS
    for _ in range(_CURL_STEPS if len(rows) else 0):
        bent = _bent(first, bend), _bent(second, bend)
        first, second = resolve(*bent, steps=6, give_mm=MEETINGS["interlaced"].give_mm)
    return pair[0].with_rows(rows, first), pair[1].with_rows(rows, second)


def _bent(hand: HandParameters, bend_deg: np.ndarray) -> HandParameters:
    """The four fingers flexed further by (N, 3) degrees at MCP, PIP and DIP."""
    pose = hand.pose_deg.copy()
    for rows, degrees in zip((MCP, PIP, DIP), bend_deg.T, strict=True):
        pose[:, rows, FLEXION] += degrees[:, None]
    return replace(hand, pose_deg=constrain(pose))


def _apart(
    rng: np.random.Generator, first_shape: np.ndarray, second_shape: np.ndarray, kind: np.ndarray
) -> Contact:
    """Pairs as they were drawn, moved apart: what takes the place of those that never come free."""
    approach = draw_approach(rng, first_shape, second_shape, kind)
    pair = approach.first, moved_apart(approach.first, approach.second)
    return Contact(approach, pair, pair)


def are_free(first: HandParameters, second: HandParameters) -> np.ndarray:
    """(N,) bool: neither the hands nor the fingers of one of them pass through each other."""
    own = np.maximum(own_penetration_mm(first), own_penetration_mm(second))
    deep = penetration_mm(first, second)
    return (deep <= MAX_OVERLAP_MM) & (own <= MAX_PENETRATION_MM + 0.5)


def own_penetration_mm(hand: HandParameters) -> np.ndarray:
    """(N,) how deep fingers of each hand reach into each other or into the palm."""
    model = HandModel.load()
    return finger_penetration_mm(
        model.joints_from_pose(hand.pose_deg, model.rest_joints(hand.shape))
    )


def moved_apart(first: HandParameters, second: HandParameters) -> HandParameters:
    """The second hands, away from the first ones as far as needed."""
    away = direction_between(first, second)
    for _ in range(40):
        deep = penetration_mm(first, second)
        if (deep <= MAX_OVERLAP_MM).all():
            break
        push = np.where(deep > MAX_OVERLAP_MM, deep + 1.0, 0.0)
        second = replace(second, root_mm=second.root_mm + push[:, None] * away)
    return second
