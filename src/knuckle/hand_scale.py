"""``knuckle camera scale``: how long a hand is, from a thing of known size that lies beside it.

A single camera cannot tell a small hand from a large one farther away: without being told, the
networks take the likeliest size. A flat hand beside a bank card, a sheet of paper or a checkerboard
is measured on the plane of the thing. Joints lie a little above it, which is allowed for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.hand import FINGERS, Joint
from knuckle.results import Frame, HandPose
from knuckle.video.reference import Plane, Reference, find_plane

#: The joints from the wrist to the tip of the middle finger.
_RAY = np.array([Joint.WRIST, *FINGERS[2]])
#: How far inside a hand that lies on a table these are above it, mm, and how unsure that is.
HEIGHT_MM = np.array([22.0, 16.0, 10.0, 8.0, 6.0])
_HEIGHT_SIGMA_MM = 5.0
#: Standard deviation of a measured hand, share of its length, that more frames do not lower: the
#: keypoints of a hand in one pose are wrong in the same way. Measured on rendered hands
#: (``benchmarks/hand_scale.py``).
KEYPOINT_SIGMA = 0.035
#: A middle finger that bends by more than this at a joint does not lie flat, degrees.
_FLAT_DEG = 35.0
#: A view from lower than this over the plane is too slanted to measure in, degrees.
_LEAST_SLANT_DEG = 25.0
MIN_FRAMES, MAX_FRAMES = 5, 150
#: From small children to the largest hands known.
_SHORTEST_MM, _LONGEST_MM = 80.0, 290.0

Estimator = Callable[[np.ndarray, Camera], Sequence[HandPose]]


@dataclass(frozen=True)
class HandLength:
    """The outcome."""

    length_mm: float  # wrist to the tip of the middle finger, along the bones
    sigma_mm: float  # its standard error, with what all frames get wrong in the same way
    n_frames: int  # frames that were measured

    def __str__(self) -> str:
        """A line for people."""
        return (
            f"hand length {self.length_mm:.0f} ± {self.sigma_mm:.0f} mm (one standard error), "
            f"wrist to middle fingertip, from {self.n_frames} frames\n"
            f"  knuckle track SOURCE --hand-length-mm {self.length_mm:.0f}"
        )


def measure_hand(
    frames: Iterable[Frame], estimator: Estimator, thing: Reference, camera: Camera | None = None
) -> HandLength:
    """Measure the hand that lies flat beside a thing of known size, on the same plane.

    Neither covers the other. Without a camera, of the frames or given, a field of view is assumed,
    which is good enough unless the view is slanted.

    Raises:
        ValueError: hand and thing were seen together too seldom, or no hand has this length.
    """
    lengths, errors = [], []
    n_frames = n_hands = 0
    for frame in frames:
        n_frames += 1
        height, width = frame.image.shape[:2]
        known = camera or frame.camera or Camera.assume(width, height)
        hands = [hand for hand in estimator(frame.image, known) if _is_flat(hand)]
        n_hands += bool(hands)
        if len(hands) != 1:
            continue
        plane = find_plane(frame.image, thing, known, apart_from=hands[0].box_xyxy)
        if plane is None or _slant_deg(plane) < _LEAST_SLANT_DEG:
            continue
        lengths.append(length_on(plane, hands[0].joints_px[_RAY], known))
        errors.append(_HEIGHT_SIGMA_MM / plane.T_camera_from_plane.translation_mm[2])
        if len(lengths) == MAX_FRAMES:
            break
    if len(lengths) < MIN_FRAMES:
        raise InputError(
            f"expected one flat hand beside the thing in at least {MIN_FRAMES} frames, found a "
            f"flat hand in {n_hands} and both in {len(lengths)} of {n_frames} frames; lay them on "
            "a table that contrasts with both, an inch apart, and film from above"
        )
    length = float(np.median(lengths))
    if not _SHORTEST_MM < length < _LONGEST_MM:
        raise InputError(
            f"expected a hand of {_SHORTEST_MM:.0f} to {_LONGEST_MM:.0f} mm, measured "
            f"{length:.0f} mm: is the thing beside it of the size that was said?"
        )
    scatter = 1.48 * float(np.median(np.abs(np.array(lengths) - length))) / length
    sigma = np.sqrt(scatter**2 / len(lengths) + KEYPOINT_SIGMA**2 + np.median(errors) ** 2)
    return HandLength(length, float(sigma) * length, len(lengths))


def length_on(plane: Plane, points_px: np.ndarray, camera: Camera) -> float:
    """Length along the middle finger's joints (5, 2), which lie a little above a plane, mm."""
    over_mm = plane.points_above(points_px, HEIGHT_MM, camera)
    steps = np.column_stack([np.diff(over_mm, axis=0), np.diff(HEIGHT_MM)])
    return float(np.linalg.norm(steps, axis=1).sum())


def _is_flat(hand: HandPose) -> bool:
    middle = hand.joint_angles.reshape(5, 3, 2)[2, :, 0]
    return bool(np.abs(middle).max() < _FLAT_DEG)


def _slant_deg(plane: Plane) -> float:
    """90 when seen from straight above, 0 from the side."""
    place, axes = plane.T_camera_from_plane.translation_mm, plane.T_camera_from_plane.rotation
    return float(np.degrees(np.arcsin(abs(axes[:, 2] @ place) / np.linalg.norm(place))))
