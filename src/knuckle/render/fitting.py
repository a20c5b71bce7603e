"""Fit the parametric hand to labelled joints, in 3D or in a picture: many hands at a time.

What is found is the most likely hand: labels are off by a few millimetres (or pixels), poses are
spread as ``poses.sample_poses`` spreads them, shapes as people's hands are, and angles beyond the
limits of ``poses.constrain`` are unlikely but not forbidden, since hard limits freeze fingers.
Labels that no hand can explain count by their distance and not by its square (Huber 1964), so that
one wrong label does not bend the rest.

The minimum is found by Levenberg's and Marquardt's damped Gauss-Newton steps (Marquardt, SIAM J.
Appl. Math. 11, 1963), with exact slopes (``hand_slopes``), for all hands in one go; each hand has
its own damping and stops on its own. Left hands are fitted in the mirror, so that a mirrored label
gives the mirrored hand to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float

from knuckle.camera import Camera, RigidTransform
from knuckle.hand import KNUCKLES, N_JOINTS, Joint, Side, check_side, joint_angles
from knuckle.render.hand_model import (
    FINGER_ROWS,
    FLEXION,
    N_POSE_ROWS,
    SPREAD,
    HandParameters,
)
from knuckle.render.hand_slopes import FREE_ANGLES, N_FREE, HandChain, hand_chain
from knuckle.render.poses import constrain, sample_poses
from knuckle.render.rotations import rotation_from_vector

#: A hand with fewer labelled joints is not fitted.
MIN_JOINTS = 4
#: Columns of a step: turn (radians, axes of the camera), root (mm), angles (degrees), shape.
_TURN, _ROOT, _ANGLES = slice(0, 3), slice(3, 6), slice(6, 6 + N_FREE)
_SHAPE = slice(6 + N_FREE, None)
#: The bones between these joints hardly move against each other: they place the hand.
_PALM = np.array([Joint.WRIST, Joint.THUMB_CMC, *KNUCKLES])
_MIRROR = np.array([-1.0, 1.0, 1.0])
#: Hands are fitted so many at a time: their slopes then stay in the processor's cache.
_BATCH = 128
#: Steps from each start before the likeliest is followed to its end.
_GLANCE = 15
#: No hand is nearer to a camera.
_NEAREST_MM = 50.0


@dataclass(frozen=True)
class FitSettings:
    """What is likely, and when to stop.

    Attributes:
        joint_sigma_mm: how far a 3D label may be off, the model's own shortcomings included.
        outlier: labels off by more than so many sigmas count less and less.
        limit_sigma_deg: how far an angle may be beyond its limit.
        pose_floor_deg: spread that every angle has beside the sampler's.
        max_steps: steps after which a hand is given up as not converged.
        tolerance: a step that lowers the cost (squared sigmas) by less than this, and by less than
            this share of it, is the last.
    """

    joint_sigma_mm: float = 1.0
    outlier: float = 4.0
    limit_sigma_deg: float = 3.0
    pose_floor_deg: float = 5.0
    max_steps: int = 60
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(
                    f"{field.name} must be positive, got {getattr(self, field.name)!r}"
                )


@dataclass(frozen=True, eq=False)
class HandFit:
    """Fitted hands. Hands with fewer than ``MIN_JOINTS`` labels are NaN and not converged.

    Attributes:
        parameters: pose, shape and place of the N hands, in the camera frame.
        joints_mm: (N, 21, 3) of the fitted hands, camera frame, labelled or not.
        joint_sigma_mm: (N, 21) expected error of each joint, if the labels err as was said.
        residual: (N, 21) distance from each label, in its unit: mm after ``fit_hands``, px after
            ``fit_hands_2d``; NaN where there is no label.
        converged: (N,) bool, False where the steps ran out.
    """

    parameters: HandParameters
    joints_mm: Float[np.ndarray, "hand 21 3"]
    joint_sigma_mm: Float[np.ndarray, "hand 21"]
    residual: Float[np.ndarray, "hand 21"]
    converged: Bool[np.ndarray, " hand"]

    def __len__(self) -> int:
        return len(self.joints_mm)

    def take(self, rows: np.ndarray) -> HandFit:
        """Some of the hands."""
        return HandFit(
            self.parameters.take(rows),
            *(getattr(self, f.name)[rows] for f in fields(self) if f.name != "parameters"),
        )

    def moved(self, T_new_from_old: RigidTransform) -> HandFit:
        """The same hands in another frame."""
        turn = T_new_from_old.rotation
        return replace(
            self,
            parameters=replace(
                self.parameters,
                R_camera_from_hand=turn @ self.parameters.R_camera_from_hand,
                root_mm=T_new_from_old(self.parameters.root_mm),
            ),
            joints_mm=T_new_from_old(self.joints_mm),
        )

    @classmethod
    def joined(cls, fits: Sequence[HandFit]) -> HandFit:
        """Several fits, at least one, as one."""
        return cls(
            HandParameters.joined([fit.parameters for fit in fits]),
            *(
                np.concatenate([getattr(fit, f.name) for fit in fits])
                for f in fields(cls)
                if f.name != "parameters"
            ),
        )


def rigid_between(points: np.ndarray, target: np.ndarray) -> RigidTransform:
    """The turn and shift that lay points (K, 3) onto targets (K, 3) best; never a mirror image."""
    rotation, shift = _rigid(points[None], target[None], np.ones((1, len(points))))
    return RigidTransform(rotation[0], shift[0])


def fit_hands(
    joints_mm: Float[np.ndarray, "hand 21 3"],
    valid: Bool[np.ndarray, "hand 21"] | None = None,
    side: Side | Sequence[Side] = "right",
    *,
    settings: FitSettings | None = None,
) -> HandFit:
    """Fit hands to 3D joints.

    Args:
        joints_mm: (N, 21, 3) in the camera frame, or in any other right-handed one: then the
            result is in that frame.
        valid: (N, 21) which joints are labelled; all by default. The others may hold anything.
        side: of all hands, or one per hand.
        settings: what is likely.

    Returns:
        The fit; ``residual`` is in mm.

    Raises:
        ValueError: a shape is wrong, or a labelled joint is not finite.
    """
    settings = settings or FitSettings()
    joints, valid = _checked(joints_mm, valid, 3)
    sides = _sides(side, len(joints))
    mirror = _mirrors(sides)  # (N, 3)
    labels = _Labels(joints * mirror[:, None], valid / settings.joint_sigma_mm)
    batches = (labels.take(rows) for rows in _batches(labels.enough()))
    found = (_minimise(batch, _start_from_points(batch), settings) for batch in batches)
    return _collected(found, labels, sides)


def fit_hands_2d(
    joints_px: Float[np.ndarray, "hand 21 2"],
    camera: Camera | Sequence[Camera],
    sigma_px: Float[np.ndarray, "hand 21"] | float,
    valid: Bool[np.ndarray, "hand 21"] | None = None,
    side: Side | Sequence[Side] = "right",
    *,
    settings: FitSettings | None = None,
) -> HandFit:
    """Fit hands to keypoints in pictures: the hand that anatomy makes most likely.

    Distance and size of a hand cannot be told apart in one picture: the size comes out as the
    average person's, and the distance with it. Of several hands that fit, the likeliest is taken.

    Args:
        joints_px: (N, 21, 2).
        camera: that took all of them, or one per hand.
        sigma_px: how far each keypoint may be off, (N, 21) or one for all.
        valid: (N, 21) which joints are labelled; all by default.
        side: of all hands, or one per hand.
        settings: what is likely.

    Returns:
        The fit; ``residual`` is in px.

    Raises:
        ValueError: a shape is wrong, a labelled joint not finite, or a sigma not positive.
    """
    settings = settings or FitSettings()
    points, valid = _checked(joints_px, valid, 2)
    n = len(points)
    cameras = [camera] * n if isinstance(camera, Camera) else list(camera)
    if len(cameras) != n:
        raise ValueError(f"expected one camera or {n} cameras, got {len(cameras)}")
    sigma = np.broadcast_to(np.asarray(sigma_px, np.float64), valid.shape)
    if not (sigma[valid] > 0).all():
        raise ValueError("sigma_px of the labelled joints must be positive")
    sides = _sides(side, n)
    rays = np.array([c.rays(p) for c, p in zip(cameras, points, strict=True)])
    rays = rays.reshape(points.shape) * _mirrors(sides)[:, None, :2]
    focal = np.array([(c.fx, c.fy) for c in cameras]).reshape(n, 2)
    weight = np.where(valid, 1.0 / np.where(valid, sigma, 1.0), 0.0)
    labels = _Labels(rays, weight, focal)
    batches = (labels.take(rows) for rows in _batches(labels.enough()))
    found = (_minimise(batch, _glance(batch, settings), settings) for batch in batches)
    return _collected(found, labels, sides)


# --- what is likely ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PosePrior:
    """How poses are spread, over ``FREE_ANGLES``.

    Attributes:
        mean_deg: (A,).
        covariance_deg2: (A, A).
    """

    mean_deg: np.ndarray
    covariance_deg2: np.ndarray


@cache
def pose_prior(count: int = 1200) -> PosePrior:
    """The spread of ``sample_poses``: computed once, in about a second."""
    pose = sample_poses(np.random.default_rng(20), count)
    angles = pose[:, FREE_ANGLES[:, 0], FREE_ANGLES[:, 1]].astype(np.float64)
    return PosePrior(angles.mean(axis=0), np.cov(angles.T))


def _pose_precision(settings: FitSettings) -> np.ndarray:
    """(A, A) inverse covariance of the poses, 1 / degrees²."""
    floor = settings.pose_floor_deg**2 * np.eye(N_FREE)
    return np.linalg.inv(pose_prior().covariance_deg2 + floor)


# --- labels --------------------------------------------------------------------------------------

_Rows = TypeVar("_Rows", bound="_PerHand")


class _PerHand:
    """A dataclass of arrays with one row per hand."""

    def take(self: _Rows, rows: np.ndarray) -> _Rows:
        """Some of the hands."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return replace(  # type: ignore[type-var]
            self, **{name: None if v is None else v[rows] for name, v in values.items()}
        )

    def put(self: _Rows, rows: np.ndarray, other: _Rows) -> None:
        """Overwrite some of the hands. In place."""
        for f in fields(self):  # type: ignore[arg-type]
            if getattr(self, f.name) is not None:
                getattr(self, f.name)[rows] = getattr(other, f.name)


