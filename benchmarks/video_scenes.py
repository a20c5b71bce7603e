"""Test videos of rendered hands with full truth: hard cases for trackers, one story each.

    python benchmarks/video_scenes.py --sheets /tmp/sheets

Every clip is compressed as by a camera, decoded again for each system, and kept below
``benchmarks/.cache`` with its truth. A clip depends only on its story, and is rebuilt when the
story or ``EDITION`` changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np

from choreography import Part, move, turn_towards_camera, with_grain
from knuckle import open_source
from knuckle.camera import Camera
from knuckle.hand import Side
from knuckle.render import props
from knuckle.render.backgrounds import Backgrounds, window
from knuckle.render.hand_model import FOREARM_ROW, HandModel, HandParameters, sample_shapes
from knuckle.render.interaction import interaction_motion
from knuckle.render.looks import HandLook, PlacedHand, place, sample_skin
from knuckle.render.people import body_of, elbow_mm, thing, upper_arm
from knuckle.render.poses import sample_poses
from knuckle.render.props import FOREARM_BONE, Band
from knuckle.render.scene import World, render_scene, sample_lights
from knuckle.render.shading import linear_from_srgb
from knuckle.render.stage import ClothMaterial, Lights, Mesh
from knuckle.results import Frame
from knuckle.sample import Sample
from tracks import Presence, TrueVideo

#: To be counted up when filming changes: clips of an older edition are not used any more.
EDITION = 2

FPS, WIDTH, HEIGHT = 30, 640, 480
CAMERA = Camera.assume(WIDTH, HEIGHT)
CACHE = Path(__file__).resolve().parent / ".cache" / "videos"

#: With motion blur so many pictures are averaged, over this share of the time between frames.
BLUR_STEPS, EXPOSURE = 4, 0.5
#: A hand must be found with such a share of its joints in the picture and so many of them in sight
#: (a hand alone hides up to 7 of its own); it is away, or hidden, with less than the second values.
INSIDE, IN_SIGHT = (0.75, 0.25), (13, 3)

#: Where the person behind a pair of hands sits, and its left shoulder, seen from there.
TORSO_MM = np.array([0.0, 130.0, 360.0])
SHOULDER_MM = np.array([165.0, -190.0, 0.0])

Row = tuple[float, ...]


# --- stories -------------------------------------------------------------------------------------


def _shaking(time_s: np.ndarray) -> np.ndarray:
    """A phone held by a person who also looks around: a slow pan and a tremble of 2 to 7 Hz."""
    pan = 7.0 * np.sin(2 * np.pi * 0.22 * time_s)
    tilt = 3.0 * np.sin(2 * np.pi * 0.31 * time_s + 1.0)
    roll = 4.0 * np.sin(2 * np.pi * 0.17 * time_s + 2.0)
    phase = np.array([0.3, 1.9, 4.1])
    tremble = sum(
        amplitude * np.sin(2 * np.pi * rate * time_s[:, None] + phase * rate)
        for amplitude, rate in ((0.5, 2.3), (0.3, 4.1), (0.15, 6.7))
    )
    return np.stack([tilt, pan, roll], axis=1) + tremble


def _dimming(time_s: np.ndarray) -> np.ndarray:
    """Down to an eighth, a flickering tube, and the light switched on at once."""
    gain = np.interp(time_s, [0.0, 0.7, 1.7, 2.3], [1.0, 1.0, 0.12, 0.12])
    gain = np.where(time_s > 2.3, 1.25, gain)
    return gain * np.where(time_s > 3.0, 1 + 0.25 * np.sign(np.sin(2 * np.pi * 11 * time_s)), 1)


def _going_round(time_s: np.ndarray) -> np.ndarray:
    """A lamp that is carried around the hand."""
    return 50.0 * time_s


def _nothing(time_s: float) -> list[Mesh]:
    """Nothing but hands."""
    return []


def _sliding_book(time_s: float) -> list[Mesh]:
    """A book that is pushed before the hand, rests, and is pulled away again, twice."""
    x = np.interp(time_s, [0, 0.8, 1.2, 1.6, 2.1, 2.8, 3.1, 3.7, 4.3],
                  [-400, -400, 0, 0, 400, 400, 40, 40, -400])  # fmt: skip
    cover = ClothMaterial((0.35, 0.05, 0.06))
    book = props.box(np.array([150.0, 210.0, 22.0]))
    return [thing(book, np.eye(3), np.array([x * 0.75, 10.0, 330.0]), cover)]


def _bar(time_s: float) -> list[Mesh]:
    """A thick rod that sweeps across the hand and hides a quarter of it at a time."""
    x = 130.0 * np.sin(2 * np.pi * 0.4 * time_s)
    rod = props.capsule(13.0, 500.0)
    return [thing(rod, np.eye(3), np.array([x, -250.0, 360.0]), ClothMaterial((0.05, 0.2, 0.1)))]


@dataclass(frozen=True)
class Rest:
    """A hand at rest in one place after another: it does not move, it jumps.

    Attributes:
        side: which hand.
        seed: of the poses.
        stops: rows of wrist (x, y, z mm), roll, yaw, pitch (degrees), number of the pose.
        frames: that each stop lasts.
    """

    side: Side
    seed: int
    stops: tuple[Row, ...]
    frames: int


@dataclass(frozen=True)
class Pair:
    """A right and a left hand of one person that come together, touch and part.

    Attributes:
        seed: of the movement.
        centre_mm: (3,) where they meet, camera frame.
        meetings: kinds of ``interaction.MEETINGS`` with their weights.
    """

    seed: int
    centre_mm: Row
    meetings: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Story:
    """Everything about one clip.

    Attributes:
        hands: what each does.
        frames: how many.
        seed: of looks, background and light.
        tones: of each hand's skin, 1 (light) to 10.
        sleeves: whether the forearms are covered.
        blur: whether what is fast is blurred.
        turn_deg: (F,) seconds -> (F, 3) rotation vector of the camera, degrees.
        brightness: (F,) seconds -> (F,) factor on all light.
        lamp_deg: (F,) seconds -> (F,) how far the main lamp has gone round the vertical.
        things: second -> what else is in the picture, camera frame.
        jumps: frames in which a hand at rest is suddenly elsewhere.
    """

    hands: tuple[Part | Rest | Pair, ...]
    frames: int
    seed: int
    tones: tuple[float, ...] = (4.0,)
    sleeves: bool = True
    blur: bool = False
    turn_deg: Callable[[np.ndarray], np.ndarray] | None = None
    brightness: Callable[[np.ndarray], np.ndarray] | None = None
    lamp_deg: Callable[[np.ndarray], np.ndarray] | None = None
    things: Callable[[float], list[Mesh]] = _nothing
    jumps: tuple[int, ...] = ()


def _to_and_fro(every_s: float, until_s: float, ends: Sequence[Row]) -> tuple[Row, ...]:
    """A path through ``ends`` over and over."""
    count = int(until_s / every_s) + 2
    return tuple((k * every_s, *ends[k % len(ends)]) for k in range(count))


_SHOWN = {"counting": 0.35, "splayed": 0.2, "relaxed": 0.2, "pointing": 0.15, "pinching": 0.1}
_OPEN = {"relaxed": 0.4, "splayed": 0.3, "flat": 0.3}

STORIES: dict[str, Story] = {
    "slow": Story((Part("right", 21, (
        (0.0, -30.0, 80.0, 480.0, -10.0, 10.0, 5.0),
        (1.7, 40.0, 60.0, 440.0, 12.0, -25.0, 0.0),
        (3.4, -20.0, 90.0, 520.0, -5.0, 35.0, 15.0),
        (5.0, 0.0, 70.0, 470.0, 0.0, 0.0, 0.0),
    )),), 150, 1),
    "fast": Story((Part("left", 22, _to_and_fro(0.27, 3.0, (
        (-110.0, 90.0, 500.0, -25.0, 20.0, 5.0),
        (100.0, 70.0, 470.0, 25.0, -20.0, 0.0),
        (20.0, 150.0, 430.0, 0.0, 10.0, 20.0),
        (90.0, 40.0, 520.0, 20.0, -10.0, -10.0),
    )), poses=_OPEN),), 90, 2, tones=(3.0,), blur=True),
    "crossing": Story((
        Part("right", 23, _to_and_fro(1.1, 5.0, (
            (-105.0, 80.0, 430.0, -8.0, 10.0, 5.0), (95.0, 70.0, 430.0, 14.0, -5.0, 0.0),
        )), poses=_SHOWN),
        Part("left", 24, _to_and_fro(1.1, 5.0, (
            (120.0, 80.0, 560.0, 8.0, -10.0, 5.0), (-110.0, 75.0, 560.0, -14.0, 5.0, 0.0),
        )), poses=_SHOWN),
    ), 150, 3, tones=(4.0, 4.0)),
    "crossing quickly": Story((
        Part("right", 25, _to_and_fro(0.5, 4.0, (
            (-110.0, 90.0, 580.0, -8.0, 10.0, 5.0), (90.0, 80.0, 580.0, 14.0, -5.0, 0.0),
        )), poses=_OPEN),
        Part("left", 26, _to_and_fro(0.7, 4.0, (
            (110.0, 80.0, 450.0, 8.0, -10.0, 5.0), (-85.0, 70.0, 450.0, -14.0, 5.0, 0.0),
        )), poses=_OPEN),
    ), 120, 4, tones=(8.0, 8.0), sleeves=False),
    "touching": Story((
        Part("right", 27, (
            (0.0, -105.0, 80.0, 470.0, -5.0, 15.0, 5.0), (0.9, -70.0, 70.0, 470.0, 22.0, 40.0, 0.0),
            (1.9, -66.0, 72.0, 470.0, 24.0, 42.0, 0.0), (2.6, -110.0, 80.0, 480.0, -5.0, 10.0, 5.0),
            (3.3, -62.0, 100.0, 470.0, 30.0, 60.0, 0.0), (4.2, -60.0, 98.0, 465.0, 32.0, 62.0, 0.0),
            (5.0, -110.0, 80.0, 480.0, -5.0, 10.0, 5.0),
        ), wander=0.0, poses=_OPEN),
        Part("left", 28, (
            (0.0, 105.0, 80.0, 480.0, 5.0, -15.0, 5.0), (0.9, 72.0, 70.0, 470.0, -22.0, -40.0, 0.0),
            (1.9, 68.0, 72.0, 470.0, -24.0, -42.0, 0.0), (2.6, 110.0, 80.0, 480.0, 5.0, -10.0, 5.0),
            (3.3, 64.0, 100.0, 470.0, -30.0, -60.0, 0.0),
            (4.2, 62.0, 98.0, 465.0, -32.0, -62.0, 0.0), (5.0, 110.0, 80.0, 480.0, 5.0, -10.0, 5.0),
        ), wander=0.0, poses=_OPEN),
    ), 150, 5, tones=(5.0, 5.0)),
    "meeting": Story((Pair(42, (0.0, 20.0, 520.0), (
        ("palms together", 1.0), ("clasped", 1.0), ("rubbing", 1.0), ("steeple", 1.0),
    )),), 180, 19, tones=(4.5, 4.5)),
    "gripping": Story((Pair(43, (0.0, 20.0, 480.0), (
        ("gripping hand", 1.0), ("crossing", 1.0), ("interlaced", 1.0), ("touching", 1.0),
    )),), 180, 20, tones=(7.5, 7.5), sleeves=False),
    "leaving": Story((Part("right", 29, (
        (0.0, -30.0, 80.0, 480.0, -5.0, 10.0, 5.0), (0.5, -30.0, 80.0, 480.0, -5.0, 10.0, 5.0),
        (1.0, -30.0, 400.0, 480.0, -5.0, 10.0, 5.0), (1.5, -30.0, 400.0, 480.0, -5.0, 10.0, 5.0),
        (1.9, 20.0, 90.0, 470.0, 5.0, -15.0, 5.0), (2.4, 20.0, 90.0, 470.0, 5.0, -15.0, 5.0),
        (2.9, 470.0, 100.0, 480.0, 5.0, -15.0, 5.0), (3.4, 470.0, 100.0, 480.0, 5.0, -15.0, 5.0),
        (3.9, 30.0, 80.0, 460.0, 5.0, -5.0, 0.0), (4.3, -20.0, 80.0, 460.0, 5.0, -5.0, 0.0),
        (4.8, -480.0, 80.0, 500.0, -15.0, 5.0, 0.0), (6.0, -480.0, 80.0, 500.0, -15.0, 5.0, 0.0),
        (6.3, 0.0, 80.0, 480.0, -5.0, 15.0, 5.0), (7.0, 0.0, 80.0, 480.0, -5.0, 15.0, 5.0),
    ), poses=_SHOWN),), 205, 6, tones=(6.0,)),
    "one leaves": Story((
        Part("right", 30, (
            (0.0, -100.0, 80.0, 480.0, -5.0, 10.0, 5.0), (0.7, -90.0, 80.0, 480.0, -5.0, 10.0, 5.0),
            (1.2, -110.0, 400.0, 480.0, -5.0, 10.0, 5.0),
            (1.8, -110.0, 400.0, 480.0, -5.0, 10.0, 5.0),
            (2.2, -90.0, 80.0, 480.0, 0.0, 10.0, 5.0), (2.8, -100.0, 80.0, 470.0, 0.0, 10.0, 5.0),
            (3.2, -480.0, 90.0, 480.0, 0.0, 10.0, 5.0), (4.6, -480.0, 90.0, 480.0, 0.0, 10.0, 5.0),
            (5.0, -95.0, 80.0, 480.0, 0.0, 10.0, 5.0), (6.0, -95.0, 80.0, 480.0, 0.0, 10.0, 5.0),
        ), poses=_SHOWN),
        Part("left", 31, (
            (0.0, 100.0, 80.0, 480.0, 5.0, -10.0, 5.0), (3.0, 90.0, 70.0, 460.0, 0.0, -20.0, 0.0),
            (6.0, 100.0, 80.0, 490.0, 5.0, 0.0, 5.0),
        ), poses=_SHOWN),
    ), 170, 7, tones=(3.0, 3.0)),
    "hidden by a book": Story((Part("right", 32, (
        (0.0, 0.0, 80.0, 480.0, -5.0, 10.0, 5.0), (2.2, 15.0, 75.0, 470.0, 5.0, -10.0, 0.0),
        (4.4, -10.0, 85.0, 480.0, 0.0, 10.0, 5.0),
    ), poses=_OPEN),), 132, 8, things=_sliding_book),
    "behind a rod": Story((Part("left", 33, (
        (0.0, 0.0, 80.0, 480.0, 5.0, 10.0, 5.0), (2.0, 15.0, 75.0, 470.0, -5.0, -10.0, 0.0),
        (4.0, -10.0, 85.0, 480.0, 0.0, 10.0, 5.0),
    ), poses=_SHOWN),), 120, 9, tones=(7.0,), things=_bar),
    "changing light": Story((Part("right", 34, (
        (0.0, -20.0, 80.0, 480.0, -5.0, 10.0, 5.0), (2.2, 25.0, 75.0, 460.0, 5.0, -15.0, 0.0),
        (4.0, -20.0, 85.0, 490.0, 0.0, 20.0, 5.0),
    ), poses=_SHOWN),), 120, 10, tones=(5.0,), brightness=_dimming,
        lamp_deg=_going_round),
    "hand-held": Story((Part("left", 35, (
        (0.0, -10.0, 80.0, 480.0, 5.0, 10.0, 5.0), (2.0, 15.0, 70.0, 450.0, -5.0, -15.0, 0.0),
        (4.0, -20.0, 85.0, 500.0, 0.0, 15.0, 5.0),
    ), poses=_SHOWN),), 120, 11, turn_deg=_shaking),
    "two right hands": Story((
        Part("right", 36, (
            (0.0, -105.0, 80.0, 480.0, -5.0, 10.0, 5.0), (2.0, -80.0, 70.0, 460.0, 8.0, -15.0, 0.0),
            (3.0, -75.0, 70.0, 460.0, 8.0, -15.0, 0.0), (4.0, -110.0, 85.0, 500.0, 0.0, 15.0, 5.0),
        ), poses=_SHOWN),
        Part("right", 37, (
            (0.0, 115.0, 80.0, 520.0, 5.0, 10.0, 5.0), (2.0, 70.0, 80.0, 520.0, -5.0, -15.0, 0.0),
            (3.0, 65.0, 80.0, 520.0, -5.0, -15.0, 0.0), (4.0, 110.0, 85.0, 500.0, 0.0, 15.0, 5.0),
        ), poses=_SHOWN),
    ), 120, 12, tones=(2.5, 8.5)),
    "still": Story((Rest("right", 38, (
        (0.0, 80.0, 480.0, -5.0, 10.0, 5.0, 0),
    ), 90),), 90, 13),
    "still, a fist": Story((Rest("left", 7, (
        (10.0, 60.0, 520.0, 5.0, 30.0, 0.0, 2),
    ), 90),), 90, 14, tones=(7.0,)),
    "still, far away": Story((Rest("right", 40, (
        (30.0, 40.0, 900.0, 10.0, -20.0, 10.0, 1),
    ), 90),), 90, 15, tones=(3.0,)),
    "steps": Story((Rest("right", 41, (
        (-25.0, 80.0, 480.0, -5.0, 10.0, 5.0, 0),
        (30.0, 80.0, 480.0, -5.0, 10.0, 5.0, 0),  # across
        (30.0, 80.0, 420.0, -5.0, 10.0, 5.0, 0),  # nearer
        (30.0, 80.0, 420.0, -5.0, 10.0, 5.0, 3),  # fingers
        (30.0, 80.0, 420.0, 20.0, -15.0, 5.0, 3),  # turned
        (-10.0, 55.0, 500.0, 0.0, 0.0, 0.0, 3),  # everything
    ), 36),), 216, 16, jumps=(36, 72, 108, 144, 180)),
}  # fmt: skip

#: Stories in which identity is at stake, and those in which hands do not move at all.
CROSSING = (
    "crossing", "crossing quickly", "touching", "meeting", "gripping", "two right hands",
)  # fmt: skip
STILL = ("still", "still, a fist", "still, far away")
RETURNING = ("leaving", "one leaves", "hidden by a book")


# --- a clip --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Clip:
    """A story that was filmed.

    Attributes:
        name: in ``STORIES``.
        path: the video.
        frames: decoded, with their camera.
        truth: see ``TrueVideo``.
    """

    name: str
    path: Path
    frames: list[Frame]
    truth: TrueVideo = field(repr=False)

    @property
    def story(self) -> Story:
        """What happens in it."""
        return STORIES[self.name]


def load(name: str, folder: Path = CACHE) -> Clip:
    """A clip, filmed first if need be.

    Raises:
        ValueError: there is no such story.
    """
    if name not in STORIES:
        raise ValueError(f"there is no story {name!r}: choose from {', '.join(STORIES)}")
    stem = folder / f"{_file_name(name)}-{_digest(STORIES[name])}"
    video, truth = stem.with_suffix(".mp4"), stem.with_suffix(".npz")
    if not truth.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(video, truth, film(STORIES[name]))
    with np.load(truth) as saved:
        sides = tuple(str(side) for side in saved["side"])
        asked = presence(saved["joints_px"], saved["visible"])
        known = TrueVideo(sides, saved["joints_px"], saved["joints_mm"], asked)
    with open_source(video, camera=CAMERA) as source:
        return Clip(name, video, list(source), known)


def _file_name(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def _digest(story: Story) -> str:
    """What tells a story from every other one, and this edition from the next."""
    values = [getattr(story, item.name) for item in fields(story)]
    told = [getattr(value, "__qualname__", repr(value)) for value in values]
    return hashlib.sha256(repr([EDITION, told]).encode()).hexdigest()[:8]


def _write(video: Path, truth: Path, samples: Iterator[Sample]) -> None:
    joints_px, joints_mm, visible, sides = [], [], [], ()
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "20", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for sample in samples:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(sample.image, format="rgb24")))
            sides = tuple(hand.side for hand in sample.hands)
            joints_px.append([hand.joints_px for hand in sample.hands])
            joints_mm.append([hand.joints_mm for hand in sample.hands])
            visible.append([hand.visible for hand in sample.hands])
        container.mux(stream.encode())
    np.savez_compressed(
        truth,
        side=np.array(sides),
        joints_px=np.array(joints_px),
        joints_mm=np.array(joints_mm),
        visible=np.array(visible),
    )


def presence(joints_px: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """What can be asked about each hand: (F, H, 21, 2), (F, H, 21) -> (F, H) ``Presence``."""
    limit = np.array([WIDTH, HEIGHT]) - 0.5
    inside = ((joints_px > -0.5) & (joints_px < limit)).all(axis=-1)
    share, in_sight = inside.mean(axis=-1), (inside & visible).sum(axis=-1)
    result = np.full(share.shape, Presence.PARTLY)
    result[(share >= INSIDE[0]) & (in_sight >= IN_SIGHT[0])] = Presence.THERE
    result[in_sight < IN_SIGHT[1]] = Presence.HIDDEN
    result[share < INSIDE[1]] = Presence.AWAY
    return result


# --- filming -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Set:
    """What stays the same during a clip."""

    looks: list[HandLook]
    surroundings: np.ndarray  # larger than the picture: cameras turn
    lights: Lights
    world: World


@cache
def _world() -> World:
    return World.of(Backgrounds.load())


def film(story: Story) -> Iterator[Sample]:
    """Every frame with its truth."""
    scenery = _set_up(story)
    steps = BLUR_STEPS if story.blur else 1
    rate = round(steps / EXPOSURE) if story.blur else 1  # pictures a frame, of which some expose
    hands = [moving for hand in story.hands for moving in _moves(hand, story, rate)]
    time_s = np.arange(story.frames) / FPS
    turns = np.zeros((story.frames, 3)) if story.turn_deg is None else story.turn_deg(time_s)
    gains = np.ones(story.frames) if story.brightness is None else story.brightness(time_s)
    lamps = np.zeros(story.frames) if story.lamp_deg is None else story.lamp_deg(time_s)
    last: Sample | None = None
    for i in range(story.frames):
        if last is None or not _at_rest(story, i):
            exposures = [
                _picture(story, scenery, [hand[i * rate + k] for hand in hands], i, turns[i],
                         lamps[i])
                for k in range(steps)
            ]  # fmt: skip
            light = np.mean([linear_from_srgb(e.image) for e in exposures], axis=0)
            last = replace(exposures[len(exposures) // 2], image=_srgb(light * gains[i]))
        yield replace(last, image=with_grain(last.image, 1000 * story.seed + i), key=f"{i:04d}")


def _at_rest(story: Story, i: int) -> bool:
    """Whether frame ``i`` shows what the one before shows."""
    dark = story.brightness is not None
    return not dark and i not in story.jumps and all(isinstance(h, Rest) for h in story.hands)


def _picture(
    story: Story, scenery: _Set, hands: list[PlacedHand], i: int, turn_deg: np.ndarray,
    lamp_deg: float,
) -> Sample:  # fmt: skip
    """One exposure by a camera that is turned by ``turn_deg``, without grain."""
    turn = cv2.Rodrigues(np.radians(turn_deg))[0]  # R_camera_from_start
    lights = replace(scenery.lights, directions=scenery.lights.directions.copy())
    around = cv2.Rodrigues(np.radians([0.0, lamp_deg, 0.0]))[0]
    lights.directions[0] = around @ lights.directions[0]
    return render_scene(
        [hand.turned(turn) for hand in hands],
        scenery.looks,
        CAMERA,
        _background(scenery.surroundings, turn),
        lights.seen_from(turn),
        scenery.world,
        props=[*story.things(i / FPS), *_person(story, scenery, hands)],
        key=f"{i:04d}",
    )


def _person(story: Story, scenery: _Set, hands: list[PlacedHand]) -> list[Mesh]:
    """Whom a pair of hands belongs to: somebody who sits behind them and faces the camera."""
    if not isinstance(story.hands[0], Pair):
        return []
    torso = np.array(story.hands[0].centre_mm) + TORSO_MM
    rng = np.random.default_rng(story.seed)  # anew in every frame: the same clothes
    meshes = body_of(rng, torso, np.array([0.0, 1.0, 0.0]), scenery.looks[0])
    for hand, look in zip(hands, scenery.looks, strict=True):
        elbow = elbow_mm(hand)
        across = SHOULDER_MM * (1, 1, 1) if hand.side == "left" else SHOULDER_MM * (-1, 1, 1)
        arm = torso + across - elbow
        length = float(np.linalg.norm(arm))
        meshes.append(upper_arm(elbow, arm / length, look, np.random.default_rng(0), length))
    return meshes


def _background(surroundings: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """What a turned camera sees of surroundings that are far away."""
    height, width = surroundings.shape[:2]
    K = CAMERA.matrix
    # The surroundings are a picture of the camera at rest with more room on every side.
    K_around = CAMERA.padded((width - WIDTH) / 2, (height - HEIGHT) / 2).matrix
    homography = K_around @ turn.T @ np.linalg.inv(K)  # picture -> surroundings
    return cv2.warpPerspective(
        surroundings, homography, (WIDTH, HEIGHT), None, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        cv2.BORDER_REPLICATE,
    )  # fmt: skip


def _moves(hand: Part | Rest | Pair, story: Story, rate: int) -> list[list[PlacedHand]]:
    """One or two hands in every picture."""
    model = HandModel.load()
    rng = np.random.default_rng(1000 + story.seed)
    shape = sample_shapes(rng, 1, model.n_shape)[0]
    frames, fps = story.frames * rate, FPS * rate
    if isinstance(hand, Part):
        return [place(model, move(hand, shape, frames, fps))]
    if isinstance(hand, Rest):
        stops = place(model, _stops(hand, shape))
        return [[stops[i // hand.frames] for i in range(frames)]]
    rng, time_s = np.random.default_rng(hand.seed), np.arange(frames) / fps
    both = interaction_motion(rng, time_s, shape, shape, model, dict(hand.meetings))
    # Their world's axes are the camera's: a person who faces it.
    centre = np.array(hand.centre_mm)
    return [[placed.moved(centre) for placed in place(model, params)] for params in both]


def _stops(rest: Rest, shape: np.ndarray) -> HandParameters:
    """One hand per stop."""
    rows = np.array(rest.stops)
    poses = sample_poses(np.random.default_rng(rest.seed), 4, _SHOWN)
    poses[:, FOREARM_ROW] *= 0.5
    return HandParameters(
        pose_deg=poses[rows[:, 6].astype(int)],
        shape=np.tile(shape, (len(rows), 1)),
        R_camera_from_hand=np.stack([turn_towards_camera(*row[3:6]) for row in rows]),
        root_mm=rows[:, :3],
        side=rest.side,
    )


def _set_up(story: Story) -> _Set:
    """Looks, background and light of a story."""
    rng = np.random.default_rng(story.seed)
    world = _world()
    photographs = world.backgrounds.photographs
    photograph = photographs[int(rng.integers(len(photographs)))]
    around = window(photograph, rng, HEIGHT * 3 // 2, WIDTH * 3 // 2, smallest=0.7)
    around = cv2.GaussianBlur(around, (0, 0), 2.0)
    middle = around[HEIGHT // 4 : -HEIGHT // 4, WIDTH // 4 : -WIDTH // 4]
    sleeve = Band(FOREARM_BONE, -262.0, -48.0, 5.0, 2.5, wrinkles_mm=1.2, rings=9)
    looks = []
    for tone in story.tones:
        skin = sample_skin(np.random.default_rng(round(10 * tone)), tone=tone)
        cloth = ClothMaterial(tuple(np.random.default_rng(round(tone)).uniform(0.03, 0.4, 3)))
        worn = ((sleeve, cloth),) if story.sleeves else ()
        looks.append(HandLook(skin=replace(skin, ink_texture=-1), worn=worn, seed=story.seed))
    return _Set(looks, around, sample_lights(rng, middle), world)


def _srgb(light: np.ndarray) -> np.ndarray:
    """Linear light -> uint8."""
    light = np.clip(light, 0, 1)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * srgb).astype(np.uint8)


# --- looking at them -----------------------------------------------------------------------------


def contact_sheet(clip: Clip, columns: int = 6, rows: int = 3) -> np.ndarray:
    """Frames from all over a clip with the true joints that had to be found."""
    chosen = np.linspace(0, len(clip.frames) - 1, columns * rows).round().astype(int)
    tiles = []
    for i in chosen:
        tile = cv2.resize(clip.frames[i].image, (WIDTH // 2, HEIGHT // 2))
        for joints, there in zip(clip.truth.joints_px[i], clip.truth.presence[i], strict=True):
            colour = {Presence.THERE: (0, 255, 0), Presence.PARTLY: (255, 160, 0)}
            for x, y in joints / 2:
                cv2.circle(tile, (int(x), int(y)), 2, colour.get(there, (255, 0, 0)), -1)
        cv2.putText(tile, str(i), (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255))
        tiles.append(tile)
    return np.vstack([np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles), columns)])


@dataclass(frozen=True)
class Film:
    """Film the stories and lay out contact sheets."""

    sheets: Path
    """Folder for one picture a clip."""
    only: tuple[str, ...] = ()
    """These stories; none: all."""

    def run(self) -> None:
        """Film and write."""
        self.sheets.mkdir(parents=True, exist_ok=True)
        for name in self.only or STORIES:
            sheet = contact_sheet(load(name))
            path = self.sheets / f"{_file_name(name)}.png"
            cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    import tyro

    tyro.cli(Film).run()
