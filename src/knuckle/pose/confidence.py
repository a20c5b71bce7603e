"""What a keypoint's expected error means to people: a score, and back.

The network expects an error per axis; right or wrong is a matter of the distance. It follows a
Weibull distribution, within t with probability 1 - exp(-(t / (SPREAD sigma)) ** STEEPNESS), whose
constants were fitted to pictures that were never trained on (``benchmarks/calibration.py --fit``).
"""

from __future__ import annotations

import numpy as np

#: A keypoint counts as right within this share of the hand's extent (the strict end of PCK).
RIGHT_WITHIN = 0.05
#: Typical distance from the truth over the error that is expected per axis.
SPREAD = 1.525
#: How sharply the probability falls off around it.
STEEPNESS = 1.508


def score_of(sigma: np.ndarray, spread: float = SPREAD, steepness: float = STEEPNESS) -> np.ndarray:
    """Probability 0..1 that a keypoint is right, by its expected error as a share of the hand.

    ``sigma`` is that per axis, as a share of the hand's extent; see ``SPREAD`` and ``STEEPNESS``.
    """
    return 1 - np.exp(-((RIGHT_WITHIN / (spread * np.maximum(sigma, 1e-6))) ** steepness))


def sigma_of(score: np.ndarray) -> np.ndarray:
    """The expected error, as a share of the hand's extent, that has this score."""
    odds = -np.log1p(-np.minimum(score, 1 - 1e-12, dtype=np.float64))
    return RIGHT_WITHIN / (SPREAD * np.maximum(odds, 1e-6) ** (1 / STEEPNESS))
