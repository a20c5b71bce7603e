"""Lenses: where directions come out on the sensor, and back, by OpenCV's two models.

Directions are rays (x/z, y/z). Places on the sensor are counted from the principal point, in focal
lengths: those of a lens without distortion are the rays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Newton's steps from a place to its ray; ordinary lenses need three or four.
_UNDISTORT_STEPS = 12
#: Where a lens squeezes the picture by more than this, or stretches it by more than the inverse, it
#: is about to fold back or come to a pole of the model: Newton's step would go far astray.
_LEAST_SLOPE = 0.05
#: A step squares what was missing: after one as small as this nothing is.
_LAST_STEP = 1e-7
#: Newton's steps from a fisheye's picture to the angle off its axis, from less than a degree off.
_FISHEYE_STEPS = 5
#: A fisheye sees beyond it, but a direction (x/z, y/z) cannot say so.
_WIDEST_ANGLE = math.radians(89.0)
#: Far outside the picture a distorted ray may have no origin; none is sought beyond this (72°).
_WIDEST_RAY = 3.0

#: How far out rays go, growing, and how far out they come on the sensor, growing as well.
_Table = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Distorted:
    """A lens that is nearly straight: radial and tangential distortion.

    Attributes:
        coefficients: OpenCV's (k1, k2, p1, p2[, k3[, k4, k5, k6]]).
    """

    coefficients: tuple[float, ...]

    def bend(self, rays: np.ndarray) -> np.ndarray:
        """Rays -> places on the sensor, (..., 2) -> (..., 2)."""
        x, y = rays[..., 0], rays[..., 1]
        r2 = x * x + y * y
        return np.stack(self._distorted(x, y, r2, self._radial(r2)[0]), axis=-1)

    def straighten(self, places: np.ndarray) -> np.ndarray:
        """The inverse of ``bend``, by Newton's method.

        What lies beyond every ray, as keypoints outside the picture may, goes on from the outermost
        one of its direction as through a straight lens: past its turn the model would answer with a
        ray from elsewhere, and were all on one ray, what a crop there shows would have no width.
        """
        radii, reached = self._table
        widest, reach = radii[-1], reached[-1]
        away = np.linalg.norm(places, axis=-1, keepdims=True)
        beyond = np.maximum(away / reach, 1.0)
        places, away = places / beyond, away / beyond
        to = places[..., 0], places[..., 1]
        x, y = np.moveaxis(places * _ratio(np.interp(away, reached, radii), away), -1, 0)
        for _ in range(_UNDISTORT_STEPS):
            step_x, step_y = self._step_to(*to, x, y)
            x = (x + step_x).clip(-widest, widest)
            y = (y + step_y).clip(-widest, widest)
            if not (np.maximum(abs(step_x), abs(step_y)) > _LAST_STEP).any():
                break
        return np.stack([x, y], axis=-1) * beyond

    @cached_property
    def _eight(self) -> tuple[float, ...]:
        return (*self.coefficients, *(0.0,) * (8 - len(self.coefficients)))

    def _radial(self, r2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many times as far out rays come as they are, by r^2, and how that grows with r^2."""
        k1, k2, _, _, k3, k4, k5, k6 = self._eight
        radial, growth = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), k1 + r2 * (2 * k2 + r2 * (3 * k3))
        if not (k4 or k5 or k6):
            return radial, growth
        below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
        radial = radial / below
        return radial, (growth - radial * (k4 + r2 * (2 * k5 + r2 * (3 * k6)))) / below

    def _distorted(
        self, x: np.ndarray, y: np.ndarray, r2: np.ndarray, radial: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        p1, p2 = self._eight[2:4]
        # The tangential part is the ray itself times (2 p1 y + 2 p2 x), and (p2, p1) times r^2.
        aside = radial + (2 * p2) * x + (2 * p1) * y
        return x * aside + p2 * r2, y * aside + p1 * r2

    @cached_property
    def _table(self) -> _Table:
        """Of rays, up to where the model folds back or has a pole."""
        radii = np.linspace(0, _WIDEST_RAY, 601)
        radial, growth = self._radial(radii**2)
        sideways = 6 * radii * math.hypot(*self._eight[2:4])  # at most, in one direction
        return _up_to_turn(radii, radii * radial, radial + 2 * radii**2 * growth - sideways)

    def _step_to(
        self, to_x: np.ndarray, to_y: np.ndarray, x: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Newton's step from rays x, y towards those that come out at ``to_x``, ``to_y``."""
        p1, p2 = self._eight[2:4]
        r2 = x * x + y * y
        radial, growth = self._radial(r2)
        at_x, at_y = self._distorted(x, y, r2, radial)
        gap_x, gap_y = to_x - at_x, to_y - at_y
        x_growth, y_growth = 2 * growth * x, 2 * growth * y
        xx = radial + x * (x_growth + 6 * p2) + (2 * p1) * y
        yy = radial + y * (y_growth + 6 * p1) + (2 * p2) * x
        xy = x * (y_growth + 2 * p1) + (2 * p2) * y  # the matrix is symmetric
        slope = xx * yy - xy * xy
        step_x, step_y = yy * gap_x - xy * gap_y, xx * gap_y - xy * gap_x
        steep = slope > _LEAST_SLOPE
        if not steep.all():
            step_x, step_y = np.where(steep, step_x, gap_x), np.where(steep, step_y, gap_y)
            slope = np.where(steep, slope, 1.0)
        return step_x / slope, step_y / slope


@dataclass(frozen=True)
class Fisheye:
    """A lens that maps angles, as OpenCV's fisheye model (Kannala and Brandt 2006) has it.

    Attributes:
        coefficients: (k1, k2, k3, k4), or empty for an angle's own length.
    """

    coefficients: tuple[float, ...] = ()

    def bend(self, rays: np.ndarray) -> np.ndarray:
        """Rays -> places on the sensor, (..., 2) -> (..., 2)."""
        away = np.linalg.norm(rays, axis=-1)
        return rays * _ratio(self._reached(np.arctan(away)), away)[..., None]

    def straighten(self, places: np.ndarray) -> np.ndarray:
        """The inverse of ``bend``, by Newton's method on the angle off the axis.

        What lies beyond every ray goes on from the outermost one as through a straight lens.
        """
        away = np.linalg.norm(places, axis=-1)
        angles, reached = self._table
        angle, to = np.interp(away, reached, angles), np.minimum(away, reached[-1])
        for _ in range(_FISHEYE_STEPS):
            step = (self._reached(angle) - to) / np.maximum(self._slope(angle), _LEAST_SLOPE)
            angle = np.clip(angle - step, 0, angles[-1])
        return places * _ratio(np.tan(angle), to)[..., None]

    def is_beyond(self, places: np.ndarray) -> np.ndarray:
        """(...) bool: which places (..., 2) the lens sees on at, beyond all that rays can say."""
        angles, reached = self._table
        whole = angles[-1] == _WIDEST_ANGLE  # without a turn before
        return (np.linalg.norm(places, axis=-1) > reached[-1]) & whole

    @cached_property
    def _table(self) -> _Table:
        """Of angles off the axis, up to where the model folds back."""
        angles = np.linspace(0, _WIDEST_ANGLE, 179)
        return _up_to_turn(angles, self._reached(angles), self._slope(angles))

    def _reached(self, angle: np.ndarray) -> np.ndarray:
        """Distance from the principal point, in focal lengths, of an angle off the axis."""
        k1, k2, k3, k4 = self.coefficients or (0.0,) * 4
        a2 = angle * angle
        return angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))

    def _slope(self, angle: np.ndarray) -> np.ndarray:
        """By how much that grows with the angle."""
        k1, k2, k3, k4 = self.coefficients or (0.0,) * 4
        a2 = angle * angle
        return 1 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + a2 * 9 * k4)))


Lens = Distorted | Fisheye


def _up_to_turn(out: np.ndarray, reached: np.ndarray, slope: np.ndarray) -> _Table:
    """The part of a table (N,) from the axis on in which a lens neither folds nor has a pole."""
    grows = np.diff(reached, prepend=-1.0) > 0  # a pole between two rows has a slope as any
    usual = grows & (slope >= _LEAST_SLOPE) & (slope <= 1 / _LEAST_SLOPE)
    first = int(np.argmin(usual)) if not usual.all() else len(usual)
    rows = slice(0, max(first, 2))
    return out[rows], reached[rows]


def _ratio(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """What makes lengths ``old`` as long as ``new``; on the axis nothing changes."""
    still = old == 0
    return np.where(still, 1.0, new / np.where(still, 1.0, old))
