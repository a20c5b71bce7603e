"""The smooth ways of joints through a short time, and what they say of the clocks of cameras.

Every joint goes a polynomial way, bending no more than hands do, which each camera sees at times of
its own. Which ways explain all keypoints best is least squares; how much better they would if a
clock were another is what the window tells.
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


class Told(NamedTuple):
    """What one hand in one window says of the clocks of V cameras.

    Attributes:
        gradient: (V,) of the cost by the clocks.
        curvature: (V, V) its second derivatives.
        noise: (V, V) what of these is noise of the ways.
        miss: by how much rays miss the ways, median.
    """

    gradient: np.ndarray
    curvature: np.ndarray
    noise: np.ndarray
    miss: float


@dataclass(frozen=True, eq=False)
class View:
    """What one camera sees of a hand in a window, of F frames.

    Attributes:
        rows: (21, F, 2, 3) of each ray, so that rows @ point = right for points on it.
        right: (21, F, 2).
        depth: (4,) of a homogeneous point.
        sigma: (21, F) expected error of the rays.
        size: (21, F) extent of the hand, as a difference of rays.
        way, speed: (F, K) polynomials at the frames' times, and their derivatives by seconds.
    """

    rows: np.ndarray
    right: np.ndarray
    depth: np.ndarray
    sigma: np.ndarray
    size: np.ndarray
    way: np.ndarray
    speed: np.ndarray

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
        """Of a camera at ``T_camera_from_world``.

        Args:
            T: where it stands.
            rays: (F, 21, 2) x/z, y/z.
            sigma: (F, 21) expected error of these.
            extents: (F,) of the hand, as differences of rays.
            times_s: (F,) of the frames, from the window's beginning, by the clock of all.
            length_s: of the window.
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

    def depths(self, ways: np.ndarray) -> np.ndarray:
        """(21, F) how far away joints are whose ways are (21, K, 3)."""
        return np.abs(self.way @ ways @ self.depth[:3] + self.depth[3])

    def asks(self, weight: np.ndarray) -> _Asked:
        """What rays of weight (21, F) ask of ways.

        A keypoint lies a little beside its joint in all frames of a window, and shakes less than
        that: what frames have in common counts for less.
        """
        common = 1 - 1 / np.sqrt(1 + self.way.shape[0] * LATENESS.beside**2)

        def weighed(values: np.ndarray) -> np.ndarray:
            scaled = weight[..., None, None, None] * values  # (21, F, 2, 3, K)
            scaled = scaled - common * scaled.mean(axis=1, keepdims=True)
            return scaled.reshape(N_JOINTS, 2 * self.way.shape[0], -1)

        return _Asked(
            weighed(self.way[:, None, :, None] * self.rows[..., None, :]),
            weighed(self.speed[:, None, :, None] * self.rows[..., None, :]),
            weighed(self.right[..., None, None]),
        )


class _Asked(NamedTuple):
    """What the rays of one camera ask of the ways of all joints: way @ coefficients = right.

    Attributes:
        way: (21, 2 F, 3 K).
        speed: (21, 2 F, 3 K) by how much ``way`` changes in a second.
        right: (21, 2 F, 1).
    """

    way: np.ndarray
    speed: np.ndarray
    right: np.ndarray


