"""Where to start: the palm laid onto labels in 3D, the average pose seen from all around in 2D."""

from __future__ import annotations

from functools import cache

import numpy as np

from knuckle.hand import KNUCKLES, Joint, joint_angles
from knuckle.render.fitting.labels import Labels
from knuckle.render.fitting.likelihood import pose_prior
from knuckle.render.fitting.state import State
from knuckle.render.hand_model import FINGER_ROWS, FLEXION, N_POSE_ROWS, SPREAD
from knuckle.render.hand_slopes import free_angles_of, hand_chain
from knuckle.render.rotations import rotation_from_vector
from knuckle.rigid import RigidTransform

#: The bones between these joints hardly move against each other: they place the hand.
_PALM = np.array([Joint.WRIST, Joint.THUMB_CMC, *KNUCKLES])


def rigid_between(points: np.ndarray, target: np.ndarray) -> RigidTransform:
    """The turn and shift that lay points (K, 3) onto targets (K, 3) best; never a mirror image."""
    rotation, shift = rigid(points[None], target[None], np.ones((1, len(points))))
    return RigidTransform(rotation[0], shift[0])


def start_from_points(labels: Labels) -> State:
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
    rotation, root = rigid(local, labels.target, palm.astype(np.float64))
    return State(angles, shape, rotation, root)


def _observed_angles(labels: Labels) -> np.ndarray:
    """(N, A) flexions and spreads read off the labels; the average pose's where they lack."""
    known = labels.weight > 0
    pose = np.full((len(labels), N_POSE_ROWS, 3), np.nan)
    with np.errstate(invalid="ignore"):
        seen = joint_angles(np.where(known[..., None], labels.target, np.nan), "right")
    seen = seen.reshape(-1, 5, 3, 2)  # (N, finger, joint, angle)
    fingers = FINGER_ROWS[1:]
    pose[:, fingers, FLEXION] = seen[:, 1:, :, 0]
    pose[:, fingers[:, 0], SPREAD] = seen[:, 1:, 0, 1]
    angles = free_angles_of(pose)
    return np.where(np.isfinite(angles), angles, pose_prior().mean_deg)


def rigid(
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


def starts_from_rays(labels: Labels) -> list[State]:
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
            State(
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
