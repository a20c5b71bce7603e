"""Posed hands seen by random cameras: what the lifter learns from before it sees any picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knuckle.data.shown import ShownHands
from knuckle.hand import FINGERS, KNUCKLES, N_JOINTS, Joint
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.poses import constrain, sample_poses
from knuckle.render.rotations import rotation_from_vector
from knuckle.render.scene import sample_view

#: Distances of hands from the camera, mm: arm's length most often.
_NEAREST_MM, _FARTHEST_MM = 180.0, 2000.0
#: Poses and views in stock.
_POSES, _VIEWS = 16384, 8192
#: Share of hands as people show them, if there are any, and by how much those are varied.
_SHOWN, _SHOWN_BEND_DEG, _SHOWN_TURN = 0.5, 5.0, 0.12
#: Scatter of what a keypoint network sees of a joint, as a share of the hand's square: from a
#: sharp close-up to a bad look. Of single joints it differs by this factor (logarithm).
_LEAST_SCATTER, _MOST_SCATTER, _SCATTER_SPREAD = 0.006, 0.7, 0.35
#: What is hidden is not seen at all: its keypoint comes from the rest of the hand.
HIDDEN_SCATTER = 1.0
#: Shares of hands with a hidden finger, with everything beyond some line hidden; of lost joints.
_FINGER_HIDDEN, _PART_HIDDEN, _JOINT_HIDDEN = 0.15, 0.2, 0.02
#: How inexactly a network knows its own errors (standard deviation of the logarithm).
_SIGMA_SPREAD = 0.25
#: A Gaussian error is on average so many standard deviations.
_MEAN_OF_NORMAL = float(np.sqrt(2 / np.pi))


class PoseBank:
    """A stock of poses and views; poses are renewed while they are drawn from.

    Poses that respect anatomy cost more than everything else about a posed hand; each is used
    some times, every time with another shape, view and camera. Hands that people showed to cameras
    (``data/shown.py``) come with the view they were seen from.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        size: int | None = None,
        every: int = 50,
        shown: ShownHands | None = None,
    ) -> None:
        self._rng = rng
        self._shown = shown
        self._every = every
        self._drawn = 0
        self._poses = sample_poses(rng, size or _POSES)
        self._views = np.stack([sample_view(rng) for _ in range(_VIEWS)])

    def draw(self, n: int) -> np.ndarray:
        """(n, 17, 3) degrees."""
        self._drawn += 1
        if self._drawn % self._every == 0:  # many at once: the sampler is quick in large batches
            fresh = len(self._poses) // 32
            self._poses[self._rng.permutation(len(self._poses))[:fresh]] = sample_poses(
                self._rng, fresh
            )
        return self._poses[self._rng.integers(0, len(self._poses), n)]

    def draw_views(self, n: int) -> np.ndarray:
        """(n, 3, 3) ``R_camera_from_hand``: as people show their hands, and any at all."""
        return self._views[self._rng.integers(0, len(self._views), n)]

    def draw_seen(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Poses (n, 17, 3) and views (n, 3, 3); some as people showed them to cameras."""
        poses, views = self.draw(n), self.draw_views(n)
        if self._shown is not None:
            shown = self._rng.random(n) < _SHOWN
            poses[shown], views[shown] = self._show(int(shown.sum()))
        return poses, views

    def _show(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Shown hands, bent and turned a little: there are few of them."""
        assert self._shown is not None
        drawn = self._rng.integers(0, len(self._shown), n)
        poses = self._shown.pose_deg[drawn]
        poses = constrain(poses + (poses != 0) * self._rng.normal(0, _SHOWN_BEND_DEG, poses.shape))
        turn = rotation_from_vector(self._rng.normal(0, _SHOWN_TURN, (n, 3)))
        return poses, turn @ self._shown.R_camera_from_hand[drawn]


@dataclass(frozen=True, eq=False)
class KeypointNoise:
    """Keypoints as a network gives them, in place of true ones.

    A network does not scatter about the truth. It learns to be right on average, so it answers
    with what it expects after what it saw: unsure keypoints are drawn to where they usually are,
    hidden ones follow the rest of the hand, and errors run along fingers. With Gaussians that is
    the Wiener filter. Of keypoints x with mean m and covariance C over all hands, seen with an
    error of covariance N as y = x + n, it says

        x' = m + C (C + N)^-1 (y - m),   with the errors' covariance   C - C (C + N)^-1 C.

    Measured on rendered crops: where the shipped network gives a sigma of 2, 5, 10 and 15 % of the
    hand, the slope of its keypoints over the true ones is 0.97, 0.85, 0.70 and 0.51, that of the
    true ones over its keypoints 1.02, 0.97, 0.93 and 0.88 (noise on the truth has them the other
    way round); errors of neighbours along a finger correlate by 0.65.
    """

    #: (21, 2) of the keypoints of upright hands, in units of the hand's square around its middle.
    mean: np.ndarray
    covariance: np.ndarray  # (2, 21, 21) over the joints, of x and of y

    @classmethod
    def of(cls, points: np.ndarray) -> KeypointNoise:
        """From many upright hands: (n, 21, 2) directions or pixels of any unit."""
        middle, size = _square(points)
        points = (points - middle) / size
        centred = (points - points.mean(axis=0)).transpose(2, 1, 0)  # (2, 21, n)
        covariance = centred @ centred.transpose(0, 2, 1) / len(points)
        return cls(points.mean(axis=0), covariance + 1e-6 * np.eye(N_JOINTS))

    def __call__(
        self, rng: np.random.Generator, points: np.ndarray, scatter: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What a network says about true keypoints (n, 21, 2) of upright hands.

        Their ``scatter`` (n, 21) is that of ``sample_scatter``.

        Returns:
            (n, 21, 2) keypoints and (n, 21) sigma, the error expected per axis, in the unit of
            ``points``.
        """
        middle, size = _square(points)
        # Laplacian: what is seen wrongly is sometimes seen very wrongly.
        errors = rng.laplace(scale=1 / np.sqrt(2), size=points.shape)
        doubt = np.exp(rng.normal(0, _SIGMA_SPREAD, scatter.shape))
        seen = (points - middle) / size - self.mean + scatter[..., None] * errors
        keypoints, variance = np.empty(points.shape), np.zeros(scatter.shape)
        noise = np.eye(N_JOINTS) * np.square(scatter)[:, None]  # (n, 21, 21)
        for axis, covariance in enumerate(self.covariance):
            gain = np.linalg.solve(covariance + noise, covariance).transpose(0, 2, 1)
            keypoints[..., axis] = (gain @ seen[..., axis, None])[..., 0]
            variance += np.diag(covariance) - np.einsum("nij,ji->ni", gain, covariance)
        sigma = doubt * _MEAN_OF_NORMAL * np.sqrt(np.maximum(variance / 2, 1e-8))
        return (keypoints + self.mean) * size + middle, sigma * size[..., 0]


def sample_scatter(
    rng: np.random.Generator, points: np.ndarray, level: float | None = None
) -> np.ndarray:
    """(n, 21) how badly joints of these hands are seen, as a share of the square: hidden ones most.

    Keypoints (n, 21, 2) decide what is hidden together; ``level`` is that of all hands, by default
    each has its own.
    """
    n = len(points)
    levels = np.full((n, 1), level or 0.0)
    if level is None:
        levels = np.exp(rng.uniform(np.log(_LEAST_SCATTER), np.log(_MOST_SCATTER), (n, 1)))
    scatter = levels * np.exp(rng.normal(0, _SCATTER_SPREAD, (n, N_JOINTS)))
    return np.where(_hidden(rng, points), np.maximum(scatter, HIDDEN_SCATTER), scatter)


def _hidden(rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """(n, 21) bool: single joints, a finger, or all that lies beyond some line."""
    n = len(points)
    alone = rng.random((n, N_JOINTS)) < _JOINT_HIDDEN
    finger = np.zeros((n, N_JOINTS), dtype=bool)
    finger[np.arange(n)[:, None], FINGERS[rng.integers(0, len(FINGERS), n)]] = True
    angle = rng.uniform(-np.pi, np.pi, n)
    along = points[..., 0] * np.cos(angle)[:, None] + points[..., 1] * np.sin(angle)[:, None]
    first = rng.integers(N_JOINTS // 2, N_JOINTS, n)  # at most half of the joints are beyond
    beyond = along >= np.sort(along, axis=1)[np.arange(n), first][:, None]
    kind = rng.random((n, 1))
    finger &= kind < _FINGER_HIDDEN
    beyond &= kind > 1 - _PART_HIDDEN
    return alone | finger | beyond


def upright_noise(
    rng: np.random.Generator, bank: PoseBank, model: HandModel, hands: int = 8192
) -> KeypointNoise:
    """The noise of keypoints of hands such as those in a bank."""
    rays, _ = posed_hands(rng, hands, bank, model)
    return KeypointNoise.of(rays)


def posed_batch(
    rng: np.random.Generator,
    n: int,
    bank: PoseBank,
    model: HandModel,
    noise: KeypointNoise,
) -> dict[str, np.ndarray]:
    """N posed right hands as the lifter meets them: a network's directions, true joints.

    Returns:
        rays (n, 21, 2), sigma (n, 21), joints_mm (n, 21, 3) relative to the wrist in the axes of
        the crop's view, joint_weight (n, 21).
    """
    rays, joints = posed_hands(rng, n, bank, model)
    rays, sigma = noise(rng, rays, sample_scatter(rng, rays))
    return {
        "rays": rays.astype(np.float32),
        "sigma": sigma.astype(np.float32),
        "joints_mm": (joints - joints[:, :1]).astype(np.float32),
        "joint_weight": np.ones(sigma.shape, np.float32),
    }


def posed_hands(
    rng: np.random.Generator, n: int, bank: PoseBank, model: HandModel
) -> tuple[np.ndarray, np.ndarray]:
    """Right hands of all shapes before a camera that looks at them, upright.

    Returns (n, 21, 2) directions and (n, 21, 3) joints in the axes of the crop's view, mm.
    """
    poses, views = bank.draw_seen(n)
    params = HandParameters(
        pose_deg=poses,
        shape=sample_shapes(rng, n, model.n_shape),
        R_camera_from_hand=views,
        root_mm=np.zeros((n, 3)),
    )
    return _look_at(rng, model.joints(params))


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
    turn = rotation_from_vector(angle[:, None] * [0.0, 0.0, 1.0])  # crop axes as columns
    return rays @ turn[:, :2, :2], placed @ turn


def _square(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle (n, 1, 2) and side (n, 1, 1) of the squares around points (n, 21, 2)."""
    low, high = points.min(axis=1, keepdims=True), points.max(axis=1, keepdims=True)
    return (low + high) / 2, (high - low).max(axis=-1, keepdims=True)
