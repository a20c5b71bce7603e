"""Renders the clip that ``make demo`` tracks, and records the true positions of its hands.

    python tools/make_demo_clip.py                    # writes src/knuckle/demo/
    python tools/make_demo_clip.py /tmp/demo --sheet  # elsewhere, with a sheet of its frames

One person in front of a webcam: the right hand alone, the left one joins, they meet, the right one
leaves and comes back. Fingers follow ``sample_motion``; positions and orientations of the wrists
are given below, so that the story is the same whenever the clip is rebuilt.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from importlib import resources
from pathlib import Path

import av
import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.hand_model import HandModel
from knuckle.render.looks import HandLook, PlacedHand, sample_skin
from knuckle.render.props import FOREARM_BONE, Band
from knuckle.render.scene import World, render_scene
from knuckle.render.stage import ClothMaterial, Lights
from knuckle.render.textures import FABRIC
from knuckle.sample import Sample

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from choreography import Part, move, placed, with_grain  # the stories of the video benchmark too

FPS, FRAMES, WIDTH, HEIGHT = 30, 170, 640, 480
BACKGROUND = "environment-lobby-1.jpg"
#: Two hands whose joints come nearer than this are inside each other.
LEAST_GAP_MM = 18.0
MAX_BYTES = 1_000_000


#: What the fingers do: shown to a camera, with pauses.
MIX = {"counting": 0.4, "pinching": 0.25, "relaxed": 0.15, "splayed": 0.1, "pointing": 0.1}
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
), poses=MIX)  # fmt: skip
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
), poses=MIX)  # fmt: skip


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
    right, left = (placed(move(part, shape, FRAMES, FPS)) for part in (RIGHT, LEFT))
    world, background, worn = World.of(Backgrounds.load()), room(), look()
    samples = []
    for i, hands in enumerate(zip(right, left, strict=True)):
        check_apart(*hands, i)
        sample = render_scene(
            hands, [worn, worn], camera, background, LIGHTS, world, key=f"{i:03d}"
        )
        samples.append(replace(sample, image=with_grain(sample.image, i)))
    return samples


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
