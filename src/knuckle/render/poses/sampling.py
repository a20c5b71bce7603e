"""Poses drawn from all families, without fingers inside each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

from knuckle.errors import InputError
from knuckle.render.hand_model import FLEXION, N_POSE_ROWS, SPREAD
from knuckle.render.poses.anatomy import (
    CMC,
    DIP,
    MCP,
    PIP,
    THUMB_IP,
    THUMB_MCP,
    constrain,
    cup_palm,
    pose_wrist,
)
from knuckle.render.poses.families import DEFAULT_MIX, FAMILIES, blank
from knuckle.render.poses.penetration import (
    MAX_PENETRATION_MM,
    finger_penetration_mm,
    mean_hand_joints,
)

_ROUNDS = 16  # of drawing again what interpenetrates, before the least bad draw is taken


def sample_poses(
    rng: np.random.Generator, n: int, mix: Mapping[str, float] | None = None
) -> Float32[np.ndarray, "hand 17 3"]:
    """Poses of N hands in degrees, from all families, without fingers inside each other.

    Args:
        rng: the same generator state gives the same poses.
        n: how many.
        mix: share of each family (names of ``FAMILIES`` and "blend"); ``DEFAULT_MIX`` if None.

    Returns:
        (N, 17, 3) degrees, within ``RANGES_DEG``, in random order of families. What still overlaps
        by more than ``MAX_PENETRATION_MM`` after a number of draws is the least bad of them.

    Raises:
        ValueError: a name in ``mix`` is unknown, or no share is positive.
    """
    names, shares = _check_mix(DEFAULT_MIX if mix is None else mix)
    family = rng.choice(len(names), n, p=shares)
    best = np.zeros((n, N_POSE_ROWS, 3), dtype=np.float32)
    depth_mm = np.full(n, np.inf)
    for attempt in range(_ROUNDS):
        pending = np.flatnonzero(depth_mm > MAX_PENETRATION_MM)
        if not len(pending):
            break
        drawn = np.empty((len(pending), N_POSE_ROWS, 3))
        for number in np.unique(family[pending]):
            name, mine = names[number], family[pending] == number
            if attempt % 2 and name not in _EXACT:
                drawn[mine] = _ease(rng, best[pending[mine]])
            else:
                drawn[mine] = _draw(rng, name, int(mine.sum()))
        drawn_depth = finger_penetration_mm(mean_hand_joints(drawn))
        better = drawn_depth < depth_mm[pending]
        best[pending[better]] = drawn[better]
        depth_mm[pending[better]] = drawn_depth[better]
    return best


def _check_mix(mix: Mapping[str, float]) -> tuple[list[str], np.ndarray]:
    unknown = sorted(set(mix) - set(FAMILIES) - {"blend"})
    if unknown:
        raise InputError(f"expected families among {[*FAMILIES, 'blend']}, got {unknown}")
    shares = np.array(list(mix.values()), dtype=float)
    if (shares < 0).any() or shares.sum() <= 0:
        raise InputError(f"expected shares >= 0 with a positive sum, got {dict(mix)}")
    return list(mix), shares / shares.sum()


# Families whose poses mean an exact contact, which must not be loosened.
_EXACT = ("pinching", "tripod")


def _ease(rng: np.random.Generator, pose_deg: np.ndarray) -> np.ndarray:
    """Loosen poses a little at random, above all the thumb: it comes to lie on the fingers."""
    n = len(pose_deg)
    pose = pose_deg.astype(float)
    pose[:, CMC, SPREAD] += rng.uniform(-4, 16, n)
    pose[:, CMC, FLEXION] -= rng.uniform(-4, 10, n)
    pose[:, THUMB_MCP, FLEXION] -= rng.uniform(-6, 10, n)
    pose[:, THUMB_IP, FLEXION] -= rng.uniform(-10, 14, n)
    for rows in (MCP, PIP, DIP):
        pose[:, rows, FLEXION] *= rng.uniform(0.92, 1.02, (n, 1))
    pose[:, MCP, SPREAD] += rng.normal(0, 2, (n, 4))
    return constrain(pose)


def _draw(rng: np.random.Generator, name: str, n: int) -> np.ndarray:
    """N poses of one family with wrist and palm, within range."""
    if name == "blend":
        pose = _blend(rng, n)
    else:
        pose = FAMILIES[name](rng, n)
        if name != "wild":
            pose_wrist(pose, rng)
    if name not in _EXACT:
        cup_palm(pose, rng)
    return constrain(pose)


def _blend(rng: np.random.Generator, n: int) -> np.ndarray:
    """Half-way poses between two families each: what hands pass through."""
    names = list(FAMILIES)
    ends = []
    for _ in range(2):
        chosen = rng.integers(len(names), size=n)
        end = blank(n)
        for number in np.unique(chosen):
            mine = chosen == number
            end[mine] = FAMILIES[names[number]](rng, int(mine.sum()))
        ends.append(end)
    share = rng.uniform(0.15, 0.85, (n, 1, 1))
    pose = share * ends[0] + (1 - share) * ends[1]
    pose_wrist(pose, rng)
    return pose
