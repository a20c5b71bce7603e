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
        rays = np.empty(keypoints.points_crop.shape, np.float32)
        sigma = np.empty(keypoints.sigma_crop.shape, np.float32)
        for i, view in enumerate(views):
            rays[i] = view.rays(keypoints.points_crop[i])
            sigma[i] = keypoints.sigma_crop[i] * view.rays_per_px
        lifted = self._network(rays=rays, sigma=sigma, features=keypoints.features)
        joints_mm = np.empty((len(views), N_JOINTS, 3))
        for i, view in enumerate(views):
            seen_mm = lifted["joints_mm"][i]
            joints_mm[i] = view.to_camera(seen_mm - seen_mm[0])
        return LiftedJoints(joints_mm, lifted["sigma_mm"])
