"""What goes in and comes out: frames and hands.

All are frozen and checked when made. ``HandPose`` is the same class for an estimate and for the
truth, so metrics, writers and pictures need to know only one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from numbers import Integral, Real
from typing import Any, Self, overload

import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.hand import N_JOINTS, Side, check_side
from knuckle.image import how_it_becomes_one
from knuckle.mask import CropMask
from knuckle.notebook import drawing_of
from knuckle.shape import HandShape

#: Times from here on are no seconds of a video; since 1970 they are 1.8e9, or 1.8e12 milliseconds.
LATEST_S = 1e11
#: Of the arrays of a hand.
_SHAPES = {
    "joints_px": (N_JOINTS, 2),
    "joints_mm": (N_JOINTS, 3),
    "joint_score": (N_JOINTS,),
    "visible": (N_JOINTS,),
    "joint_sigma_mm": (N_JOINTS,),
}


@dataclass(frozen=True, eq=False, repr=False)
class Frame:
    """One image of a video.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        time_s: presentation time from the container, a finite number.
        index: 0 for the first frame of the source.
        camera: intrinsics, if the source knows them.
        name: name of the image's own file, if it has one; else empty.
    """

    image: np.ndarray
    time_s: float
    index: int
    camera: Camera | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.image, np.ndarray):
            raise TypeError(
                f"a frame's image must be a NumPy array (H, W, 3) uint8 RGB, got "
                f"{type(self.image).__name__}; {how_it_becomes_one(self.image)}"
            )
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise InputError(
                f"a frame's image must be (H, W, 3) uint8 RGB, got {self.image.shape} "
                f"{self.image.dtype}"
            )
        if not isinstance(self.index, Integral):
            raise TypeError(
                f"a frame's index must be a whole number, got {self.index!r} "
                f"({type(self.index).__name__}): count frames from 0"
            )
        object.__setattr__(self, "index", int(self.index))
        object.__setattr__(self, "time_s", check_time(self.time_s))

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"<frame {self.index} at {self.time_s:.3f} s, {width} x {height}>"


@dataclass(frozen=True, eq=False, repr=False)
class Instant(Sequence["Frame | None"]):
    """What several cameras show at one time: a sequence of their frames.

    Attributes:
        frames: one for each camera, in order; None where a camera has none.
        time_s: time on the common clock of all cameras. Each frame's own time is that of its
            camera, whose clock may differ.
        later_s: how much later than that each frame was taken, s; by default 0.
    """

    frames: tuple[Frame | None, ...]
    time_s: float
    later_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", tuple(self.frames))
        object.__setattr__(self, "time_s", check_time(self.time_s))
        later_s = tuple(map(check_time, self.later_s)) or (0.0,) * len(self.frames)
        object.__setattr__(self, "later_s", later_s)
        if len(self.later_s) != len(self.frames):
            raise InputError(
                f"expected later_s of each of the {len(self.frames)} frames, got "
                f"{len(self.later_s)}: 0 for one that is not there"
            )

    def __len__(self) -> int:
        return len(self.frames)

    @overload
    def __getitem__(self, camera: int) -> Frame | None: ...

    @overload
    def __getitem__(self, camera: slice) -> tuple[Frame | None, ...]: ...

    def __getitem__(self, camera: int | slice) -> Frame | tuple[Frame | None, ...] | None:
        return self.frames[camera]

    def __repr__(self) -> str:
        there = sum(frame is not None for frame in self.frames)
        return f"<instant at {self.time_s:.3f} s, frames of {there} of {len(self)} cameras>"


def check_time(time_s: float) -> float:
    """The time of a frame as Python's own number; what cannot be one is refused.

    Containers count in fractions, and arrays in single precision, in which further sums would be
    made.

    Raises:
        TypeError: it is no number.
        ValueError: it is not finite, or in another unit than seconds.
    """
    if not isinstance(time_s, Real) or isinstance(time_s, np.timedelta64):
        raise TypeError(
            f"a frame's time_s must be a number of seconds, got {time_s!r} "
            f"({type(time_s).__name__}): convert it with float(...)"
        )
    time_s = float(time_s)
    if not math.isfinite(time_s):
        raise InputError(
            f"a frame's time_s must be a finite number of seconds, got {time_s}: give "
            "the time at which it is shown, or pass the bare image"
        )
    if abs(time_s) > LATEST_S:
        raise InputError(
            f"a frame's time_s must be in seconds, got {time_s:g}, which is "
            f"{time_s / 3.15576e7:,.0f} years: divide milliseconds by 1e3, microseconds "
            "by 1e6 and nanoseconds by 1e9"
        )
    return time_s


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class HandPose(HandShape):
    """One hand in one frame, estimated or ground truth.

    Attributes:
        side: the person's own left or right hand.
        side_score: 0..1, confidence in the side.
        score: 0..1, confidence that this is a hand.
        joints_px: (21, 2) px in the frame.
        joints_mm: (21, 3) mm in the camera frame. For a tracked hand they are smoothed differently
            from ``joints_px`` and project some pixels away from them; those of ``raw`` less so.
        joint_score: (21,) 0..1, confidence in each keypoint.
        visible: (21,) bool, False where something (including the hand itself) hides the joint.
        joint_sigma_mm: (21,) expected error of each joint relative to the wrist, mm.
        camera: the camera of ``joints_mm``; ``camera.assumed`` if its field of view was guessed.
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
        for name, shape in _SHAPES.items():
            value = getattr(self, name)
            if np.shape(value) != shape:
                raise InputError(f"{name} must have shape {shape}, got {np.shape(value)}")
            if not isinstance(value, np.ndarray):
                raise TypeError(
                    f"{name} must be a NumPy array, got {type(value).__name__}: convert it with "
                    "numpy.asarray(...)"
                )

    def __repr__(self) -> str:
        """One line: who, how sure, where."""
        x, y, z = (f"{value:.0f}" for value in self.root_mm)
        box = ",".join(f"{value:.0f}" for value in self.box_xyxy)
        return (
            f"{type(self).__name__}({self._title()}, box {box} px, "
            f"wrist {x},{y},{z} mm{', camera assumed' * self.camera.assumed})"
        )

    def _repr_html_(self) -> str:
        """A small drawing, for notebooks."""
        return drawing_of(self.joints_px, self._title())

    def _title(self) -> str:
        return f"{self.side}, score {self.score:.2f}"

    def joints_normalised(self, width: int, height: int) -> np.ndarray:
        """(21, 2) keypoints as fractions of the image's ``width`` and ``height`` (px).

        0 and 1 are the outer edges of the image, as in other libraries.

        Raises:
            ValueError: width or height is not positive.
        """
        if not (width > 0 and height > 0):
            raise InputError(
                f"expected the width and height of the picture, px, got {width} and {height}: of "
                "an image, image.shape[1] and image.shape[0]"
            )
        return (self.joints_px + 0.5) / (width, height)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists under the names of the attributes, without the mask."""
        arrays = ("joints_px", "joints_mm", "joint_score", "visible", "joint_sigma_mm", "box_xyxy")
        numbers = {name: getattr(self, name).tolist() for name in arrays}
        camera = asdict(self.camera) | {"distortion": list(self.camera.distortion)}
        scores = {"side_score": float(self.side_score), "score": float(self.score)}
        return {"side": self.side, **scores, **numbers, "camera": camera}

    @cached_property
    def box_xyxy(self) -> np.ndarray:
        """(4,) tightest box around the 21 keypoints, px."""
        return np.concatenate([self.joints_px.min(axis=0), self.joints_px.max(axis=0)])

    @cached_property
    def mask(self) -> np.ndarray:
        """(H, W) bool: the pixels of this hand; the hands of a frame do not share any.

        Raises:
            ValueError: this hand was not segmented.
        """
        if self.crop_mask is None:
            raise InputError("this hand has no mask: it was not segmented")
        return self.crop_mask.in_frame()

    def without_mask(self) -> Self:
        """The same hand without what ``mask`` needs: a twentieth of the size, to keep thousands."""
        return replace(self, crop_mask=None)

    @cached_property
    def rays(self) -> np.ndarray:
        """(21, 2) directions (x/z, y/z) in the camera frame along which the keypoints are seen."""
        return self.camera.rays(self.joints_px)

    @property
    def T_camera_from_wrist_m(self) -> np.ndarray:
        """(4, 4) pose of the wrist, metres; see ``hand.wrist_axes`` for its axes."""
        return self._wrist_m


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class TrackedHand(HandPose):
    """A hand that is tracked from frame to frame.

    ``side_score`` combines all frames so far; ``raw.side_score`` is that of this frame.

    Attributes:
        track_id: the same number for the same hand for as long as it is in view.
        age_s: time since it was first seen, s.
        raw: the estimate from this frame alone, before smoothing.
        velocity_mm_s: (3,) velocity of the wrist in the camera frame, mm/s.
    """

    track_id: int
    age_s: float
    raw: HandPose
    velocity_mm_s: np.ndarray

    @classmethod
    def of(cls, pose: HandPose, **known: Any) -> TrackedHand:
        """A pose with what is known of its hand: own fields, and others in place of the pose's."""
        return cls(**{name: getattr(pose, name) for name in _OF_POSE} | known)

    def _title(self) -> str:
        return f"hand {self.track_id}, {super()._title()}"

    def without_mask(self) -> Self:
        """As for a pose; ``raw`` has no mask either."""
        return replace(self, crop_mask=None, raw=self.raw.without_mask())

    def to_dict(self) -> dict[str, Any]:
        """As for a pose, with ``track_id``, ``age_s`` and ``velocity_mm_s``; without ``raw``."""
        return {
            "track_id": int(self.track_id),
            "age_s": float(self.age_s),
            "velocity_mm_s": self.velocity_mm_s.tolist(),
            **super().to_dict(),
        }


_OF_POSE = tuple(item.name for item in fields(HandPose))