@dataclass(frozen=True, eq=False)
class _Ways:
    """The smooth ways of all joints that explain the rays of a window best.

    Attributes:
        asked: what the rays of each camera ask.
        rays: (21, 3 K, 3 K) information of all of these.
        inverse: (21, 3 K, 3 K) of that and of what it costs to bend.
        x: (21, 3 K, 1) coefficients.
    """

    asked: Sequence[_Asked]
    rays: np.ndarray
    inverse: np.ndarray
    x: np.ndarray

    @classmethod
    def of(cls, asked: Sequence[_Asked], bend: np.ndarray, size: float | None) -> _Ways:
        """Of a hand of some size; while that is not known, ways are all but straight."""
        rays = np.sum([way.swapaxes(1, 2) @ way for way, _, _ in asked], axis=0)
        if size is None:
            stiff = LATENESS.stiff * rays.trace(axis1=1, axis2=2).mean() / bend.trace()
        inverse = np.linalg.inv(rays + (stiff * bend if size is None else bend / size**2))
        right = np.sum([way.swapaxes(1, 2) @ right for way, _, right in asked], axis=0)
        return cls(asked, rays, inverse, inverse @ right)

    @cached_property
    def errors(self) -> list[np.ndarray]:
        """(21, 2 F, 1) of each camera's rays."""
        return [right - way @ self.x for way, _, right in self.asked]

    def missed(self, trust: Sequence[np.ndarray]) -> list[np.ndarray]:
        """(21, F) of each camera by how much its rays miss that weighed as they are trusted."""
        return [
            np.linalg.norm(error.reshape(*each.shape, 2), axis=-1) / each
            for error, each in zip(self.errors, trust, strict=True)
        ]

    @property
    def variance(self) -> np.ndarray:
        """(21,) of the errors of each joint's rays."""
        told = self.rays @ self.inverse  # of all that keypoints say, so much goes into the ways
        freedom = sum(error.shape[1] for error in self.errors) - told.trace(axis1=1, axis2=2)
        squares = sum((error**2).sum(axis=(1, 2)) for error in self.errors)
        return np.asarray(squares / np.maximum(freedom, 1.0))


def _ways(views: Sequence[View], length_s: float) -> tuple[_Ways, float]:
    """The ways of the joints of one hand, and how far rays miss them, the median.

    How much a ray weighs, and how much ways may bend, follows from the ways: so several times over.
    """
    bend, size = _bend(length_s), None
    depths = trust = [np.ones(view.sigma.shape) for view in views]
    for _ in range(LATENESS.rounds):
        each = zip(views, trust, depths, strict=True)
        ways = _Ways.of([view.asks(w / (view.sigma * z)) for view, w, z in each], bend, size)
        missed = ways.missed(trust)
        usual = float(np.median(np.concatenate(missed, axis=1)))
        trust = [1 / np.sqrt(1 + (m / max(usual, 1e-9)) ** 2 / LATENESS.freedom) for m in missed]
        depths = [view.depths(ways.x.reshape(N_JOINTS, -1, 3)) for view in views]
        # The unit of the world need not be known: a hand is as large as it looks from so far.
        seen = zip(views, depths, strict=True)
        size = float(np.median([np.median(view.size * z) for view, z in seen]))
    return ways, usual


def told(views: Sequence[View], numbers: Sequence[int], count: int, length_s: float) -> Told:
    """What one hand in one window says of the clocks of the cameras with these numbers.

    The ways are eliminated (variable projection of Golub and Pereyra, 1973): what is left is the
    cost by the clocks alone.
    """
    ways, usual = _ways(views, length_s)
    x, shaking = ways.x, ways.variance[:, None, None] * ways.inverse
    speeds = [each.speed for each in ways.asked]
    into_ways = [each.speed.swapaxes(1, 2) @ each.way for each in ways.asked]
    g, H, noise = np.zeros(count), np.zeros((count, count)), np.zeros((count, count))
    for i, (v, speed, error) in enumerate(zip(numbers, speeds, ways.errors, strict=True)):
        g[v] = float((error.swapaxes(1, 2) @ speed @ x).sum())
        for k, u in enumerate(numbers):
            K = -into_ways[i] @ ways.inverse @ into_ways[k].swapaxes(1, 2)
            if i == k:
                K = K + speed.swapaxes(1, 2) @ speed
            H[v, u] = float((x.swapaxes(1, 2) @ K @ x).sum())
            noise[v, u] = float((shaking * K).sum())
    return Told(g, H, noise, usual)


def _bend(length_s: float) -> np.ndarray:
    """(3 K, 3 K) what it costs ways to bend, in sizes of the hand.

    A joint's acceleration is taken for white noise: of all that passes through the same points,
    the way that bends least is likeliest.
    """
    at = (np.arange(2 * LATENESS.degree) + 0.5) / LATENESS.degree - 1
    bends = _derived(at, 2) * (2 / length_s) ** 2
    share = LATENESS.shake**2 * length_s / len(at) / LATENESS.swing
    return share * np.kron(bends.T @ bends, np.eye(3))


def _derived(at: np.ndarray, order: int) -> np.ndarray:
    """(F, K) derivatives of Legendre's polynomials."""
    series = legendre.legder(np.eye(LATENESS.degree + 1), order, axis=0)
    return legendre.legval(at, series).T