@dataclass(frozen=True, eq=False)
class _Labels(_PerHand):
    """Where the joints should be, as right hands.

    Attributes:
        target: (N, 21, 3) mm, or with ``focal`` (N, 21, 2) rays x/z, y/z.
        weight: (N, 21) 1 / sigma of each label, 0 where there is none.
        focal: (N, 2) px; None for labels in 3D.
    """

    target: np.ndarray
    weight: np.ndarray
    focal: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.target)

    def enough(self) -> np.ndarray:
        """(K,) hands that have enough labels to be fitted."""
        return np.flatnonzero((self.weight > 0).sum(axis=1) >= MIN_JOINTS)

    def misses(self, joints_mm: np.ndarray) -> np.ndarray:
        """(N, 21, D) from each label to each joint, in the label's unit."""
        if self.focal is None:
            return joints_mm - self.target
        depth = np.maximum(joints_mm[..., 2:], _NEAREST_MM)
        return (joints_mm[..., :2] / depth - self.target) * self.focal[:, None]

    def slopes(self, joints_mm: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """(N, 21, D, P) of the misses, from those of the joints (N, 21, 3, P)."""
        if self.focal is None:
            return slopes
        depth = np.maximum(joints_mm[..., 2, None], _NEAREST_MM)
        rays = joints_mm[..., :2] / depth
        scale = self.focal[:, None] / depth  # (N, 21, 2)
        return scale[..., None] * (slopes[..., :2, :] - rays[..., None] * slopes[..., 2:, :])


def _checked(
    points: np.ndarray, valid: np.ndarray | None, dimensions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels as float64 with 0 where there is none, and which there are."""
    points = np.asarray(points, np.float64)
    if points.ndim != 3 or points.shape[1:] != (N_JOINTS, dimensions):
        raise ValueError(f"expected joints of shape (N, 21, {dimensions}), got {points.shape}")
    valid = np.ones(points.shape[:2], bool) if valid is None else np.asarray(valid, bool)
    if valid.shape != points.shape[:2]:
        raise ValueError(f"expected valid of shape {points.shape[:2]}, got {valid.shape}")
    if not np.isfinite(points[valid]).all():
        raise ValueError("labelled joints must be finite; mark the others as not valid")
    return np.where(valid[..., None], points, 0.0), valid


def _sides(side: Side | Sequence[Side], n: int) -> tuple[Side, ...]:
    sides = (side,) * n if isinstance(side, str) else tuple(side)
    if len(sides) != n:
        raise ValueError(f"expected one side or {n} sides, got {len(sides)}")
    return tuple(check_side(s) for s in sides)


def _mirrors(sides: Sequence[Side]) -> np.ndarray:
    """(N, 3) what turns each hand into a right one."""
    return np.array([_MIRROR if s == "left" else np.ones(3) for s in sides]).reshape(-1, 3)


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[k : k + _BATCH] for k in range(0, len(rows), _BATCH)]


# --- where to start ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _State(_PerHand):
    """N right hands on their way.

    Attributes:
        angles_deg: (N, A).
        shape: (N, S).
        rotation: (N, 3, 3) ``R_camera_from_hand``.
        root_mm: (N, 3).
    """

    angles_deg: np.ndarray
    shape: np.ndarray
    rotation: np.ndarray
    root_mm: np.ndarray

    def moved(self, step: np.ndarray) -> _State:
        """The hands after a step (N, P)."""
        return _State(
            self.angles_deg + step[:, _ANGLES],
            self.shape + step[:, _SHAPE],
            rotation_from_vector(step[:, _TURN]) @ self.rotation,
            self.root_mm + step[:, _ROOT],
        )

    def joints_mm(self, chain: HandChain) -> np.ndarray:
        """(N, 21, 3) camera frame."""
        local = chain.joints(self.angles_deg, self.shape)
        return local @ self.rotation.transpose(0, 2, 1) + self.root_mm[:, None]

    def joints_and_slopes(self, chain: HandChain) -> tuple[np.ndarray, np.ndarray]:
        """(N, 21, 3) camera frame and (N, 21, 3, P) per unit of a step."""
        local, local_slopes = chain.joints_and_slopes(self.angles_deg, self.shape)
        arm = local @ self.rotation.transpose(0, 2, 1)  # (N, 21, 3) from the wrist
        slopes = np.zeros((*arm.shape, _ANGLES.stop + chain.n_shape))
        slopes[..., _TURN] = -_cross_matrices(arm)
        slopes[..., _ROOT] = np.eye(3)
        slopes[..., _ANGLES.start :] = self.rotation[:, None] @ local_slopes
        return arm + self.root_mm[:, None], slopes


def _start_from_points(labels: _Labels) -> _State:
    """Fingers as their labels bend them, and the palm laid onto the labels of the palm."""
    chain, n = hand_chain(), len(labels)
    angles = _observed_angles(labels)
    shape = np.zeros((n, chain.n_shape))
    local = chain.joints(angles, shape)
    known = labels.weight > 0
    palm = np.zeros_like(known)
    palm[:, _PALM] = known[:, _PALM]
    few = palm.sum(axis=1) < 3  # then the fingers have to help
    palm[few] = known[few]
    rotation, root = _rigid(local, labels.target, palm.astype(np.float64))
    return _State(angles, shape, rotation, root)


def _observed_angles(labels: _Labels) -> np.ndarray:
    """(N, A) flexions and spreads read off the labels; the average pose's where they lack."""
    known = labels.weight > 0
    pose = np.full((len(labels), N_POSE_ROWS, 3), np.nan)
    with np.errstate(invalid="ignore"):
        seen = joint_angles(np.where(known[..., None], labels.target, np.nan), "right")
    seen = seen.reshape(-1, 5, 3, 2)  # (N, finger, joint, angle)
    fingers = FINGER_ROWS[1:]
    pose[:, fingers, FLEXION] = seen[:, 1:, :, 0]
    pose[:, fingers[:, 0], SPREAD] = seen[:, 1:, 0, 1]
    angles = pose[:, FREE_ANGLES[:, 0], FREE_ANGLES[:, 1]]
    return np.where(np.isfinite(angles), angles, pose_prior().mean_deg)


def _rigid(
    points: np.ndarray, target: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (N, 3, 3) and translations (N, 3) that lay points (N, J, 3) onto targets.

    Kabsch 1978, without scale; never a mirror image.
    """
    weight = weight[..., None] / weight.sum(axis=1)[:, None, None]
    p_mean, q_mean = ((weight * x).sum(axis=1) for x in (points, target))
    covariance = (weight * (target - q_mean[:, None])).transpose(0, 2, 1) @ (
        points - p_mean[:, None]
    )
    u, _, vt = np.linalg.svd(covariance)
    u[:, :, 2] *= np.sign(np.linalg.det(u) * np.linalg.det(vt))[:, None]
    rotation = u @ vt
    return rotation, q_mean - (rotation @ p_mean[..., None])[..., 0]


def _starts_from_rays(labels: _Labels) -> list[_State]:
    """The average pose, seen from each of six sides as it looks most like the labels from there.

    From many directions the hand is laid onto the labels as if it were flat: turned in the
    picture, scaled and moved. Of the directions of each side (palm, back, thumb, ...) the best is
    a start; which of them is right only the whole fit can tell.
    """
    chain, n = hand_chain(), len(labels)
    average = np.tile(pose_prior().mean_deg, (n, 1)), np.zeros((n, chain.n_shape))
    views, side_of_view = _views()
    local = chain.joints(average[0][:1], average[1][:1])[0]
    flat = _complex(local @ views[:, :2].transpose(0, 2, 1))  # (D, 21) as if from far away
    weight = labels.weight[:, None] ** 2  # (N, 1, 21)
    target = _complex(labels.target)[:, None]
    total = weight.sum(axis=-1)
    middle = (weight * flat).sum(axis=-1) / total  # (N, D)
    target_middle = (weight * target).sum(axis=-1) / total
    p, q = flat - middle[..., None], target - target_middle[..., None]
    # Least squares for q = turn p, where a complex number turns and scales at once.
    turn = (weight * p.conj() * q).sum(axis=-1) / (weight * np.abs(p) ** 2).sum(axis=-1)
    miss = (weight * np.abs(turn[..., None] * p - q) ** 2).sum(axis=-1)
    root = target_middle - turn * middle
    starts, each = [], np.arange(n)
    for side in range(6):
        view = np.where(side_of_view == side, miss, np.inf).argmin(axis=1)
        depth = 1.0 / np.abs(turn[each, view])
        ray = root[each, view]
        starts.append(
            _State(
                average[0].copy(),
                average[1].copy(),
                rotation_from_vector(np.angle(turn[each, view])[:, None] * [0.0, 0.0, 1.0])
                @ views[view],
                np.stack([ray.real, ray.imag, np.ones(n)], axis=-1) * depth[:, None],
            )
        )
    return starts


@cache
def _views(count: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (D, 3, 3) that show a hand from all around, and from which of six sides (D,)."""
    z = 1.0 - (2.0 * np.arange(count) + 1.0) / count  # a Fibonacci spiral is even on the sphere
    angle = np.pi * (1.0 + 5.0**0.5) * np.arange(count)
    across = np.sqrt(1.0 - z**2)
    seen_from = np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=-1)
    towards = -seen_from  # the camera's z axis, in the hand's frame
    aside = np.cross(np.where(np.abs(z)[:, None] < 0.9, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]), towards)
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    views = np.stack([aside, np.cross(towards, aside), towards], axis=1)
    axis = np.abs(seen_from).argmax(axis=1)
    return views, 2 * axis + (seen_from[np.arange(count), axis] > 0)


def _complex(xy: np.ndarray) -> np.ndarray:
    """(..., 2) -> (...) complex x + iy."""
    return xy[..., 0] + 1j * xy[..., 1]


# --- the climb down ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Bowl(_PerHand):
    """The cost around a state, as a quadratic function of the step.

    Attributes:
        cost: (N,) squared sigmas.
        gradient: (N, P) half of the cost's.
        curvature: (N, P, P) half of the cost's, Gauss and Newton's.
    """

    cost: np.ndarray
    gradient: np.ndarray
    curvature: np.ndarray


@dataclass(frozen=True, eq=False)
class _Found:
    """Right hands where the climb ended."""

    state: _State
    cost: np.ndarray
    curvature: np.ndarray
    converged: np.ndarray


def _bowl(labels: _Labels, state: _State, settings: FitSettings) -> _Bowl:
    joints, slopes = state.joints_and_slopes(hand_chain())
    miss = labels.misses(joints) * labels.weight[..., None]  # (N, 21, D) sigmas
    slopes = labels.slopes(joints, slopes) * labels.weight[..., None, None]
    distance = np.linalg.norm(miss, axis=-1)
    trust = np.sqrt(settings.outlier / np.maximum(distance, settings.outlier))  # Huber's weights
    cost = _huber(distance, settings.outlier).sum(axis=1)
    n, parameters = len(joints), slopes.shape[-1]
    rows = (slopes * trust[..., None, None]).reshape(n, -1, parameters)  # (N, 21 D, P)
    residual = (miss * trust[..., None]).reshape(n, -1, 1)
    transposed = rows.transpose(0, 2, 1)
    gradient, curvature = (transposed @ residual)[..., 0], transposed @ rows

    shape = state.shape
    cost += (shape**2).sum(axis=1)
    gradient[:, _SHAPE] += shape
    diagonal = np.arange(parameters)
    curvature[:, diagonal[_SHAPE], diagonal[_SHAPE]] += 1.0

    precision = _pose_precision(settings)
    unusual = state.angles_deg - pose_prior().mean_deg
    pull = unusual @ precision
    cost += (unusual * pull).sum(axis=1)
    gradient[:, _ANGLES] += pull
    curvature[:, _ANGLES, _ANGLES] += precision

    beyond = _beyond_limits(state.angles_deg) / settings.limit_sigma_deg
    cost += (beyond**2).sum(axis=1)
    gradient[:, _ANGLES] += beyond / settings.limit_sigma_deg
    stiff = (beyond != 0) / settings.limit_sigma_deg**2
    curvature[:, diagonal[_ANGLES], diagonal[_ANGLES]] += stiff

    if labels.focal is not None:  # a hand behind the camera is no hand
        cost = np.where((joints[..., 2] < _NEAREST_MM).any(axis=1), np.inf, cost)
    return _Bowl(cost, gradient, curvature)


def _huber(distance: np.ndarray, bend: float) -> np.ndarray:
    """Squares up to the bend, straight lines beyond it."""
    return np.where(distance <= bend, distance**2, 2 * bend * distance - bend**2)


def _beyond_limits(angles_deg: np.ndarray) -> np.ndarray:
    """(N, A) by how much each angle is beyond what anatomy allows."""
    pose = np.zeros((len(angles_deg), N_POSE_ROWS, 3))
    pose[:, FREE_ANGLES[:, 0], FREE_ANGLES[:, 1]] = angles_deg
    return (pose - constrain(pose))[:, FREE_ANGLES[:, 0], FREE_ANGLES[:, 1]]


def _minimise(labels: _Labels, state: _State, settings: FitSettings) -> _Found:
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
        gain = here.cost - there.cost
        small = gain <= settings.tolerance * np.maximum(1.0, here.cost)
        # A refused step says that the bowl is not true this far out: shorten it, and give up at
        # the length at which nothing moves.
        damping[rows] = np.clip(damping[rows] * np.where(better, 0.2, 8.0), 1e-7, None)
        walking[rows] = ~(better & small) & (damping[rows] < 1e6)
        state.put(rows[better], trial.take(better))
        bowl.put(rows[better], there.take(better))
    return _Found(state, bowl.cost, bowl.curvature, ~walking)


def _damped_step(bowl: _Bowl, damping: np.ndarray) -> np.ndarray:
    """(N, P) Marquardt's step: each parameter is damped in its own scale."""
    diagonal = np.arange(bowl.gradient.shape[1])
    matrix = bowl.curvature.copy()
    matrix[:, diagonal, diagonal] *= 1.0 + damping[:, None]
    matrix[:, diagonal, diagonal] += 1e-9
    return -np.linalg.solve(matrix, bowl.gradient[..., None])[..., 0]


def _glance(labels: _Labels, settings: FitSettings) -> _State:
    """The start of each hand from which a few steps lead lowest."""
    brief = replace(settings, max_steps=_GLANCE)
    found = [_minimise(labels, start, brief) for start in _starts_from_rays(labels)]
    best = np.argmin([one.cost for one in found], axis=0)
    likeliest = found[0].state
    for number, one in enumerate(found):
        rows = np.flatnonzero(best == number)
        likeliest.put(rows, one.state.take(rows))
    return likeliest


# --- the result ----------------------------------------------------------------------------------


def _collected(found: Iterable[_Found], labels: _Labels, sides: tuple[Side, ...]) -> HandFit:
    """All batches in order, each hand as its own side again."""
    chain, n = hand_chain(), len(labels)
    pose = np.full((n, N_POSE_ROWS, 3), np.nan)
    shape = np.full((n, chain.n_shape), np.nan)
    rotation, root = np.full((n, 3, 3), np.nan), np.full((n, 3), np.nan)
    joints, sigma = np.full((n, N_JOINTS, 3), np.nan), np.full((n, N_JOINTS), np.nan)
    converged = np.zeros(n, bool)
    for rows, batch in zip(_batches(labels.enough()), found, strict=True):
        state = batch.state
        pose[rows] = 0.0
        pose[rows[:, None], FREE_ANGLES[:, 0], FREE_ANGLES[:, 1]] = state.angles_deg
        shape[rows], rotation[rows], root[rows] = state.shape, state.rotation, state.root_mm
        joints[rows], slopes = state.joints_and_slopes(chain)
        sigma[rows] = _expected_error(slopes, batch.curvature)
        converged[rows] = batch.converged
    residual = np.linalg.norm(labels.misses(joints), axis=-1)
    mirror = _mirrors(sides)
    return HandFit(
        parameters=HandParameters(
            pose,
            shape,
            # Mirrored before and after: a proper rotation again.
            mirror[:, :, None] * rotation * mirror[:, None],
            root * mirror,
            sides,
        ),
        joints_mm=joints * mirror[:, None],
        joint_sigma_mm=sigma,
        residual=np.where(labels.weight > 0, residual, np.nan),
        converged=converged,
    )


def _expected_error(slopes: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """(N, 21) root of the mean squared error of each joint, from the curvature of the cost."""
    covariance = np.linalg.inv(curvature)
    spread = slopes @ covariance[:, None]  # (N, 21, 3, P)
    return np.sqrt((spread * slopes).sum(axis=(-1, -2)))


def _cross_matrices(v: np.ndarray) -> np.ndarray:
    """(..., 3) -> (..., 3, 3): ``v x`` as a matrix."""
    zero = np.zeros_like(v[..., 0])
    x, y, z = np.moveaxis(v, -1, 0)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*v.shape, 3)
