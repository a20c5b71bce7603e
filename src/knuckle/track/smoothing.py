"""Steadies a hand over time without stretching it or pulling it off the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from knuckle.hand import BONES, KNUCKLES, N_BONES, N_JOINTS, bone_vectors
from knuckle.pose.placement import MIN_DEPTH_MM
from knuckle.results import HandPose
from knuckle.track.one_euro import OneEuro, OneEuroSettings, one_by_one
from knuckle.track.skeleton import joints_from_bones
from knuckle.track.uncertainty import Uncertainty

#: A bone's direction is off by this share of what its end is off, over its length; at most so far.
_TILT_SHARE, _MOST_TILT = 0.5, 0.5
#: Joints whose depth is this unsure, mm, have half of the most say in the hand's.
_EVEN_SAY_MM = 5.0
#: Moment of inertia, per direction, that is added about each axis: noise makes no turn.
_LEAST_INERTIA = 0.02
#: What is filtered together: the rays to the joints, then the directions of the bones.
_N = N_JOINTS + N_BONES
_RAYS, _BONES = slice(0, N_JOINTS), slice(N_JOINTS, _N)
#: The joint of each ray and at the end of each bone.
_ENDS = np.concatenate([np.arange(N_JOINTS), BONES[:, 1]])
#: Of these, the bones of the palm: with them, the hand turns.
_PALM = N_JOINTS + np.array([bone for bone, (_, end) in enumerate(BONES) if end in KNUCKLES])


@dataclass(frozen=True)
class SmoothingSettings:
    """Settings of ``OneEuroSmoother``."""

    #: Of the joints' places in the picture; the unit is the hand's extent there.
    keypoints: OneEuroSettings = field(default=OneEuroSettings())
    #: Of the bones' directions; the unit is a radian.
    bones: OneEuroSettings = field(default=OneEuroSettings(0.5, 5.0, 30.0))
    #: Of the logarithm of the hand's distance. What trembles in it is far below the error to be
    #: expected, so clear motion opens the filter wide; with a smaller ``beta`` the rest of a step
    #: crept in for half a second.
    distance: OneEuroSettings = field(default=OneEuroSettings(0.4, 20.0, 60.0))


class OneEuroSmoother:
    """One-euro filters on how the hand is turned and bent, and on where it stands.

    Filtered are the rays to the joints, the directions of the bones and the hand's distance, each
    against the error to be expected of it. The hand is put together from the directions and the
    lengths of its bones, so that it turns and bends, but never stretches; it is then placed on the
    filtered rays, at the filtered distance. A steady depth does not cost lag in the picture.

    A joint that is more likely wrong than right has less say in where it is, by the inverse of its
    variance. As far as it has none, it goes along with the rest of the hand: a finger that another
    hand hides does not jump onto that one, and comes along where the hand moves and turns.
    """

    def __init__(self, settings: SmoothingSettings | None = None) -> None:
        """Steady one hand."""
        settings = settings or SmoothingSettings()
        self._directions = OneEuro(
            one_by_one((settings.keypoints, N_JOINTS), (settings.bones, N_BONES))
        )
        self._distance = OneEuro(settings.distance)

    def __call__(
        self, pose: HandPose, lengths_mm: np.ndarray, dt_s: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Steady the estimate of the next frame alone: joints_px (21, 2) and joints_mm (21, 3).

        Its bones shall be ``lengths_mm`` (20,); ``dt_s`` is the time since the last one.
        """
        doubt = Uncertainty.of(pose)
        directions = self._steady_directions(pose, lengths_mm, doubt, dt_s)
        rays, hand = directions[_RAYS, :2], joints_from_bones(directions[_BONES], lengths_mm)
        # The look's own distance: scaled to where a hand of the fixed bones would be as large in
        # the picture, it is farther from the truth and trembles more.
        say = 1 / (doubt.along_mm * doubt.along_mm + _EVEN_SAY_MM**2)
        depth_mm = float(say @ (pose.joints_mm[:, 2] - hand[:, 2]) / say.sum())
        nearest_mm = MIN_DEPTH_MM - float(hand[:, 2].min())  # all joints are before the camera
        log_depth = self._distance(
            math.log(max(depth_mm, nearest_mm)),
            dt_s,
            error=doubt.distance,
            sureness=doubt.sureness,
        )
        depth_mm = max(math.exp(log_depth), nearest_mm)
        joints_mm = hand + _root_on_rays(hand, depth_mm, rays, doubt.across)
        return pose.camera.pixels_from_rays(rays), joints_mm

    def _steady_directions(
        self, pose: HandPose, lengths_mm: np.ndarray, doubt: Uncertainty, dt_s: float
    ) -> np.ndarray:
        """(41, 3) of the rays (x/z, y/z, 0) and of the bones."""
        seen = np.zeros((_N, 3))
        seen[_RAYS, :2] = pose.rays
        lengths = np.maximum(pose.bone_lengths_mm, 1e-6)[:, None]
        np.divide(bone_vectors(pose.joints_mm), lengths, out=seen[_BONES])
        error, unit, say = np.empty(_N), np.ones(_N), doubt.say.take(_ENDS)
        error[_RAYS], unit[_RAYS] = doubt.across, doubt.extent
        tilt = _TILT_SHARE * doubt.along_mm[1:] / lengths_mm
        np.minimum(tilt, _MOST_TILT, out=error[_BONES])
        before = self._directions.value
        after = self._directions(seen, dt_s, error=error, unit=unit, sureness=doubt.sureness * say)
        if before is None or say.min() == 1:
            return after
        # What has no say goes along: rays are shifted, bones turned.
        along = np.empty_like(after)
        along[_RAYS] = _mean((after - before)[_RAYS], 1 / (doubt.across * doubt.across))
        along[_BONES] = before[_BONES] @ _turn(before[_PALM], after[_PALM])
        return self._directions.shift((1 - say)[:, None] * along)


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(D,) of (N, D) values."""
    return weights @ values / weights.sum()


def _turn(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(3, 3) that directions (N, 3) times it are their change by a turn.

    The turn is the one that takes them nearest to others, to first order, as between two frames no
    hand turns far: the vector of its axis, as long as its angle, solves N w = r, where N is their
    moment of inertia and r their moment. In closed form, as three numbers do not deserve a library.
    Directions in one line do not tell of a turn about it: then there is none.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (before.T @ after).tolist()
    little = _LEAST_INERTIA * len(before)
    a, b, c = (max(both, 0.0) + little for both in (yy + zz, xx + zz, xx + yy))
    d, e, f = -(xy + yx) / 2, -(xz + zx) / 2, -(yz + zy) / 2  # N is ((a, d, e), (d, b, f), ...)
    u, v, w = yz - zy, zx - xz, xy - yx  # r
    aa, ab, ac = b * c - f * f, e * f - d * c, d * f - e * b
    bb, bc, cc = a * c - e * e, d * e - a * f, a * b - d * d
    size = max(a * aa + d * ab + e * ac, little**3)
    x = (aa * u + ab * v + ac * w) / size
    y = (ab * u + bb * v + bc * w) / size
    z = (ac * u + bc * v + cc * w) / size
    angle = max(math.sqrt(x * x + y * y + z * z), 1e-9)
    s, t = math.sin(angle) / angle, (1 - math.cos(angle)) / angle**2
    return np.array(  # Rodrigues: lengths are kept
        [
            [-t * (y * y + z * z), t * x * y + s * z, t * x * z - s * y],
            [t * x * y - s * z, -t * (x * x + z * z), t * y * z + s * x],
            [t * x * z + s * y, t * y * z - s * x, -t * (x * x + y * y)],
        ]
    )


def _root_on_rays(
    hand_mm: np.ndarray, depth_mm: float, rays: np.ndarray, across: np.ndarray
) -> np.ndarray:
    """(3,) the wrist at this depth whose hand (21, 3) lies best on the rays (21, 2)."""
    gap = rays * (hand_mm[:, 2:] + depth_mm) - hand_mm[:, :2]
    x, y = _mean(gap, 1 / (across * across)).tolist()
    return np.array([x, y, depth_mm])
