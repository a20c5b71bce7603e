"""Pairs of hands as the lifter sees them: what the pair stage learns from.

Hands of one person that touch come from ``render.interaction``. Others are merely near each other:
the same pairs drawn apart, and hands of two pairs side by side; without them the stage would bring
everything into touch. All stand before a camera as both hands of a person do, are seen with a
keypoint network's errors (``poses.KeypointNoise``), of which joints behind the other hand have
most, and are lifted, one by one, by a finished lifter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from knuckle.hand import BONES, KNUCKLES, N_JOINTS, Joint, hand_length, unit
from knuckle.models.lifter import Lifter
from knuckle.render.hand_model import MEAN_HAND_LENGTH_MM, HandModel
from knuckle.render.interaction import sample_interactions
from knuckle.render.rotations import rotation_from_vector
from knuckle.train import poses
from knuckle.train.examples import Example

#: Share of pairs that touch; of the others, share of those whose hands are of two pairs.
_TOUCHING, _STRANGERS = 0.5, 0.4
#: Mean way by which hands are drawn apart, mm; least distance of joints of hands that do not touch.
_APART_MM, _CLEAR_MM = 80.0, 14.0
#: Where hands of two pairs are from each other: standard deviations across and along, mm.
_BESIDE_MM = np.array([110.0, 80.0, 110.0])
#: Distance of the pair from the camera, mm, and how far aside it may be, as tangents.
_NEAREST_MM, _FARTHEST_MM, _ASIDE = 220.0, 1800.0, 0.4
#: No joint is nearer to the camera.
_LEAST_DEPTH_MM = 80.0
#: Share of cameras in front of the person, and at the eyes of the person; the rest are anywhere.
_FACED, _OWN_EYES = 0.4, 0.25
#: Spread of sizes about those of the pairs in stock: standard deviation of the logarithm.
_SIZE = 0.06
#: Of fingers and of the palm, mm, for a hand of mean length.
_FINGER_MM, _PALM_MM = 8.0, 12.0
#: What is behind the other hand by less than this is not hidden by it.
_BEHIND_MM = 5.0
_MIRROR = np.array([-1.0, 1.0, 1.0])


class PairBank:
    """A stock of touching pairs, renewed while it is drawn from."""

    def __init__(self, rng: np.random.Generator, size: int, every: int = 200) -> None:
        self._rng, self._every, self._drawn = rng, every, 0
        self._joints = _touching(rng, size)

    def draw(self, n: int) -> np.ndarray:
        """(n, 2, 21, 3) mm: right and left hands, upright before the person, around the origin."""
        self._drawn += 1
        if self._drawn % self._every == 0:
            fresh = max(len(self._joints) // 128, 1)
            rows = self._rng.permutation(len(self._joints))[:fresh]
            self._joints[rows] = _touching(self._rng, fresh)
        return self._joints[self._rng.integers(0, len(self._joints), n)]


def _touching(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n, 2, 21, 3) right and left hands that touch."""
    model, pairs = HandModel.load(), sample_interactions(rng, n)
    return np.stack([model.joints(hands) for hands in (pairs.right, pairs.left)], axis=1)


@dataclass(frozen=True, eq=False)
class HandPairs:
    """N pairs: a right and a left hand each."""

    #: (N, 2, 21, 2) directions in the view of each hand's crop, as a network gives them.
    rays: np.ndarray
    sigma: np.ndarray  # (N, 2, 21) their expected error
    joints_mm: np.ndarray  # (N, 2, 21, 3) true joints in the camera
    R_camera_from_view: np.ndarray  # (N, 2, 3, 3); of left hands a reflection


def sample_pairs(
    rng: np.random.Generator, n: int, bank: PairBank, noise: poses.KeypointNoise
) -> HandPairs:
    """N pairs of hands that touch or are near each other.

    Touching hands come from the bank; the noise of keypoints is that of ``poses.upright_noise``.
    """
    posed = bank.draw(n)
    near = rng.random(n) >= _TOUCHING
    posed[near] = drawn_apart(rng, posed[near], bank.draw(int(near.sum())))
    return see(rng, before_camera(rng, posed), noise)


def see(rng: np.random.Generator, joints_mm: np.ndarray, noise: poses.KeypointNoise) -> HandPairs:
    """Pairs (N, 2, 21, 3) in the camera as a keypoint network sees them."""
    n = len(joints_mm)
    as_right = joints_mm.copy()
    as_right[:, 1] *= _MIRROR
    turns = crop_views(rng, as_right)
    seen = (as_right @ turns).reshape(2 * n, N_JOINTS, 3)
    rays = seen[..., :2] / seen[..., 2:]
    scatter = scatter_of(rng, rays.reshape(n, 2, N_JOINTS, 2), joints_mm).reshape(2 * n, N_JOINTS)
    rays, sigma = noise(rng, rays, scatter)
    turns[:, 1] = _MIRROR[:, None] * turns[:, 1]
    return HandPairs(
        rays=rays.reshape(n, 2, N_JOINTS, 2).astype(np.float32),
        sigma=sigma.reshape(n, 2, N_JOINTS).astype(np.float32),
        joints_mm=joints_mm.astype(np.float32),
        R_camera_from_view=turns.astype(np.float32),
    )


