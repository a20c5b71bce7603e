"""The velocity of a point, from look to look."""

from __future__ import annotations

import math

import numpy as np

#: Time constant of the smoothing, s.
_TIME_S = 0.06


class Velocity:
    """Velocity of one point."""

    def __init__(self, n_axes: int = 3) -> None:
        self.per_s = np.zeros(n_axes)  # (D,) units of the point; 0 until the second look
        self._place = np.zeros(n_axes)
        self._looks = 0

    def see(self, place: np.ndarray, dt_s: float, share: float | None = None) -> None:
        """Take in where the point (D,) is now, ``dt_s`` after the last look.

        ``share`` is the weight of this look in the velocity; by default by the time constant.
        """
        moved_per_s = (place - self._place) / dt_s
        if self._looks > 1:
            share = 1 - math.exp(-dt_s / _TIME_S) if share is None else share
            moved_per_s = self.per_s + share * (moved_per_s - self.per_s)
        if self._looks > 0:
            self.per_s = moved_per_s
        self._looks += 1
        self._place = place
