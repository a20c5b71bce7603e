"""What hands do in a clip: positions and orientations of the wrists at a few moments.

Fingers follow ``sample_motion`` or hold a pose; a ``Part`` fixes positions and orientations, so
that a story (they meet, one leaves, it comes back) is the same whenever a clip is rebuilt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from knuckle.hand import Side
from knuckle.render.hand_model import FOREARM_ROW, HandModel, HandParameters
from knuckle.render.looks import PlacedHand, place
from knuckle.render.poses import sample_motion


@dataclass(frozen=True)
class Part:
    """What one hand does.

    Attributes:
        side: which hand.
        seed: of the motion of the fingers.
        path: rows of time (s), wrist (x, y, z mm, camera frame), turn about the camera's z axis
            (clockwise in the picture), about the vertical and about the horizontal axis (degrees).
            At zero turn the fingers point up and the palm faces the camera.
        wander: how much of the small drift of ``sample_motion`` is added to the path.
        poses: families of poses with their weights, see ``poses.sample_poses``.
    """

    side: Side
    seed: int
    path: tuple[tuple[float, ...], ...]
    wander: float = 0.2
    poses: Mapping[str, float] | None = None


def move(part: Part, shape: np.ndarray, frames: int, fps: float) -> HandParameters:
    """The hand of every frame.

    Args:
        part: what it does.
        shape: (S,) of this person's hand.
        frames: how many.
        fps: of the clip.
    """
    motion = sample_motion(np.random.default_rng(part.seed), frames, fps, part.poses)
    pose_deg = motion.pose_deg.copy()
    pose_deg[:, FOREARM_ROW] *= 0.5  # raised forearms stay below their hands
    path = through(np.arange(frames) / fps, np.array(part.path))
    drift = motion.offset_mm - motion.offset_mm.mean(axis=0)
    return HandParameters(
        pose_deg=pose_deg,
        shape=np.tile(shape, (frames, 1)),
        R_camera_from_hand=np.stack([turn_towards_camera(*angles) for angles in path[:, 3:]]),
        root_mm=path[:, :3] + part.wander * drift,
        side=part.side,
    )


def placed(params: HandParameters) -> list[PlacedHand]:
    """The hand of every frame, skinned."""
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


def with_grain(image: np.ndarray, seed: int) -> np.ndarray:
    """The noise of a webcam in a bright room: (H, W, 3) uint8 -> the same."""
    grain = np.random.default_rng(seed).normal(0, 2.0, image.shape)
    soft = cv2.GaussianBlur(image, (0, 0), 0.6)
    return np.clip(np.round(soft + grain), 0, 255).astype(np.uint8)
