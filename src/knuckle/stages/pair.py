"""The offset between the wrists of two hands near each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knuckle.camera import Camera
from knuckle.crop import CropView
from knuckle.hand import N_JOINTS
from knuckle.pose import Keypoints
from knuckle.pose.pair import HandPair
from knuckle.pose.placement import Evidence
from knuckle.stages.contract import Stage, numbers, tensors


class PairStage(Stage):
    """A pair network. It is run twice for each pair, once from the view of each hand."""

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
        pairs: Sequence[HandPair],
    ) -> np.ndarray:
        """From the right wrists to the left ones of P pairs of N hands: (P, 3) mm, camera frame.

        ``evidence`` is what is known about the hands, each by itself.
        """
        own = [i for pair in pairs for i in pair.hands]  # 2 P, each pair's side by side
        both = np.arange(len(own))[:, None] ^ (0, 1)  # (2 P, 2) the own hand and the other one
        views = [CropView.of(keypoints.crops[i], camera) for i in own]
        turns = np.array([view.camera_from_view for view in views])  # (2 P, 3, 3)
        per_px = np.array([[view.rays_per_px] for view in views])
        # In the axes of the own hand's view.
        ahead = evidence.rays[own][both] @ turns[:, None, :2] + turns[:, None, 2:]
        said = self._network(
            joints_mm=_float32(evidence.joints_root_mm[own][both] @ turns[:, None]),
            sigma_mm=_float32(evidence.sigma_mm[own][both]),
            rays=_float32(ahead[..., :2] / ahead[..., 2:]),
            sigma=_float32((keypoints.sigma_crop[own] * per_px)[both]),
        )
        return _agreed(turns, said["apart_mm"], said["apart_sigma_mm"])


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def _agreed(turns: np.ndarray, apart_mm: np.ndarray, sigma_mm: np.ndarray) -> np.ndarray:
    """(P, 3) from right wrists to left ones, camera frame: both answers, by inverse covariance.

    ``turns`` (2 P, 3, 3) lead from the view of each hand to the camera; ``apart_mm`` (2 P, 3) from
    it to the other, in its view, with the expected error ``sigma_mm``.
    """
    turns, across = turns.reshape(-1, 2, 3, 3), turns.swapaxes(1, 2).reshape(-1, 2, 3, 3)
    variance = np.square(sigma_mm.reshape(-1, 2, 1, 3), dtype=np.float64)
    certainty = turns / variance @ across  # inverse covariances in the camera's axes
    said_mm = turns @ (apart_mm.reshape(-1, 2, 3) * [[1.0], [-1.0]])[..., None]
    return np.linalg.solve(certainty.sum(axis=1), (certainty @ said_mm).sum(axis=1))[..., 0]
