"""Steadies a hand over time without stretching it or pulling it off the picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from knuckle.results import HandPose
from knuckle.track.one_euro import OneEuro, OneEuroSettings
from knuckle.track.skeleton import BoneLengths, scale_to, with_bone_lengths


@dataclass(frozen=True)
class SmoothingSettings:
    """Settings of ``OneEuroSmoother``. Speeds count in extents of the hand per second.

    Attributes:
        lateral: of every joint's place in the picture.
        relative_depth: of every joint's depth relative to the wrist, in hand lengths.
        root_depth: of the logarithm of the wrist's depth, which trembles most.
        lock_frames: frames after which the bone lengths are locked.
    """

    lateral: OneEuroSettings = field(default=OneEuroSettings(1.0, 40.0, noise_speed=0.5))
    relative_depth: OneEuroSettings = field(default=OneEuroSettings(0.8, 20.0, noise_speed=1.5))
    root_depth: OneEuroSettings = field(default=OneEuroSettings(0.5, 20.0, noise_speed=1.0))
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
        depth, size = joints[:, 2], float(lengths.max())
        keypoint_rays, joint_rays = pose.camera.rays(pose.joints_px), joints[:, :2] / depth[:, None]
        extent = float(np.ptp(keypoint_rays, axis=0).max())
        # Doubtful joints are filtered harder, but follow.
        trust = 0.2 + 0.8 * pose.joint_score
        rays = self._lateral(
            np.concatenate([keypoint_rays, joint_rays]),
            dt_s,
            unit=max(extent, 1e-6),
            trust=np.tile(trust, 2),
        )
        root = np.exp(self._root_depth(np.log(depth[:1, None]), dt_s))[0, 0]
        relative = self._relative_depth((depth - depth[0])[:, None] / size, dt_s, trust=trust)[:, 0]
        depth = np.maximum(root + relative * size, 1.0)
        joints = np.concatenate([rays[21:] * depth[:, None], depth[:, None]], axis=1)
        along = np.maximum(pose.joint_sigma_mm.astype(np.float64), 0.5)
        across = along * (1 - 0.8 * pose.joint_score)
        joints = with_bone_lengths(joints, lengths, across, along)
        return pose.camera.pixels_from_rays(rays[:21]), joints
