"""What a forearm hangs on: upper arm, body and head, so that no arm ends in the air."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knuckle.render import props, skin
from knuckle.render.hand_model import ELBOW_MM, FOREARM_BONE, NO_PART, HandModel
from knuckle.render.looks import HandLook, PlacedHand, sample_cloth
from knuckle.render.props import Solid
from knuckle.render.rotations import cross
from knuckle.render.stage import ClothMaterial, Material, Mesh

_UPPER_ARM_MM = 280.0


def elbow_mm(hand: PlacedHand) -> np.ndarray:
    """(3,) where the elbow of a hand is, camera frame."""
    scale = float(np.ptp(hand.rest_vertices_mm[:, 1]) / np.ptp(HandModel.load().vertices_mm[:, 1]))
    transform = hand.bone_transforms[FOREARM_BONE]
    at = transform[:, :3] @ (ELBOW_MM * scale) + transform[:, 3]
    return hand.from_hand_frame(at[None])[0]


def person(
    rng: np.random.Generator,
    hand: PlacedHand,
    look: HandLook,
    down: np.ndarray,
    hands: Sequence[PlacedHand],
    *,
    body: bool,
) -> list[Mesh]:
    """Upper arm and, where there is room, a body behind a hand.

    Args:
        rng: source of randomness.
        hand: in the camera frame.
        look: of the hand: the arm has its skin, or its sleeve.
        down: (3,) direction of gravity in the camera frame.
        hands: all hands of the picture: bodies stay behind them.
        body: whether to try to place a body.
    """
    elbow = elbow_mm(hand)
    if elbow[2] < 150.0:
        return []
    for _ in range(8 if body else 1):
        arm = _upper_arm_direction(rng, hand, elbow, down)
        shoulder = elbow + arm * _UPPER_ARM_MM
        if not body or shoulder[2] < 350.0:
            continue
        torso = _torso_middle(rng, hand, shoulder, down)
        if all(_clear_of(each, torso, down) for each in hands):
            return [upper_arm(elbow, arm, look, rng), *body_of(rng, torso, down, look)]
    return [upper_arm(elbow, arm, look, rng)]


def person_with_both(
    rng: np.random.Generator,
    pair: Sequence[PlacedHand],
    looks: Sequence[HandLook],
    down: np.ndarray,
    hands: Sequence[PlacedHand],
) -> list[Mesh]:
    """A body and both upper arms of a person who faces the camera with both hands before him.

    Args:
        rng: source of randomness.
        pair: a left and a right hand, in any order, in the camera frame.
        looks: of these hands.
        down: (3,) direction of gravity in the camera frame.
        hands: all hands of the picture: the body stays behind them.

    Returns:
        What there is to draw; nothing where no body fits the two arms.
    """
    elbows = [elbow_mm(hand) for hand in pair]
    across = cross(down, np.array([0.0, 0.0, 1.0]))
    across /= np.linalg.norm(across)
    signs = [1.0 if hand.side == "left" else -1.0 for hand in pair]  # who faces the camera
    for _ in range(12):
        lift, back = rng.uniform(90, 270), np.array([0.0, 0.0, rng.uniform(20, 200)])
        middle = 0.5 * (elbows[0] + elbows[1]) - down * lift + back
        middle = middle + across * rng.normal(0, 50)
        ways = [
            middle + sign * 175.0 * across - elbow
            for sign, elbow in zip(signs, elbows, strict=True)
        ]
        lengths = [float(np.linalg.norm(way)) for way in ways]
        torso = middle + down * 215.0
        if not all(190.0 < length < 390.0 for length in lengths):
            continue
        if all(_clear_of(each, torso, down) for each in hands):
            arms = [
                upper_arm(elbow, way / length, look, rng, length)
                for elbow, way, length, look in zip(elbows, ways, lengths, looks, strict=True)
            ]
            return [*arms, *body_of(rng, torso, down, looks[0])]
    return []


def laid_over_skin(solid: Solid) -> Solid:
    """The same solid with the forearm's part of the skin atlas laid over it."""
    corner = np.array([4.0, skin.HAND_ROWS + 5.0], np.float32)
    size = np.array([skin.ATLAS_WIDTH - 9.0, skin.ATLAS_HEIGHT - skin.HAND_ROWS - 10.0], np.float32)
    return Solid(solid.vertices_mm, solid.faces, solid.uv * size + corner, solid.closed)


def thing(solid: Solid, rotation: np.ndarray, origin_mm: np.ndarray, material: Material) -> Mesh:
    """A solid placed in the camera frame that belongs to no hand."""
    part = np.full(len(solid.faces), NO_PART, np.uint8)
    return Mesh(
        solid.placed(rotation, origin_mm), solid.faces, solid.uv, material, 0, part, solid.closed
    )


def frame_along(rng: np.random.Generator, axis: np.ndarray) -> np.ndarray:
    """(3, 3) rotation whose y axis is ``axis``, with a random turn about it."""
    y = axis / np.linalg.norm(axis)
    x = perpendicular(rng, y)
    return np.stack([x, y, cross(x, y)], axis=1)


def perpendicular(rng: np.random.Generator, axis: np.ndarray) -> np.ndarray:
    """A random unit vector at right angles to a unit vector."""
    across = cross(axis, rng.normal(0, 1, 3))
    return across / np.linalg.norm(across)


