"""Render the clip that ``make demo`` tracks, and write down where its hands truly are.

    python tools/make_demo_clip.py                    # writes src/knuckle/demo/
    python tools/make_demo_clip.py /tmp/demo --sheet  # elsewhere, with a sheet of its frames

One person before a webcam: the right hand alone, the left one joins, they meet, the right one goes
and comes back. Fingers follow ``sample_motion``; where wrists are and how they turn is written
below, so that the story is the same whenever the clip is made anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib import resources
from pathlib import Path

import av
import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.hand import Side
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.hand_model import FOREARM_ROW, HandModel, HandParameters
from knuckle.render.looks import HandLook, PlacedHand, place, sample_skin
from knuckle.render.poses import sample_motion
from knuckle.render.props import FOREARM_BONE, Band
from knuckle.render.scene import World, render_scene
from knuckle.render.stage import ClothMaterial, Lights
from knuckle.render.textures import FABRIC
from knuckle.sample import Sample

FPS, FRAMES, WIDTH, HEIGHT = 30, 170, 640, 480
BACKGROUND = "environment-lobby-1.jpg"
#: Two hands whose joints come nearer than this are inside each other.
LEAST_GAP_MM = 18.0
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Part:
    """What one hand does.

    Attributes:
        side: which hand.
        seed: of the motion of the fingers.
        path: rows of time (s), wrist (x, y, z mm, camera frame), turn about the camera's z axis
            (clockwise in the picture), about the vertical and about the horizontal axis (degrees).
            At zero turn the fingers point up and the palm faces the camera.
    """

    side: Side
    seed: int
    path: tuple[tuple[float, ...], ...]


RIGHT = Part("right", 5, (
    # s     x     y    z  roll  yaw pitch
    (0.0, -75.0, 85.0, 480.0, -8.0, 10.0, 8.0),
    (0.8, -60.0, 60.0, 460.0, 0.0, -10.0, 0.0),
    (1.6, -110.0, 75.0, 480.0, -12.0, 30.0, 5.0),
    (2.4, -105.0, 70.0, 470.0, 10.0, 25.0, 0.0),
    (3.0, -80.0, 60.0, 465.0, 24.0, 35.0, 0.0),
    (3.5, -110.0, 90.0, 480.0, 5.0, 10.0, 5.0),
    (4.0, -200.0, 370.0, 500.0, -15.0, 5.0, 5.0),
    (4.4, -200.0, 370.0, 500.0, -15.0, 5.0, 5.0),
    (5.0, -110.0, 75.0, 475.0, -4.0, -5.0, 0.0),
    (5.7, -100.0, 65.0, 470.0, 2.0, 10.0, 0.0),
))  # fmt: skip
LEFT = Part("left", 11, (
    (0.0, 230.0, 380.0, 520.0, 20.0, 0.0, 5.0),
    (1.3, 230.0, 380.0, 520.0, 20.0, 0.0, 5.0),
    (2.0, 110.0, 80.0, 490.0, 8.0, -15.0, 0.0),
    (2.5, 100.0, 70.0, 480.0, -8.0, -25.0, 0.0),
    (3.0, 80.0, 65.0, 475.0, -24.0, -35.0, 0.0),
    (3.6, 100.0, 80.0, 480.0, 0.0, 20.0, 5.0),
    (4.4, 60.0, 65.0, 460.0, 6.0, 140.0, 0.0),
    (5.1, 105.0, 75.0, 475.0, 4.0, 20.0, 0.0),
    (5.7, 110.0, 75.0, 475.0, -2.0, -10.0, 0.0),
))  # fmt: skip

#: What the fingers do: shown to a camera, with pauses.
MIX = {"counting": 0.4, "pinching": 0.25, "relaxed": 0.15, "splayed": 0.1, "pointing": 0.1}


def move(part: Part, shape: np.ndarray) -> list[PlacedHand]:
    """The hand of every frame, camera frame."""
    rng = np.random.default_rng(part.seed)
    motion = sample_motion(rng, FRAMES, FPS, MIX)
    pose_deg = motion.pose_deg.copy()
    pose_deg[:, FOREARM_ROW] *= 0.5  # raised forearms stay below their hands
    path = through(np.arange(FRAMES) / FPS, np.array(part.path))
    turns = np.stack([turn_towards_camera(*angles) for angles in path[:, 3:]])
    params = HandParameters(
        pose_deg=pose_deg,
        shape=np.tile(shape, (FRAMES, 1)),
        R_camera_from_hand=turns,
        root_mm=path[:, :3] + 0.2 * (motion.offset_mm - motion.offset_mm.mean(axis=0)),
        side=part.side,
    )
    return place(HandModel.load(), params)


def through(time_s: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """(F, D) a smooth path through ``keys`` (K, 1 + D), whose first column is the time.

    Cubic Hermite pieces with the slopes of Fritsch and Butland (SIAM J. Sci. Stat. Comput. 5,
    1984): nothing overshoots, and what rests between two equal keys is at rest.
    """
    times, values = keys[:, 0], keys[:, 1:]
    step = np.diff(times)[:, None]
    slope = np.diff(values, axis=0) / step
    before, after = slope[:-1], slope[1:]
    same_way = before * after > 0
    total = np.where(same_way, before + after, 1.0)
    inner = np.where(same_way, 2 * before * after / total, 0.0)
    tangent = np.concatenate([np.zeros_like(slope[:1]), inner, np.zeros_like(slope[:1])])
    i = np.clip(np.searchsorted(times, time_s, side="right") - 1, 0, len(step) - 1)
    x = np.clip((time_s - times[i]) / step[i, 0], 0.0, 1.0)[:, None]
    return (
        values[i] * (1 + 2 * x) * (1 - x) ** 2
        + values[i + 1] * x**2 * (3 - 2 * x)
        + step[i] * (tangent[i] * x * (1 - x) ** 2 - tangent[i + 1] * x**2 * (1 - x))
    )


def turn_towards_camera(roll: float, yaw: float, pitch: float) -> np.ndarray:
    """``R_camera_from_hand`` (3, 3) from degrees; at zero the palm faces the camera, fingers up."""
    upright = np.diag([1.0, -1.0, -1.0])
    vectors = np.radians([(0.0, 0.0, roll), (0.0, yaw, 0.0), (pitch, 0.0, 0.0)])
    turns = [cv2.Rodrigues(vector)[0] for vector in vectors]
    return turns[0] @ turns[1] @ turns[2] @ upright


def look() -> HandLook:
    """Both hands' skin and the sleeves of one pullover."""
    skin = replace(sample_skin(np.random.default_rng(3), tone=4.2), ink_texture=-1, oil=0.1,
                   nail_colour=None, fold_strength=0.7)  # fmt: skip
    cloth = ClothMaterial((0.03, 0.07, 0.16), texture=int(FABRIC[0]), repeat=2.0)
    sleeve = Band(FOREARM_BONE, -262.0, -48.0, 5.0, 2.5, wrinkles_mm=1.2, rings=9)
    return HandLook(skin=skin, worn=((sleeve, cloth),), seed=1)


