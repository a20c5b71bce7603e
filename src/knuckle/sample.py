"""One labelled picture: what every data set gives and every consumer takes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.hand import BONES, N_JOINTS, Side, check_side

#: Value of ``Sample.hand_map`` where it is unknown what the pixel shows.
UNKNOWN = 255


@dataclass(frozen=True, eq=False, kw_only=True)
class HandLabel:
    """The truth about one hand in one picture, as far as it is known."""

    side: Side  # the person's own left or right hand
    joints_px: np.ndarray  # (21, 2) in the picture
    #: (21,) bool, which joints are labelled; the others hold no information.
    valid: np.ndarray = field(default_factory=lambda: np.ones(N_JOINTS, dtype=bool))
    joints_mm: np.ndarray | None = None  # (21, 3) in the camera frame, or None
    visible: np.ndarray | None = None  # (21,) bool, or None where visibility was not labelled
    #: (21,) how far the label itself may be off, or None for exact labels.
    sigma_px: np.ndarray | None = None
    #: (20,) by how much of its length each bone leads away from the camera, -1..1, NaN where
    #: unknown; or None. For pictures of which no ``joints_mm`` are known.
    bone_depth: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_side(self.side)
        shapes = {
            "joints_px": (N_JOINTS, 2),
            "valid": (N_JOINTS,),
            "joints_mm": (N_JOINTS, 3),
            "visible": (N_JOINTS,),
            "sigma_px": (N_JOINTS,),
            "bone_depth": (len(BONES),),
        }
        for name, expected in shapes.items():
            value = getattr(self, name)
            if value is not None and np.shape(value) != expected:
                raise InputError(f"{name} must have shape {expected}, got {np.shape(value)}")
        for name in ("joints_px", "joints_mm"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value[self.valid]).all():
                raise InputError(f"{name} of the valid joints must be finite")


@dataclass(frozen=True, eq=False, kw_only=True)
class Sample:
    """A picture and its hands.

    A rendered crop is a small sample whose camera's principal point may lie outside the picture.
    """

    image: np.ndarray  # (H, W, 3) uint8 RGB
    hands: tuple[HandLabel, ...]  # the labelled hands
    camera: Camera | None = None  # intrinsics, or None where unknown
    #: (H, W) uint8, 0 background, i + 1 where ``hands[i]`` is seen, ``UNKNOWN``; or None where no
    #: masks are known.
    hand_map: np.ndarray | None = None
    #: (K, 4) px, places where there may be an unlabelled hand.
    ignore_xyxy: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    #: (K, 4) px, places that some network took for a hand and that are none: the best examples of
    #: "no hand".
    decoys_xyxy: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    #: True where every hand in the picture is either labelled or in ``ignore_xyxy``, so that the
    #: rest may serve as an example of "no hand".
    complete: bool = True
    key: str  # unique name within its data set, fit for a file name
    #: What must not be split between training and test (subject, sequence, photograph).
    group: str = ""
    license: str = ""  # of weights that learn from it, if not Knuckle's own
    #: What was not labelled but worked out from the labels: of "hand_map", "visible", "joints_mm".
    derived: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise InputError(
                f"{self.key}: the image must be (H, W, 3) uint8, got {self.image.shape} "
                f"{self.image.dtype}"
            )
        if self.hand_map is not None and self.hand_map.shape != self.image.shape[:2]:
            raise InputError(
                f"{self.key}: hand_map must match the image {self.image.shape[:2]}, got "
                f"{self.hand_map.shape}"
            )
