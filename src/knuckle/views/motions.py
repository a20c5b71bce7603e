"""Small motions: the steps by which poses are adjusted, and how far poses may be off.

A pose ``T_camera_from_world`` moves by a step (w, s), a turn in radians and then a shift in mm,
along the axes of the camera: exp(w, s) ∘ T.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from knuckle.errors import InputError
from knuckle.rigid import RigidTransform


def small(step: np.ndarray) -> RigidTransform:
    """The motion by a step (6,)."""
    return RigidTransform(cv2.Rodrigues(step[:3].reshape(3, 1))[0], step[3:])


def chained(
    known: Mapping[tuple[int, int], int],
    names: Sequence[str],
    least: int,
    between: Callable[[int, int], RigidTransform],
    too_little: Callable[[str, int], str],
) -> list[RigidTransform]:
    """``T_camera_from_world``, joined along the pairs (i, k), i < k, of which most is known.

    The world is the frame of the first. ``between`` gives a pair's ``T_k_from_i``; ``too_little``
    says what is wrong if of the best pair of these cameras less than ``least`` is known.

    Raises:
        InputError: a camera shares too little with the others.
    """
    poses = {0: RigidTransform(np.eye(3), np.zeros(3))}
    while len(poses) < len(names):
        edges = [(count, pair) for pair, count in known.items() if len(set(pair) & set(poses)) == 1]
        most, (i, k) = max(edges, default=(0, (0, 0)))
        if most < least:
            lonely = ", ".join(name for v, name in enumerate(names) if v not in poses)
            raise InputError(too_little(lonely, most))
        T_k_from_i = between(i, k)
        if i in poses:
            poses[k] = T_k_from_i @ poses[i]
        else:
            poses[i] = T_k_from_i.inverse() @ poses[k]
    return [poses[v] for v in range(len(names))]


def pose_errors(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V,) degrees and (V,) mm that cameras may be off: their turn, and where the lens is.

    A step moves the lens from C to C - Rᵀ exp(-w) s: as far as the shift is long, however the
    camera is turned about the lens meanwhile.

    Told by the covariance (6 V, 6 V), radians and mm, of the steps that lead to the right poses.
    """
    variance = covariance.diagonal().reshape(-1, 2, 3).sum(axis=-1)
    turn, shift = np.sqrt(variance).T
    return np.degrees(turn), shift
