"""Things at a hand: in its grasp, before it, behind it."""

from __future__ import annotations

import numpy as np

from knuckle.hand import KNUCKLES, N_JOINTS, TIPS, Joint
from knuckle.render import props
from knuckle.render.looks import PlacedHand, sample_cloth, sample_skin, sample_stuff
from knuckle.render.people import frame_along, laid_over_skin, thing
from knuckle.render.stage import Mesh


def things_at(
    rng: np.random.Generator,
    hand: PlacedHand,
    deepest: PlacedHand,
    occluder: float,
    distractor: float,
    *,
    free: bool,
) -> list[Mesh]:
    """What hides a part of a hand (one that is ``free`` may hold it), and what is behind it.

    ``deepest``, of the hands that touch, reaches furthest from the camera; ``occluder`` and
    ``distractor`` are the probabilities of both.
    """
    things: list[Mesh] = []
    if rng.random() < occluder:
        holds = free and rng.random() < 0.6
        things.append(held(rng, hand) if holds else in_the_way(rng, hand))
    if rng.random() < distractor:
        things.append(behind(rng, deepest))
    return things


def held(rng: np.random.Generator, hand: PlacedHand) -> Mesh:
    """Something in the grasp: as thick as the fingers leave room, or thin between two tips."""
    joints = hand.joints_mm
    palm = 0.5 * (joints[KNUCKLES].mean(axis=0) + joints[Joint.WRIST])
    if rng.random() < 0.35:  # pinched
        tips = joints[TIPS]
        centre = 0.5 * (tips[0] + tips[1 + int(rng.integers(2))])
        axis = rng.normal(0, 1, 3) + 0.8 * (centre - palm) / np.linalg.norm(centre - palm)
        if rng.random() < 0.6:
            solid = props.pen(rng.uniform(90, 180))
        else:
            solid = props.box(
                np.array([rng.uniform(40, 90), rng.uniform(60, 160), rng.uniform(0.8, 9)])
            )
        return thing(solid, frame_along(rng, axis), centre, sample_stuff(rng))
    across = joints[Joint.INDEX_MCP] - joints[Joint.LITTLE_MCP]
    across /= np.linalg.norm(across)
    out = hand.R_camera_from_hand[:, 2]  # out of the palm
    centre = palm + (joints[KNUCKLES].mean(axis=0) - palm) * rng.uniform(0.2, 0.9)
    centre = centre + out * rng.uniform(14.0, 42.0)
    axis = across + rng.normal(0, 0.25, 3)
    axis /= np.linalg.norm(axis)
    away = joints - centre
    free = np.linalg.norm(away - (away @ axis)[:, None] * axis, axis=1).min() - 7.0
    radius = float(np.clip(free, 4.0, 45.0))
    return thing(_grip_shape(rng, radius), frame_along(rng, axis), centre, sample_stuff(rng))


def _grip_shape(rng: np.random.Generator, radius: float) -> props.Solid:
    """Something that fills a hand, with the given radius where it is held."""
    long = float(rng.uniform(100, 240))
    kind = int(rng.integers(6))
    if kind == 0:
        return props.cylinder(radius, long, radius * rng.uniform(1.0, 1.35))
    if kind == 1:
        return props.bottle(radius, long)
    if kind == 2:
        return props.capsule(radius, 0.0)
    if kind == 3:  # phone, book, card
        return props.box(np.array([radius * 1.9, long, min(radius * rng.uniform(0.2, 0.9), 25.0)]))
    if kind == 4:
        return props.box(np.array([radius * 1.4, long, radius * 1.4]))
    return props.capsule(radius, long)


def in_the_way(rng: np.random.Generator, hand: PlacedHand) -> Mesh:
    """Something between camera and hand that hides a part of it."""
    target = hand.joints_mm[int(rng.integers(N_JOINTS))] + rng.normal(0, 15, 3)
    origin = target * rng.uniform(0.55, 0.95)
    size = 60.0 * origin[2] / hand.joints_mm[:, 2].mean()
    kind = int(rng.integers(4))
    if kind == 0:
        solid = props.box(rng.uniform(0.2, 1.2, 3) * size)
    elif kind == 1:
        solid = props.capsule(rng.uniform(0.05, 0.3) * size, 12 * size)
    elif kind == 2:
        solid = props.box(np.array([rng.uniform(0.1, 0.5) * size, 15 * size, 0.1 * size]))
    else:
        solid = props.capsule(rng.uniform(0.2, 0.6) * size, 0.0)
    stuff = sample_cloth(rng) if rng.random() < 0.4 else sample_stuff(rng)
    return thing(solid, frame_along(rng, rng.normal(0, 1, 3)), origin, stuff)


def behind(rng: np.random.Generator, hand: PlacedHand) -> Mesh:
    """Skin or cloth behind the hand that is no hand: an arm, a face, a body."""
    middle = hand.joints_mm.mean(axis=0)
    deepest = hand.vertices_mm[:, 2].max()
    radius = float(rng.choice([rng.uniform(30, 50), rng.uniform(70, 110), rng.uniform(110, 190)]))
    origin = middle * ((deepest + radius + rng.uniform(5, 250)) / middle[2])
    origin[:2] += rng.normal(0, 120, 2)
    length = float(rng.choice([0.0, rng.uniform(30, 80), 900.0]))
    solid = props.capsule(radius, length)
    if rng.random() < 0.65:
        return thing(
            laid_over_skin(solid), frame_along(rng, rng.normal(0, 1, 3)), origin, sample_skin(rng)
        )
    return thing(solid, frame_along(rng, rng.normal(0, 1, 3)), origin, sample_cloth(rng))