def room() -> np.ndarray:
    """(H, W, 3) the room behind, out of focus as behind anything held up to a webcam."""
    asset = resources.files("knuckle.render").joinpath("assets", BACKGROUND)
    picture = cv2.imdecode(np.frombuffer(asset.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None  # it ships
    rows = picture.shape[1] * HEIGHT // WIDTH
    picture = cv2.resize(picture[-rows:], (WIDTH, HEIGHT), None, 0, 0, cv2.INTER_CUBIC)
    return cv2.GaussianBlur(picture, (0, 0), 3.5)


LIGHTS = Lights(
    directions=np.array([[-0.45, -0.65, -0.61], [0.75, -0.35, -0.56]]),
    colours=np.array([[0.80, 0.76, 0.69], [0.15, 0.16, 0.19]]),
    ambient=np.array([[0.23, 0.23, 0.23], [-0.04] * 3, [-0.08] * 3, [-0.05] * 3]),
    shadow=0.8,
    softness_mm=10.0,
)


def check_apart(right: PlacedHand, left: PlacedHand, frame: int) -> None:
    """Raise where the hands would pass through each other."""
    gap = np.linalg.norm(right.joints_mm[:, None] - left.joints_mm[None], axis=-1).min()
    if gap < LEAST_GAP_MM:
        raise ValueError(f"frame {frame}: the hands are {gap:.0f} mm apart; change their paths")


def render(camera: Camera) -> list[Sample]:
    """Every frame with its truth; right hand first."""
    shape = np.zeros(HandModel.load().n_shape, np.float32)
    right, left = move(RIGHT, shape), move(LEFT, shape)
    world, background, worn = World.of(Backgrounds.load()), room(), look()
    samples = []
    for i, hands in enumerate(zip(right, left, strict=True)):
        check_apart(*hands, i)
        sample = render_scene(
            hands, [worn, worn], camera, background, LIGHTS, world, key=f"{i:03d}"
        )
        samples.append(replace(sample, image=with_grain(sample.image, i)))
    return samples


def with_grain(image: np.ndarray, seed: int) -> np.ndarray:
    """The noise of a webcam in a bright room."""
    grain = np.random.default_rng(seed).normal(0, 2.0, image.shape)
    soft = cv2.GaussianBlur(image, (0, 0), 0.6)
    return np.clip(np.round(soft + grain), 0, 255).astype(np.uint8)


def write_clip(path: Path, samples: Sequence[Sample]) -> None:
    """H.264, as every player reads it.

    Raises:
        ValueError: the file is larger than a package should carry.
    """
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "21", "preset": "slow"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for sample in samples:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(sample.image, format="rgb24")))
        container.mux(stream.encode())
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes, more than {MAX_BYTES:,}")


