"""The smooth trajectories of joints in a short window, and what they say of the cameras' clocks.

Every joint moves along a polynomial, as smooth as hands move, which each camera sees at times of
its own. Least squares finds the trajectories that explain all keypoints best; the slope and the
curvature of what is left, by the clocks, are what the window tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre

from knuckle.hand import N_JOINTS
from knuckle.rigid import RigidTransform
from knuckle.views.decisions import LATENESS


class ClockTerms(NamedTuple):
    """What one hand in one window says of the clocks of V cameras."""

    gradient: np.ndarray  # (V,) of the cost by the clocks
    curvature: np.ndarray  # (V, V) its second derivatives
    noise: np.ndarray  # (V, V) the part of these that is noise of the trajectories
    miss: float  # median distance of the rays from the trajectories


@dataclass(frozen=True, eq=False)
class View:
    """What one camera sees of a hand in a window, of F frames."""

    rows: np.ndarray  # (21, F, 2, 3) of each ray, so that rows @ point = right for points on it
    right: np.ndarray  # (21, F, 2)
    depth: np.ndarray  # (4,) of a homogeneous point
    sigma: np.ndarray  # (21, F) expected error of the rays
    size: np.ndarray  # (21, F) extent of the hand, as a difference of rays
    basis: np.ndarray  # (F, K) polynomials at the frames' times
    basis_rate: np.ndarray  # (F, K) their derivatives, 1/s

    @classmethod
    def of(
        cls,
        T: RigidTransform,
        rays: np.ndarray,
        sigma: np.ndarray,
        extents: np.ndarray,
        times_s: np.ndarray,
        length_s: float,
    ) -> View:
        """Of a camera at ``T_camera_from_world``, its F frames of a window of ``length_s``.

        Rays (F, 21, 2) x/z, y/z and their expected error (F, 21); extents (F,) of the hand, as
        differences of rays; times (F,) from the window's beginning, by the clock of all.
        """
        R, t = T.rotation, T.translation_mm
        rays = rays.swapaxes(0, 1)  # (21, F, 2)
        at = 2 * times_s / length_s - 1
        return cls(
            R[:2] - rays[..., None] * R[2],
            rays * t[2] - t[:2],
            np.append(R[2], t[2]),
            sigma.T,
            np.broadcast_to(extents, rays.shape[:2]),
            legendre.legvander(at, LATENESS.degree),
            _derived(at, 1) * (2 / length_s),
        )

    def depths(self, coefficients: np.ndarray) -> np.ndarray:
        """(21, F) depth of joints whose trajectories have these coefficients (21, K, 3)."""
        return np.abs(self.basis @ coefficients @ self.depth[:3] + self.depth[3])

    def equations(self, weight: np.ndarray) -> _Equations:
        """The linear equations of rays of weight (21, F) for the coefficients.

        Within a window, the constant part of a keypoint's error is larger than its noise: what the
        frames have in common counts for less.
        """
        common = 1 - 1 / np.sqrt(1 + self.basis.shape[0] * LATENESS.bias**2)

        def weighed(values: np.ndarray) -> np.ndarray:
            scaled = weight[..., None, None, None] * values  # (21, F, 2, 3, K)
            scaled = scaled - common * scaled.mean(axis=1, keepdims=True)
            return scaled.reshape(N_JOINTS, 2 * self.basis.shape[0], -1)

        return _Equations(
            weighed(self.basis[:, None, :, None] * self.rows[..., None, :]),
            weighed(self.basis_rate[:, None, :, None] * self.rows[..., None, :]),
            weighed(self.right[..., None, None]),
        )


class _Equations(NamedTuple):
    """The linear equations of one camera's rays, for all joints: matrix @ coefficients = right."""

    matrix: np.ndarray  # (21, 2 F, 3 K)
    rate: np.ndarray  # (21, 2 F, 3 K) its derivative by time, 1/s
    right: np.ndarray  # (21, 2 F, 1)


