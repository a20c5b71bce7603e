"""The shape of hands in 3D, not yet their place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LiftedJoints:
    """The 3D shape of N hands.

    Attributes:
        joints_root_mm: (N, 21, 3) relative to the wrist, axes of the camera frame.
        sigma_mm: (N, 21) expected error of each joint relative to the wrist.
    """

    joints_root_mm: np.ndarray
    sigma_mm: np.ndarray
