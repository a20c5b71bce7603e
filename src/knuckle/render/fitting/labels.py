"""Labels of many hands: where the joints should be, in 3D or in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from knuckle.errors import InputError
from knuckle.hand import BONES, N_JOINTS, Side
from knuckle.rows import Rows

#: A hand with fewer labelled joints is not fitted.
MIN_JOINTS = 4
#: Hands are fitted so many at a time: their slopes then stay in the processor's cache.
_BATCH = 128
#: No hand is nearer to a camera.
NEAREST_MM = 50.0
_MIRROR = np.array([-1.0, 1.0, 1.0])


class PerHand(Rows):
    """A dataclass of arrays with one row per hand."""

    def put(self, rows: np.ndarray, other: Self) -> None:
        """Overwrite some of the hands. In place."""
        for f in fields(self):  # type: ignore[arg-type]
            if getattr(self, f.name) is not None:
                getattr(self, f.name)[rows] = getattr(other, f.name)


@dataclass(frozen=True, eq=False)
class Labels(PerHand):
    """Where the joints should be, as right hands."""

    target: np.ndarray  # (N, 21, 3) mm, or with ``focal`` (N, 21, 2) rays x/z, y/z
    weight: np.ndarray  # (N, 21) 1 / sigma of each label, 0 where there is none
    focal: np.ndarray | None = None  # (N, 2) px; None for labels in 3D
    #: (N, 20) share of each bone's length that leads away from the camera; None if nothing is known
    #: of any.
    lean: np.ndarray | None = None
    lean_weight: np.ndarray | None = None  # (N, 20) 1 / sigma of each, 0 where nothing is known

    def __len__(self) -> int:
        return len(self.target)

    def enough(self) -> np.ndarray:
        """(K,) hands that have enough labels to be fitted."""
        return np.flatnonzero((self.weight > 0).sum(axis=1) >= MIN_JOINTS)

    def misses(self, joints_mm: np.ndarray) -> np.ndarray:
        """(N, 21, D) from each label to each joint, in the label's unit."""
        if self.focal is None:
            return joints_mm - self.target
        depth = np.maximum(joints_mm[..., 2:], NEAREST_MM)
        return (joints_mm[..., :2] / depth - self.target) * self.focal[:, None]

    def slopes(self, joints_mm: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """(N, 21, D, P) of the misses, from those of the joints (N, 21, 3, P)."""
        if self.focal is None:
            return slopes
        depth = np.maximum(joints_mm[..., 2, None], NEAREST_MM)
        rays = joints_mm[..., :2] / depth
        scale = self.focal[:, None] / depth  # (N, 21, 2)
        return scale[..., None] * (slopes[..., :2, :] - rays[..., None] * slopes[..., 2:, :])

    def lean_misses(
        self, joints_mm: np.ndarray, slopes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """How far each bone leans from its label: (N, 20) sigmas, and their slopes (N, 20, P)."""
        if self.lean is None or self.lean_weight is None:
            return None
        bones = joints_mm[:, BONES[:, 1]] - joints_mm[:, BONES[:, 0]]
        length = np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-6)
        along = bones / length  # (N, 20, 3)
        turned = slopes[:, BONES[:, 1]] - slopes[:, BONES[:, 0]]  # (N, 20, 3, P)
        # Of a change of the bone, what stretches it does not make it lean.
        across = (np.array([0.0, 0.0, 1.0]) - along[..., 2:] * along) / length
        lean_slopes = (across[..., None, :] @ turned)[..., 0, :]
        miss = (along[..., 2] - self.lean) * self.lean_weight
        return miss, lean_slopes * self.lean_weight[..., None]


def checked(
    points: np.ndarray, valid: np.ndarray | None, dimensions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels as float64 with 0 where there is none, and which there are."""
    points = np.asarray(points, np.float64)
    if points.ndim != 3 or points.shape[1:] != (N_JOINTS, dimensions):
        raise InputError(f"expected joints of shape (N, 21, {dimensions}), got {points.shape}")
    valid = np.ones(points.shape[:2], bool) if valid is None else np.asarray(valid, bool)
    if valid.shape != points.shape[:2]:
        raise InputError(f"expected valid of shape {points.shape[:2]}, got {valid.shape}")
    if not np.isfinite(points[valid]).all():
        raise InputError("labelled joints must be finite; mark the others as not valid")
    return np.where(valid[..., None], points, 0.0), valid


def mirrors(sides: Sequence[Side]) -> np.ndarray:
    """(N, 3) what turns each hand into a right one."""
    return np.array([_MIRROR if s == "left" else np.ones(3) for s in sides]).reshape(-1, 3)


def batches_of(rows: np.ndarray) -> list[np.ndarray]:
    """The rows, as many at a time as are fitted together."""
    return [rows[k : k + _BATCH] for k in range(0, len(rows), _BATCH)]
