"""The median of a few numbers: NumPy's own takes ten times as long as sorting a hand's joints."""

from __future__ import annotations

import numpy as np


def median(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """The middle one along an axis of at least one number, or the mean of the two in the middle."""
    ordered, half = np.sort(values, axis=axis), values.shape[axis] // 2
    upper = ordered.take(half, axis=axis)
    if values.shape[axis] % 2:
        return upper
    return (ordered.take(half - 1, axis=axis) + upper) / 2
