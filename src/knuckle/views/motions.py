"""Small motions: the steps by which poses are adjusted, and how far poses may be off.

A pose ``T_camera_from_world`` moves by a step (w, s), a turn in radians and then a shift in mm,
along the axes of the camera: exp(w, s) ∘ T.
"""

from __future__ import annotations

import cv2
import numpy as np

from knuckle.rigid import RigidTransform


def small(step: np.ndarray) -> RigidTransform:
    """The motion by a step (6,)."""
    return RigidTransform(cv2.Rodrigues(step[:3].reshape(3, 1))[0], step[3:])


def crosses(points: np.ndarray) -> np.ndarray:
    """(..., 3, 3) so that each times w is the cross product of a point (..., 3) with w."""
    x, y, z = np.moveaxis(points, -1, 0)
    o = np.zeros_like(x)
    rows = [o, -z, y, z, o, -x, -y, x, o]
    return np.stack(rows, axis=-1).reshape(*points.shape, 3)


def pose_errors(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far cameras may be off, by the covariance of the steps that lead to the right poses.

    A step moves the lens from C to C - Rᵀ exp(-w) s: as far as the shift is long, however the
    camera is turned about the lens meanwhile.

    Args:
        covariance: (6 V, 6 V) of the steps of V cameras, radians and mm.

    Returns:
        (V,) degrees and (V,) mm, expected errors of the turn and of where the lens is.
    """
    variance = covariance.diagonal().reshape(-1, 2, 3).sum(axis=-1)
    turn, shift = np.sqrt(variance).T
    return np.degrees(turn), shift
