"""Light that could have lit a background, and surfaces on which shadows fall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from knuckle.render.looks import PlacedHand
from knuckle.render.shading import linear_from_srgb
from knuckle.render.stage import Lights


def sample_lights(
    rng: np.random.Generator, background: np.ndarray, R_camera_from_frame: np.ndarray | None = None
) -> Lights:
    """Lights that could have lit the background: its colours all around, and one to three lamps.

    Args:
        rng: source of randomness.
        background: (H, W, 3) uint8.
        R_camera_from_frame: where the frame's axes (y down) lie, if the camera was turned.
    """
    small = linear_from_srgb(cv2.resize(background, (6, 6), None, 0, 0, cv2.INTER_AREA))
    mean = small.mean(axis=(0, 1))
    light = float(mean @ (0.2126, 0.7152, 0.0722)) + 0.02
    tint = 1 + rng.uniform(0.1, 0.7) * np.clip(mean / light - 1, -0.7, 0.7)

    level = float(np.exp(rng.normal(-0.2, 0.3))) * (light / 0.25) ** 0.25
    share = rng.uniform(0.2, 0.85)  # of the light that comes from everywhere
    turn = np.eye(3) if R_camera_from_frame is None else R_camera_from_frame
    around = np.zeros((4, 3))
    around[0] = level * share * tint
    # Brighter where the background is: a window on the left lights the left.
    across = (small[:, 3:].mean(axis=(0, 1)) - small[:, :3].mean(axis=(0, 1))) / (2 * light)
    downwards = (small[3:].mean(axis=(0, 1)) - small[:3].mean(axis=(0, 1))) / (2 * light)
    around[1] = around[0] * np.clip(0.5 * across, -0.4, 0.4)
    around[2] = around[0] * np.clip(0.5 * downwards, -0.4, 0.4)
    gravity = turn[:, 1]
    around[1:] -= np.outer(gravity, around[0]) * rng.uniform(0.0, 0.5)
    around[3] -= around[0] * rng.uniform(-0.2, 0.3)

    lamps = 1 + int(rng.integers(3))
    directions, colours = np.empty((lamps, 3)), np.empty((lamps, 3))
    for k in range(lamps):
        d = rng.normal(0, 1, 3) * (1.0, 0.7, 0.7) + (0.0, -0.7, -0.5)
        if k == lamps - 1 and rng.random() < 0.12:  # from behind: a window, the sun
            d[2] = abs(d[2])
        directions[k] = turn @ (d / np.linalg.norm(d))
        warmth = rng.normal(0, 0.12)
        colour = np.array([1 + warmth, 1.0, 1 - warmth])
        if rng.random() < 0.04:
            colour = rng.uniform(0.1, 1.3, 3)
        strength = rng.uniform(0.9, 1.5) if k == 0 else rng.uniform(0.1, 0.6)
        colours[k] = level * (1 - share) * strength * colour * (1 + 0.4 * (tint - 1))
    return Lights(
        directions=directions, colours=colours, ambient=around,
        shadow=float(rng.uniform(0.5, 1.0)), softness_mm=float(rng.exponential(8.0)),
    )  # fmt: skip


def with_surface(rng: np.random.Generator, lights: Lights, hands: Sequence[PlacedHand]) -> Lights:
    """A desk or a wall just behind the hands, facing the camera more or less."""
    normal = np.array([0.0, 0.0, -1.0]) + rng.normal(0, 0.35, 3) * (1, 1, 0)
    normal /= np.linalg.norm(normal)
    if normal @ lights.directions[0] < 0.1:  # lit from behind: no shadow comes forward
        return lights
    deepest = min(float((hand.vertices_mm @ normal).min()) for hand in hands)
    offset = deepest - float(rng.exponential(25.0))
    return replace(lights, catcher=np.append(normal, offset), shadow=max(lights.shadow, 0.6))
