"""How fast a hand moves through space, as it is told."""

from __future__ import annotations

import math

import numpy as np

#: Time constant over which it is steadied, s.
_TIME_S = 0.06


class Velocity:
    """Of one place, from look to look.

    Attributes:
        mm_s: (3,); two looks make the first one.
    """

    def __init__(self) -> None:
        self.mm_s = np.zeros(3)
        self._place_mm = np.zeros(3)
        self._looks = 0

    def see(self, place_mm: np.ndarray, dt_s: float) -> None:
        """Where it is now (3,), so long after the last look."""
        moved_mm_s = (place_mm - self._place_mm) / dt_s
        if self._looks > 1:
            share = 1 - math.exp(-dt_s / _TIME_S)
            moved_mm_s = self.mm_s + share * (moved_mm_s - self.mm_s)
        if self._looks > 0:
            self.mm_s = moved_mm_s
        self._looks += 1
        self._place_mm = place_mm
