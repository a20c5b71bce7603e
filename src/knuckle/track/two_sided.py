"""Two-sided smoothing as least squares: each frame is steadied by those before and after it.

Sought are the wrist's places x₀ and the directions of the 20 bones in every frame, with one set of
bone lengths for the whole track, that minimise::

    Σ_t (X_t - Y_t)ᵀ S_t⁻¹ (X_t - Y_t)  +  Σ_g ∫ |z̈_g|² / q_g(t)² dt

Y_t are the raw joints of frame t, brought to the track's size, and S_t what is known about their
errors: little across the line of sight, more along it, and one common error of the distance. z_g
are the wrist and the vectors of the bones, in five fingers and a palm: the second term is that of a
smoothing spline, so that frames may be unevenly spaced and a frame that was missed is filled in.
q grows with speed, which is what lets a resting hand be held still and a moving one be followed
(the idea of the one-euro filter, in both directions of time). Joints that contradict the rest lose
weight (Cauchy), and so do looks with a low score.

Gauss-Newton in the 43 numbers that a hand of known bones has; the normal equations couple a frame
with the two before and after it and are solved in time linear in the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from knuckle.hand import N_BONES, N_JOINTS, Joint, bone_vectors, unit
from knuckle.results import HandPose
from knuckle.track.skeleton import PATHS, scale_to
from knuckle.track.uncertainty import Uncertainty

#: Unknowns of a frame: the wrist's place, and two turns of each bone.
_UNKNOWNS = 3 + 2 * N_BONES
#: (21,) what moves together: the wrist (0), the palm's bones (1), the phalanges of each finger.
_GROUPS = np.array([0, *[1 if bone % 4 == 0 else 2 + bone // 4 for bone in range(N_BONES)]])
_N_GROUPS = 7
#: A residual of so many standard deviations halves a joint's weight (Cauchy).
_HALF_TRUST = 3.0
#: No hand's distance is known better: standard deviation of its logarithm.
_LEAST_DISTANCE = 1e-4
#: No bone turns by more in one step, radians; no matter how many it needs.
_MOST_TURN = 0.5
#: A movement loosens so many frames before and after it as well.
_AROUND = 2
#: Rounds that find what moves, and steps of Gauss-Newton in each.
_ROUNDS, _STEPS = 4, 2


@dataclass(frozen=True)
class Stiffness:
    """How far a group of bones may be accelerated."""

    rest: float  # √(power density of the acceleration) of what does not move, mm / s^1.5
    moving: float  # how much it grows with speed, 1 / √s. Infinite: every frame stands alone.
    noise_mm_s: float  # speeds below it hardly count

    def at(self, speed_mm_s: np.ndarray) -> np.ndarray:
        """What is allowed at a speed, elementwise."""
        counted = speed_mm_s**2 / (speed_mm_s + self.noise_mm_s)
        return np.hypot(self.rest, self.moving * counted)


@dataclass(frozen=True)
class OfflineSettings:
    """Settings of ``OfflineTrack``."""

    root: Stiffness = field(default=Stiffness(20.0, 3.0, 30.0))  # of the wrist's place
    bones: Stiffness = field(default=Stiffness(20.0, 4.0, 30.0))  # of the bones' vectors
    fill_s: float = 0.4  # gaps up to this long are filled


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about F frames of one hand."""

    time_s: np.ndarray  # (F,) increasing
    joints_mm: np.ndarray  # (F, 21, 3) raw, of the track's size; anything where the hand was missed
    precision: np.ndarray  # (F, 21, 3, 3) inverse covariance of each joint; 0 where it was missed
    distance: np.ndarray  # (F,) standard deviation of the logarithm of the hand's distance
    lengths_mm: np.ndarray  # (20,) of the bones

    @classmethod
    def of(
        cls, looks: Sequence[HandPose | None], time_s: np.ndarray, lengths_mm: np.ndarray
    ) -> Evidence:
        """From raw estimates, None where the hand was missed; at least one is there."""
        frames, seen = len(looks), []
        joints_mm, distance = np.zeros((frames, N_JOINTS, 3)), np.ones(frames)
        precision = np.zeros((frames, N_JOINTS, 3, 3))
        for i in range(frames):
            look = looks[i]
            if look is None:
                continue
            doubt = Uncertainty.of(look)
            # Scaled about the camera's centre, so that the picture stays as it is.
            joints_mm[i] = look.joints_mm * scale_to(lengths_mm, look.bone_lengths_mm)
            precision[i] = doubt.sureness * _precision(joints_mm[i], doubt)
            distance[i] = doubt.distance
            seen.append(i)
        flat = joints_mm.reshape(frames, -1)  # a view: what was missed begins on a straight line
        for column in flat.T:
            column[:] = np.interp(time_s, time_s[seen], column[seen])
        return cls(time_s, joints_mm, precision, distance, lengths_mm)


