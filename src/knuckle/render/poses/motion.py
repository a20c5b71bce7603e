"""Smooth movements from pose to pose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from knuckle.errors import InputError
from knuckle.render.hand_model import N_POSE_ROWS
from knuckle.render.poses.sampling import sample_poses
from knuckle.render.rotations import rotation_from_vector


@dataclass(frozen=True)
class HandMotion:
    """A movement, frame by frame."""

    pose_deg: Float32[np.ndarray, "frame 17 3"]  # (F, 17, 3)
    #: (F, 3, 3) how the hand has turned since the first frame.
    R_start_from_hand: Float32[np.ndarray, "frame 3 3"]
    #: (F, 3) how far the wrist has moved since the first frame, in axes of the camera.
    offset_mm: Float32[np.ndarray, "frame 3"]


def sample_motion(
    rng: np.random.Generator,
    frames: int,
    fps: float,
    mix: Mapping[str, float] | None = None,
    *,
    draw: Callable[[int], np.ndarray] | None = None,
) -> HandMotion:
    """A hand that moves from pose to pose, each stretch with minimum jerk, with pauses.

    Minimum-jerk profiles (Flash and Hogan, J. Neurosci. 1985) start and stop at rest. A stretch
    lasts 0.25 to 1.2 s, a pause up to 0.5 s. The place of the hand and its turn go along, with key
    points of their own.

    Args:
        rng: the same generator state gives the same motion.
        frames: how many.
        fps: frames a second.
        mix: of the key poses, see ``sample_poses``.
        draw: gives so many key poses (N, 17, 3) instead; from a stock it is many times as fast.

    Raises:
        ValueError: ``frames`` or ``fps`` is not positive.
    """
    if frames < 1 or fps <= 0:
        raise InputError(f"expected frames >= 1 and fps > 0, got {frames} and {fps}")
    time_s = np.arange(frames) / fps
    times, keys = _key_times(rng, time_s[-1])
    poses = sample_poses(rng, keys, mix) if draw is None else draw(keys)
    pose = _through(time_s, times, poses.reshape(keys, -1)).reshape(frames, N_POSE_ROWS, 3)
    times, keys = _key_times(rng, time_s[-1])
    turn = _through(time_s, times, np.cumsum(rng.normal(0, 0.25, (keys, 3)), axis=0))
    times, keys = _key_times(rng, time_s[-1])
    place = _through(time_s, times, np.cumsum(rng.normal(0, 35.0, (keys, 3)), axis=0))
    return HandMotion(
        pose_deg=pose.astype(np.float32),
        R_start_from_hand=rotation_from_vector(turn - turn[0]).astype(np.float32),
        offset_mm=(place - place[0]).astype(np.float32),
    )


def _key_times(rng: np.random.Generator, end_s: float) -> tuple[np.ndarray, int]:
    """(K, 2) when each key pose is reached and left, until the end is covered; and K."""
    reached, times = 0.0, []
    while True:
        left = reached + max(0.0, rng.uniform(-0.4, 0.5))
        times.append((reached, left))
        if left >= end_s:
            return np.array(times), len(times)
        reached = left + rng.uniform(0.25, 1.2)


def minimum_jerk(share: np.ndarray) -> np.ndarray:
    """The share of the way that is gone after a share of the time, from rest to rest."""
    return share**3 * (10 - 15 * share + 6 * share**2)


def _through(time_s: np.ndarray, key_times: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """(F, D) values that rest at ``keys`` (K, D) and move between them with minimum jerk."""
    index = np.clip(np.searchsorted(key_times[:, 0], time_s, side="right") - 1, 0, len(keys) - 1)
    after = np.minimum(index + 1, len(keys) - 1)
    leave, reach = key_times[index, 1], key_times[after, 0]
    x = np.clip((time_s - leave) / np.maximum(reach - leave, 1e-9), 0, 1)[:, None]
    return keys[index] + minimum_jerk(x) * (keys[after] - keys[index])