def _upper_arm_direction(
    rng: np.random.Generator, hand: PlacedHand, elbow: np.ndarray, down: np.ndarray
) -> np.ndarray:
    """From elbow to shoulder: mostly upwards and away from the camera, never back over the hand."""
    forearm = elbow - hand.root_mm
    forearm = forearm / np.linalg.norm(forearm)
    wanted = -0.5 * down + 0.3 * np.array([0.0, 0.0, 1.0]) + 0.35 * forearm
    best = forearm
    for _ in range(6):
        direction = wanted + rng.normal(0, 0.5, 3)
        direction /= np.linalg.norm(direction)
        if direction @ forearm > -0.75:  # an elbow bends 140 degrees at most
            best = direction
            break
    return best


def _sleeved(look: HandLook) -> Material | None:
    """The material of the sleeve, if one is worn."""
    for band, material in look.worn:
        if band.bone == FOREARM_BONE and band.start_mm < -200:
            return material
    return None


def upper_arm(
    elbow: np.ndarray,
    direction: np.ndarray,
    look: HandLook,
    rng: np.random.Generator,
    length_mm: float = _UPPER_ARM_MM,
) -> Mesh:
    """An arm from an elbow (3,) on, along a unit direction (3,), in skin or in its sleeve."""
    sleeve = _sleeved(look)
    extra = 0.0 if sleeve is None else 9.0
    low, high = 46.0 + extra, 56.0 + extra
    bow = np.linspace(-np.pi / 2, np.pi / 2, 8)
    middle = np.linspace(0, length_mm, 6)[1:-1]
    heights = np.concatenate([low * np.sin(bow[:4]), middle, length_mm + high * np.sin(bow[4:])])
    girth = np.concatenate(
        [low * np.cos(bow[:4]), np.linspace(low, high, 4), high * np.cos(bow[4:])]
    )
    solid = props.lathe(np.stack([girth, heights], axis=1))
    rotation = frame_along(rng, direction)
    if sleeve is not None:
        return thing(solid, rotation, elbow, sleeve)
    return thing(laid_over_skin(solid), rotation, elbow, look.skin)


def _torso_middle(
    rng: np.random.Generator, hand: PlacedHand, shoulder: np.ndarray, down: np.ndarray
) -> np.ndarray:
    """Middle of the body whose shoulder it is: beside it, and further down."""
    across = cross(down, np.array([0.0, 0.0, 1.0]))
    across /= np.linalg.norm(across)
    # Facing the camera, a person's left shoulder is on the right: the body lies to its left.
    side = 1.0 if hand.side == "left" else -1.0
    side = side if rng.random() < 0.8 else -side
    return shoulder + across * side * 175.0 + down * 215.0 + (0.0, 0.0, rng.uniform(-30, 60))


_TORSO_HALF_MM = np.array([200.0, 270.0, 115.0])


def _clear_of(hand: PlacedHand, torso: np.ndarray, down: np.ndarray) -> bool:
    """Whether the hand is before the body and not in it, and the body not before the camera."""
    offset = hand.joints_mm - torso
    along = offset @ down
    beside = offset - along[:, None] * down
    inside = (
        (along / _TORSO_HALF_MM[1]) ** 2
        + (beside[:, :2] ** 2).sum(1) / _TORSO_HALF_MM[0] ** 2
        + (beside[:, 2] / _TORSO_HALF_MM[2]) ** 2
    )
    return bool(inside.min() > 1.25 and torso[2] > hand.joints_mm[:, 2].max() + 60)


def body_of(
    rng: np.random.Generator, torso: np.ndarray, down: np.ndarray, look: HandLook
) -> list[Mesh]:
    """A torso and legs in cloth, a neck and a head with hair."""
    cloth = _sleeved(look) or sample_cloth(rng)
    yaw = rng.normal(0, 0.4)
    forward = np.array([np.sin(yaw), 0.0, -np.cos(yaw)])
    y = -down
    x = cross(y, forward)
    x /= np.linalg.norm(x)
    axes = np.stack([x, y, cross(x, y)], axis=1)
    heights = np.array([-420, -419, -250, 0, 150, 215, 250, 262], float)
    widths = np.array([0, 165, 160, 175, 190, 165, 90, 0], float)
    angle = 2 * np.pi * np.arange(18) / 18
    oval = 1 / np.sqrt(np.cos(angle) ** 2 + (np.sin(angle) / 0.62) ** 2)
    trunk = props.loft(widths[:, None] * oval, heights, closed=True)
    head_at = torso - down * rng.uniform(370, 400) + forward * 25
    hair = ClothMaterial(
        tuple(np.clip(np.array([0.05, 0.03, 0.02]) * rng.lognormal(0, 0.9), 0, 0.7)), gloss=0.1
    )
    head = laid_over_skin(props.lathe(_egg(78.0, 112.0)))
    cap = props.lathe(_egg(86.0, 95.0))
    neck = laid_over_skin(props.cylinder(56.0, 140.0))
    trousers = sample_cloth(rng)
    leg = props.cylinder(72.0, 820.0, 98.0)
    hips = torso - y * 800.0
    return [
        thing(trunk, axes, torso, cloth),
        thing(leg, axes, hips + axes[:, 0] * 92.0, trousers),
        thing(leg, axes, hips - axes[:, 0] * 92.0, trousers),
        thing(neck, axes, torso - down * 275.0, look.skin),
        thing(head, axes, head_at, look.skin),
        thing(
            cap, axes, head_at - down * rng.uniform(25, 45) - forward * rng.uniform(12, 35), hair
        ),
    ]


def _egg(width: float, height: float) -> np.ndarray:
    """(K, 2) profile of an ellipsoid."""
    bow = np.linspace(-np.pi / 2, np.pi / 2, 12)
    return np.stack([width * np.cos(bow), height * np.sin(bow)], axis=1)
