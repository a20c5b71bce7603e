"""One hand as a whole rig sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from knuckle.hand import Joint, Side
from knuckle.results import HandPose, TrackedHand
from knuckle.shape import HandShape
from knuckle.views.rig import RigCamera


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RigHand(HandShape):
    """A hand in the world frame of a rig.

    Attributes:
        side: the person's own left or right hand.
        side_score: 0..1, confidence in the side, from all cameras and all frames so far.
        score: 0..1, confidence that this is a hand, from the most certain camera.
        joints_mm: (21, 3) mm in the world, with constant bone lengths.
        sigma_mm: (21,) expected distance of each joint from the truth, mm.
        raw_mm: (21, 3) mm, from this frame alone, before smoothing. If only one camera sees the
            hand, its depth also depends on the last frames in which several did.
        views: for each camera the hand that it saw, or None.
        used: (V, 21) bool, whether the camera's keypoint was used for the joint.
        track_id: the same number for the same hand for as long as it is in view.
        age_s: time since it was first seen, s.
        velocity_mm_s: (3,) velocity of the wrist in the world, mm/s.
        moved_mm: (V, 3) how far the hand moved between the instant of ``joints_mm`` and the time at
            which each camera's frame was taken, mm.
    """

    side: Side
    side_score: float
    score: float
    joints_mm: np.ndarray
    sigma_mm: np.ndarray
    raw_mm: np.ndarray
    views: tuple[TrackedHand | None, ...]
    used: np.ndarray
    track_id: int
    age_s: float
    velocity_mm_s: np.ndarray
    moved_mm: np.ndarray

    @property
    def seen_by(self) -> tuple[int, ...]:
        """Indices of the cameras that saw it, in the order of the rig."""
        return tuple(v for v, view in enumerate(self.views) if view is not None)

    @property
    def T_world_from_wrist_m(self) -> np.ndarray:
        """(4, 4) pose of the wrist in the world, metres; see ``hand.wrist_axes`` for its axes."""
        return self._wrist_m

    def __repr__(self) -> str:
        """One line: who, how sure, where."""
        x, y, z = (f"{value:.0f}" for value in self.root_mm)
        seen = ",".join(map(str, self.seen_by))
        return (
            f"RigHand(hand {self.track_id}, {self.side}, score {self.score:.2f}, seen by {seen}, "
            f"wrist {x},{y},{z} mm)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists under the names of the attributes; ``seen_by`` for ``views``."""
        arrays = ("joints_mm", "sigma_mm", "raw_mm", "used", "velocity_mm_s", "moved_mm")
        return {
            "track_id": int(self.track_id),
            "age_s": float(self.age_s),
            "side": self.side,
            "side_score": float(self.side_score),
            "score": float(self.score),
            **{name: getattr(self, name).tolist() for name in arrays},
            "seen_by": list(self.seen_by),
        }

    def in_world(self, first: RigCamera) -> TrackedHand:
        """The hand with ``joints_mm`` in the world and ``joints_px`` in the image of a camera.

        Args:
            first: the camera of ``joints_px``, which are NaN behind it.
        """
        seen = [view for view in self.views if view is not None]
        hand = self.seen_from(self.seen_by[0], first)
        return replace(
            hand,
            joints_px=first.project(self.joints_mm),
            joints_mm=self.joints_mm,
            joint_score=np.max([view.joint_score for view in seen], axis=0),
            visible=np.any([view.visible for view in seen], axis=0),
            velocity_mm_s=self.velocity_mm_s,
            crop_mask=None,
        )

    def seen_from(self, number: int, camera: RigCamera) -> TrackedHand:
        """The hand in the frame and image of one camera, whether it saw it or not.

        Args:
            number: index of the camera in the rig.
            camera: that camera.

        Returns:
            The rig's hand in the camera's frame, moved to the time of its image. ``joints_px`` are
            the projected joints (NaN behind the camera); ``visible``, ``joint_score``, the mask and
            ``raw`` are the camera's own, or empty if it did not see the hand.
        """
        own = self.views[number]
        joints_mm = camera.T_camera_from_world(self.joints_mm + self.moved_mm[number])
        nothing = np.zeros(len(Joint))
        values: dict[str, Any] = {
            "side": self.side,
            "side_score": self.side_score,
            "score": self.score,
            "joints_px": camera.camera.project(joints_mm),
            "joints_mm": joints_mm,
            "joint_score": nothing if own is None else own.joint_score,
            "visible": nothing.astype(bool) if own is None else own.visible,
            "joint_sigma_mm": self.sigma_mm,
            "camera": camera.camera,
            "crop_mask": None if own is None else own.crop_mask,
        }
        plain = HandPose(**values) if own is None else own.raw
        return TrackedHand(
            **values,
            track_id=self.track_id,
            age_s=self.age_s,
            raw=plain,
            velocity_mm_s=camera.T_camera_from_world.rotation @ self.velocity_mm_s,
        )
