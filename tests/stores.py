"""Small stores of photographs, whose pictures nobody looks at."""

from __future__ import annotations

import cv2
import numpy as np

from knuckle.data.photographs import PhotographStore, is_validation
from knuckle.hand import Side


def store_of(points: np.ndarray, world_mm: np.ndarray, side: Side, part: str) -> PhotographStore:
    """A store of one picture a hand, which nobody looks at."""
    n = len(points)
    names = [f"group {k}" for k in range(400)]
    group = next(name for name in names if is_validation(name) == (part == "validation"))
    dot = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].reshape(-1)
    return PhotographStore(
        jpeg=np.tile(dot, n),
        jpeg_offsets=np.arange(n + 1) * len(dot),
        keys=np.array([str(k) for k in range(n)]),
        datasets=np.full(n, "made"),
        groups=np.full(n, group),
        complete=np.ones(n, bool),
        cameras=np.tile(np.float32([900, 3.5, 3.5]), (n, 1)),
        hand_offsets=np.arange(n + 1),
        is_left=np.full(n, side == "left"),
        joints_px=points.astype(np.float32),
        sigma_px=np.ones((n, 21), np.float32),
        second_px=np.full((n, 21, 2), np.nan, np.float32),
        second_visible=np.full((n, 21), np.nan, np.float32),
        world_mm=world_mm.astype(np.float32),
        score=np.ones(n, np.float32),
        ignore_offsets=np.zeros(n + 1, np.int64),
        ignore_xyxy=np.zeros((0, 4), np.float32),
        decoy_offsets=np.zeros(n + 1, np.int64),
        decoys_xyxy=np.zeros((0, 4), np.float32),
    )
