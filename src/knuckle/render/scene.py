"""Scenes: what is in a picture, and the picture with everything that is true about it.

Three levels. ``render_scene`` draws what it is told, for clips and captures in which several
cameras see the same moment. ``render_crops`` and ``render_frames`` draw random scenes: close to one
hand as the keypoint network sees it, and whole frames as the detector sees them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.crop import MARGIN, Crop
from knuckle.hand import KNUCKLES, TIPS, Joint, Side
from knuckle.render import props, textures
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.camera_faults import CameraFaults
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.interaction import sample_interactions
from knuckle.render.looks import (
    HandLook,
    PlacedHand,
    dress,
    place,
    sample_cloth,
    sample_look,
    sample_skin,
    sample_stuff,
)
from knuckle.render.people import (
    cross,
    elbow_mm,
    frame_along,
    laid_over_skin,
    perpendicular,
    person,
    person_with_both,
    thing,
)
from knuckle.render.poses import sample_poses
from knuckle.render.raster import GBuffer, project_vertices
from knuckle.render.rotations import rotation_from_vector
from knuckle.render.shading import SUPERSAMPLING, linear_from_srgb, shade
from knuckle.render.stage import Lights, Mesh, Stage
from knuckle.render.visibility import visible_joints
from knuckle.sample import HandLabel, Sample

#: Hands skinned in one call, and poses drawn in one call: more is hardly faster.
SKIN_BATCH, POSE_BATCH = 64, 1024


@dataclass(frozen=True, eq=False)
class World:
    """What all scenes share.

    Attributes:
        backgrounds: where backgrounds come from.
        textures: (T, 128, 128, 3) uint8 rows that materials point into.
    """

    backgrounds: Backgrounds
    textures: np.ndarray

    @classmethod
    def of(cls, backgrounds: Backgrounds | None = None) -> World:
        """A world with the given backgrounds, or with those that ship."""
        backgrounds = backgrounds or Backgrounds.load()
        return cls(backgrounds, textures.texture_bank(backgrounds.photographs))


@dataclass(frozen=True)
class CropSettings:
    """Random close-ups of one hand.

    Attributes:
        size_px: width and height of the picture.
        crop_px: how much of the picture the hand's own crop (``Crop.from_joints``) spans, from-to.
        fov_deg: diagonal field of view of the camera that took the frame, from-to.
        distance_m: from camera to hand, from-to; drawn evenly in the logarithm.
        contact: how many pictures show both hands of one person touching.
        second_hand: how many of the others have another hand near by.
        occluder, distractor, body: how many pictures have them.
        surface: how many have a desk or a wall close behind, on which shadows fall.
        jitter_deg, jitter_px: how inexactly the hand is upright and in the middle.
        faults: what the camera does to the picture.
    """

    size_px: int = 160
    crop_px: tuple[float, float] = (114.0, 128.0)
    fov_deg: tuple[float, float] = (15.0, 100.0)
    distance_m: tuple[float, float] = (0.15, 2.0)
    contact: float = 0.15
    second_hand: float = 0.30
    occluder: float = 0.25
    distractor: float = 0.20
    body: float = 0.15
    surface: float = 0.25
    jitter_deg: float = 6.0
    jitter_px: float = 4.0
    faults: CameraFaults = field(default_factory=CameraFaults)


@dataclass(frozen=True)
class FrameSettings:
    """Random whole frames.

    Attributes:
        fov_deg: diagonal field of view, from-to.
        distance_m: from camera to hand, from-to; drawn evenly in the logarithm.
        empty: how many frames have no hand.
        contact: how many frames hold both hands of one person touching.
        max_hands: most hands in a frame.
        occluder, distractor: chance per hand that something hides a part of it, that it is beside
            skin that is no hand.
        body: chance that one of the hands has a whole person behind it.
        surface: how many frames have a desk or a wall on which shadows fall.
        faults: what the camera does to the picture.
    """

    fov_deg: tuple[float, float] = (40.0, 100.0)
    distance_m: tuple[float, float] = (0.25, 4.0)
    empty: float = 0.15
    contact: float = 0.40
    max_hands: int = 4
    occluder: float = 0.15
    distractor: float = 0.25
    body: float = 0.65
    surface: float = 0.25
    faults: CameraFaults = field(default_factory=CameraFaults)


#: The usual settings.
CROPS, FRAMES = CropSettings(), FrameSettings()


# --- one given scene -----------------------------------------------------------------------------


def render_scene(
    hands: Sequence[PlacedHand],
    looks: Sequence[HandLook],
    camera: Camera,
    background: np.ndarray,
    lights: Lights,
    world: World,
    *,
    props: Sequence[Mesh] = (),
    key: str,
    group: str = "",
) -> Sample:
    """Draw given hands and things.

    Args:
        hands: in the camera frame; several cameras see one moment by ``PlacedHand.turned`` and
            ``moved``.
        looks: one per hand.
        camera: without distortion.
        background: (H, W, 3) uint8 RGB; its size is the picture's.
        lights: in the camera frame.
        world: whose textures the looks point into.
        props: things in the camera frame.
        key: see ``Sample``.
        group: see ``Sample``.

    Returns:
        A complete sample: exact 2D and 3D joints, visibility (``visibility.py``), map of hands
        (without forearm; gloves and rings belong to the hand).
    """
    model = HandModel.load()
    meshes = list(props)
    for owner, (hand, look) in enumerate(zip(hands, looks, strict=True), start=1):
        meshes.extend(dress(model, hand, look, owner))
    joints = [(hand.side, hand.joints_mm) for hand in hands]
    rendering = render_stage(Stage.of(meshes), joints, camera, background, lights, world)
    return rendering.sample(key, group)


@dataclass(frozen=True, eq=False)
class Rendering:
    """A picture, what is true about it, and the surfaces that it shows.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        hands: see ``Sample``.
        hand_map: (H, W) uint8, see ``Sample``.
        camera: that took it.
        stage: what was drawn.
        buffer: which surface each of the 2 x 2 parts of a pixel sees.
    """

    image: np.ndarray
    hands: tuple[HandLabel, ...]
    hand_map: np.ndarray
    camera: Camera
    stage: Stage
    buffer: GBuffer

    def sample(self, key: str, group: str = "") -> Sample:
        """The picture with its labels."""
        return Sample(
            image=self.image,
            hands=self.hands,
            camera=self.camera,
            hand_map=self.hand_map,
            key=key,
            group=group,
        )

    def depth_mm(self) -> np.ndarray:
        """(H, W) float32, z of the nearest surface in each pixel; 0 where there is none."""
        depth = self.buffer.depth_mm
        nearest = np.minimum(depth[:, ::2], depth[:, 1::2])
        nearest = np.minimum(nearest[::2], nearest[1::2])
        return np.where(np.isfinite(nearest), nearest, np.float32(0.0))


def render_stage(
    stage: Stage,
    hands: Sequence[tuple[Side, np.ndarray]],
    camera: Camera,
    background: np.ndarray,
    lights: Lights,
    world: World,
) -> Rendering:
    """Draw what stands on a stage: for captures, whose cameras share the stage of a moment.

    Args:
        stage: in the camera frame (``Stage.seen_from``).
        hands: side and (21, 3) joints in the camera frame of the stage's owners 1, 2, …
        camera: without distortion.
        background: (H, W, 3) uint8 RGB; its size is the picture's.
        lights: in the camera frame.
        world: whose textures the stage's materials point into.
    """
    if camera.distortion:
        raise ValueError(
            "the renderer draws undistorted pictures; give a camera without distortion"
        )
    height, width = background.shape[:2]
    buffer = GBuffer.empty(height * SUPERSAMPLING, width * SUPERSAMPLING)
    fine = camera.resized(SUPERSAMPLING, SUPERSAMPLING)
    points = project_vertices(stage.vertices_mm, fine)
    n = stage.n_closed
    buffer.draw(points, stage.faces[:n], cull=True)
    buffer.draw(points, stage.faces[n:], first=n, cull=False)
    image, owners = shade(
        stage, buffer, lights, background, world.textures, camera.fx, (camera.cx, camera.cy)
    )
    labels = tuple(
        HandLabel(
            side=side,
            joints_px=camera.project(joints_mm),
            joints_mm=joints_mm,
            visible=visible_joints(joints_mm, camera, stage, buffer, owner),
        )
        for owner, (side, joints_mm) in enumerate(hands, start=1)
    )
    hand_map = np.maximum(owners, 1) - 1
    return Rendering(image, labels, hand_map, camera, stage, buffer)


# --- random crops --------------------------------------------------------------------------------


def render_crop(
    rng: np.random.Generator,
    world: World,
    settings: CropSettings = CROPS,
    key: str = "crop",
) -> Sample:
    """One random close-up; ``render_crops`` is faster for many."""
    return next(render_crops(rng, 1, world, settings, prefix=key))


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
        pairs = _touching_hands(rng, model, int(touching.sum()))
        hands = _random_hands(rng, model, _random_sides(rng, int((~touching).sum()), left=0.0))
        others = _random_hands(rng, model, _random_sides(rng, int(crowded.sum()), left=0.75))
        for i in range(n):
            mine = _viewed(rng, next(pairs)) if touching[i] else [next(hands)]
            other = next(others) if crowded[i] else None
            yield _crop(rng, mine, other, world, settings, f"{prefix}{first + i:06d}")


def _crop(
    rng: np.random.Generator, hands: list[PlacedHand], other: PlacedHand | None, world: World,
    settings: CropSettings, key: str,
) -> Sample:  # fmt: skip
    """The scene around the first hand, seen through the window of its crop.

    ``hands`` is one hand or two that touch; ``other`` is put beside it.
    """
    focal = 0.5 / np.tan(np.radians(rng.uniform(*settings.fov_deg)) / 2)  # in frame diagonals
    hands = _in_front(rng, hands, focal, settings.distance_m)
    camera, turn = _crop_camera(rng, hands[0], focal, settings)
    hands = [hand.turned(turn) for hand in hands]
    looks = _looks_of_one(rng, len(hands))
    deepest, free = _deepest(hands), len(hands) == 1  # to hold something
    if other is not None:
        hands.append(_beside(rng, other.turned(turn), hands[0]))
        same = looks[0].skin if rng.random() < 0.85 else None
        looks.append(sample_look(rng, same))
    things: list[Mesh] = []
    if rng.random() < settings.occluder:
        holds = free and rng.random() < 0.6
        things.append(held(rng, hands[0]) if holds else _in_the_way(rng, hands[0]))
    if rng.random() < settings.distractor:
        things.append(_behind(rng, deepest))
    shape = (settings.size_px, settings.size_px)
    for placed, look in zip(hands, looks, strict=True):
        if _elbow_shows(placed, camera, shape) or rng.random() < settings.body:
            body = rng.random() < 0.5
            things += person(rng, placed, look, turn[:, 1], hands, body=body)
    background = world.backgrounds.sample(rng, *shape)
    lights = sample_lights(rng, background, turn)
    if rng.random() < settings.surface:
        lights = _with_surface(rng, lights, hands)
    sample = render_scene(hands, looks, camera, background, lights, world, props=things, key=key)
    if not _recognisable(sample):
        sample = render_scene(hands[:1], looks[:1], camera, background, lights, world, key=key)
    return replace(sample, image=settings.faults(sample.image, rng))


def _recognisable(sample: Sample, least_share: float = 0.06, least_joints: int = 5) -> bool:
    """Whether enough of the first hand is left to see."""
    hand, hand_map = sample.hands[0], sample.hand_map
    assert hand.visible is not None and hand_map is not None  # rendered samples have both
    return bool((hand_map == 1).mean() >= least_share and hand.visible.sum() >= least_joints)


def _elbow_shows(hand: PlacedHand, camera: Camera, shape: tuple[int, int]) -> bool:
    """Whether the end of the forearm, or what would follow it, may be in the picture."""
    elbow = elbow_mm(hand)
    if elbow[2] < 150.0:
        return False
    x, y = camera.project(elbow)
    reach = camera.fx * 80.0 / elbow[2]
    return bool(-reach < x < shape[1] + reach and -reach < y < shape[0] + reach)


def _random_sides(rng: np.random.Generator, n: int, *, left: float) -> tuple[Side, ...]:
    return tuple("left" if draw < left else "right" for draw in rng.random(n))


def _random_hands(
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


def _touching_hands(
    rng: np.random.Generator, model: HandModel, n: int
) -> Iterator[list[PlacedHand]]:
    """Right and left hands of random people that touch, upright, each pair at the origin."""
    pairs = sample_interactions(rng, n)
    placed = [place(model, hands) for hands in (pairs.right, pairs.left)]
    yield from (list(pair) for pair in zip(*placed, strict=True))


def _viewed(rng: np.random.Generator, pair: list[PlacedHand]) -> list[PlacedHand]:
    """A pair, whose first hand is seen as single hands are."""
    turn = sample_view(rng) @ pair[0].R_camera_from_hand.T
    return [hand.turned(turn) for hand in pair]


def _faced(rng: np.random.Generator, pair: list[PlacedHand]) -> list[PlacedHand]:
    """A pair seen by somebody before the person, by the person, or from anywhere."""
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


def _looks_of_one(rng: np.random.Generator, hands: int) -> list[HandLook]:
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


def _deepest(hands: Sequence[PlacedHand]) -> PlacedHand:
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


def _in_front(
    rng: np.random.Generator, hands: Sequence[PlacedHand], focal: float,
    distance_m: tuple[float, float],
) -> list[PlacedHand]:  # fmt: skip
    """Put a hand, and the one it touches, anywhere in the frame, as near as the lens allows."""
    low, high = np.log(distance_m)
    distance = 1000.0 * float(np.exp(rng.uniform(low, high)))
    ray = np.array([rng.uniform(-0.36, 0.36) / focal, rng.uniform(-0.26, 0.26) / focal, 1.0])
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


def _crop_camera(
    rng: np.random.Generator, hand: PlacedHand, focal: float, settings: CropSettings
) -> tuple[Camera, np.ndarray]:
    """The camera of the crop, and the turn (crop camera from frame camera) that it includes."""
    points = focal * hand.joints_mm[:, :2] / hand.joints_mm[:, 2:]
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
    return Camera(pixels * focal, pixels * focal, float(principal[0]), float(principal[1])), turn


def _beside(rng: np.random.Generator, other: PlacedHand, hand: PlacedHand) -> PlacedHand:
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


# --- things --------------------------------------------------------------------------------------


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


def _in_the_way(rng: np.random.Generator, hand: PlacedHand) -> Mesh:
    """Something between camera and hand that hides a part of it."""
    target = hand.joints_mm[int(rng.integers(21))] + rng.normal(0, 15, 3)
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


def _behind(rng: np.random.Generator, hand: PlacedHand) -> Mesh:
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


# --- light ---------------------------------------------------------------------------------------


def sample_lights(
    rng: np.random.Generator, background: np.ndarray, R_camera_from_frame: np.ndarray | None = None
) -> Lights:
    """Lights that could have lit the background: its colours all around, and one to three lamps.

    Args:
        rng: source of randomness.
        background: (H, W, 3) uint8.
        R_camera_from_frame: where the frame's axes (y down) lie, if the camera was turned.
    """
    small = linear_from_srgb(cv2.resize(background, (6, 6), None, 0, 0, cv2.INTER_AREA))
    mean = small.mean(axis=(0, 1))
    light = float(mean @ (0.2126, 0.7152, 0.0722)) + 0.02
    tint = 1 + rng.uniform(0.1, 0.7) * np.clip(mean / light - 1, -0.7, 0.7)

    level = float(np.exp(rng.normal(-0.2, 0.3))) * (light / 0.25) ** 0.25
    share = rng.uniform(0.2, 0.85)  # of the light that comes from everywhere
    turn = np.eye(3) if R_camera_from_frame is None else R_camera_from_frame
    around = np.zeros((4, 3))
    around[0] = level * share * tint
    # Brighter where the background is: a window on the left lights the left.
    across = (small[:, 3:].mean(axis=(0, 1)) - small[:, :3].mean(axis=(0, 1))) / (2 * light)
    downwards = (small[3:].mean(axis=(0, 1)) - small[:3].mean(axis=(0, 1))) / (2 * light)
    around[1] = around[0] * np.clip(0.5 * across, -0.4, 0.4)
    around[2] = around[0] * np.clip(0.5 * downwards, -0.4, 0.4)
    gravity = turn[:, 1]
    around[1:] -= np.outer(gravity, around[0]) * rng.uniform(0.0, 0.5)
    around[3] -= around[0] * rng.uniform(-0.2, 0.3)

    lamps = 1 + int(rng.integers(3))
    directions, colours = np.empty((lamps, 3)), np.empty((lamps, 3))
    for k in range(lamps):
        d = rng.normal(0, 1, 3) * (1.0, 0.7, 0.7) + (0.0, -0.7, -0.5)
        if k == lamps - 1 and rng.random() < 0.12:  # from behind: a window, the sun
            d[2] = abs(d[2])
        directions[k] = turn @ (d / np.linalg.norm(d))
        warmth = rng.normal(0, 0.12)
        colour = np.array([1 + warmth, 1.0, 1 - warmth])
        if rng.random() < 0.04:
            colour = rng.uniform(0.1, 1.3, 3)
        strength = rng.uniform(0.9, 1.5) if k == 0 else rng.uniform(0.1, 0.6)
        colours[k] = level * (1 - share) * strength * colour * (1 + 0.4 * (tint - 1))
    return Lights(
        directions=directions, colours=colours, ambient=around,
        shadow=float(rng.uniform(0.5, 1.0)), softness_mm=float(rng.exponential(8.0)),
    )  # fmt: skip


# --- random frames -------------------------------------------------------------------------------


def render_frame(
    rng: np.random.Generator, world: World, settings: FrameSettings = FRAMES,
    width: int = 320, height: int = 240, key: str = "frame",
) -> Sample:  # fmt: skip
    """One random frame; ``render_frames`` is faster for many."""
    return next(render_frames(rng, 1, world, settings, width, height, prefix=key))


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
        pairs = _touching_hands(rng, model, int(touching.sum()))
        sides = _random_sides(rng, int(numbers.sum()), left=0.5)
        hands = _random_hands(rng, model, sides, gravity=True)
        for i in range(n):
            pair = _faced(rng, next(pairs)) if touching[i] else []
            mine = [next(hands) for _ in range(numbers[i])]
            key = f"{prefix}{first + i:06d}"
            yield _frame(rng, pair, mine, world, settings, (height, width), key)


def _frame(
    rng: np.random.Generator, pair: list[PlacedHand], hands: list[PlacedHand], world: World,
    settings: FrameSettings, shape: tuple[int, int], key: str,
) -> Sample:  # fmt: skip
    """A frame with a pair of hands that touch, or without (an empty list), and with others."""
    height, width = shape
    camera = Camera.from_fov(width, height, float(rng.uniform(*settings.fov_deg)))
    focal = camera.fx / float(np.hypot(width, height))
    placed = _in_front(rng, pair, focal, settings.distance_m) if pair else []
    looks = _looks_of_one(rng, len(pair)) if pair else []
    for hand in hands:
        hand = _in_front(rng, [hand], focal, settings.distance_m)[0]
        if placed and rng.random() < 0.25:
            hand = _beside(rng, hand, placed[-1])
        if all(_apart(hand, other) for other in placed):
            placed.append(hand)
    people = [sample_skin(rng) for _ in range(2)]
    looks += [sample_look(rng, people[int(rng.integers(2))]) for _ in placed[len(pair) :]]
    things: list[Mesh] = []
    for number, hand in enumerate(placed):
        free = number >= len(pair)  # to hold something
        if rng.random() < settings.occluder:
            holds = free and rng.random() < 0.6
            things.append(held(rng, hand) if holds else _in_the_way(rng, hand))
        if rng.random() < settings.distractor:
            things.append(_behind(rng, hand if free else _deepest(placed[: len(pair)])))
    down, alone = np.array([0.0, 1.0, 0.0]), True
    lonely = list(zip(placed, looks, strict=True))  # hands whose arms end at the elbow
    if pair and rng.random() < settings.body:
        both = person_with_both(rng, placed[:2], looks[:2], down, placed)
        if both:
            things, lonely, alone = things + both, lonely[2:], False
    for hand, look in lonely:
        body = alone and rng.random() < settings.body
        alone = alone and not body
        things += person(rng, hand, look, down, placed, body=body)
    background = world.backgrounds.sample(rng, height, width)
    lights = sample_lights(rng, background)
    if placed and rng.random() < settings.surface:
        lights = _with_surface(rng, lights, placed)
    sample = render_scene(placed, looks, camera, background, lights, world, props=things, key=key)
    return replace(_without_unseen(sample), image=settings.faults(sample.image, rng))


def _without_unseen(sample: Sample, least_joints: int = 4, least_px: int = 10) -> Sample:
    """Hands of which next to nothing is seen are no longer labelled, but marked to be ignored."""
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
    return replace(
        sample, hands=tuple(kept), hand_map=hand_map, ignore_xyxy=np.reshape(boxes, (-1, 4))
    )


def _apart(hand: PlacedHand, other: PlacedHand, least_mm: float = 14.0) -> bool:
    """Whether two hands do not pass through each other."""
    gaps = np.linalg.norm(hand.joints_mm[:, None] - other.joints_mm[None], axis=-1)
    return bool(gaps.min() >= least_mm)


def _with_surface(rng: np.random.Generator, lights: Lights, hands: Sequence[PlacedHand]) -> Lights:
    """A desk or a wall just behind the hands, facing the camera more or less."""
    normal = np.array([0.0, 0.0, -1.0]) + rng.normal(0, 0.35, 3) * (1, 1, 0)
    normal /= np.linalg.norm(normal)
    if normal @ lights.directions[0] < 0.1:  # lit from behind: no shadow comes forward
        return lights
    deepest = min(float((hand.vertices_mm @ normal).min()) for hand in hands)
    offset = deepest - float(rng.exponential(25.0))
    return replace(lights, catcher=np.append(normal, offset), shadow=max(lights.shadow, 0.6))
