"""How fast a place moves, from look to look."""

from __future__ import annotations

import math

import numpy as np

#: Time constant over which what is told of a hand in space is steadied, s.
_TIME_S = 0.06


class Velocity:
    """Of one place.

    Attributes:
        per_s: (D,) units of the place; two looks make the first one.
    """

    def __init__(self, n_axes: int = 3) -> None:
        self.per_s, self._place = np.zeros(n_axes), np.zeros(n_axes)
        self._looks = 0

    def see(self, place: np.ndarray, dt_s: float, share: float | None = None) -> None:
        """Where it is now (D,), so long after the last look.

        Args:
            place: in the camera, the world or the picture.
            dt_s: time since the last look.
            share: of this look in the velocity; by default what steadies it over a time constant.
        """
        moved_per_s = (place - self._place) / dt_s
        if self._looks > 1:
            share = 1 - math.exp(-dt_s / _TIME_S) if share is None else share
            moved_per_s = self.per_s + share * (moved_per_s - self.per_s)
        if self._looks > 0:
            self.per_s = moved_per_s
        self._looks += 1
        self._place = place
