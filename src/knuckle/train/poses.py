"""Posed hands seen by random cameras: what the lifter learns from before it sees any picture."""

from __future__ import annotations

import numpy as np

from knuckle.hand import KNUCKLES, N_JOINTS, Joint
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.poses import sample_poses

#: Distances of hands from the camera, mm: arm's length most often.
_NEAREST_MM, _FARTHEST_MM = 180.0, 2000.0
#: Keypoint errors as shares of the hand's extent: from a perfect network to a lost one.
_SMALLEST_ERROR, _LARGEST_ERROR = 0.002, 0.08


class PoseBank:
    """A stock of poses that is renewed while it is drawn from.

    Poses that respect anatomy cost more than everything else about a posed hand; each is used
    some times, every time with another shape, view and camera.
    """

    def __init__(self, rng: np.random.Generator, size: int = 16384, every: int = 50) -> None:
        self._rng = rng
        self._every = every
        self._drawn = 0
        self._poses = sample_poses(rng, size)

    def draw(self, n: int) -> np.ndarray:
        """(n, 17, 3) degrees."""
        self._drawn += 1
        if self._drawn % self._every == 0:  # many at once: the sampler is quick in large batches
            fresh = len(self._poses) // 32
            self._poses[self._rng.permutation(len(self._poses))[:fresh]] = sample_poses(
                self._rng, fresh
            )
        return self._poses[self._rng.integers(0, len(self._poses), n)]


def lifter_batch(
    rng: np.random.Generator, pose_deg: np.ndarray, model: HandModel, feature_size: int
) -> dict[str, np.ndarray]:
    """Right hands in these poses as the lifter meets them: noisy directions in, true joints out.

    Returns:
        rays (n, 21, 2), sigma (n, 21), features (n, 21, F) of zeros, joints_mm (n, 21, 3)
        relative to the wrist in the axes of the crop's view, joint_weight (n, 21).
    """
    n = len(pose_deg)
    joints = random_joints(rng, pose_deg, model)
    rays, joints = _look_at(rng, joints)
    extent = np.sqrt(np.square(rays - rays.mean(axis=1, keepdims=True)).mean(axis=(1, 2)))
    sigma = _errors(rng, n) * extent[:, None]
    noisy = rays + rng.laplace(size=rays.shape) * sigma[..., None]
    return {
        "rays": noisy.astype(np.float32),
        "sigma": sigma.astype(np.float32),
        "features": np.zeros((n, N_JOINTS, feature_size), np.float32),
        "joints_mm": (joints - joints[:, :1]).astype(np.float32),
        "joint_weight": np.ones((n, N_JOINTS), np.float32),
    }


def random_joints(rng: np.random.Generator, pose_deg: np.ndarray, model: HandModel) -> np.ndarray:
    """(n, 21, 3) joints of posed right hands, turned every way, wrist at the origin, mm."""
    n = len(pose_deg)
    params = HandParameters(
        pose_deg=pose_deg,
        shape=sample_shapes(rng, n, model.n_shape),
        R_camera_from_hand=random_rotations(rng, n),
        root_mm=np.zeros((n, 3)),
    )
    return model.joints(params)


def random_rotations(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n, 3, 3) rotations, uniform over all (normalised Gaussian quaternions)."""
    q = rng.standard_normal((n, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def _look_at(rng: np.random.Generator, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place hands before a camera that looks at them, turned upright as crops are.

    Returns (n, 21, 2) directions and (n, 21, 3) joints in the same axes.
    """
    n = len(joints)
    depth = np.exp(rng.uniform(np.log(_NEAREST_MM), np.log(_FARTHEST_MM), n))
    # A crop is centred on the box of its keypoints, more or less.
    placed = joints - (joints.min(axis=1, keepdims=True) + joints.max(axis=1, keepdims=True)) / 2
    placed[..., :2] += rng.normal(0, 6.0, (n, 1, 2))
    placed[..., 2] += depth[:, None]
    near = placed[..., 2].min(axis=1)
    placed[..., 2] += np.maximum(60.0 - near, 0)[:, None]
    rays = placed[..., :2] / placed[..., 2:]
    up = rays[:, KNUCKLES].mean(axis=1) - rays[:, Joint.WRIST]
    angle = np.arctan2(up[:, 0], -up[:, 1]) + rng.normal(0, 0.2, n)
    turned = rng.random(n) < 0.05
    angle[turned] = rng.uniform(-np.pi, np.pi, turned.sum())
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.zeros((n, 3, 3))  # crop axes as columns
    turn[:, 0, 0], turn[:, 0, 1] = cos, -sin
    turn[:, 1, 0], turn[:, 1, 1] = sin, cos
    turn[:, 2, 2] = 1
    return rays @ turn[:, :2, :2], placed @ turn


def _errors(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n, 21) expected keypoint errors as shares of the extent: a level per hand, some joints lost.

    Lost joints stand for what is hidden: their keypoint says little and its sigma says so.
    """
    level = np.exp(rng.uniform(np.log(_SMALLEST_ERROR), np.log(_LARGEST_ERROR), (n, 1)))
    errors = level * np.exp(rng.normal(0, 0.4, (n, N_JOINTS)))
    finger = rng.integers(0, 5, n)
    lost = rng.random((n, N_JOINTS)) < 0.05
    whole_finger = np.zeros((n, N_JOINTS), dtype=bool)
    whole_finger[:, 1:] = (np.arange(20) // 4)[None] == finger[:, None]
    lost |= whole_finger & (rng.random((n, 1)) < 0.15)
    return np.where(lost, errors + rng.uniform(0.1, 0.5, (n, N_JOINTS)), errors)
