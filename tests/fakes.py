"""Hands and trackers made on the spot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from knuckle.camera import Camera
from knuckle.crop import Crop
from knuckle.hand import FINGERS, SIDES, Side
from knuckle.mask import CropMask
from knuckle.output import RunInfo
from knuckle.results import Frame, HandPose, TrackedHand

SIZE = (320, 240)
CAMERA = Camera.assume(*SIZE)
INFO = RunInfo(
    source="hands.mp4",
    size=SIZE,
    camera=CAMERA,
    fps=30.0,
    weights={"detector": "1", "keypoints": "2", "lifter": "3"},
    knuckle="0.0.0",
)


def open_hand(side: Side = "right", centre_mm: tuple[float, float, float] = (0, 0, 600)):
    """(21, 3) mm: a flat hand with its fingers up, seen from its back."""
    joints = np.zeros((21, 3))
    for finger, direction in enumerate(np.radians([-60, -18, 0, 15, 30])):
        lengths = np.array([40, 75, 100, 120]) if finger == 0 else np.array([85, 125, 150, 170])
        along = np.array([np.sin(direction), -np.cos(direction), 0.0])
        joints[FINGERS[finger]] = lengths[:, None] * along
    if side == "left":
        joints[:, 0] *= -1
    return joints + np.add((0, 60, 0), centre_mm)


def pose(
    rng: np.random.Generator | None = None,
    *,
    side: Side = "right",
    centre_mm: tuple[float, float, float] = (0, 0, 600),
    track_id: int | None = None,
) -> HandPose:
    """A hand, a little random if ``rng`` is given; tracked if it has a ``track_id``."""
    rng_or_still = rng or np.random.default_rng(0)
    joints_mm = open_hand(side, centre_mm)
    if rng is not None:
        joints_mm = joints_mm + rng.normal(0, 3, (21, 3))
    joints_px = CAMERA.project(joints_mm)
    crop = Crop.from_joints(joints_px, side)
    rows, columns = np.mgrid[:64, :64] / 63 - 0.5
    values = {
        "side": side,
        "side_score": float(rng_or_still.uniform(0.5, 1)),
        "score": float(rng_or_still.uniform(0.5, 1)),
        "joints_px": joints_px,
        "joints_mm": joints_mm,
        "joint_score": rng_or_still.uniform(0, 1, 21),
        "visible": rng_or_still.uniform(0, 1, 21) > 0.3,
        "joint_sigma_mm": rng_or_still.uniform(1, 9, 21),
        "camera": CAMERA,
        "crop_mask": CropMask(np.clip(1.2 - 3 * np.hypot(rows, columns), 0, 1), crop, SIZE[::-1]),
    }
    plain = HandPose(**values)
    if track_id is None:
        return plain
    return TrackedHand(**values, track_id=track_id, age_s=0.0, raw=plain, velocity_mm_s=np.zeros(3))


def frame(index: int, image: np.ndarray | None = None) -> Frame:
    if image is None:
        image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    return Frame(image, index / 30, index)


def scene(n_frames: int, seed: int = 0) -> list[tuple[Frame, list[HandPose]]]:
    """Frames with none, one or two random hands in them."""
    rng = np.random.default_rng(seed)
    return [
        (
            frame(index),
            [
                pose(rng, side=SIDES[hand % 2], centre_mm=(90.0 * hand, 0, 700), track_id=hand)
                for hand in range(index % 3)
            ],
        )
        for index in range(n_frames)
    ]


class FakeTracker:
    """One hand in every frame, moving slowly; ``on_frame`` may do mischief first."""

    versions = INFO.weights

    def __init__(self, on_frame: Callable[[Frame], None] = lambda frame: None) -> None:
        self.on_frame = on_frame

    def __call__(self, frame: Frame) -> list[HandPose]:
        self.on_frame(frame)
        return [pose(centre_mm=(float(frame.index % 50), 0.0, 600.0), track_id=0)]
