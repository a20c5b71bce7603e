"""The climb down: damped Gauss-Newton steps of many hands, each with its own damping."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from knuckle.render.fitting.labels import NEAREST_MM, Labels, PerHand
from knuckle.render.fitting.likelihood import FitSettings, beyond_limits, pose_precision, pose_prior
from knuckle.render.fitting.starts import starts_from_rays
from knuckle.render.fitting.state import ANGLES, SHAPE, State
from knuckle.render.hand_slopes import hand_chain

#: Steps from each start before the likeliest is followed to its end.
_GLANCE = 15


@dataclass(frozen=True, eq=False)
class _Bowl(PerHand):
    """The cost around a state, as a quadratic function of the step."""

    cost: np.ndarray  # (N,) squared sigmas
    gradient: np.ndarray  # (N, P) half of the cost's
    curvature: np.ndarray  # (N, P, P) half of the cost's, Gauss and Newton's


@dataclass(frozen=True, eq=False)
class Found:
    """Right hands where the climb ended."""

    state: State
    cost: np.ndarray
    curvature: np.ndarray
    converged: np.ndarray


def _bowl(labels: Labels, state: State, settings: FitSettings) -> _Bowl:
    joints, joint_slopes = state.joints_and_slopes(hand_chain())
    miss = labels.misses(joints) * labels.weight[..., None]  # (N, 21, D) sigmas
    slopes = labels.slopes(joints, joint_slopes) * labels.weight[..., None, None]
    cost, gradient, curvature = _of_misses(miss, slopes, settings.outlier)
    leaning = labels.lean_misses(joints, joint_slopes)
    if leaning is not None:
        miss, slopes = leaning[0][..., None], leaning[1][..., None, :]  # one number a bone
        for total, part in zip(
            (cost, gradient, curvature), _of_misses(miss, slopes, settings.outlier), strict=True
        ):
            total += part

    shape, parameters = state.shape, gradient.shape[1]
    cost += (shape**2).sum(axis=1)
    gradient[:, SHAPE] += shape
    diagonal = np.arange(parameters)
    curvature[:, diagonal[SHAPE], diagonal[SHAPE]] += 1.0

    precision = pose_precision(settings)
    unusual = state.angles_deg - pose_prior().mean_deg
    pull = unusual @ precision
    cost += (unusual * pull).sum(axis=1)
    gradient[:, ANGLES] += pull
    curvature[:, ANGLES, ANGLES] += precision

    beyond = beyond_limits(state.angles_deg) / settings.limit_sigma_deg
    cost += (beyond**2).sum(axis=1)
    gradient[:, ANGLES] += beyond / settings.limit_sigma_deg
    stiff = (beyond != 0) / settings.limit_sigma_deg**2
    curvature[:, diagonal[ANGLES], diagonal[ANGLES]] += stiff

    if labels.focal is not None:  # a hand behind the camera is no hand
        cost = np.where((joints[..., 2] < NEAREST_MM).any(axis=1), np.inf, cost)
    return _Bowl(cost, gradient, curvature)


def _of_misses(
    miss: np.ndarray, slopes: np.ndarray, outlier: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cost (N,), gradient (N, P) and curvature (N, P, P) of misses (N, K, D) in sigmas."""
    distance = np.linalg.norm(miss, axis=-1)
    trust = np.sqrt(outlier / np.maximum(distance, outlier))  # Huber's weights
    n, parameters = len(miss), slopes.shape[-1]
    rows = (slopes * trust[..., None, None]).reshape(n, -1, parameters)  # (N, K D, P)
    residual = (miss * trust[..., None]).reshape(n, -1, 1)
    transposed = rows.transpose(0, 2, 1)
    return (
        _huber(distance, outlier).sum(axis=1),
        (transposed @ residual)[..., 0],
        transposed @ rows,
    )


def _huber(distance: np.ndarray, bend: float) -> np.ndarray:
    """Squares up to the bend, straight lines beyond it."""
    return np.where(distance <= bend, distance**2, 2 * bend * distance - bend**2)


def minimise(labels: Labels, state: State, settings: FitSettings) -> Found:
    """Damped steps until none lowers the cost any more."""
    bowl = _bowl(labels, state, settings)
    n = len(labels)
    damping, walking = np.full(n, 1e-2), np.ones(n, bool)
    for _ in range(settings.max_steps):
        rows = np.flatnonzero(walking)
        if not len(rows):
            break
        here = bowl.take(rows)
        trial = state.take(rows).moved(_damped_step(here, damping[rows]))
        there = _bowl(labels.take(rows), trial, settings)
        better = there.cost < here.cost
        least = settings.tolerance * np.maximum(1.0, there.cost)
        small = here.cost <= there.cost + least
        # A refused step says that the bowl is not true this far out: shorten it, and give up at
        # the length at which nothing moves.
        damping[rows] = np.clip(damping[rows] * np.where(better, 0.2, 8.0), 1e-7, None)
        walking[rows] = ~(better & small) & (damping[rows] < 1e6)
        state.put(rows[better], trial.take(better))
        bowl.put(rows[better], there.take(better))
    return Found(state, bowl.cost, bowl.curvature, ~walking)


def _damped_step(bowl: _Bowl, damping: np.ndarray) -> np.ndarray:
    """(N, P) Marquardt's step: each parameter is damped in its own scale."""
    diagonal = np.arange(bowl.gradient.shape[1])
    matrix = bowl.curvature.copy()
    matrix[:, diagonal, diagonal] *= 1.0 + damping[:, None]
    matrix[:, diagonal, diagonal] += 1e-9
    return -np.linalg.solve(matrix, bowl.gradient[..., None])[..., 0]


def glance(labels: Labels, settings: FitSettings) -> State:
    """The start of each hand from which a few steps lead lowest."""
    brief = replace(settings, max_steps=_GLANCE)
    found = [minimise(labels, start, brief) for start in starts_from_rays(labels)]
    best = np.argmin([one.cost for one in found], axis=0)
    likeliest = found[0].state
    for number, one in enumerate(found):
        rows = np.flatnonzero(best == number)
        likeliest.put(rows, one.state.take(rows))
    return likeliest