def crop_views(rng: np.random.Generator, joints: np.ndarray) -> np.ndarray:
    """(..., 3, 3) camera from the view of the crop around each right hand (..., 21, 3)."""
    rays = joints[..., :2] / joints[..., 2:]
    middle = (rays.min(axis=-2) + rays.max(axis=-2)) / 2
    up = rays[..., KNUCKLES, :].mean(axis=-2) - rays[..., Joint.WRIST, :]
    angle = np.arctan2(up[..., 0], -up[..., 1]) + rng.normal(0, 0.015, up.shape[:-1])
    down = np.stack([-np.sin(angle), np.cos(angle), np.zeros_like(angle)], axis=-1)
    z = np.concatenate([middle, np.ones_like(middle[..., :1])], axis=-1)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    y = down - (down * z).sum(axis=-1, keepdims=True) * z
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    return np.stack([np.cross(y, z), y, z], axis=-1)


def scatter_of(rng: np.random.Generator, points: np.ndarray, joints_mm: np.ndarray) -> np.ndarray:
    """(N, 2, 21) how badly joints are seen; see ``poses.sample_scatter``.

    Of upright hands' keypoints (N, 2, 21, 2) and joints (N, 2, 21, 3) in the camera: what lies
    behind the other hand is hidden.
    """
    scatter = poses.sample_scatter(rng, points.reshape(-1, N_JOINTS, 2)).reshape(points.shape[:-1])
    hidden = hidden_by_other(joints_mm)
    return np.where(hidden, np.maximum(scatter, poses.HIDDEN_SCATTER), scatter)


@torch.no_grad()
def lifted_pairs(lifter: Lifter, pairs: HandPairs) -> Example:
    """Pairs as the pair stage meets them: every hand lifted, then seen from either hand's view.

    Returns:
        2 N rows, one for each hand, which is the own one there, all in the axes of its view:
        lifted_mm (2N, 2, 21, 3), lifted_sigma_mm (2N, 2, 21), rays (2N, 2, 21, 2), sigma
        (2N, 2, 21), and the truth apart_mm (2N, 3) as in ``PairOutput``.
    """
    rays, sigma = (torch.from_numpy(a).flatten(0, 1) for a in (pairs.rays, pairs.sigma))
    unseen = torch.zeros(len(rays), N_JOINTS, lifter.settings.feature_size)
    said = lifter(rays, sigma, unseen)
    joints = said.joints_mm.unflatten(0, (-1, 2)).numpy()
    sigma_mm = said.log_sigma_mm.exp().unflatten(0, (-1, 2)).numpy()
    turns = pairs.R_camera_from_view
    rows = []
    for own, other in ((0, 1), (1, 0)):
        both = [own, other]
        other_to_own = (turns[:, own].swapaxes(-1, -2) @ turns[:, other])[:, None]
        turn = np.concatenate([np.broadcast_to(np.eye(3, dtype=np.float32), other_to_own.shape),
                               other_to_own], axis=1).swapaxes(-1, -2)  # fmt: skip
        ahead = np.concatenate([pairs.rays, np.ones_like(pairs.rays[..., :1])], axis=-1)
        ahead = ahead[:, both] @ turn
        wrists = pairs.joints_mm[:, :, 0] @ turns[:, own]  # (N, 2, 3) in the own view
        rows.append(
            {
                "lifted_mm": joints[:, both] @ turn,
                "lifted_sigma_mm": sigma_mm[:, both],
                "rays": ahead[..., :2] / ahead[..., 2:],
                "sigma": pairs.sigma[:, both],
                "apart_mm": wrists[:, other] - wrists[:, own],
            }
        )
    return {key: np.stack([row[key] for row in rows], axis=1).reshape(-1, *rows[0][key].shape[1:])
            for key in rows[0]}  # fmt: skip


