"""Random whole frames, as the detector sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from knuckle.camera import Camera
from knuckle.render.camera_faults import CameraFaults
from knuckle.render.hand_model import HandModel
from knuckle.render.lens import bend, fisheye, pinhole_for
from knuckle.render.looks import HandLook, PlacedHand, sample_look, sample_skin
from knuckle.render.people import person, person_with_both
from knuckle.render.scene.hands import (
    POSE_BATCH,
    are_apart,
    beside,
    deepest_of,
    faced,
    in_front,
    looks_of_one,
    random_hands,
    random_sides,
    touching_hands,
)
from knuckle.render.scene.light import sample_lights, with_surface
from knuckle.render.scene.rendering import World, render_scene
from knuckle.render.scene.things import things_at
from knuckle.render.stage import Mesh
from knuckle.sample import UNKNOWN, HandLabel, Sample


@dataclass(frozen=True)
class FrameSettings:
    """Random whole frames."""

    fov_deg: tuple[float, float] = (40.0, 100.0)  # diagonal field of view, from-to
    #: From camera to hand, from-to; drawn evenly in the logarithm.
    distance_m: tuple[float, float] = (0.2, 2.5)
    empty: float = 0.15  # how many frames have no hand
    contact: float = 0.40  # how many frames hold both hands of one person touching
    max_hands: int = 4  # most hands in a frame
    #: ``occluder``, ``distractor``: chance per hand that something hides a part of it, that it is
    #: beside skin that is no hand.
    occluder: float = 0.15
    distractor: float = 0.25
    body: float = 0.65  # chance that one of the hands has a whole person behind it
    surface: float = 0.25  # how many frames have a desk or a wall on which shadows fall
    #: How many frames come from a lens that bends straight lines, see ``lens.py``.
    fisheye: float = 0.08
    fisheye_strength: tuple[float, float] = (0.2, 0.8)  # of such lenses, from-to
    #: What the camera does to the picture.
    faults: CameraFaults = field(default_factory=CameraFaults)


#: The usual settings.
FRAMES = FrameSettings()


def render_frames(
    rng: np.random.Generator,
    count: int,
    world: World,
    settings: FrameSettings = FRAMES,
    width: int = 320,
    height: int = 240,
    *,
    prefix: str = "frame",
) -> Iterator[Sample]:
    """Whole frames with no hand up to several, left and right, near and far."""
    model = HandModel.load()
    for first in range(0, count, POSE_BATCH):
        n = min(POSE_BATCH, count - first)
        several = rng.integers(1, settings.max_hands + 1, n)
        # One or two hands are usual, more are not.
        several = np.where(rng.random(n) < 0.75, np.minimum(several, 2), several)
        numbers = np.where(rng.random(n) < settings.empty, 0, several)
        touching = rng.random(n) < settings.contact
        numbers = np.where(touching, np.maximum(several - 2, 0), numbers)
        pairs = touching_hands(rng, model, int(touching.sum()))
        sides = random_sides(rng, int(numbers.sum()), left=0.5)
        hands = random_hands(rng, model, sides, gravity=True)
        for i in range(n):
            pair = faced(rng, next(pairs)) if touching[i] else []
            mine = [next(hands) for _ in range(numbers[i])]
            key = f"{prefix}{first + i:06d}"
            yield _frame(rng, pair, mine, world, settings, (height, width), key)


def _frame(
    rng: np.random.Generator, pair: list[PlacedHand], hands: list[PlacedHand], world: World,
    settings: FrameSettings, shape: tuple[int, int], key: str,
) -> Sample:  # fmt: skip
    """A frame with a pair of hands that touch, or without (an empty list), and with others."""
    lens = Camera.from_fov(shape[1], shape[0], float(rng.uniform(*settings.fov_deg)))
    if rng.random() < settings.fisheye:
        lens = replace(lens, distortion=fisheye(rng.uniform(*settings.fisheye_strength)))
    camera, flat_shape = pinhole_for(lens, shape)
    focal = lens.fx / float(np.hypot(*shape))
    frame = Camera(focal, focal, 0.0, 0.0, lens.distortion)
    placed = in_front(rng, pair, frame, settings.distance_m) if pair else []
    looks = looks_of_one(rng, len(pair)) if pair else []
    for hand in hands:
        hand = in_front(rng, [hand], frame, settings.distance_m)[0]
        if placed and rng.random() < 0.25:
            hand = beside(rng, hand, placed[-1])
        if all(are_apart(hand, other) for other in placed):
            placed.append(hand)
    people = [sample_skin(rng) for _ in range(2)]
    looks += [sample_look(rng, people[int(rng.integers(2))]) for _ in placed[len(pair) :]]
    things: list[Mesh] = []
    for number, hand in enumerate(placed):
        free = number >= len(pair)
        deepest = hand if free else deepest_of(placed[: len(pair)])
        things += things_at(rng, hand, deepest, settings.occluder, settings.distractor, free=free)
    things += _people(rng, placed, looks, settings.body, pair=bool(pair))
    background = world.backgrounds.sample(rng, *flat_shape)
    lights = sample_lights(rng, background)
    if placed and rng.random() < settings.surface:
        lights = with_surface(rng, lights, placed)
    sample = render_scene(placed, looks, camera, background, lights, world, props=things, key=key)
    sample = bend(sample, lens, shape)
    return replace(_without_unseen(sample), image=settings.faults(sample.image, rng))


def _people(
    rng: np.random.Generator, placed: list[PlacedHand], looks: list[HandLook], share: float,
    *, pair: bool,
) -> list[Mesh]:  # fmt: skip
    """What follows the wrists: arms that end at the elbow, and with this share a whole person.

    With a ``pair``, the first two hands are of one person.
    """
    things, down, alone = list[Mesh](), np.array([0.0, 1.0, 0.0]), True
    arms = list(zip(placed, looks, strict=True))
    if pair and rng.random() < share:
        both = person_with_both(rng, placed[:2], looks[:2], down, placed)
        if both:
            things, arms, alone = both, arms[2:], False
    for hand, look in arms:
        body = alone and rng.random() < share
        alone = alone and not body
        things += person(rng, hand, look, down, placed, body=body)
    return things


def _without_unseen(sample: Sample, least_joints: int = 4, least_px: int = 10) -> Sample:
    """Hands of which next to nothing is seen are no longer labelled, but marked to be ignored.

    What little is seen of them is neither a hand's nor the background's.
    """
    assert sample.hand_map is not None  # rendered samples have one
    kept: list[HandLabel] = []
    boxes: list[np.ndarray] = []
    hand_map = np.zeros_like(sample.hand_map)
    for number, hand in enumerate(sample.hands, start=1):
        mask = sample.hand_map == number
        assert hand.visible is not None
        if hand.visible.sum() >= least_joints and mask.sum() >= least_px:
            kept.append(hand)
            hand_map[mask] = len(kept)
        else:
            low, high = hand.joints_px.min(axis=0), hand.joints_px.max(axis=0)
            boxes.append(np.concatenate([low, high]))
            hand_map[mask] = UNKNOWN
    return replace(
        sample, hands=tuple(kept), hand_map=hand_map, ignore_xyxy=np.reshape(boxes, (-1, 4))
    )
