"""Random hands, alone, two touching or two near each other, and where cameras see them from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from knuckle.camera import Camera
from knuckle.hand import Side
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.interaction import sample_interactions
from knuckle.render.lens import straightened
from knuckle.render.looks import HandLook, PlacedHand, place, sample_look
from knuckle.render.people import perpendicular
from knuckle.render.poses import sample_poses
from knuckle.render.rotations import cross, rotation_from_vector

#: Hands skinned in one call, and poses drawn in one call: more is hardly faster.
SKIN_BATCH, POSE_BATCH = 64, 1024


def random_sides(rng: np.random.Generator, n: int, *, left: float) -> tuple[Side, ...]:
    """Sides of N hands, left ones with the given chance."""
    return tuple("left" if draw < left else "right" for draw in rng.random(n))


def random_hands(
    rng: np.random.Generator, model: HandModel, sides: tuple[Side, ...], *, gravity: bool = False
) -> Iterator[PlacedHand]:
    """Random people's hands in random poses, wrists at the origin, seen from anywhere."""
    poses = sample_poses(rng, len(sides))
    for start in range(0, len(sides), SKIN_BATCH):
        batch = slice(start, start + SKIN_BATCH)
        n = len(poses[batch])
        yield from place(
            model,
            HandParameters(
                pose_deg=poses[batch],
                shape=sample_shapes(rng, n, model.n_shape),
                R_camera_from_hand=np.stack([sample_view(rng, gravity=gravity) for _ in range(n)]),
                root_mm=np.zeros((n, 3)),
                side=sides[batch],
            ),
        )


def touching_hands(
    rng: np.random.Generator, model: HandModel, n: int
) -> Iterator[list[PlacedHand]]:
    """Right and left hands of random people that touch, upright, each pair at the origin."""
    pairs = sample_interactions(rng, n)
    placed = [place(model, hands) for hands in (pairs.right, pairs.left)]
    yield from (list(pair) for pair in zip(*placed, strict=True))


def looks_of_one(rng: np.random.Generator, hands: int) -> list[HandLook]:
    """How the hands of one person look: one skin, mostly the same sleeves or gloves."""
    first = sample_look(rng)
    looks = [first]
    for _ in range(1, hands):
        look = sample_look(rng, first.skin)
        if rng.random() < 0.8:
            sleeves = tuple(item for item in first.worn if item[0].end_mm - item[0].start_mm > 28)
            look = replace(first, worn=sleeves, seed=look.seed)
        looks.append(look)
    return looks


def deepest_of(hands: Sequence[PlacedHand]) -> PlacedHand:
    """The hand that reaches furthest from the camera."""
    return max(hands, key=lambda hand: float(hand.vertices_mm[:, 2].max()))


#: Where cameras stand, as directions from the hand in its own frame, and how much they scatter.
_VIEWS = (
    ((0.0, 0.0, 1.0), 0.35, 0.23),  # the palm, shown to the camera
    ((0.0, 0.0, -1.0), 0.35, 0.16),  # the back
    ((0.0, -0.8, -0.6), 0.30, 0.12),  # from the own eyes: over the wrist
    ((0.0, 0.9, 0.0), 0.35, 0.09),  # fingers towards the camera
    ((1.0, 0.0, 0.0), 0.35, 0.06),  # the thumb's edge
    ((-1.0, 0.0, 0.0), 0.35, 0.05),  # the little finger's edge
)
_ANYWHERE = 1.0 - sum(weight for _, _, weight in _VIEWS)


def sample_view(rng: np.random.Generator, *, gravity: bool = False) -> np.ndarray:
    """``R_camera_from_hand`` (3, 3): usual views and, for a third, any at all.

    With ``gravity`` forearms come mostly from below and from the sides, as in a frame; without,
    from anywhere, as in a crop, which is turned upright anyway.
    """
    for _ in range(4 if gravity else 1):
        turn = _any_roll(rng)
        from_below = -turn[1, 1]  # the forearm's direction, down in the frame
        if rng.random() < np.clip(0.45 + 0.9 * from_below, 0.12, 1.0):
            break
    return turn


def _any_roll(rng: np.random.Generator) -> np.ndarray:
    weights = [weight for _, _, weight in _VIEWS] + [_ANYWHERE]
    kind = int(rng.choice(len(weights), p=weights))
    towards = rng.normal(0, 1, 3)
    if kind < len(_VIEWS):
        direction, scatter, _ = _VIEWS[kind]
        towards = np.asarray(direction) + rng.normal(0, scatter, 3)
    forward = -towards / np.linalg.norm(towards)
    right = perpendicular(rng, forward)
    return np.stack([right, cross(forward, right), forward])


