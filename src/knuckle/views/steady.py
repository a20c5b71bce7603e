"""Steadies a hand in the world over about 50 ms, bones kept."""

from __future__ import annotations

import numpy as np

from knuckle.hand import bone_vectors
from knuckle.track.one_euro import OneEuro, OneEuroSettings
from knuckle.track.skeleton import joints_from_bones

#: Half of a hand's length: what counts as one unit of distance, mm.
_UNIT_MM = 90.0
#: A time constant of 50 ms at rest; smoothing over twice as long costs more than it brings. From
#: frame to frame joints shake by a fifth of what they are off (``LATENESS.shake``): a filter that
#: took all of it for shaking would lag behind hands that move.
_PLACE = OneEuroSettings(min_cutoff_hz=3.2, beta=20.0, noise_rate_hz=6.0)
_BONES = OneEuroSettings(min_cutoff_hz=3.2, beta=5.0, noise_rate_hz=6.0)


class Steady:
    """One-euro filters on where a hand stands and on where its bones point."""

    def __init__(self) -> None:
        self._place = OneEuro(_PLACE)
        self._directions = OneEuro(_BONES)

    def __call__(
        self, joints_mm: np.ndarray, sigma_mm: np.ndarray, lengths_mm: np.ndarray, dt_s: float
    ) -> np.ndarray:
        """The joints (21, 3) of this frame, steadied; ``dt_s`` since the last one.

        ``sigma_mm`` (21,) is their expected error, ``lengths_mm`` (20,) are the bones.
        """
        bones = bone_vectors(joints_mm) / lengths_mm[:, None]
        middle = joints_mm.mean(axis=0, keepdims=True)
        error = float(np.median(sigma_mm))
        place = self._place(middle, dt_s, error=error / 3, unit=_UNIT_MM)
        tilt = np.minimum(0.5 * sigma_mm[1:] / lengths_mm, 0.5)
        directions = self._directions(bones, dt_s, error=tilt)
        hand = joints_from_bones(directions, lengths_mm)
        return hand - hand.mean(axis=0) + place
