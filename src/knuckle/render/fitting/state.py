"""Hands on their way from a start to the likeliest hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knuckle.render.fitting.labels import PerHand
from knuckle.render.hand_slopes import N_FREE, HandChain
from knuckle.render.rotations import rotation_from_vector
from knuckle.rigid import crosses

#: Columns of a step: turn (radians, axes of the camera), root (mm), angles (degrees), shape.
_TURN, _ROOT, ANGLES = slice(0, 3), slice(3, 6), slice(6, 6 + N_FREE)
SHAPE = slice(6 + N_FREE, None)


@dataclass(frozen=True, eq=False)
class State(PerHand):
    """N right hands on their way."""

    angles_deg: np.ndarray  # (N, A)
    shape: np.ndarray  # (N, S)
    rotation: np.ndarray  # (N, 3, 3) ``R_camera_from_hand``
    root_mm: np.ndarray  # (N, 3)

    def moved(self, step: np.ndarray) -> State:
        """The hands after a step (N, P)."""
        return State(
            self.angles_deg + step[:, ANGLES],
            self.shape + step[:, SHAPE],
            rotation_from_vector(step[:, _TURN]) @ self.rotation,
            self.root_mm + step[:, _ROOT],
        )

    def joints_mm(self, chain: HandChain) -> np.ndarray:
        """(N, 21, 3) camera frame."""
        local = chain.joints(self.angles_deg, self.shape)
        return local @ self.rotation.transpose(0, 2, 1) + self.root_mm[:, None]

    def joints_and_slopes(self, chain: HandChain) -> tuple[np.ndarray, np.ndarray]:
        """(N, 21, 3) camera frame and (N, 21, 3, P) per unit of a step."""
        local, local_slopes = chain.joints_and_slopes(self.angles_deg, self.shape)
        arm = local @ self.rotation.transpose(0, 2, 1)  # (N, 21, 3) from the wrist
        slopes = np.zeros((*arm.shape, ANGLES.stop + chain.n_shape))
        slopes[..., _TURN] = -crosses(arm)
        slopes[..., _ROOT] = np.eye(3)
        slopes[..., ANGLES.start :] = self.rotation[:, None] @ local_slopes
        return arm + self.root_mm[:, None], slopes
