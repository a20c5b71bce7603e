"""Fits of hands to joints: what goes in, what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.hand import BONES, N_JOINTS, Side
from knuckle.render.fitting.descent import glance, minimise
from knuckle.render.fitting.labels import Labels, batches_of, checked, mirrors
from knuckle.render.fitting.likelihood import FitSettings
from knuckle.render.fitting.starts import start_from_points
from knuckle.render.fitting.state import State
from knuckle.render.hand_model import N_POSE_ROWS, HandParameters, sides_of
from knuckle.render.hand_slopes import hand_chain, pose_of
from knuckle.rigid import RigidTransform
from knuckle.rows import Rows


@dataclass(frozen=True, eq=False)
class HandFit(Rows):
    """Fitted hands. Hands with fewer than ``MIN_JOINTS`` labels are NaN and not converged."""

    parameters: HandParameters  # pose, shape and place of the N hands, in the camera frame
    #: (N, 21, 3) of the fitted hands, camera frame, labelled or not.
    joints_mm: Float[np.ndarray, "hand 21 3"]
    #: (N, 21) expected error of each joint, if the labels err as was said.
    joint_sigma_mm: Float[np.ndarray, "hand 21"]
    #: (N, 21) distance from each label, in its unit: mm after ``fit_hands``, px after
    #: ``fit_hands_2d``; NaN where there is no label.
    residual: Float[np.ndarray, "hand 21"]
    converged: Bool[np.ndarray, " hand"]  # (N,) bool, False where the steps ran out

    def __len__(self) -> int:
        return len(self.joints_mm)

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
    joints, valid = checked(joints_mm, valid, 3)
    sides = sides_of(side, len(joints))
    mirror = mirrors(sides)  # (N, 3)
    labels = Labels(joints * mirror[:, None], valid / settings.joint_sigma_mm)
    return _fitted(labels, sides, start_from_points, settings)


def fit_hands_2d(
    joints_px: Float[np.ndarray, "hand 21 2"],
    camera: Camera | Sequence[Camera],
    sigma_px: Float[np.ndarray, "hand 21"] | float,
    valid: Bool[np.ndarray, "hand 21"] | None = None,
    side: Side | Sequence[Side] = "right",
    *,
    bone_depth: Float[np.ndarray, "hand 20"] | None = None,
    bone_depth_sigma: float = 0.35,
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
        bone_depth: what is known beside the picture: the share of each bone's length that leads
            away from the camera, NaN where nothing is (``Sample``'s ``HandLabel.bone_depth``).
        bone_depth_sigma: how far these shares may be off.
        settings: what is likely.

    Returns:
        The fit; ``residual`` is in px.

    Raises:
        ValueError: a shape is wrong, a labelled joint not finite, or a sigma not positive.
    """
    settings = settings or FitSettings()
    points, valid = checked(joints_px, valid, 2)
    n = len(points)
    cameras = [camera] * n if isinstance(camera, Camera) else list(camera)
    if len(cameras) != n:
        raise InputError(f"expected one camera or {n} cameras, got {len(cameras)}")
    sigma = np.broadcast_to(np.asarray(sigma_px, np.float64), valid.shape)
    if not (sigma[valid] > 0).all():
        raise InputError("sigma_px of the labelled joints must be positive")
    sides = sides_of(side, n)
    rays = np.array([c.rays(p) for c, p in zip(cameras, points, strict=True)])
    rays = rays.reshape(points.shape) * mirrors(sides)[:, None, :2]
    focal = np.array([(c.fx, c.fy) for c in cameras]).reshape(n, 2)
    weight = np.where(valid, 1.0 / np.where(valid, sigma, 1.0), 0.0)
    lean, lean_weight = None, None
    if bone_depth is not None:
        if bone_depth.shape != (n, len(BONES)) or not bone_depth_sigma > 0:
            raise InputError(
                f"expected bone_depth of shape {(n, len(BONES))} with a positive sigma, got "
                f"{bone_depth.shape} with {bone_depth_sigma!r}"
            )
        known = np.isfinite(bone_depth)
        lean, lean_weight = np.where(known, bone_depth, 0.0), known / bone_depth_sigma
    labels = Labels(rays, weight, focal, lean, lean_weight)
    return _fitted(labels, sides, partial(glance, settings=settings), settings)


def _fitted(
    labels: Labels, sides: tuple[Side, ...], start: Callable[[Labels], State], settings: FitSettings
) -> HandFit:
    """Fit in batches, each hand as its own side again."""
    chain, n = hand_chain(), len(labels)
    pose = np.full((n, N_POSE_ROWS, 3), np.nan)
    shape = np.full((n, chain.n_shape), np.nan)
    rotation, root = np.full((n, 3, 3), np.nan), np.full((n, 3), np.nan)
    joints, sigma = np.full((n, N_JOINTS, 3), np.nan), np.full((n, N_JOINTS), np.nan)
    converged = np.zeros(n, bool)
    for rows in batches_of(labels.enough()):
        batch = labels.take(rows)
        found = minimise(batch, start(batch), settings)
        state = found.state
        pose[rows] = pose_of(state.angles_deg)
        shape[rows], rotation[rows], root[rows] = state.shape, state.rotation, state.root_mm
        joints[rows], slopes = state.joints_and_slopes(chain)
        sigma[rows] = _expected_error(slopes, found.curvature)
        converged[rows] = found.converged
    residual = np.linalg.norm(labels.misses(joints), axis=-1)
    mirror = mirrors(sides)
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
