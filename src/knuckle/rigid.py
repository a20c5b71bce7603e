"""Rotations and translations between frames: cameras, worlds, rigs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knuckle.errors import InputError


def crosses(points: np.ndarray) -> np.ndarray:
    """(..., 3, 3) so that each times w is the cross product of a point (..., 3) with w."""
    x, y, z = np.moveaxis(points, -1, 0)
    o = np.zeros_like(x)
    rows = [o, -z, y, z, o, -x, -y, x, o]
    return np.stack(rows, axis=-1).reshape(*points.shape, 3)


@dataclass(frozen=True, eq=False)
class RigidTransform:
    """A rotation followed by a translation. Name variables ``T_to_from_from``.

    Attributes:
        rotation: (3, 3), ``R_to_from_from``.
        translation_mm: (3,), the origin of the *from* frame in the *to* frame, mm.
    """

    rotation: np.ndarray
    translation_mm: np.ndarray

    def __post_init__(self) -> None:
        if self.rotation.shape != (3, 3) or self.translation_mm.shape != (3,):
            raise InputError(
                "expected a (3, 3) rotation and a (3,) translation, got "
                f"{self.rotation.shape} and {self.translation_mm.shape}"
            )

    @classmethod
    def from_centre(cls, R_camera_from_world: np.ndarray, centre_mm: np.ndarray) -> RigidTransform:
        """``T_camera_from_world`` of a camera at ``centre_mm`` (3,) in the world, mm."""
        return cls(R_camera_from_world, -R_camera_from_world @ centre_mm)

    def __call__(self, points_mm: np.ndarray) -> np.ndarray:
        """Map points (..., 3), mm, from the *from* frame to the *to* frame."""
        return points_mm @ self.rotation.T + self.translation_mm

    def __matmul__(self, other: RigidTransform) -> RigidTransform:
        """``T_a_from_b @ T_b_from_c`` is ``T_a_from_c``."""
        return RigidTransform(self.rotation @ other.rotation, self(other.translation_mm))

    def inverse(self) -> RigidTransform:
        """``T_a_from_b`` becomes ``T_b_from_a``."""
        return RigidTransform(self.rotation.T, -self.rotation.T @ self.translation_mm)
