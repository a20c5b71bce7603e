"""Moving hands as the lifter sees them, frame by frame: what the temporal stage learns from.

Hands move as ``render.poses.sample_motion`` says, before cameras of any frame rate, and are now and
then lost for some frames. Each frame is seen through the crop that the frame before predicts. What
a network gets wrong about a pose it gets wrong again in the next frame, and its error changes only
as the pose does; so errors are smooth random functions of the way that the joints have come, with a
small part that is new in every frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knuckle.hand import KNUCKLES, N_JOINTS, Joint
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.poses import sample_motion
from knuckle.train import poses

#: Frames a second, and the chance that a look fails and the hand is lost for up to so many.
_FPS = (15.0, 24.0, 25.0, 30.0, 30.0, 50.0, 60.0)
_LOST, _LOST_FRAMES = 0.015, 8
#: Distance of the hand at the start, mm, and how far aside it may be, as tangents.
_NEAREST_MM, _FARTHEST_MM, _ASIDE = 250.0, 1500.0, 0.4
#: After the joints have come so far (RMS, relative to the wrist), an error is another one; share of
#: its standard deviation that is new in every frame. Measured on the shipped networks.
_REACH_MM, _NEW = 25.0, 0.1
#: How badly the joints of a followed hand are seen, see ``poses.sample_scatter``: better than those
#: of any hand at all, as its crop fits.
_LEAST_SCATTER, _MOST_SCATTER = 0.01, 0.3
#: Share of clips in which something is hidden for a while.
_HIDDEN = 0.6
_WAVES = 24


@dataclass(frozen=True, eq=False)
class Motions:
    """N hands over T frames.

    Attributes:
        rays: (N, T, 21, 2) directions in the view of each frame's crop, as a network gives them.
        sigma: (N, T, 21) their expected error.
        joints_mm: (N, T, 21, 3) true joints relative to the wrist, in the axes of the view.
        root_mm: (N, T, 3) the wrist, in the axes of the camera.
        dt_s: (N, T) time since the frame before; that of the first is the usual one.
        R_camera_from_view: (N, T, 3, 3).
    """

    rays: np.ndarray
    sigma: np.ndarray
    joints_mm: np.ndarray
    root_mm: np.ndarray
    dt_s: np.ndarray
    R_camera_from_view: np.ndarray


def sample_motions(
    rng: np.random.Generator,
    n: int,
    frames: int,
    bank: poses.PoseBank,
    model: HandModel,
    noise: poses.KeypointNoise,
    fps: float | None = None,
) -> Motions:
    """N moving right hands.

    Args:
        rng: source of randomness.
        n: how many.
        frames: of each.
        bank: where the poses come from between which they move.
        model: the hand.
        noise: of single frames; see ``poses.upright_noise``.
        fps: of all clips, none of whose frames is lost; by default each has its own.
    """
    clips = [_clip(rng, frames, bank, model, fps) for _ in range(n)]
    joints = np.stack([clip[0] for clip in clips])  # (N, T, 21, 3) in the camera
    turns = _views(rng, joints)
    seen = joints @ turns  # in the axes of the view
    rays = seen[..., :2] / seen[..., 2:]
    errors = np.stack([_errors(rng, clip) for clip in joints])
    scatter = np.stack([_scatter(rng, clip) for clip in rays])
    flat = (n * frames, N_JOINTS)
    rays, sigma = noise(
        rng, rays.reshape(*flat, 2), scatter.reshape(flat), errors.reshape(*flat, 2)
    )
    return Motions(
        rays=rays.reshape(n, frames, N_JOINTS, 2).astype(np.float32),
        sigma=sigma.reshape(n, frames, N_JOINTS).astype(np.float32),
        joints_mm=(seen - seen[:, :, :1]).astype(np.float32),
        root_mm=joints[:, :, 0].astype(np.float32),
        dt_s=np.stack([clip[1] for clip in clips]).astype(np.float32),
        R_camera_from_view=turns.astype(np.float32),
    )


def _clip(
    rng: np.random.Generator,
    frames: int,
    bank: poses.PoseBank,
    model: HandModel,
    fps: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Joints (T, 21, 3) of one hand in the camera, and the time (T,) since the frame before."""
    lost = np.where(rng.random(frames) < _LOST, rng.integers(1, _LOST_FRAMES + 1, frames), 0)
    steps = np.ones(frames, dtype=int) if fps is not None else 1 + lost
    fps = float(rng.choice(_FPS)) if fps is None else fps
    # The motion starts at rest: begin somewhere in its first second.
    index = np.cumsum(steps) - steps[0] + int(rng.integers(0, round(fps)))
    motion = sample_motion(rng, int(index[-1]) + 1, fps, draw=bank.draw)
    depth = float(np.exp(rng.uniform(np.log(_NEAREST_MM), np.log(_FARTHEST_MM))))
    start = np.array([*rng.uniform(-_ASIDE, _ASIDE, 2), 1.0]) * depth
    joints = model.joints(
        HandParameters(
            pose_deg=motion.pose_deg[index],
            shape=np.repeat(sample_shapes(rng, 1, model.n_shape), frames, axis=0),
            R_camera_from_hand=bank.draw_views(1) @ motion.R_start_from_hand[index],
            root_mm=start + motion.offset_mm[index],
        )
    )
    joints[..., 2] += max(0.0, 100.0 - float(joints[..., 2].min()))
    return joints, steps / fps


def _views(rng: np.random.Generator, joints: np.ndarray) -> np.ndarray:
    """(N, T, 3, 3) camera from the view of each frame's crop, which the frame before predicts."""
    return crop_views(rng, np.concatenate([joints[:, :1], joints[:, :-1]], axis=1))


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


def _errors(rng: np.random.Generator, joints: np.ndarray) -> np.ndarray:
    """(T, 21, 2) unit errors of a clip (T, 21, 3): what follows the pose, and what is new."""
    step = np.diff(joints - joints[:, :1], axis=0)
    way = np.concatenate([[0.0], np.cumsum(np.sqrt((step**2).sum(axis=-1).mean(axis=-1)))])
    # Random Fourier features of a Matérn kernel of order 3/2, whose spectrum is Student's.
    frequency = rng.standard_t(3, (_WAVES, N_JOINTS * 2)) / _REACH_MM
    phase = rng.uniform(0, 2 * np.pi, frequency.shape)
    slow = np.sqrt(2 / _WAVES) * np.cos(way[:, None, None] * frequency + phase).sum(axis=1)
    new = rng.standard_normal(slow.shape)
    return (np.sqrt(1 - _NEW**2) * slow + _NEW * new).reshape(-1, N_JOINTS, 2)


def _scatter(rng: np.random.Generator, rays: np.ndarray) -> np.ndarray:
    """(T, 21) how badly the joints of a clip (T, 21, 2) are seen; something may be hidden."""
    frames = len(rays)
    level = float(np.exp(rng.uniform(np.log(_LEAST_SCATTER), np.log(_MOST_SCATTER))))
    clear, hidden = poses.sample_scatter(rng, np.repeat(rays[frames // 2][None], 2, axis=0), level)
    begin, end = np.sort(rng.integers(-frames // 2, frames + frames // 2, 2))
    during = (np.arange(frames) >= begin) & (np.arange(frames) < end)
    clear = np.minimum(clear, 4 * level)  # nothing is hidden all the time
    if rng.random() > _HIDDEN:
        return np.repeat(clear[None], frames, axis=0)
    hidden = np.where(hidden > 4 * level, hidden, clear)
    return np.where(during[:, None], hidden, clear)
