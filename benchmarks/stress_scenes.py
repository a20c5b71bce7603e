"""The stress set: rendered frames with exact truth, varied along one axis at a time.

``render_bin`` draws the same scenes again for every bin: person, pose, place, background and lights
of scene *i* come from generators of their own, so that two bins differ only in their
``Conditions``. Differences between bins are therefore paired: they are meaningful with a hundred
scenes each. No training data uses these seeds; backgrounds are newly generated or windows of the
few views that ship with the package.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.data.shards import read_shard, write_shard
from knuckle.hand import KNUCKLES, Joint
from knuckle.render import people, props, skin, textures
from knuckle.render.backgrounds import Backgrounds, procedural, window
from knuckle.render.hand_model import (
    HAND_LENGTH_SD_MM,
    MEAN_HAND_LENGTH_MM,
    HandModel,
    HandParameters,
    sample_shapes,
)
from knuckle.render.interaction import sample_interactions, turned
from knuckle.render.looks import HandLook, PlacedHand, place, sample_cloth, sample_skin
from knuckle.render.poses import sample_poses
from knuckle.render.props import FOREARM_BONE, Band
from knuckle.render.scene import World, render_scene, sample_lights
from knuckle.render.shading import linear_from_srgb
from knuckle.render.stage import ClothMaterial, Lights, Mesh, SkinMaterial
from knuckle.sample import Sample

WIDTH, HEIGHT = 640, 480
SEED = 20_261_122

#: What a camera does to the picture: (H, W, 3) uint8 RGB and a generator in, the same picture out.
Fault = Callable[[np.ndarray, np.random.Generator], np.ndarray]


# --- what cameras do -----------------------------------------------------------------------------


def _sensor(
    image: np.ndarray, rng: np.random.Generator, *, stops: float = 0.0,
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0), read: float = 0.002, shot: float = 0.008,
) -> np.ndarray:  # fmt: skip
    """More or less light of a colour on a sensor with read and shot noise, in linear light."""
    light = linear_from_srgb(image) * (np.array(colour, np.float32) * 2.0**stops)
    noise = rng.standard_normal(image.shape, np.float32)
    light = np.clip(light + noise * np.sqrt(read**2 + shot**2 * np.clip(light, 0, 1)), 0, 1)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * srgb).astype(np.uint8)


def _shaken(image: np.ndarray, rng: np.random.Generator, *, length_px: float) -> np.ndarray:
    """Motion blur: the frame moves on a straight way while the shutter is open."""
    angle = rng.uniform(0, np.pi)
    size = int(length_px) // 2 * 2 + 3
    kernel = np.zeros((size, size), np.float32)
    reach = 8 * length_px / 2 * np.array([np.cos(angle), np.sin(angle)])  # eighths of a pixel
    ends = [
        tuple(np.round(8 * (size // 2) + sign * reach).astype(int).tolist()) for sign in (-1, 1)
    ]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, shift=3)
    blurred = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return _sensor(blurred, rng)


def _out_of_focus(image: np.ndarray, rng: np.random.Generator, *, sigma_px: float) -> np.ndarray:
    return _sensor(cv2.GaussianBlur(image, (0, 0), sigma_px), rng)


def _coarse(image: np.ndarray, rng: np.random.Generator, *, shrink: int) -> np.ndarray:
    """The detail of a sensor with so many times fewer columns, in a frame of the usual size."""
    small = cv2.resize(image, (WIDTH // shrink, HEIGHT // shrink), interpolation=cv2.INTER_AREA)
    return cv2.resize(_sensor(small, rng), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def _compressed(image: np.ndarray, rng: np.random.Generator, *, quality: int) -> np.ndarray:
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    code = cv2.imencode(".jpg", _sensor(image, rng)[..., ::-1], settings)[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))[..., ::-1])


def _through_dirt(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Greasy fingerprints on the lens: veiling glare in places."""
    veil = cv2.resize(
        rng.random((5, 7), np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    amount = np.clip(1.6 * (veil - 0.25), 0, 0.8)[..., None]
    glow = cv2.GaussianBlur(image, (0, 0), 24.0).astype(np.float32)
    mixed = image + (0.75 * glow + 50.0 - image) * amount
    return _sensor(np.clip(mixed, 0, 255).astype(np.uint8), rng)


# --- the axes ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Conditions:
    """What a bin changes; the defaults are the base scene.

    Attributes:
        view: a name in ``VIEWS``, or "facing": palm or back, up to about 40 degrees aslant.
        size_px: longer side of the box around the hand's joints.
        tone: place on the Monk scale, 1 (lightest) .. 10, or None for any.
        age: a name in ``AGES``.
        worn: a name in ``WEAR``.
        lamps: "room", "side" (one hard lamp, deep shadow) or "behind".
        hidden: share of the hand's visible pixels that something hides, from-to.
        meeting: ways for two hands to touch (names of ``interaction.MEETINGS``); none: one hand.
        apart_mm: by how much the two hands are drawn apart again.
        camera: what happens to the picture.
    """

    view: str = "facing"
    size_px: float = 150.0
    tone: int | None = None
    age: str = "adult"
    worn: str = "bare"
    lamps: str = "room"
    hidden: tuple[float, float] | None = None
    meeting: tuple[str, ...] = ()
    apart_mm: float = 0.0
    camera: Fault = _sensor


#: Where the camera stands, as a direction from the hand in its own frame (thumb, fingers, palm).
VIEWS: dict[str, tuple[float, float, float]] = {
    "palm": (0.0, 0.0, 1.0),
    "back": (0.0, 0.0, -1.0),
    "thumb's edge": (1.0, 0.0, 0.0),
    "little finger's edge": (-1.0, 0.0, 0.0),
    "from the tips": (0.0, 1.0, 0.15),
    "over the wrist": (0.0, -0.6, -0.8),
}

#: Length of the hand, wrist to middle fingertip, from-to in mm, and the skin's age 0..1, from-to.
AGES: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "child of 3 to 6": ((105.0, 130.0), (0.0, 0.3)),
    "child of 7 to 12": ((130.0, 160.0), (0.0, 0.4)),
    "adult": ((160.0, 210.0), (0.0, 1.0)),
    "old": ((160.0, 205.0), (0.8, 1.0)),
}

_CLASPED = ("interlaced", "clasped", "palms together", "steeple")
_TOUCHING = ("touching", "pinched finger", "side by side", "fists")

#: Axis -> bin -> what is different from the base.
AXES: dict[str, dict[str, Conditions]] = {
    "base": {"base": Conditions()},
    "light": {
        "1/64 of the light": Conditions(camera=partial(_sensor, stops=-6, read=0.0008, shot=0.004)),
        "1/16 of the light": Conditions(camera=partial(_sensor, stops=-4, read=0.0008, shot=0.004)),
        "1/4 of the light": Conditions(camera=partial(_sensor, stops=-2, read=0.001, shot=0.006)),
        "2 times the light": Conditions(camera=partial(_sensor, stops=1)),
        "4 times the light": Conditions(camera=partial(_sensor, stops=2)),
        "red light": Conditions(camera=partial(_sensor, colour=(1.3, 0.15, 0.1))),
        "green light": Conditions(camera=partial(_sensor, colour=(0.2, 1.1, 0.25))),
        "blue light": Conditions(camera=partial(_sensor, colour=(0.15, 0.3, 1.6))),
        "one hard lamp": Conditions(lamps="side"),
        "lamp behind the hand": Conditions(lamps="behind"),
    },
    "blur": {
        "motion 6 px": Conditions(camera=partial(_shaken, length_px=6)),
        "motion 15 px": Conditions(camera=partial(_shaken, length_px=15)),
        "motion 30 px": Conditions(camera=partial(_shaken, length_px=30)),
        "motion 60 px": Conditions(camera=partial(_shaken, length_px=60)),
        "defocus 2 px": Conditions(camera=partial(_out_of_focus, sigma_px=2)),
        "defocus 4 px": Conditions(camera=partial(_out_of_focus, sigma_px=4)),
        "defocus 8 px": Conditions(camera=partial(_out_of_focus, sigma_px=8)),
    },
    "resolution": {
        "320 x 240": Conditions(camera=partial(_coarse, shrink=2)),
        "160 x 120": Conditions(camera=partial(_coarse, shrink=4)),
        "80 x 60": Conditions(camera=partial(_coarse, shrink=8)),
        "40 x 30": Conditions(camera=partial(_coarse, shrink=16)),
    },
    "picture": {
        "noise": Conditions(camera=partial(_sensor, read=0.02, shot=0.08)),
        "strong noise": Conditions(camera=partial(_sensor, read=0.05, shot=0.2)),
        "JPEG quality 20": Conditions(camera=partial(_compressed, quality=20)),
        "JPEG quality 5": Conditions(camera=partial(_compressed, quality=5)),
        "dirty lens": Conditions(camera=_through_dirt),
    },
    "occlusion": {
        "5 to 20 %": Conditions(hidden=(0.05, 0.20)),
        "20 to 40 %": Conditions(hidden=(0.20, 0.40)),
        "40 to 60 %": Conditions(hidden=(0.40, 0.60)),
        "60 to 80 %": Conditions(hidden=(0.60, 0.80)),
    },
    "size in the frame": {
        f"{size} px": Conditions(size_px=size) for size in (10, 20, 40, 80, 200, 300, 400)
    },
    "view": {view: Conditions(view=view) for view in VIEWS},
    "skin tone": {f"Monk {tone}": Conditions(tone=tone) for tone in range(1, 11)},
    "age": {age: Conditions(age=age) for age in AGES},
    "worn": {
        worn: Conditions(worn=worn)
        for worn in ("long sleeve", "rings and watch", "ink", "thin glove", "thick glove")
    },
    "two hands": {
        "apart": Conditions(size_px=240, meeting=_TOUCHING, apart_mm=80),
        "touching": Conditions(size_px=240, meeting=_TOUCHING),
        "clasped, folded": Conditions(size_px=240, meeting=_CLASPED),
        "gripping": Conditions(
            size_px=240, meeting=("gripping wrist", "gripping hand", "gripping fingers")
        ),
        "crossing": Conditions(size_px=240, meeting=("crossing", "rubbing")),
    },
}


# --- sets on disk --------------------------------------------------------------------------------


def stress_bin(axis: str, name: str, count: int, folder: Path) -> list[Sample]:
    """``count`` samples of a bin, rendered at the first call and kept in ``folder``.

    The hand that is asked for is ``hands[0]``; others may hide it.
    """
    path = bin_path(axis, name, count, folder)
    if not path.exists():
        write_shard(path, render_bin(AXES[axis][name], count), quality=95)
    return list(read_shard(path))


def bin_path(axis: str, name: str, count: int, folder: Path) -> Path:
    """Where a bin is kept."""
    return folder / f"{count}" / f"{axis}-{name}.tar".replace("/", "-").replace(" ", "_")


def render_bin(conditions: Conditions, count: int) -> Iterator[Sample]:
    """The scenes 0 .. count - 1 under the given conditions."""
    for index in range(count):
        yield render(index, conditions)


def render(index: int, conditions: Conditions) -> Sample:
    """One scene under the given conditions."""
    sample = _drawn(index, replace(conditions, camera=_sensor))
    return replace(sample, image=conditions.camera(sample.image, _rng(index, "camera")))


@lru_cache(maxsize=128)
def _drawn(index: int, conditions: Conditions) -> Sample:
    """The scene before the camera has its say; kept, as many bins differ in the camera only."""
    look, background = _look(index, conditions), _background(index)
    lights = _lights(index, background, conditions.lamps)
    if conditions.meeting:
        hands, looks, things = _met(index, look, conditions)
    else:
        hand = _placed(index, conditions)
        hands, looks, things = _company(index, hand, look, conditions.hidden)
    return render_scene(
        hands, looks, _camera(), background, lights, _world(), props=things, key=f"{index:04d}"
    )


# --- what is in a scene --------------------------------------------------------------------------


def _rng(index: int, what: str) -> np.random.Generator:
    """The generator of one ingredient of a scene: changing another leaves it as it is."""
    return np.random.default_rng([SEED, index, zlib.crc32(what.encode())])


@cache
def _world() -> World:
    return World.of(Backgrounds.load())


def _camera(shrink: int = 1) -> Camera:
    """65 degrees across the diagonal, what is assumed of an unknown camera too."""
    return Camera.from_fov(WIDTH // shrink, HEIGHT // shrink, 65.0)


@cache
def _background(index: int) -> np.ndarray:
    """Half of them are made from nothing, half are large windows of the views that ship."""
    rng, photographs = _rng(index, "background"), _world().backgrounds.photographs
    if rng.random() < 0.5:
        return procedural(rng, HEIGHT, WIDTH)
    photograph = photographs[int(rng.integers(len(photographs)))]
    return window(photograph, rng, HEIGHT, WIDTH, smallest=0.7)


@cache
def _pose(index: int) -> np.ndarray:
    """(1, 17, 3) degrees."""
    return sample_poses(_rng(index, "pose"), 1)


def _placed(index: int, conditions: Conditions) -> PlacedHand:
    """The hand in front of the camera, as large in the picture as it should be."""
    model, rng = HandModel.load(), _rng(index, "place")
    parameters = HandParameters(
        pose_deg=_pose(index),
        shape=_shape(index, conditions.age)[None],
        R_camera_from_hand=_turned(index, conditions.view)[None],
        root_mm=np.zeros((1, 3)),
        side="left" if rng.random() < 0.5 else "right",
    )
    return _sized(place(model, parameters), rng, conditions.size_px)[0]


def _sized(hands: list[PlacedHand], rng: np.random.Generator, size_px: float) -> list[PlacedHand]:
    """Push hands away or pull them near until their joints span ``size_px``, inside the frame."""
    room = np.maximum(np.array([WIDTH, HEIGHT]) - 1.3 * size_px, 0) / 2
    at_px = rng.uniform(-0.8, 0.8, 2) * room + (WIDTH / 2, HEIGHT / 2)
    camera = _camera()
    ray = np.append(camera.rays(at_px), 1.0)
    middle = np.mean([hand.joints_mm for hand in hands], axis=(0, 1))
    distance = camera.fx * 150.0 / size_px
    for _ in range(6):
        placed = [hand.moved(ray * distance - middle) for hand in hands]
        points = camera.project(np.concatenate([hand.joints_mm for hand in placed]))
        distance *= float(np.ptp(points, axis=0).max()) / size_px
    return placed


def _shape(index: int, age: str) -> np.ndarray:
    """(S,) shape of the person's hand: always the same but for its length."""
    rng, length_mm = _rng(index, "shape"), AGES[age][0]
    shape = sample_shapes(rng, 1, HandModel.load().n_shape, child_share=0.0)[0]
    shape[0] = (rng.uniform(*length_mm) - MEAN_HAND_LENGTH_MM) / HAND_LENGTH_SD_MM
    return shape


def _turned(index: int, view: str) -> np.ndarray:
    """``R_camera_from_hand``: the view, with the forearm from below, more or less."""
    rng = _rng(index, "view")
    scatter = rng.normal(0, 1, 3)
    if view == "facing":
        towards = np.array(VIEWS["palm" if rng.random() < 0.5 else "back"]) + 0.4 * scatter
    else:
        towards = np.array(VIEWS[view]) + 0.15 * scatter
    forward = -towards / np.linalg.norm(towards)
    forearm = np.array([0.0, -1.0, 0.0])
    down = forearm - (forearm @ forward) * forward
    down /= np.linalg.norm(down)
    aslant = np.radians(rng.normal(0, 45))
    down = np.cos(aslant) * down + np.sin(aslant) * np.cross(down, forward)
    return np.stack([np.cross(down, forward), down, forward])


def _look(index: int, conditions: Conditions) -> HandLook:
    rng = _rng(index, "look")
    tone = None if conditions.tone is None else conditions.tone - 1.0
    person = replace(sample_skin(rng, tone), ink_texture=-1, nail_colour=None)
    person = _aged(person, rng, conditions.age)
    return WEAR[conditions.worn](HandLook(person, seed=index), _rng(index, "wear"))


@cache
def _skin_ages() -> np.ndarray:
    """(patterns,) age 0..1 of each painted pattern: the first number that its painter draws."""
    return np.array([np.random.default_rng(k).uniform() for k in range(skin.N_PATTERNS)])


def _aged(person: SkinMaterial, rng: np.random.Generator, age: str) -> SkinMaterial:
    young, old = AGES[age][1]
    fitting = np.flatnonzero((_skin_ages() >= young) & (_skin_ages() <= old))
    folds = 1.0 if age == "old" else person.fold_strength
    return replace(person, pattern=int(rng.choice(fitting)), fold_strength=folds)


def _lights(index: int, background: np.ndarray, lamps: str) -> Lights:
    """The room's lights, or one lamp as bright as all of them and little else."""
    rng = _rng(index, "lights")
    lights = sample_lights(rng, background)
    if lamps == "room":
        return lights
    sideways = np.array([1.0 if rng.random() < 0.5 else -1.0, -0.2, -0.25])
    direction = sideways if lamps == "side" else np.array([0.3 * sideways[0], -0.5, 1.0])
    bright = lights.colours.sum(axis=0) + lights.ambient[0]
    return replace(
        lights, directions=direction[None], colours=1.2 * bright[None],
        ambient=0.12 * lights.ambient, shadow=1.0, softness_mm=1.0,
    )  # fmt: skip


# --- what is worn --------------------------------------------------------------------------------


def _long_sleeve(look: HandLook, rng: np.random.Generator) -> HandLook:
    """A sleeve that ends on the heel of the hand."""
    band = Band(FOREARM_BONE, -262.0, float(rng.uniform(-5, 8)), 4.0, 2.0, wrinkles_mm=1.5, rings=9)
    return replace(look, worn=((band, sample_cloth(rng)),))


def _rings_and_watch(look: HandLook, rng: np.random.Generator) -> HandLook:
    gold = ClothMaterial((0.75, 0.55, 0.22), gloss=0.8, sharpness=50.0)
    steel = ClothMaterial((0.3, 0.3, 0.32), gloss=0.7, sharpness=40.0)
    start = float(rng.uniform(14, 20))
    rings = tuple((Band(bone, start, start + 4.0, 0.2, 1.3), gold) for bone in (4, 7, 10))
    return replace(look, worn=(*rings, (Band(FOREARM_BONE, -45.0, -20.0, 0.4, 3.5), steel)))


def _inked(look: HandLook, rng: np.random.Generator) -> HandLook:
    """Tattoo or henna."""
    ink = (0.02, 0.025, 0.04) if rng.random() < 0.5 else (0.16, 0.05, 0.02)
    inked = replace(look.skin, ink=ink, ink_texture=int(rng.choice(textures.INK)))
    return replace(look, skin=inked)


def _gloved(look: HandLook, rng: np.random.Generator, *, thick: bool) -> HandLook:
    if thick:
        glove, thickness = replace(sample_cloth(rng, pictures=0.0), repeat=4.0), 1.8
    else:
        colours = ((0.15, 0.3, 0.65), (0.85, 0.85, 0.82), (0.02, 0.02, 0.025), (0.1, 0.4, 0.35))
        colour = colours[int(rng.integers(len(colours)))]
        glove, thickness = ClothMaterial(colour, gloss=0.25, sharpness=25.0), 0.6
    cuff = Band(FOREARM_BONE, -45.0, 6.0, thickness, thickness, 1.0, 4)
    return replace(look, glove=glove, glove_mm=thickness, worn=((cuff, glove),))


WEAR: dict[str, Callable[[HandLook, np.random.Generator], HandLook]] = {
    "bare": lambda look, _: look,
    "long sleeve": _long_sleeve,
    "rings and watch": _rings_and_watch,
    "ink": _inked,
    "thin glove": partial(_gloved, thick=False),
    "thick glove": partial(_gloved, thick=True),
}


# --- two hands -----------------------------------------------------------------------------------

_Company = tuple[list[PlacedHand], list[HandLook], list[Mesh]]
#: So many joints of each of two hands are seen: nobody can find a hand that is not in the picture.
_LEAST_SEEN = 5
#: Nothing is held nearer to the lens.
_NEAREST_MM = 100.0
#: So many scenes are tried until one is as it should be.
_MOST_TRIES = 120


def _met(index: int, look: HandLook, conditions: Conditions) -> _Company:
    """Two hands of a person who faces the camera more or less, and who touches one with the other.

    In bins with the same meetings they are the same pairs.
    """
    rng = _rng(index, f"meeting {conditions.meeting}")
    shape = _shape(index, conditions.age)[None]
    mix = dict.fromkeys(conditions.meeting, 1.0)
    pair = sample_interactions(rng, 1, (shape, shape), mix)
    aside = np.array([[conditions.apart_mm / 2, 0.0, 0.0]])  # x: to the person's left
    for _ in range(_MOST_TRIES):  # until one sees something of both
        turn, model = cv2.Rodrigues(rng.normal(0, 0.45, 3))[0][None], HandModel.load()
        hands = [
            place(model, turned(hand, turn, (turn @ shift[..., None])[..., 0]))[0]
            for hand, shift in ((pair.right, -aside), (pair.left, aside))
        ]
        hands = _sized(hands, rng, conditions.size_px)
        down, body = turn[0, :, 1], _rng(index, "body")
        things = [
            mesh
            for k, hand in enumerate(hands)
            for mesh in people.person(body, hand, look, down, hands, body=k == 0)
        ]
        company: _Company = (hands, [look, look], things)
        if min(int(hand.visible.sum()) for hand in _coarsely_drawn(company).hands) >= _LEAST_SEEN:
            break
    return company


# --- what is in the way --------------------------------------------------------------------------


def _company(
    index: int, hand: PlacedHand, look: HandLook, hidden: tuple[float, float] | None
) -> _Company:
    """The hand, its arm and body, and what hides a share of it."""
    behind = people.person(
        _rng(index, "body"), hand, look, np.array([0.0, 1.0, 0.0]), [hand], body=True
    )
    alone: _Company = ([hand], [look], behind)
    if hidden is None:
        return alone
    rng, free = _rng(index, f"hidden {hidden}"), _pixels_of_hand(alone)
    nearest: tuple[float, _Company] = (np.inf, alone)
    for attempt in range(_MOST_TRIES):
        hands, looks, things = _OBSTACLES[(index + attempt) % len(_OBSTACLES)](rng, hand, look)
        if any(each.joints_mm[:, 2].min() < _NEAREST_MM for each in hands):
            continue
        company: _Company = ([hand, *hands], [look, *looks], [*behind, *things])
        share = 1 - _pixels_of_hand(company) / free
        if hidden[0] <= share <= hidden[1]:
            return company
        miss = abs(share - sum(hidden) / 2)
        nearest = min(nearest, (miss, company), key=lambda pair: pair[0])
    return nearest[1]


def _pixels_of_hand(company: _Company) -> int:
    """Pixels in which the first hand is seen, in a quarter of the resolution."""
    hand_map = _coarsely_drawn(company).hand_map
    return max(int((hand_map == 1).sum()), 1)


def _coarsely_drawn(company: _Company) -> Sample:
    """Who hides whom, in a quarter of the resolution."""
    hands, looks, things = company
    blank = np.zeros((HEIGHT // 4, WIDTH // 4, 3), np.uint8)
    return render_scene(
        hands, looks, _camera(4), blank, Lights(), _world(), props=things, key="coarse"
    )


def _held(rng: np.random.Generator, hand: PlacedHand, look: HandLook) -> _Company:
    """Something between palm and fingers."""
    joints = hand.joints_mm
    palm = (joints[KNUCKLES].mean(axis=0) + joints[Joint.WRIST]) / 2
    across = joints[Joint.INDEX_MCP] - joints[Joint.LITTLE_MCP]
    axis = across / np.linalg.norm(across) + rng.normal(0, 0.3, 3)
    centre = palm + hand.R_camera_from_hand[:, 2] * rng.uniform(15, 60) + rng.normal(0, 12, 3)
    radius, length = rng.uniform(8, 45), rng.uniform(60, 220)
    kinds = (
        props.cylinder(radius, length),
        props.capsule(radius, 0.0),
        props.box(np.array([2 * radius, length, rng.uniform(4, 30)])),
    )
    solid = kinds[int(rng.integers(len(kinds)))]
    return [], [], [people.thing(solid, people.frame_along(rng, axis), centre, _stuff(rng))]


def _before(rng: np.random.Generator, hand: PlacedHand, look: HandLook) -> _Company:
    """Something between camera and hand: a board, a bar, a ball."""
    target = hand.joints_mm[int(rng.integers(21))] + rng.normal(0, 15, 3)
    origin = target * rng.uniform(0.7, 0.95)
    size = float(rng.uniform(15, 130))
    kinds = (
        props.box(np.array([size, rng.uniform(30, 400), 5.0])),
        props.cylinder(size / 2, 900.0),
        props.capsule(size / 2, 0.0),
    )
    solid, axis = kinds[int(rng.integers(len(kinds)))], rng.normal(0, 1, 3)
    return [], [], [people.thing(solid, people.frame_along(rng, axis), origin, _stuff(rng))]


def _other(rng: np.random.Generator, hand: PlacedHand, look: HandLook, *, arm: bool) -> _Company:
    """The other hand of the same person before this one, or only its forearm."""
    model = HandModel.load()
    turn = _turned(int(rng.integers(2**31)), "facing")
    parameters = HandParameters(
        pose_deg=sample_poses(rng, 1), shape=np.zeros((1, model.n_shape)),
        R_camera_from_hand=turn[None], root_mm=np.zeros((1, 3)),
        side="left" if hand.side == "right" else "right",
    )  # fmt: skip
    other = place(model, parameters)[0]
    covering = people.elbow_mm(other) * rng.uniform(0.3, 0.6) if arm else other.joints_mm.mean(0)
    target = hand.joints_mm.mean(axis=0) + rng.normal(0, 40, 3)
    gap = np.ptp(hand.vertices_mm[:, 2]) / 4 + rng.uniform(20, 90)
    other = other.moved(target - covering)
    other = other.moved(
        np.array([0.0, 0.0, hand.joints_mm[:, 2].min() - gap - covering_depth(other)])
    )
    return [other], [replace(look, worn=())], []


def covering_depth(hand: PlacedHand) -> float:
    """Largest distance of a hand's joints from the camera, mm."""
    return float(hand.joints_mm[:, 2].max())


def _stuff(rng: np.random.Generator) -> ClothMaterial:
    """Printed paper, cloth or plain plastic."""
    if rng.random() < 0.5:
        return sample_cloth(rng, pictures=0.6)
    red, green, blue = rng.beta(0.8, 1.3, 3).tolist()
    return ClothMaterial((red, green, blue), gloss=float(rng.uniform(0, 0.6)))


_OBSTACLES: tuple[Callable[[np.random.Generator, PlacedHand, HandLook], _Company], ...] = (
    _held, _before, partial(_other, arm=False), _held, _before, partial(_other, arm=True),
)  # fmt: skip
