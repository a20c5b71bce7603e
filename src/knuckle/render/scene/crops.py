"""Random close-ups of one hand, as the keypoint network sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from knuckle.camera import Camera
from knuckle.crop import MARGIN, Crop
from knuckle.render.camera_faults import CameraFaults
from knuckle.render.hand_model import HandModel
from knuckle.render.lens import bend, fisheye, pinhole_for
from knuckle.render.looks import PlacedHand, sample_look
from knuckle.render.people import elbow_mm, person
from knuckle.render.scene.hands import (
    POSE_BATCH,
    beside,
    deepest_of,
    in_front,
    looks_of_one,
    random_hands,
    random_sides,
    touching_hands,
    viewed,
)
from knuckle.render.scene.light import sample_lights, with_surface
from knuckle.render.scene.rendering import Sight, World, see_scene
from knuckle.render.scene.things import things_at
from knuckle.sample import Sample


@dataclass(frozen=True)
class CropSettings:
    """Random close-ups of one hand."""

    size_px: int = 200  # width and height of the picture
    #: How much of the picture the hand's own crop (``Crop.from_joints``) spans, from-to.
    crop_px: tuple[float, float] = (142.0, 160.0)
    #: Diagonal field of view of the camera that took the frame, from-to.
    fov_deg: tuple[float, float] = (15.0, 100.0)
    #: From camera to hand, from-to; drawn evenly in the logarithm.
    distance_m: tuple[float, float] = (0.15, 2.0)
    contact: float = 0.15  # how many pictures show both hands of one person touching
    second_hand: float = 0.30  # how many of the others have another hand near by
    #: ``occluder``, ``distractor``, ``body``: how many pictures have them.
    occluder: float = 0.25
    distractor: float = 0.20
    body: float = 0.15
    surface: float = 0.25  # how many have a desk or a wall close behind, on which shadows fall
    #: How many pictures come from a lens that bends straight lines, see ``lens.py``.
    fisheye: float = 0.08
    fisheye_strength: tuple[float, float] = (0.2, 0.8)  # of such lenses, from-to
    #: Diagonal field of view that they would have without bending, from-to.
    fisheye_fov_deg: tuple[float, float] = (60.0, 105.0)
    #: ``jitter_deg``, ``jitter_px``: how inexactly the hand is upright and in the middle.
    jitter_deg: float = 6.0
    jitter_px: float = 5.0
    #: What the camera does to the picture.
    faults: CameraFaults = field(default_factory=CameraFaults)


#: The usual settings: almost half of the hands touch another or have one beside them.
CROPS = CropSettings()

#: One hand, hidden by little but itself, before an ordinary camera, as most users' pictures show.
PLAIN = CropSettings(
    fov_deg=(30.0, 90.0),
    distance_m=(0.25, 1.2),
    contact=0.0,
    second_hand=0.08,
    occluder=0.06,
    distractor=0.10,
    fisheye=0.03,
    faults=CameraFaults(strength=0.5),
)

#: Both hands of one person, touching: where most is hidden and most is to be learnt.
TOUCHING = CropSettings(contact=0.9, second_hand=1.0, occluder=0.1, fisheye=0.03)


def render_crops(
    rng: np.random.Generator,
    count: int,
    world: World,
    settings: CropSettings = CROPS,
    *,
    prefix: str = "crop",
) -> Iterator[Sample]:
    """Random close-ups of a right hand (``hands[0]``), upright, as ``Crop`` would show it.

    The camera is that of the frame, turned about its axis so that the hand is upright: its
    principal point may lie outside the picture. A left hand's crop is the mirror image of a right
    hand's, so only right ones are drawn; other hands in the picture are mostly left.
    """
    model = HandModel.load()
    for first in range(0, count, POSE_BATCH):
        n = min(POSE_BATCH, count - first)
        touching = rng.random(n) < settings.contact
        crowded = ~touching & (rng.random(n) < settings.second_hand)
        pairs = touching_hands(rng, model, int(touching.sum()))
        hands = random_hands(rng, model, random_sides(rng, int((~touching).sum()), left=0.0))
        others = random_hands(rng, model, random_sides(rng, int(crowded.sum()), left=0.75))
        for i in range(n):
            mine = viewed(rng, next(pairs)) if touching[i] else [next(hands)]
            other = next(others) if crowded[i] else None
            yield _crop(rng, mine, other, world, settings, f"{prefix}{first + i:06d}")


def _crop(
    rng: np.random.Generator, hands: list[PlacedHand], other: PlacedHand | None, world: World,
    settings: CropSettings, key: str,
) -> Sample:  # fmt: skip
    """The scene around the first hand, seen through the window of its crop.

    ``hands`` is one hand or two that touch; ``other`` is put beside it.
    """
    bent = rng.random() < settings.fisheye
    distortion = fisheye(rng.uniform(*settings.fisheye_strength)) if bent else ()
    fov = rng.uniform(*(settings.fisheye_fov_deg if bent else settings.fov_deg))
    focal = float(0.5 / np.tan(np.radians(fov) / 2))  # in frame diagonals
    frame = Camera(focal, focal, 0.0, 0.0, distortion)
    hands = in_front(rng, hands, frame, settings.distance_m)
    lens, turn = _crop_camera(rng, hands[0], frame, settings)
    camera, shape = pinhole_for(lens, (settings.size_px, settings.size_px))
    hands = [hand.turned(turn) for hand in hands]
    looks = looks_of_one(rng, len(hands))
    deepest, free = deepest_of(hands), len(hands) == 1  # to hold something
    if other is not None:
        hands.append(beside(rng, other.turned(turn), hands[0]))
        same = looks[0].skin if rng.random() < 0.85 else None
        looks.append(sample_look(rng, same))
    things = things_at(rng, hands[0], deepest, settings.occluder, settings.distractor, free=free)
    for placed, look in zip(hands, looks, strict=True):
        if _elbow_shows(placed, camera, shape) or rng.random() < settings.body:
            body = rng.random() < 0.5
            things += person(rng, placed, look, turn[:, 1], hands, body=body)
    background = world.backgrounds.sample(rng, *shape)
    lights = sample_lights(rng, background, turn)
    if rng.random() < settings.surface:
        lights = with_surface(rng, lights, hands)
    sight = see_scene(hands, looks, camera, shape, things)
    if not _recognisable(sight):
        sight = see_scene(hands[:1], looks[:1], camera, shape)
    sample = sight.sample(sight.lit(background, lights, world), key)
    sample = bend(sample, lens, (settings.size_px, settings.size_px))
    return replace(sample, image=settings.faults(sample.image, rng))


def _recognisable(sight: Sight, least_share: float = 0.06, least_joints: int = 5) -> bool:
    """Whether enough of the first hand is left to see."""
    seen = sight.hands[0].visible
    assert seen is not None  # rendered labels have it
    return bool((sight.hand_map == 1).mean() >= least_share and seen.sum() >= least_joints)


def _elbow_shows(hand: PlacedHand, camera: Camera, shape: tuple[int, int]) -> bool:
    """Whether the end of the forearm, or what would follow it, may be in the picture."""
    elbow = elbow_mm(hand)
    if elbow[2] < 150.0:
        return False
    x, y = camera.project(elbow)
    reach = camera.fx * 80.0 / elbow[2]
    return bool(-reach < x < shape[1] + reach and -reach < y < shape[0] + reach)


def _crop_camera(
    rng: np.random.Generator, hand: PlacedHand, frame: Camera, settings: CropSettings
) -> tuple[Camera, np.ndarray]:
    """The camera of the crop, and the turn (crop camera from frame camera) that it includes.

    ``frame`` took the frame; its unit is the frame's diagonal, and its origin the middle.
    """
    points = frame.project(hand.joints_mm)
    # In units small enough that Crop's limit of one pixel does not bite.
    scale = 1e4
    crop = Crop.from_joints(points * scale, "right", margin=MARGIN)
    angle = crop.angle + np.radians(rng.normal(0, settings.jitter_deg))
    turned = Crop.around(points * scale, "right", angle, margin=MARGIN)
    sin, cos = np.sin(angle), np.cos(angle)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    pixels = rng.uniform(*settings.crop_px) / (turned.size_px / scale)
    middle = pixels * turn[:2, :2] @ np.array(turned.centre_px) / scale
    principal = (
        (settings.size_px - 1) / 2 - middle + rng.normal(0, settings.jitter_px, 2).clip(-9, 9)
    )
    focal = float(pixels * frame.fx)
    return Camera(focal, focal, float(principal[0]), float(principal[1]), frame.distortion), turn
