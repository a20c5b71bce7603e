"""Where the rays of several cameras meet, and which of them are to be believed.

Errors are those of the straight picture (x/z, y/z), each against the error to be expected of it, so
that a sure look from afar and an unsure one from close by get the say that they deserve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from knuckle.median import median
from knuckle.pose.placement import MIN_DEPTH_MM
from knuckle.rigid import RigidTransform
from knuckle.views.decisions import MEETING


@dataclass(frozen=True, eq=False)
class Sight:
    """Rays of V cameras towards the same points."""

    R: np.ndarray  # (V, ..., 3, 3) of the cameras from the world
    t_mm: np.ndarray  # (V, ..., 3)
    rays: np.ndarray  # (V, ..., J, 2) x/z, y/z in each camera
    #: (V, ..., J) expected error of a ray per axis; infinite where a camera has none.
    sigma: np.ndarray

    @classmethod
    def of(cls, transforms: Sequence[RigidTransform], rays: np.ndarray, sigma: np.ndarray) -> Sight:
        """Of cameras with these ``T_camera_from_world``; rays that are NaN are not there."""
        there = np.isfinite(rays).all(axis=-1) & np.isfinite(sigma)
        return cls(
            np.stack([T.rotation for T in transforms]),
            np.stack([T.translation_mm for T in transforms]),
            np.where(there[..., None], rays, 0.0),
            np.where(there, sigma, np.inf),
        )

    def in_cameras(self, points_mm: np.ndarray) -> np.ndarray:
        """(..., J, 3) of the world -> (V, ..., J, 3) of each camera."""
        return points_mm @ np.swapaxes(self.R, -1, -2) + self.t_mm[..., None, :]

    def misses(self, points_mm: np.ndarray) -> np.ndarray:
        """(V, ..., J) how far rays are off points (..., J, 3), in rays; NaN behind a camera."""
        seen = self.in_cameras(points_mm)
        z = np.where(seen[..., 2] > MIN_DEPTH_MM / 2, seen[..., 2], np.nan)
        return np.linalg.norm(seen[..., :2] / z[..., None] - self.rays, axis=-1)

    def normals(self, depth_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each ray's part in the least squares, linear with depths (V, ..., J) as given.

        Returns:
            information (V, ..., J, 3, 3) and its product with the point (V, ..., J, 3).
        """
        squares, products = self._linear
        weight = 1 / (self.sigma * np.maximum(depth_mm, MIN_DEPTH_MM)) ** 2  # 0 where no ray is
        return weight[..., None, None] * squares, weight[..., None] * products

    def unsure(self, sigma: np.ndarray) -> Sight:
        """The same rays with other expected errors (V, ..., J)."""
        other = replace(self, sigma=sigma)
        other.__dict__["_linear"] = self._linear  # it is of the rays alone
        return other

    @cached_property
    def _linear(self) -> tuple[np.ndarray, np.ndarray]:
        """Of rays of weight 1: information, and its product with the point."""
        rows = self.R[..., None, :2, :] - self.rays[..., None] * self.R[..., None, 2:, :]
        right = self.rays * self.t_mm[..., None, 2:] - self.t_mm[..., None, :2]
        turned = np.swapaxes(rows, -1, -2)  # (V, ..., J, 3, 2)
        return turned @ rows, (turned @ right[..., None])[..., 0]

    @cached_property
    def all_met(self) -> _Solved:
        """Where all rays meet best."""
        return _solved(self, np.isfinite(self.sigma))


@dataclass(frozen=True, eq=False)
class Points:
    """Where rays meet."""

    mm: np.ndarray  # (..., J, 3) in the world; NaN where fewer than two rays are left
    information: np.ndarray  # (..., J, 3, 3) inverse of the covariance, 1/mm²
    used: np.ndarray  # (V, ..., J) bool, the rays that decided
    #: (..., J) how far these miss the point, in expected errors (1 is as expected).
    strain: np.ndarray


def meet(sight: Sight, used: np.ndarray | None = None) -> Points:
    """The points in which rays meet best, all of them or those ``used`` (V, ..., J).

    Iterative linear least squares of Hartley and Sturm, "Triangulation" (CVIU 68, 1997), in which
    each ray weighs what its expected error says.
    """
    if used is None:
        return _met(sight, np.isfinite(sight.sigma), sight.all_met)
    used = np.isfinite(sight.sigma) & used
    return _met(sight, used, _solved(sight, used))


def meet_gated(sight: Sight, gate: float = MEETING.gate) -> Points:
    """The points in which rays meet that agree.

    While the rays of a joint contradict each other, the one is left out without which the others
    agree best. Two rays that contradict each other both stay, with a ``strain`` that says so.
    """
    used, solved = np.isfinite(sight.sigma), sight.all_met
    for _ in range(len(used) - 2):
        missed = np.where(used, sight.misses(solved.mm) / sight.sigma, 0.0)
        in_doubt = (missed.max(axis=0) > gate / np.sqrt(2)) & (used.sum(axis=0) > 2)
        if not in_doubt.any():
            break
        rest, own = _without_each(sight, used, solved)
        # The strain among the others, and how far the one left out is from where they meet.
        worst = np.argmin(np.where(used, rest, np.inf), axis=0)
        apart = np.take_along_axis(own, worst[None], axis=0)[0]
        leave = in_doubt & (apart > gate)
        if not leave.any():
            break
        used = used & ~(leave & (np.arange(len(used)).reshape(-1, *[1] * worst.ndim) == worst))
        solved = _solved(sight, used)
    return _met(sight, used, solved)


