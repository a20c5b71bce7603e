"""Bones do not grow: one set of bone lengths per track, and hands that have exactly these."""

from __future__ import annotations

import numpy as np

from knuckle.hand import BONES, FINGERS, N_BONES, N_JOINTS, PARENTS, bone_lengths

#: Repetitions at most, and the error of the bones at which they end.
_STEPS, _CLOSE_MM = 5, 0.1
#: (20, 21) each bone's parent -1, its child +1.
_INCIDENCE = np.zeros((N_BONES, N_JOINTS))
_INCIDENCE[np.arange(N_BONES), BONES[:, 0]] = -1
_INCIDENCE[np.arange(N_BONES), BONES[:, 1]] = 1


class BoneLengths:
    """A robust running estimate of a hand's bone lengths, locked after enough frames.

    Each frame's lengths are off mostly by a common factor, as scale is what a single camera sees
    worst, and by more where a bone points at the camera. The median over many frames is unmoved by
    the bad ones. Once locked, the lengths stay for as long as the track lives.
    """

    def __init__(self, frames: int = 30) -> None:
        """Lock after so many frames."""
        self._logs = np.empty((frames, N_BONES))
        self._seen = 0
        self._lengths = np.ones(N_BONES)

    @property
    def locked(self) -> bool:
        """Whether the lengths will change no more."""
        return self._seen == len(self._logs)

    def update(self, lengths_mm: np.ndarray) -> np.ndarray:
        """Take a frame's (20,) lengths into account; returns the (20,) lengths to use."""
        if not self.locked:
            self._logs[self._seen] = np.log(np.maximum(lengths_mm, 1e-3))
            self._seen += 1
            self._lengths = np.exp(np.median(self._logs[: self._seen], axis=0))
        return self._lengths


def scale_to(lengths_mm: np.ndarray, observed_mm: np.ndarray) -> float:
    """The common factor that turns observed bone lengths (20,) into the given ones, robustly."""
    ratios = np.sort(lengths_mm / np.maximum(observed_mm, 1e-3))
    return float(np.sqrt(ratios[N_BONES // 2 - 1] * ratios[N_BONES // 2]))


def with_bone_lengths(
    joints_mm: np.ndarray,
    lengths_mm: np.ndarray,
    across_mm: np.ndarray,
    along_mm: np.ndarray,
) -> np.ndarray:
    """The joints nearest to the given ones whose bones have exactly the given lengths.

    "Nearest" counts what is known: a camera sees a joint's place across the line of sight well and
    its depth badly, so each joint has a covariance S that is short across the ray and long along
    it, and joints move mainly in depth. Minimising the Mahalanobis distance to the given joints Y
    under the constraints c(X) = 0, linearised with Jacobian J, gives by Lagrange multipliers::

        X = Y - S Jᵀ (J S Jᵀ)⁻¹ (c(X₀) + J (Y - X₀))

    which is repeated from the last X₀ (sequential quadratic programming).

    Args:
        joints_mm: (21, 3) in the camera frame.
        lengths_mm: (20,).
        across_mm: (21,) standard deviation across the line of sight.
        along_mm: (21,) standard deviation along it.

    Returns:
        (21, 3).
    """
    ray = joints_mm / np.linalg.norm(joints_mm, axis=1, keepdims=True)
    across2, more2 = across_mm**2, along_mm**2 - across_mm**2  # S = across² I + more² ray rayᵀ
    solution = joints_mm
    for _ in range(_STEPS):
        gap = _INCIDENCE @ solution
        length = np.maximum(np.sqrt((gap * gap).sum(axis=1)), 1e-6)
        if np.abs(length - lengths_mm).max() < _CLOSE_MM:
            break
        direction = gap / length[:, None]  # (20, 3)
        jacobian = _INCIDENCE[:, :, None] * direction[:, None]  # (20, 21, 3)
        along = _INCIDENCE * (direction @ ray.T) * more2
        spread = jacobian * across2[:, None] + along[:, :, None] * ray  # J S
        flat, spread = jacobian.reshape(N_BONES, -1), spread.reshape(N_BONES, -1)
        excess = length - lengths_mm + flat @ (joints_mm - solution).ravel()
        multipliers = np.linalg.solve(spread @ flat.T, excess)
        solution = joints_mm - (multipliers @ spread).reshape(N_JOINTS, 3)
    return _rebuilt(solution, lengths_mm)


def _rebuilt(joints_mm: np.ndarray, lengths_mm: np.ndarray) -> np.ndarray:
    """The bones' directions with these lengths, from the wrist outwards: exact to rounding."""
    factor = lengths_mm / np.maximum(bone_lengths(joints_mm), 1e-6)
    rebuilt = joints_mm.copy()
    for joints in FINGERS.T:  # all fingers at once: (5,) joints, base to tip
        parents = PARENTS[joints]
        gap = joints_mm[joints] - joints_mm[parents]
        rebuilt[joints] = rebuilt[parents] + gap * factor[joints - 1][:, None]
    return rebuilt
