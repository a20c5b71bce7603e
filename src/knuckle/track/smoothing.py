"""Steadies a hand over time without stretching it or pulling it off the picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from knuckle.hand import MIDDLE_RAY
from knuckle.pose.confidence import sigma_of
from knuckle.results import HandPose
from knuckle.track.one_euro import OneEuro, OneEuroSettings
from knuckle.track.skeleton import BoneLengths, scale_to, with_bone_lengths

#: A look with the first score hardly moves the filters, one with the second does so fully.
_BAD_SCORE, _GOOD_SCORE = 0.3, 0.8


@dataclass(frozen=True)
class SmoothingSettings:
    """Settings of ``OneEuroSmoother``.

    Attributes:
        lateral: of every joint's place in the picture; the unit is the hand's extent there.
        relative_depth: of every joint's depth relative to the wrist; the unit is the hand's length.
        root_depth: of the logarithm of the wrist's depth.
        lock_frames: frames after which the bone lengths are locked.
    """

    lateral: OneEuroSettings = field(default=OneEuroSettings())
    relative_depth: OneEuroSettings = field(default=OneEuroSettings(0.5, 10.0, 60.0))
    root_depth: OneEuroSettings = field(default=OneEuroSettings(0.6, 10.0, 100.0))
    lock_frames: int = 30


class OneEuroSmoother:
    """One-euro filters on what a camera sees well and badly, then bones of constant length.

    The place in the picture is precise, depth is not, so they are filtered apart: a steady depth
    does not cost lag in the picture. The filtered joints are then moved, mainly in depth, to the
    track's bone lengths.
    """

    def __init__(self, settings: SmoothingSettings | None = None) -> None:
        settings = settings or SmoothingSettings()
        self._lateral = OneEuro(settings.lateral)
        self._relative_depth = OneEuro(settings.relative_depth)
        self._root_depth = OneEuro(settings.root_depth)
        self._bones = BoneLengths(settings.lock_frames)

    def __call__(self, pose: HandPose, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Steady the next estimate of this hand.

        Args:
            pose: the estimate of this frame alone.
            dt_s: time since the last one.

        Returns:
            joints_px (21, 2) and joints_mm (21, 3).
        """
        lengths = self._bones.update(pose.bone_lengths_mm)
        # Scaled about the camera's centre, so that the picture stays as it is.
        joints = pose.joints_mm * scale_to(lengths, pose.bone_lengths_mm)
        depth, size_mm = joints[:, 2], float(lengths[MIDDLE_RAY].sum())
        keypoint_rays, joint_rays = pose.camera.rays(pose.joints_px), joints[:, :2] / depth[:, None]
        extent = max(float(np.ptp(keypoint_rays, axis=0).max()), 1e-6)
        error_rays = sigma_of(pose.joint_score) * extent
        sureness = float(np.interp(pose.score, (_BAD_SCORE, _GOOD_SCORE), (0.05, 1.0)))
        error_mm = np.maximum(pose.joint_sigma_mm.astype(np.float64), 0.5)

        rays = self._lateral(
            np.concatenate([keypoint_rays, joint_rays]),
            dt_s,
            error=np.concatenate([error_rays, error_rays]),
            unit=extent,
            sureness=sureness,
        )
        # The scale of the picture is as unsure as its points, and fixes the distance.
        root_error = float(np.median(error_rays)) / extent
        root = np.exp(
            self._root_depth(np.log(depth[:1, None]), dt_s, error=root_error, sureness=sureness)
        )[0, 0]
        relative = (depth - depth[0])[:, None]  # (21, 1)
        relative = self._relative_depth(
            relative, dt_s, error=error_mm, unit=size_mm, sureness=sureness
        )
        depth = np.maximum(root + relative[:, 0], 1.0)
        joints = np.concatenate([rays[21:] * depth[:, None], depth[:, None]], axis=1)
        joints = with_bone_lengths(joints, lengths, error_rays * depth, error_mm)
        return pose.camera.pixels_from_rays(rays[:21]), joints