def _precision(joints_mm: np.ndarray, doubt: Uncertainty) -> np.ndarray:
    """(21, 3, 3) inverse covariance: short axes across the ray, a long one along it."""
    ray = joints_mm / np.linalg.norm(joints_mm, axis=1, keepdims=True)
    across = 1 / (doubt.across * joints_mm[:, 2]) ** 2
    along = 1 / doubt.along_mm**2
    outer = ray[:, :, None] * ray[:, None]
    return across[:, None, None] * np.eye(3) + (along - across)[:, None, None] * outer


def solve(evidence: Evidence, settings: OfflineSettings) -> np.ndarray:
    """(F, 21, 3) mm, the smooth track that explains the evidence best, and has its bones."""
    hand = _Hands.of(evidence.joints_mm, evidence.lengths_mm)
    stiffness = np.full((len(evidence.time_s), _N_GROUPS), 300.0)
    for _ in range(_ROUNDS):
        for _ in range(_STEPS):
            hand = _step(hand, evidence, stiffness)
        stiffness = _allowed(hand, evidence.time_s, settings)
    return hand.joints_mm


@dataclass(frozen=True, eq=False)
class _Hands:
    """F hands of the same bones: where the wrist is (F, 3), where the bones point (F, 20, 3)."""

    root_mm: np.ndarray
    directions: np.ndarray
    lengths_mm: np.ndarray

    @classmethod
    def of(cls, joints_mm: np.ndarray, lengths_mm: np.ndarray) -> _Hands:
        bones = bone_vectors(joints_mm)
        return cls(joints_mm[:, Joint.WRIST], unit(bones), lengths_mm)

    @property
    def vectors_mm(self) -> np.ndarray:
        """(F, 21, 3) the wrist, then the vectors of the bones."""
        bones = self.directions * self.lengths_mm[:, None]
        return np.concatenate([self.root_mm[:, None], bones], axis=1)

    @property
    def joints_mm(self) -> np.ndarray:
        """(F, 21, 3)."""
        return PATHS @ self.vectors_mm

    def tangents(self) -> np.ndarray:
        """(F, 20, 3, 2) two unit vectors across each bone."""
        thinnest = np.eye(3)[np.abs(self.directions).argmin(axis=-1)]
        first = unit(np.cross(self.directions, thinnest))
        return np.stack([first, np.cross(self.directions, first)], axis=-1)

    def moved(self, step: np.ndarray, tangents: np.ndarray) -> _Hands:
        """After a step (F, 43)."""
        turns = step[:, 3:].reshape(-1, N_BONES, 2)
        turns = turns / np.maximum(np.linalg.norm(turns, axis=-1, keepdims=True) / _MOST_TURN, 1.0)
        directions = unit(self.directions + (tangents @ turns[..., None])[..., 0])
        return replace(self, root_mm=self.root_mm + step[:, :3], directions=directions)