def drawn_apart(rng: np.random.Generator, pairs: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pairs (n, 2, 21, 3) that no longer touch, some with the left hands of the ``others``."""
    n = len(pairs)
    pairs = pairs.copy()
    strangers = rng.random(n) < _STRANGERS
    pairs[strangers, 1] = _beside(rng, pairs[strangers], others[strangers])
    palms = pairs[:, :, KNUCKLES].mean(axis=2)  # (n, 2, 3)
    away = unit(unit(palms[:, 1] - palms[:, 0]) + rng.normal(0, 0.6, (n, 3)))
    pairs[:, 1] += (rng.exponential(_APART_MM, n)[:, None] * away)[:, None]
    for _ in range(8):  # nor do they pass through each other
        gaps = np.linalg.norm(pairs[:, 0, :, None] - pairs[:, 1, None], axis=-1)
        close = gaps.min(axis=(1, 2)) < _CLEAR_MM
        pairs[close, 1] += (20.0 * away[close])[:, None]
    return pairs


def _beside(rng: np.random.Generator, pairs: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, 21, 3) the others' left hands, of one size with the pairs' right ones, near these."""
    lengths = [hand_length(hands) for hands in (pairs[:, 0], others[:, 1])]
    left = (others[:, 1] - others[:, 1, :1]) * (lengths[0] / lengths[1])[:, None, None]
    return left + pairs[:, 0, :1] + rng.normal(0, _BESIDE_MM, (len(pairs), 1, 3))


def before_camera(rng: np.random.Generator, pairs: np.ndarray) -> np.ndarray:
    """Pairs (n, 2, 21, 3), of other sizes, turned and put before a camera that looks at them."""
    n = len(pairs)
    middle = pairs.mean(axis=(1, 2), keepdims=True)
    size = np.exp(rng.normal(0, _SIZE, (n, 1, 1, 1)))
    turned = size * ((pairs - middle) @ _looks_at(rng, n)[:, None].swapaxes(-1, -2))
    depth = np.exp(rng.uniform(np.log(_NEAREST_MM), np.log(_FARTHEST_MM), (n, 1)))
    aside = np.concatenate([rng.uniform(-_ASIDE, _ASIDE, (n, 2)), np.ones((n, 1))], axis=1)
    placed = turned + (aside * depth)[:, None, None]
    short = _LEAST_DEPTH_MM - placed[..., 2].min(axis=(1, 2))
    placed[..., 2] += np.maximum(short, 0.0)[:, None, None]
    return placed


def _looks_at(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n, 3, 3) from the person's frame to the camera's."""
    kind = rng.random(n)
    faced, own = kind < _FACED, (kind >= _FACED) & (kind < _FACED + _OWN_EYES)
    yaw = np.where(faced, rng.normal(0, 0.7, n), np.pi + rng.normal(0, 0.35, n))
    pitch = np.where(faced, rng.normal(0.1, 0.35, n), rng.normal(0.75, 0.3, n))
    roll = rng.normal(0, 0.15, n)
    x, y, z = np.eye(3)
    usual = (
        rotation_from_vector(roll[:, None] * z)
        @ rotation_from_vector(pitch[:, None] * x)
        @ rotation_from_vector(yaw[:, None] * y)
    )
    axis = rng.normal(0, 1, (n, 4))  # a random quaternion is a random turn
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    half = np.arccos(np.clip(axis[:, :1], -1, 1))
    any_turn = rotation_from_vector(2 * half * unit(axis[:, 1:]))
    return np.where((faced | own)[:, None, None], usual, any_turn)


def hidden_by_other(joints_mm: np.ndarray) -> np.ndarray:
    """Which joints of each hand lie behind the other hand: (N, 2, 21, 3) -> (N, 2, 21) bool.

    A hand is taken as balls along its bones and over its palm.
    """
    hidden = np.zeros(joints_mm.shape[:-1], dtype=bool)
    for own, other in ((0, 1), (1, 0)):
        balls, radius = _balls(joints_mm[:, other])
        own_mm = joints_mm[:, own]
        distance = np.linalg.norm(own_mm, axis=-1, keepdims=True)
        along = own_mm / distance @ balls.swapaxes(-1, -2)  # (N, 21, B)
        off = np.maximum((balls**2).sum(axis=-1)[:, None] - along**2, 0.0)
        before = along < distance - _BEHIND_MM
        hidden[:, own] = (before & (off < radius[:, None] ** 2)).any(axis=-1)
    return hidden


def _balls(joints_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles (N, B, 3) and radii (N, B) of balls that make up hands (N, 21, 3)."""
    start, end = joints_mm[:, BONES[:, 0]], joints_mm[:, BONES[:, 1]]
    shares = np.array([0.25, 0.5, 0.75, 1.0])[:, None, None, None]
    balls = np.moveaxis(start + shares * (end - start), 0, 1)  # (N, 4, 20, 3)
    palm = np.where(BONES[:, 0] == Joint.WRIST, _PALM_MM, _FINGER_MM)
    size = hand_length(joints_mm) / MEAN_HAND_LENGTH_MM
    radius = size[:, None, None] * np.broadcast_to(palm, balls.shape[1:3])
    n = len(joints_mm)
    return balls.reshape(n, -1, 3), radius.reshape(n, -1)
