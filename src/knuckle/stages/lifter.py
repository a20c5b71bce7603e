"""Lifts keypoints to 3D: the shape of the hand, not yet its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knuckle.camera import Camera
from knuckle.crop import CropView
from knuckle.hand import N_JOINTS
from knuckle.pose import Keypoints
from knuckle.stages.contract import Stage, numbers, tensors


@dataclass(frozen=True, eq=False)
class LiftedJoints:
    """The 3D shape of N hands.

    Attributes:
        joints_root_mm: (N, 21, 3) relative to the wrist, axes of the camera frame.
        sigma_mm: (N, 21) expected error of each joint relative to the wrist.
    """

    joints_root_mm: np.ndarray
    sigma_mm: np.ndarray


class Lifter(Stage):
    """A lifter network. It sees each hand through a camera turned to look straight at it."""

    INPUTS = tensors(
        rays=numbers(N_JOINTS, 2),
        sigma=numbers(N_JOINTS),
        features=numbers(N_JOINTS, "feature_size"),
    )
    OUTPUTS = tensors(joints_mm=numbers(N_JOINTS, 3), sigma_mm=numbers(N_JOINTS))
    NEEDED = True

    def __call__(self, keypoints: Keypoints, camera: Camera) -> LiftedJoints:
        """Lift all hands of a frame as one batch."""
        views = [CropView.of(crop, camera) for crop in keypoints.crops]
        rays = [view.rays(seen) for view, seen in zip(views, keypoints.points_crop, strict=True)]
        per_px = np.array([[view.rays_per_px] for view in views], np.float32)
        lifted = self._network(
            rays=np.array(rays, np.float32),
            sigma=keypoints.sigma_crop * per_px,
            features=keypoints.features,
        )
        shapes_mm = lifted["joints_mm"] - lifted["joints_mm"][:, :1]
        joints_mm = [view.to_camera(mm) for view, mm in zip(views, shapes_mm, strict=True)]
        return LiftedJoints(np.array(joints_mm), lifted["sigma_mm"])