def with_doubt(sight: Sight) -> Sight:
    """The same rays; those of a camera whose whole hand is off are as unsure as they are off.

    A camera may be wrong about a hand as a whole, and sure of it: it has taken another thing for
    it, or its picture is of another instant. Of three or more, the one is doubted without which the
    others agree best, by how far its joints are from where the others meet.
    """
    for _ in range(len(sight.sigma) - 2):
        used = np.isfinite(sight.sigma)
        missed = sight.misses(sight.all_met.mm) / sight.sigma
        halves = [float(median(m[u])) for m, u in zip(missed, used, strict=True) if u.any()]
        if not max(halves, default=0.0) > MEETING.most_doubtless:
            break
        rest, own = _without_each(sight, used, sight.all_met)
        rest, own = median(rest, axis=-1), median(own, axis=-1)
        worst = int(np.argmin(rest))
        if not own[worst] > MEETING.most_doubtless:
            break
        sigma = sight.sigma.copy()
        sigma[worst] *= min(own[worst], MEETING.most_doubt)
        sight = sight.unsure(sigma)
    return sight


@dataclass(frozen=True, eq=False)
class _Solved:
    """A least squares and what it is made of."""

    mm: np.ndarray  # (..., J, 3) the points, also where fewer than two rays tell them
    information: np.ndarray  # (..., J, 3, 3) of all rays
    #: Information and its product with the point, (V, ..., J, 3, 3) and (V, ..., J, 3), of each
    #: ray.
    parts: tuple[np.ndarray, np.ndarray]


def _solved(sight: Sight, used: np.ndarray) -> _Solved:
    """The points of the rays that are ``used``, their weights by the depths of these points."""
    depth = np.full(used.shape, 1000.0)
    for _ in range(MEETING.rounds):
        N, c = sight.normals(depth)
        N, c = N * used[..., None, None], c * used[..., None]
        total = N.sum(axis=0) + MEETING.nothing * np.eye(3)
        points = np.linalg.solve(total, c.sum(axis=0)[..., None])[..., 0]
        depth = sight.in_cameras(points)[..., 2]
    return _Solved(points, total, (N, c))


def _met(sight: Sight, used: np.ndarray, solved: _Solved) -> Points:
    """What a least squares of the rays that are ``used`` says."""
    enough = used.sum(axis=0) >= 2
    missed = np.where(used, sight.misses(solved.mm) / sight.sigma, 0.0)
    freedom = np.maximum(2 * used.sum(axis=0) - 3, 1)
    strain = np.sqrt((missed**2).sum(axis=0) / freedom)
    mm = np.where(enough[..., None], solved.mm, np.nan)
    return Points(mm, solved.information, used, strain)


def _without_each(sight: Sight, used: np.ndarray, solved: _Solved) -> tuple[np.ndarray, np.ndarray]:
    """What leaving out each ray does, (V, ..., J) twice.

    Returns:
        the worst miss among the others, and how far the ray itself is from where they meet, in
        expected errors.
    """
    N, c = solved.parts
    rest, own = np.full(used.shape, np.inf), np.zeros(used.shape)
    for v in range(len(used)):
        others = used.copy()
        others[v] = False
        total = np.delete(N, v, axis=0).sum(axis=0) + MEETING.nothing * np.eye(3)
        right = np.delete(c, v, axis=0).sum(axis=0)
        points = np.linalg.solve(total, right[..., None])[..., 0]
        missed = sight.misses(points) / sight.sigma
        rest[v] = np.where(others, missed, 0.0).max(axis=0)
        # The point of the others is unsure itself: by what their information says, seen from here.
        own[v] = missed[v] / np.sqrt(1 + _spread(sight, v, points, total) ** 2)
    return np.nan_to_num(rest, nan=np.inf), np.nan_to_num(own, nan=np.inf)


def _spread(sight: Sight, v: int, points: np.ndarray, information: np.ndarray) -> np.ndarray:
    """(..., J) expected error of points as a camera sees them, in expected errors of its rays."""
    covariance = np.linalg.inv(information)
    seen = sight.in_cameras(points)[v]
    z = np.maximum(seen[..., 2], MIN_DEPTH_MM)
    rays = seen[..., :2] / z[..., None]
    R = sight.R[v][..., None, :, :]
    J = (R[..., :2, :] - rays[..., None] * R[..., 2:, :]) / z[..., None, None]  # (..., J, 2, 3)
    variance = np.trace(J @ covariance @ np.swapaxes(J, -1, -2), axis1=-2, axis2=-1) / 2
    return np.sqrt(variance) / sight.sigma[v]
