"""Huber's loss: what misses by much counts less, the farther the less."""

from __future__ import annotations

import numpy as np


def cost(miss: np.ndarray, knee: float) -> float:
    """The sum over all misses: their squares up to the knee, linear beyond it."""
    return float(np.where(miss < knee, miss * miss, knee * (2 * miss - knee)).sum())


def weight(miss: np.ndarray, knee: float) -> np.ndarray:
    """What each residual is to be multiplied by, so that squares cost as much."""
    return np.sqrt(np.where(miss < knee, 1.0, knee / np.maximum(miss, 1e-9)))