def _step(hands: _Hands, evidence: Evidence, allowed: np.ndarray) -> _Hands:
    """One step of Gauss-Newton: (F, 7) ``allowed`` accelerations."""
    tangents = hands.tangents()
    turned = hands.lengths_mm[:, None, None] * tangents  # (F, 20, 3, 2) mm per radian
    gradient, near = _data_equations(hands, evidence, turned)
    prior_gradient, blocks = _prior_equations(hands, evidence.time_s, allowed, turned)
    # Where nothing is known the step is none; elsewhere this is far below every weight.
    near += blocks[0] + 1e-9 * np.eye(_UNKNOWNS)
    return hands.moved(-_solve(near, blocks[1], blocks[2], gradient + prior_gradient), tangents)


def _data_equations(
    hands: _Hands, evidence: Evidence, turned: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (F, 43) and normal matrix (F, 43, 43) of the first term."""
    frames = len(evidence.time_s)
    jacobian = np.zeros((frames, N_JOINTS, 3, _UNKNOWNS))
    jacobian[..., :3] = np.eye(3)
    by_bone = np.einsum("jb,fbik->fjibk", PATHS[:, 1:], turned)
    jacobian[..., 3:] = by_bone.reshape(frames, N_JOINTS, 3, -1)
    given, off = evidence.joints_mm, hands.joints_mm - evidence.joints_mm
    precision = evidence.precision * _trust(off, evidence)[..., None, None]
    weighted = (precision @ jacobian).reshape(frames, -1, _UNKNOWNS)  # S⁻¹ J
    normal = np.swapaxes(jacobian.reshape(frames, -1, _UNKNOWNS), 1, 2) @ weighted
    gradient = np.einsum("fin,fi->fn", weighted, off.reshape(frames, -1))
    # The common error of the distance moves all joints along their rays (Woodbury's identity).
    common = np.einsum("fin,fi->fn", weighted, given.reshape(frames, -1))
    along, size = _along(off, evidence, precision)
    normal -= common[:, :, None] * common[:, None] / size[:, None, None]
    return gradient - common * (along / size)[:, None], normal


def _along(
    off: np.ndarray, evidence: Evidence, precision: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(F,), (F,): how far the hands are off along their rays is the first over the second."""
    given = evidence.joints_mm
    weighted = (precision @ given[..., None])[..., 0]
    along, size = (weighted * off).sum(axis=(1, 2)), (weighted * given).sum(axis=(1, 2))
    # Of the wrong size, a hand is far off: then it may be (Cauchy again).
    variance = np.maximum(evidence.distance, _LEAST_DISTANCE) ** 2
    variance += (along / np.maximum(size, 1e-9) / _HALF_TRUST) ** 2
    return along, size + 1 / variance


def _trust(off: np.ndarray, evidence: Evidence) -> np.ndarray:
    """(F, 21) Cauchy's weights of the joints, the common error of the distance set aside."""
    along, size = _along(off, evidence, evidence.precision)
    off = off - (along / size)[:, None, None] * evidence.joints_mm
    deviation2 = (off[..., None, :] @ evidence.precision @ off[..., None])[..., 0, 0]
    return 1 / (1 + deviation2 / _HALF_TRUST**2)


def _prior_equations(
    hands: _Hands, time_s: np.ndarray, allowed: np.ndarray, turned: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Gradient (F, 43) of the second term, and its blocks between frames 0, 1 and 2 apart."""
    frames = len(time_s)
    vectors = hands.vectors_mm
    pull = np.zeros_like(vectors)
    couple = np.zeros((3, frames, N_JOINTS))
    if frames > 2:
        # The acceleration at frame t + 1 from those at t, t + 1, t + 2; the integral over its cell.
        before, after = np.diff(time_s)[:-1], np.diff(time_s)[1:]
        first, last = 2 / (before * (before + after)), 2 / (after * (before + after))
        share = np.stack([first, -first - last, last])[..., None]  # (3, F - 2, 1)
        weight = ((before + after) / 2)[:, None] / allowed[1:-1, _GROUPS] ** 2  # (F - 2, 21)
        parts = [vectors[i : frames - 2 + i] for i in range(3)]
        acceleration = sum(s[..., None] * z for s, z in zip(share, parts, strict=True))
        for i in range(3):
            here = slice(i, frames - 2 + i)
            pull[here] += (share[i] * weight)[..., None] * acceleration
            for k in range(i, 3):
                couple[k - i, here] += share[i] * share[k] * weight
    gradient = np.concatenate(
        [pull[:, 0], (pull[:, 1:, None] @ turned).reshape(frames, -1)], axis=1
    )
    return gradient, [_between(couple[gap], turned, gap) for gap in range(3)]


def _between(couple: np.ndarray, turned: np.ndarray, gap: int) -> np.ndarray:
    """(F - gap, 43, 43): how the unknowns of frames so far apart are coupled."""
    frames = len(couple) - gap
    block = np.zeros((max(frames, 0), _UNKNOWNS, _UNKNOWNS))
    if frames <= 0:
        return block
    block[:, range(3), range(3)] = couple[:frames, :1]
    turns = np.swapaxes(turned[:frames], -1, -2) @ turned[gap:]  # (F - gap, 20, 2, 2)
    turns = turns * couple[:frames, 1:, None, None]
    first = 3 + 2 * np.arange(N_BONES)
    for i in range(2):
        for k in range(2):
            block[:, first + i, first + k] = turns[..., i, k]
    return block


def _solve(near: np.ndarray, next_: np.ndarray, after: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a symmetric system whose blocks reach two frames, (F, n): Cholesky, block by block.

    Diagonal blocks ``near`` (F, n, n), right of them ``next_`` (F - 1, n, n), right of those
    ``after`` (F - 2, n, n); ``right`` is (F, n).
    """
    frames, n = right.shape
    nothing = np.zeros((n, n))
    upper1, upper2 = np.zeros((2, frames, n, n))  # the factor's blocks right of its diagonal
    inverse, half = np.zeros((frames, n, n)), np.zeros((frames, n))
    for t in range(frames):
        block, rest = near[t], right[t]
        beside = next_[t] if t < frames - 1 else nothing
        if t > 0:
            block = block - upper1[t - 1].T @ upper1[t - 1]
            beside = beside - upper1[t - 1].T @ upper2[t - 1]
            rest = rest - half[t - 1] @ upper1[t - 1]
        if t > 1:
            block = block - upper2[t - 2].T @ upper2[t - 2]
            rest = rest - half[t - 2] @ upper2[t - 2]
        inverse[t] = np.linalg.inv(np.linalg.cholesky(block))
        half[t] = inverse[t] @ rest
        upper1[t] = inverse[t] @ beside
        if t < frames - 2:
            upper2[t] = inverse[t] @ after[t]
    solution = np.zeros((frames, n))
    for t in reversed(range(frames)):
        rest = half[t]
        if t < frames - 1:
            rest = rest - upper1[t] @ solution[t + 1]
        if t < frames - 2:
            rest = rest - upper2[t] @ solution[t + 2]
        solution[t] = rest @ inverse[t]
    return solution


def _allowed(hands: _Hands, time_s: np.ndarray, settings: OfflineSettings) -> np.ndarray:
    """(F, 7) accelerations, by the speed at which each group moves."""
    if len(time_s) < 2:
        return np.ones((len(time_s), _N_GROUPS))
    velocity = np.gradient(hands.vectors_mm, time_s, axis=0)
    speed2 = (velocity**2).sum(axis=-1)  # (F, 21)
    speed = np.stack([np.sqrt(speed2[:, g == _GROUPS].mean(axis=1)) for g in range(_N_GROUPS)], 1)
    padded = np.pad(speed, ((_AROUND, _AROUND), (0, 0)), mode="edge")
    speed = np.max([padded[i : i + len(speed)] for i in range(2 * _AROUND + 1)], axis=0)
    return np.concatenate([settings.root.at(speed[:, :1]), settings.bones.at(speed[:, 1:])], axis=1)
