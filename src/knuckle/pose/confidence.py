"""What a keypoint's expected error means to people: a score, and back."""

from __future__ import annotations

import numpy as np

#: A keypoint counts as right within this share of the hand's extent (the strict end of PCK).
_RIGHT_WITHIN = 0.05


def score_of(sigma: np.ndarray) -> np.ndarray:
    """Probability that a keypoint is right, 0..1.

    Errors are Laplacian: one is below e with probability 1 - exp(-e / sigma).

    Args:
        sigma: expected error per axis, as a share of the hand's extent.
    """
    return 1 - np.exp(-_RIGHT_WITHIN / np.maximum(sigma, 1e-6))


def sigma_of(score: np.ndarray) -> np.ndarray:
    """The expected error, as a share of the hand's extent, that has this score."""
    return -_RIGHT_WITHIN / np.log1p(-np.clip(score, 1e-6, 1 - 1e-12))
