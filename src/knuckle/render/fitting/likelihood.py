"""What is likely: how far labels are off, how poses are spread, what joints can do."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from knuckle.errors import InputError
from knuckle.render.hand_slopes import N_FREE, free_angles_of, pose_of
from knuckle.render.poses import constrain, sample_poses


@dataclass(frozen=True)
class FitSettings:
    """What is likely, and when to stop."""

    #: How far a 3D label may be off, the model's own shortcomings included.
    joint_sigma_mm: float = 1.0
    outlier: float = 4.0  # labels off by more than so many sigmas count less and less
    limit_sigma_deg: float = 3.0  # how far an angle may be beyond its limit
    pose_floor_deg: float = 5.0  # spread that every angle has beside the sampler's
    max_steps: int = 60  # steps after which a hand is given up as not converged
    #: A step that lowers the cost (squared sigmas) by less than this, and by less than this share
    #: of it, is the last.
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise InputError(
                    f"{field.name} must be positive, got {getattr(self, field.name)!r}"
                )


@dataclass(frozen=True, eq=False)
class PosePrior:
    """How poses are spread, over ``FREE_ANGLES``."""

    mean_deg: np.ndarray  # (A,)
    covariance_deg2: np.ndarray  # (A, A)


@cache
def pose_prior() -> PosePrior:
    """The spread of ``sample_poses``: computed once, in about a second."""
    pose = sample_poses(np.random.default_rng(20), 1200)
    angles = free_angles_of(pose).astype(np.float64)
    return PosePrior(angles.mean(axis=0), np.cov(angles.T))


def pose_precision(settings: FitSettings) -> np.ndarray:
    """(A, A) inverse covariance of the poses, 1 / degrees²."""
    floor = settings.pose_floor_deg**2 * np.eye(N_FREE)
    return np.linalg.inv(pose_prior().covariance_deg2 + floor)


def beyond_limits(angles_deg: np.ndarray) -> np.ndarray:
    """(N, A) by how much each angle is beyond what anatomy allows."""
    pose = pose_of(angles_deg)
    return free_angles_of(pose - constrain(pose))
