"""Lifts keypoints to 3D: the shape of the hand, not yet its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knuckle.camera import Camera
from knuckle.crop import CropView
from knuckle.pose.keypoints import Keypoints
from knuckle.runtime import Network


@dataclass(frozen=True, eq=False)
class LiftedJoints:
    """The 3D shape of N hands.

    Attributes:
        joints_root_mm: (N, 21, 3) relative to the wrist, axes of the camera frame.
        sigma_mm: (N, 21) expected error of each joint relative to the wrist.
    """

    joints_root_mm: np.ndarray
    sigma_mm: np.ndarray


class Lifter:
    """A lifter network. It sees each hand through a camera turned to look straight at it."""

    def __init__(self, network: Network) -> None:
        """Use a network of kind ``lifter``."""
        self._network = network

    def __call__(self, keypoints: Keypoints, camera: Camera) -> LiftedJoints:
        """Lift all hands of a frame as one batch."""
        views = [CropView.of(crop, camera) for crop in keypoints.crops]
        rays = np.empty(keypoints.points_crop.shape, np.float32)
        sigma = np.empty(keypoints.sigma_crop.shape, np.float32)
        for i, view in enumerate(views):
            rays[i] = view.rays(keypoints.points_crop[i])
            sigma[i] = keypoints.sigma_crop[i] * view.rays_per_px
        lifted = self._network(rays=rays, sigma=sigma, features=keypoints.features)
        joints = np.stack(
            [
                view.to_camera(joints - joints[:1])
                for view, joints in zip(views, lifted["joints_mm"].astype(np.float64), strict=True)
            ]
        )
        return LiftedJoints(joints, lifted["sigma_mm"])
