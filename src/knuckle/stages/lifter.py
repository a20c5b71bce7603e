"""Lifts keypoints to 3D: the shape of the hand, not yet its place."""

from __future__ import annotations

import numpy as np

from knuckle.camera import Camera
from knuckle.crop import CropView
from knuckle.hand import N_JOINTS
from knuckle.pose import Keypoints
from knuckle.stages.contract import Stage, numbers, tensors


class Lifter(Stage):
    """A lifter network. It sees each hand through a camera turned to look straight at it."""

    INPUTS = tensors(
        rays=numbers(N_JOINTS, 2),
        sigma=numbers(N_JOINTS),
        features=numbers(N_JOINTS, "feature_size"),
    )
    OUTPUTS = tensors(joints_mm=numbers(N_JOINTS, 3), sigma_mm=numbers(N_JOINTS))
    NEEDED = True

    def __call__(self, keypoints: Keypoints, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """Lift N hands as a batch: joints (N, 21, 3) from the wrist and their expected error, mm.

        The axes are those of the camera frame; the errors are (N, 21).
        """
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
        return np.array(joints_mm), lifted["sigma_mm"]