def write_truth(path: Path, samples: Sequence[Sample], camera: Camera) -> None:
    """Arrays frame by hand: ``side`` (2,), ``joints_px`` (F, 2, 21, 2), ``joints_mm``, ``visible``.

    ``shown`` (F, 2) is the share of a hand's joints that lie within the picture.
    """
    joints_px = np.array([[hand.joints_px for hand in s.hands] for s in samples], np.float32)
    inside = ((joints_px >= -0.5) & (joints_px < np.array([WIDTH, HEIGHT]) - 0.5)).all(axis=-1)
    np.savez_compressed(
        path,
        side=np.array([hand.side for hand in samples[0].hands]),
        joints_px=joints_px,
        joints_mm=np.array([[hand.joints_mm for hand in s.hands] for s in samples], np.float32),
        visible=np.array([[hand.visible for hand in s.hands] for s in samples]),
        shown=inside.mean(axis=-1).astype(np.float32),
        camera=np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
    )


def contact_sheet(samples: Sequence[Sample], columns: int = 5, rows: int = 4) -> np.ndarray:
    """Frames from all over the clip in one picture."""
    chosen = np.linspace(0, len(samples) - 1, columns * rows).round().astype(int)
    tiles = [cv2.resize(samples[i].image, (WIDTH // 2, HEIGHT // 2)) for i in chosen]
    lines = [np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles), columns)]
    return np.vstack(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, nargs="?", default=Path("src/knuckle/demo"))
    parser.add_argument("--sheet", action="store_true", help="also write sheet.png")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    camera = Camera.assume(WIDTH, HEIGHT)
    samples = render(camera)
    write_clip(options.out / "hands.mp4", samples)
    write_truth(options.out / "hands_truth.npz", samples, camera)
    if options.sheet:
        sheet = cv2.cvtColor(contact_sheet(samples), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(options.out / "sheet.png"), sheet)


if __name__ == "__main__":
    main()
