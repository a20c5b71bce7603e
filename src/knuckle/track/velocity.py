"""How fast a place moves, from look to look."""

from __future__ import annotations

import numpy as np


class Velocity:
    """Of a place of D coordinates, steadied.

    Attributes:
        per_s: (D,) in the unit of the place; two looks make the first one.
    """

    def __init__(self, dimensions: int) -> None:
        self.per_s = self._place = np.zeros(dimensions)
        self._looks = 0

    def see(self, place: np.ndarray, dt_s: float, share: float) -> None:
        """Where it is now (D,), so long after the last look; ``share`` of it is news."""
        moved_per_s = (place - self._place) / dt_s
        if self._looks > 1:
            moved_per_s = self.per_s + share * (moved_per_s - self.per_s)
        if self._looks > 0:
            self.per_s = moved_per_s
        self._looks += 1
        self._place = place
