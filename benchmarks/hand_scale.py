"""Accuracy of measuring a hand beside a bank card, on rendered hands of known length.

    python benchmarks/hand_scale.py

People of all sizes lay a hand flat on a table beside a card; the shipped networks and
``knuckle camera scale`` measure it from a few frames. For comparison: the size that the networks
assume by themselves, from the same frames, with the true camera.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from knuckle import Camera, Frame, HandEstimator
from knuckle.hand import hand_length
from knuckle.hand_scale import HEIGHT_MM, measure_hand
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.looks import place, sample_look
from knuckle.render.scene import World, render_scene, sample_lights
from knuckle.rigid import RigidTransform
from knuckle.video.reference import SHEETS, Sheet

CAMERA = Camera.from_fov(1280, 720, 65.0)
CARD = SHEETS["card"]
#: Of a right hand on a table: its back up, fingers away, sloping from the wrist to the tips.
_SLOPE = np.array([np.radians(-5.0), 0.0, 0.0])
FLAT = cv2.Rodrigues(_SLOPE)[0] @ np.diag([-1.0, -1.0, 1.0])
#: Pixels per millimetre in which the table top is drawn.
FINE = 3


def view_from_above(rng: np.random.Generator) -> RigidTransform:
    """``T_camera_from_table``: within 30° of straight down, at arm's length."""
    turn = cv2.Rodrigues(np.array([0.0, 0.0, rng.uniform(-0.5, 0.5)]))[0]
    slant = cv2.Rodrigues(rng.uniform(-0.35, 0.35, 3) * (1.0, 1.0, 0.0))[0]
    return RigidTransform(slant @ turn, np.array([0.0, 0.0, rng.uniform(480, 620)]))


def table_with(thing: Sheet, view: RigidTransform, tones: np.ndarray) -> np.ndarray:
    """(720, 1280, 3) uint8: a thing of one tone on a table of another, right of the middle."""
    size = (thing.width_mm, thing.height_mm)
    drawn = np.full((round(size[1] * FINE), round(size[0] * FINE), 3), tones[1], np.float32)
    ends = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    corners = np.pad(ends * size + (55.0, -20.0), ((0, 0), (0, 1)))
    pixels = CAMERA.project(view(corners))
    into = cv2.getPerspectiveTransform(
        (ends * drawn.shape[1::-1] - 0.5).astype(np.float32), (2 * pixels + 0.5).astype(np.float32)
    )
    big = cv2.warpPerspective(drawn, into, (2560, 1440), borderValue=tones[0].tolist())
    image = cv2.resize(big, (1280, 720), interpolation=cv2.INTER_AREA)
    return np.clip(image, 0, 255).astype(np.uint8)


def film(rng: np.random.Generator, world: World, frames: int) -> tuple[list[Frame], float]:
    """A person's hand beside a card from above, from several sides, and how long it is."""
    model, look = HandModel.load(), sample_look(rng)
    shape = sample_shapes(rng, 1, model.n_shape)
    tones = rng.uniform(40, 120, 3), rng.uniform(170, 235, 3)
    pose = rng.normal(0, 3.0, (1, 17, 3))
    pictures, length = [], 0.0
    for i in range(frames):
        view = view_from_above(rng)
        # The back of the hand towards the camera, fingers up in the picture, left of the card.
        params = HandParameters(
            pose_deg=pose,
            shape=shape,
            R_camera_from_hand=(view.rotation @ FLAT)[None],
            root_mm=view(np.array([[-40.0, 70.0, -HEIGHT_MM[0]]])),
        )
        hand = place(model, params)[0]
        length = float(hand_length(hand.joints_mm))
        background = table_with(CARD, view, np.array(tones))
        lights = sample_lights(rng, background, view.rotation)
        sample = render_scene([hand], [look], CAMERA, background, lights, world, key=str(i))
        noisy = sample.image + rng.normal(0, 3, sample.image.shape)
        pictures.append(Frame(np.clip(noisy, 0, 255).astype(np.uint8), i / 30, i, CAMERA))
    return pictures, length


def main() -> None:
    """Print one line a person, and the errors of both ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--sheet", type=Path, help="also write some of the pictures")
    options = parser.parse_args()
    rng, world, estimator = np.random.default_rng(7), World.of(), HandEstimator(max_hands=1)
    beside_card, alone, seen = [], [], []
    for person in range(options.people):
        frames, length = film(rng, world, options.frames)
        seen.append(frames[0].image)
        guesses = [
            float(hand_length(hand.joints_mm))
            for frame in frames
            for hand in estimator(frame.image, CAMERA)
        ]
        alone.append(np.median(guesses) / length - 1 if guesses else np.nan)
        try:
            found = measure_hand(frames, estimator, CARD)
            beside_card.append(found.length_mm / length - 1)
        except ValueError as error:
            print(f"person {person}: {error}")
        print(f"person {person}: {length:.0f} mm, {np.nanmedian(guesses):.0f} by the networks")
    for name, errors in {"networks alone": alone, "beside a card": beside_card}.items():
        print(f"{name}: {summary(errors)}")
    if options.sheet:
        rows = np.vstack([np.hstack(seen[i : i + 2]) for i in (0, 2)])
        cv2.imwrite(str(options.sheet), cv2.cvtColor(rows, cv2.COLOR_RGB2BGR))


def summary(errors: Sequence[float]) -> str:
    """Bias, scatter and RMS of relative errors."""
    bias, rms = np.nanmean(errors), np.sqrt(np.nanmean(np.square(errors)))
    count = np.isfinite(errors).sum()
    return f"bias {100 * bias:+.1f} %, RMS error {100 * rms:.1f} %, of {count} people"


if __name__ == "__main__":
    main()
