"""Says of two hands near each other where one wrist is from the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from knuckle.camera import Camera
from knuckle.crop import CropView
from knuckle.hand import N_JOINTS
from knuckle.pose import Keypoints
from knuckle.pose.pair import Couple
from knuckle.pose.placement import Evidence
from knuckle.stages.contract import Stage, numbers, tensors


class PairStage(Stage):
    """A pair network. It is asked about each couple twice, once by each of its hands."""

    #: Of the own and of the other hand, in the axes of the own one's view.
    INPUTS = tensors(
        joints_mm=numbers(2, N_JOINTS, 3),
        sigma_mm=numbers(2, N_JOINTS),
        rays=numbers(2, N_JOINTS, 2),
        sigma=numbers(2, N_JOINTS),
    )
    #: From the own wrist to the other one.
    OUTPUTS = tensors(apart_mm=numbers(3), apart_sigma_mm=numbers(3))

    def __call__(
        self,
        keypoints: Keypoints,
        evidence: Evidence,
        camera: Camera,
        couples: Sequence[Couple],
    ) -> np.ndarray:
        """Where the left wrists of all couples of a frame are, as one batch.

        Args:
            keypoints: N hands.
            evidence: what is known about them, each by itself.
            camera: of the frame.
            couples: C of them.

        Returns:
            (C, 3) from the right wrist to the left one, camera frame, mm.
        """
        views = {i: CropView.of(keypoints.crops[i], camera) for c in couples for i in c.hands}
        questions = [
            _question(keypoints, evidence, views, own, other)
            for couple in couples
            for own, other in (couple.hands, couple.hands[::-1])
        ]
        said = self._network(
            **{
                name: np.stack([each[name] for each in questions]).astype(np.float32)
                for name in questions[0]
            }
        )
        apart_mm = said["apart_mm"].astype(np.float64).reshape(-1, 2, 3)
        sigma_mm = said["apart_sigma_mm"].astype(np.float64).reshape(-1, 2, 3)
        offsets = [
            _agreed([views[i] for i in couple.hands], apart, sigma)
            for couple, apart, sigma in zip(couples, apart_mm, sigma_mm, strict=True)
        ]
        return np.array(offsets)


def _question(
    keypoints: Keypoints, evidence: Evidence, views: Mapping[int, CropView], own: int, other: int
) -> dict[str, np.ndarray]:
    """What the network is told about a pair, in the axes of the own hand's view."""
    both, view = [own, other], views[own]
    rays = np.concatenate([evidence.rays[both], np.ones((2, len(evidence.rays[own]), 1))], axis=-1)
    ahead = view.to_view(rays)  # (2, 21, 3)
    per_px = np.array([views[i].rays_per_px for i in both])
    return {
        "joints_mm": view.to_view(evidence.joints_root_mm[both]),
        "sigma_mm": evidence.sigma_mm[both],
        "rays": ahead[..., :2] / ahead[..., 2:],
        "sigma": keypoints.sigma_crop[both] * per_px[:, None],
    }


def _agreed(views: Sequence[CropView], apart_mm: np.ndarray, sigma_mm: np.ndarray) -> np.ndarray:
    """(3,) from the right wrist to the left one: what both hands say (2, 3), by their certainty."""
    turns = np.array([view.camera_from_view for view in views])
    certainty = turns / sigma_mm[:, None] ** 2 @ turns.swapaxes(1, 2)  # inverse covariances, camera
    said_mm = turns @ (apart_mm * [[1.0], [-1.0]])[..., None]
    return np.linalg.solve(certainty.sum(axis=0), (certainty @ said_mm).sum(axis=0))[:, 0]
