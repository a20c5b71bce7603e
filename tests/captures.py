"""Tiny synthetic captures, and where their joints are: from the motion, not from the files."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from knuckle.data.capture import write_capture
from knuckle.data.capture_motion import sample_sequence
from knuckle.data.capture_plan import CaptureSettings, generator, make_plan
from knuckle.data.capture_rig import sample_rig
from miniatures import COLOURS, Truth, save

#: Nine time steps of three people: one in each split, the second with two hands that touch.
TINY = CaptureSettings(frames=16, cameras=2, subjects=3, seed=5)


def write_capture_with_dots(root: Path) -> list[list[Truth]]:
    """The test split of a capture, every joint painted as a dot; the truth about it."""
    write_capture(root, TINY)
    (root / "capture_5fps.json").unlink()
    for split in ("train", "val"):
        shutil.rmtree(root / "annotations" / split)
    truth = captured_truth(TINY, "test")
    for path, hands in truth.items():
        picture = root / "images" / "test" / path
        image = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
        for hand in hands:
            for (x, y), colour in zip(hand.joints_px, COLOURS[hand.side], strict=True):
                cv2.circle(image, (round(x), round(y)), 2, colour, -1)
        save(picture, image)
    return list(truth.values())


def captured_truth(settings: CaptureSettings, split: str) -> dict[str, list[Truth]]:
    """File name -> hands, in the order of the annotations."""
    truth = {}
    for sequence in make_plan(settings):
        if sequence.split != split:
            continue
        joints = sample_sequence(settings, sequence).joints_mm().astype(float)  # (hand, T, 21, 3)
        sides = {"interacting": ("right", "left")}.get(
            sequence.activity.hand_type, (sequence.activity.hand_type,)
        )
        for step, frame in enumerate(sequence.frames):
            for view in sample_rig(generator(settings, "rig", sequence.subject), settings.cameras)[
                : sequence.views[step]
            ]:
                hands = []
                for side, points in zip(sides, joints[:, step], strict=True):
                    xyz = (points - view.centre_mm) @ view.R_camera_from_studio.T
                    fx, fy, cx, cy = view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy
                    px = xyz[:, :2] / xyz[:, 2:] * (fx, fy) + (cx, cy)
                    inside = (px > -0.5).all(axis=1) & (px < np.array(view.size) - 0.5).all(axis=1)
                    hands.append(Truth(side, px, xyz, inside))
                folder = f"Capture{sequence.subject}/{sequence.name}/cam{view.name}"
                truth[f"{folder}/image{frame}.jpg"] = hands
    return truth
