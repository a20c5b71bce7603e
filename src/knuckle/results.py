"""What goes in and comes out: frames and hands.

All are frozen and checked when made. ``HandPose`` is the same class for an estimate and for the
truth, so metrics, writers and pictures need to know only one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from numbers import Real

import numpy as np

from knuckle import hand as _hand
from knuckle.camera import Camera
from knuckle.hand import N_JOINTS, Joint, Side, check_side
from knuckle.mask import CropMask


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        time_s: presentation time from the container, a finite number.
        index: 0 for the first frame of the source.
        camera: intrinsics, if the source knows them.
    """

    image: np.ndarray
    time_s: float
    index: int
    camera: Camera | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(
                f"a frame's image must be (H, W, 3) uint8 RGB, got {self.image.shape} "
                f"{self.image.dtype}"
            )
        if not isinstance(self.time_s, Real):
            raise TypeError(
                f"a frame's time_s must be a number of seconds, got {self.time_s!r} "
                f"({type(self.time_s).__name__}): convert it with float(...)"
            )
        if not isfinite(self.time_s):
            raise ValueError(
                f"a frame's time_s must be a finite number of seconds, got {self.time_s}: give "
                "the time at which it is shown, or pass the bare image"
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class HandPose:
    """One hand in one frame, estimated or true.

    Attributes:
        side: the person's own left or right hand.
        side_score: 0..1, how sure the side is.
        score: 0..1, how sure it is that this is a hand.
        joints_px: (21, 2) in the frame.
        joints_mm: (21, 3) in the camera frame.
        joint_score: (21,) 0..1, how far each keypoint can be trusted.
        visible: (21,) bool, False where something hides the joint (the hand itself included).
        joint_sigma_mm: (21,) expected error of each joint relative to the wrist.
        camera: the camera that ``joints_mm`` belongs to; ``camera.assumed`` if it was guessed.
        crop_mask: what ``mask`` is made from, if the hand was segmented.
    """

    side: Side
    side_score: float
    score: float
    joints_px: np.ndarray
    joints_mm: np.ndarray
    joint_score: np.ndarray
    visible: np.ndarray
    joint_sigma_mm: np.ndarray
    camera: Camera
    crop_mask: CropMask | None = None

    def __post_init__(self) -> None:
        check_side(self.side)
        expected = {
            "joints_px": (N_JOINTS, 2),
            "joints_mm": (N_JOINTS, 3),
            "joint_score": (N_JOINTS,),
            "visible": (N_JOINTS,),
            "joint_sigma_mm": (N_JOINTS,),
        }
        for name, shape in expected.items():
            got = np.shape(getattr(self, name))
            if got != shape:
                raise ValueError(f"{name} must have shape {shape}, got {got}")

    @cached_property
    def box_xyxy(self) -> np.ndarray:
        """(4,) tightest box around the 21 keypoints, px."""
        return np.concatenate([self.joints_px.min(axis=0), self.joints_px.max(axis=0)])

    @cached_property
    def mask(self) -> np.ndarray:
        """(H, W) bool: the pixels that show this hand; no two hands of a frame share one.

        Raises:
            ValueError: this hand was not segmented.
        """
        if self.crop_mask is None:
            raise ValueError("this hand has no mask: it was not segmented")
        return self.crop_mask.in_frame()

    @property
    def root_mm(self) -> np.ndarray:
        """(3,) the wrist in the camera frame."""
        return self.joints_mm[Joint.WRIST]

    @cached_property
    def joints_root_mm(self) -> np.ndarray:
        """(21, 3) joints relative to the wrist, axes of the camera frame."""
        return self.joints_mm - self.root_mm

    @cached_property
    def bone_lengths_mm(self) -> np.ndarray:
        """(20,) length of each bone, in the order of ``hand.BONES``."""
        return _hand.bone_lengths(self.joints_mm)

    @cached_property
    def joint_angles(self) -> np.ndarray:
        """(15, 2) flexion and spread in degrees, see ``hand.joint_angles``."""
        return _hand.joint_angles(self.joints_mm, self.side)


@dataclass(frozen=True, eq=False, kw_only=True)
class TrackedHand(HandPose):
    """A hand that is known from frame to frame.

    ``side_score`` is what all looks at it together say; ``raw.side_score`` is this frame's.

    Attributes:
        track_id: the same number for the same hand for as long as it is in view.
        age_s: time since it was first seen.
        raw: the estimate of this frame alone, before smoothing.
        velocity_mm_s: (3,) of the wrist in the camera frame.
    """

    track_id: int
    age_s: float
    raw: HandPose
    velocity_mm_s: np.ndarray