def viewed(rng: np.random.Generator, pair: list[PlacedHand]) -> list[PlacedHand]:
    """A pair, whose first hand is seen as single hands are."""
    turn = sample_view(rng) @ pair[0].R_camera_from_hand.T
    return [hand.turned(turn) for hand in pair]


def faced(rng: np.random.Generator, pair: list[PlacedHand]) -> list[PlacedHand]:
    """A pair seen by another person in front, by the person, or from anywhere."""
    whose = rng.choice(["other's", "own", "any"], p=[0.5, 0.3, 0.2])
    if whose == "any":
        turn = _any_roll(rng)
    else:
        yaw = rng.normal(0, 0.7) if whose == "other's" else np.pi + rng.normal(0, 0.35)
        pitch = rng.normal(0.1, 0.35) if whose == "other's" else rng.normal(0.75, 0.3)
        turn = _turn(2, rng.normal(0, 0.15)) @ _turn(0, pitch) @ _turn(1, yaw)
    hands = [hand.turned(turn) for hand in pair]
    return hands if rng.random() < 0.5 else hands[::-1]


def _turn(axis: int, angle: float) -> np.ndarray:
    """(3, 3) turn about one of the axes, radians."""
    return rotation_from_vector(angle * np.eye(3)[axis : axis + 1])[0]


def in_front(
    rng: np.random.Generator, hands: Sequence[PlacedHand], frame: Camera,
    distance_m: tuple[float, float],
) -> list[PlacedHand]:  # fmt: skip
    """Put a hand, and the one it touches, anywhere in the frame, as near as the lens allows.

    ``frame`` is the camera with the frame's diagonal as its unit, and its middle as the origin.
    """
    low, high = np.log(distance_m)
    distance = 1000.0 * float(np.exp(rng.uniform(low, high)))
    at = np.array([rng.uniform(-0.36, 0.36), rng.uniform(-0.26, 0.26)])
    ray = np.append(straightened(frame, at), 1.0)
    middle = hands[0].joints_mm.mean(axis=0)
    for _ in range(8):
        offset = ray * (distance / np.linalg.norm(ray)) - middle
        placed = [hand.moved(offset) for hand in hands]
        if all(_clear_of_lens(hand) for hand in placed):
            return placed
        distance *= 1.25
    return placed


def _clear_of_lens(hand: PlacedHand, nearest_mm: float = 60.0) -> bool:
    """Whether nothing of hand or forearm is near the camera or between it and the hand."""
    if hand.joints_mm[:, 2].min() < nearest_mm + 15:
        return False
    close = hand.vertices_mm[hand.vertices_mm[:, 2] < nearest_mm]
    if not len(close):
        return True
    ray = hand.joints_mm.mean(axis=0)
    ray = ray / np.linalg.norm(ray)
    off_axis = close - (close @ ray)[:, None] * ray
    return bool(np.linalg.norm(off_axis, axis=1).min() > 110.0)


def beside(rng: np.random.Generator, other: PlacedHand, hand: PlacedHand) -> PlacedHand:
    """Move another hand near: touching, crossing before or behind, or a little apart."""
    middle = hand.joints_mm.mean(axis=0)
    direction = rng.normal(0, 1, 3) * (1.0, 1.0, 0.8)
    direction /= np.linalg.norm(direction)
    at = middle + direction * rng.uniform(25.0, 150.0)
    other = other.moved(at - other.joints_mm.mean(axis=0))
    gap_mm = float(rng.choice([rng.uniform(15, 19), rng.uniform(19, 60)]))
    for _ in range(12):  # push it out along the direction until they no longer pass through
        gaps = np.linalg.norm(other.joints_mm[:, None] - hand.joints_mm[None], axis=-1)
        lack = gap_mm - gaps.min()
        if lack <= 0:
            break
        other = other.moved(direction * (lack + 6.0))
    lowest = other.joints_mm[:, 2].min()
    if lowest < 90.0:
        other = other.moved(np.array([0.0, 0.0, 90.0 - lowest]))
    return other


def are_apart(hand: PlacedHand, other: PlacedHand, least_mm: float = 14.0) -> bool:
    """Whether two hands do not pass through each other."""
    gaps = np.linalg.norm(hand.joints_mm[:, None] - other.joints_mm[None], axis=-1)
    return bool(gaps.min() >= least_mm)