@dataclass(frozen=True, eq=False)
class _Trajectories:
    """The smooth trajectories of all joints that explain the rays of a window best."""

    equations: Sequence[_Equations]  # of each camera
    information: np.ndarray  # (21, 3 K, 3 K) of the rays
    #: (21, 3 K, 3 K) of the coefficients: inverse of that and the smoothness prior.
    covariance: np.ndarray
    x: np.ndarray  # (21, 3 K, 1) coefficients

    @classmethod
    def of(
        cls, equations: Sequence[_Equations], prior: np.ndarray, size: float | None
    ) -> _Trajectories:
        """Of a hand of some size; while that is not known, trajectories are all but straight."""
        rays = np.sum([A.swapaxes(1, 2) @ A for A, _, _ in equations], axis=0)
        if size is None:
            stiffness = (
                LATENESS.first_stiffness * rays.trace(axis1=1, axis2=2).mean() / prior.trace()
            )
        inverse = np.linalg.inv(rays + (stiffness * prior if size is None else prior / size**2))
        right = np.sum([A.swapaxes(1, 2) @ b for A, _, b in equations], axis=0)
        return cls(equations, rays, inverse, inverse @ right)

    @cached_property
    def residuals(self) -> list[np.ndarray]:
        """(21, 2 F, 1) of each camera's rays."""
        return [b - A @ self.x for A, _, b in self.equations]

    def missed(self, trust: Sequence[np.ndarray]) -> list[np.ndarray]:
        """(21, F) of each camera the distances of its rays, in expected errors."""
        return [
            np.linalg.norm(residual.reshape(*each.shape, 2), axis=-1) / each
            for residual, each in zip(self.residuals, trust, strict=True)
        ]

    @property
    def variance(self) -> np.ndarray:
        """(21,) of the residuals of each joint's rays."""
        fitted = self.information @ self.covariance  # its trace: degrees of freedom of the fit
        freedom = sum(r.shape[1] for r in self.residuals) - fitted.trace(axis1=1, axis2=2)
        squares = sum((r**2).sum(axis=(1, 2)) for r in self.residuals)
        return np.asarray(squares / np.maximum(freedom, 1.0))


def _fit(views: Sequence[View], length_s: float) -> tuple[_Trajectories, float]:
    """The trajectories of one hand's joints, and the median distance of the rays from them.

    The rays' weights and the strength of the prior depend on the trajectories: several rounds.
    """
    prior, size = _smoothness(length_s), None
    depths = trust = [np.ones(view.sigma.shape) for view in views]
    for _ in range(LATENESS.rounds):
        each = zip(views, trust, depths, strict=True)
        equations = [view.equations(w / (view.sigma * z)) for view, w, z in each]
        found = _Trajectories.of(equations, prior, size)
        missed = found.missed(trust)
        usual = float(np.median(np.concatenate(missed, axis=1)))
        trust = [1 / np.sqrt(1 + (m / max(usual, 1e-9)) ** 2 / LATENESS.freedom) for m in missed]
        depths = [view.depths(found.x.reshape(N_JOINTS, -1, 3)) for view in views]
        # The unit of the world need not be known: a hand is as large as it looks from so far.
        seen = zip(views, depths, strict=True)
        size = float(np.median([np.median(view.size * z) for view, z in seen]))
    return found, usual


def clock_terms(
    views: Sequence[View], numbers: Sequence[int], count: int, length_s: float
) -> ClockTerms:
    """What one hand in one window says of the clocks of the cameras with these numbers.

    The trajectories are eliminated (variable projection of Golub and Pereyra, 1973): what is left
    is the cost by the clocks alone.
    """
    found, usual = _fit(views, length_s)
    x, covariance = found.x, found.variance[:, None, None] * found.covariance
    rates = [each.rate for each in found.equations]
    mixed = [each.rate.swapaxes(1, 2) @ each.matrix for each in found.equations]
    g, H, noise = np.zeros(count), np.zeros((count, count)), np.zeros((count, count))
    for i, (v, rate, residual) in enumerate(zip(numbers, rates, found.residuals, strict=True)):
        g[v] = float((residual.swapaxes(1, 2) @ rate @ x).sum())
        for k, u in enumerate(numbers):
            K = -mixed[i] @ found.covariance @ mixed[k].swapaxes(1, 2)
            if i == k:
                K = K + rate.swapaxes(1, 2) @ rate
            H[v, u] = float((x.swapaxes(1, 2) @ K @ x).sum())
            noise[v, u] = float((covariance * K).sum())
    return ClockTerms(g, H, noise, usual)


def _smoothness(length_s: float) -> np.ndarray:
    """(3 K, 3 K) the prior of a trajectory's coefficients, in sizes of the hand.

    A joint's acceleration is modelled as white noise: the integral of its square is the cost.
    """
    at = (np.arange(2 * LATENESS.degree) + 0.5) / LATENESS.degree - 1
    acceleration = _derived(at, 2) * (2 / length_s) ** 2
    share = LATENESS.shake**2 * length_s / len(at) / LATENESS.jerk
    return share * np.kron(acceleration.T @ acceleration, np.eye(3))


def _derived(at: np.ndarray, order: int) -> np.ndarray:
    """(F, K) derivatives of Legendre's polynomials."""
    series = legendre.legder(np.eye(LATENESS.degree + 1), order, axis=0)
    return legendre.legval(at, series).T
