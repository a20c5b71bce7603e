"""Hands that move, seen with the errors that the shipped networks make: raw estimates with truth.

The errors are of two kinds, as measured on the shipped clip (``measure_noise``, printed by
``python benchmarks/smoothing.py --noise``). What a network gets wrong about a pose it gets wrong
again in the next frame, and it changes only as the pose does: a function of the way that the pose
has come, here a random one (Fourier features of a Matérn kernel). No filter can take it away. On
top lies what changes from frame to frame. Keypoints and lifted shapes with such errors go through
the real ``pose/placement.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from knuckle.camera import Camera
from knuckle.demo import __path__ as demo_folder
from knuckle.hand import N_JOINTS
from knuckle.pose import confidence, placement
from knuckle.pose.duplicates import extent_px
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.poses import HandMotion, sample_motion, sample_poses
from knuckle.render.scene import sample_view
from knuckle.results import HandPose

CAMERA = Camera.from_fov(1280, 720, 65.0)
#: (21,) how the error grows from the wrist (and the bases) to the tips, RMS 1.
GROWTH = np.array([0.7, *[0.6, 0.85, 1.1, 1.5] * 5])
GROWTH /= np.sqrt(np.mean(GROWTH**2))


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a network's errors: (what follows the pose, what is new each frame).

    Attributes:
        keypoint: per axis, share of the hand's longer side in the picture.
        depth_mm: of a joint, relative to the wrist, along the line of sight.
        across_mm: the same across it.
        scale: of the logarithm of the lifted hand's size.
        reach_mm: after the joints have moved so far (RMS, relative to the wrist), the part that
            follows the pose is another one.
        claimed: how much of the errors the networks own up to.
        claim_spread: of the logarithm of that.
        bad: share of looks that are bad, in runs of two on average.
        missed: share of frames that begin a gap of one to six frames.
    """

    keypoint: tuple[float, float] = (0.037, 0.004)
    depth_mm: tuple[float, float] = (12.0, 1.2)
    across_mm: tuple[float, float] = (5.0, 0.8)
    scale: tuple[float, float] = (0.02, 0.003)
    reach_mm: float = 25.0
    claimed: float = 0.68
    claim_spread: tuple[float, float] = (0.3, 0.05)
    bad: float = 0.02
    missed: float = 0.01


@dataclass(frozen=True, eq=False)
class Clip:
    """One hand, frame by frame.

    Attributes:
        time_s: (F,).
        joints_mm: (F, 21, 3) where it truly is.
        poses: F raw estimates, None where the hand was missed.
    """

    time_s: np.ndarray
    joints_mm: np.ndarray
    poses: list[HandPose | None]

    @property
    def seen(self) -> np.ndarray:
        """(S,) frames with an estimate."""
        return np.array([i for i, pose in enumerate(self.poses) if pose is not None])


def moving(seed: int, frames: int = 300, fps: float = 30.0, noise: Noise | None = None) -> Clip:
    """A hand that goes from pose to pose, as ``render.poses.sample_motion`` says."""
    rng = np.random.default_rng(seed)
    return seen_with(rng, _placed(rng, sample_motion(rng, frames, fps)), fps, noise or Noise())


def still(seed: int, frames: int = 150, fps: float = 30.0, noise: Noise | None = None) -> Clip:
    """A hand at rest, without bad looks."""
    rng = np.random.default_rng(seed)
    joints_mm = np.repeat(_placed(rng, _resting(rng, 1)), frames, axis=0)
    return seen_with(rng, joints_mm, fps, replace(noise or Noise(), bad=0.0, missed=0.0))


def stepping(
    seed: int, change: str, frames: int = 60, fps: float = 30.0, noise: Noise | None = None
) -> Clip:
    """A hand at rest that is another one from the middle frame on, without bad looks.

    Args:
        seed: of pose, place and noise.
        change: "across" (60 mm in the picture), "nearer" (15 % of the distance), "turn" (30°
            about the line of sight) or "fingers" (another pose).
        frames, fps: length and rate.
        noise: what the networks get wrong.
    """
    rng = np.random.default_rng(seed)
    motion = _resting(rng, 2)
    if change == "fingers":
        motion = replace(motion, pose_deg=sample_poses(rng, 2))
    joints_mm = _placed(rng, motion)
    root_mm = joints_mm[1, 0].copy()
    if change == "across":
        joints_mm[1] += (60.0, 0.0, 0.0)
    elif change == "nearer":
        joints_mm[1] -= 0.15 * root_mm
    elif change == "turn":
        cos, sin = np.cos(np.radians(30)), np.sin(np.radians(30))
        turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        joints_mm[1] = (joints_mm[1] - root_mm) @ turn.T + root_mm
    joints_mm = np.repeat(joints_mm, frames // 2, axis=0)
    return seen_with(rng, joints_mm, fps, replace(noise or Noise(), bad=0.0, missed=0.0))


def seen_with(
    rng: np.random.Generator,
    joints_mm: np.ndarray,
    fps: float,
    noise: Noise,
    camera: Camera = CAMERA,
) -> Clip:
    """What the pipeline makes of a hand (F, 21, 3) with such networks."""
    frames = len(joints_mm)
    way_mm = _way(joints_mm)
    size_px = _longer_side(camera.project(joints_mm))[:, None, None]

    def errors(sigma: tuple[float, float], *shape: int) -> np.ndarray:
        slow = _along(rng, way_mm / noise.reach_mm, int(np.prod(shape))).reshape(frames, *shape)
        return sigma[0] * slow + sigma[1] * rng.standard_normal((frames, *shape))

    growth = GROWTH[:, None]
    points_px = camera.project(joints_mm) + errors(noise.keypoint, 21, 2) * growth * size_px
    shape_mm = joints_mm - joints_mm[:, :1]
    shape_mm[..., :2] += errors(noise.across_mm, 21, 2) * growth
    shape_mm[..., 2:] += errors(noise.depth_mm, 21, 1) * growth
    shape_mm = (shape_mm - shape_mm[:, :1]) * np.exp(errors(noise.scale, 1, 1))
    claim = noise.claimed * np.exp(errors(noise.claim_spread, 2, N_JOINTS))
    sigma_px = claim[:, 0] * np.hypot(*noise.keypoint) * GROWTH * size_px[..., 0]
    sigma_mm = claim[:, 1] * np.hypot(*noise.depth_mm) * GROWTH
    score = np.full(frames, 0.97)
    for i in _runs(rng, frames, noise.bad, mean=2):  # keypoints fall together, or go astray
        astray = rng.normal(0, 0.15, (N_JOINTS, 2)) * size_px[i]
        points_px[i] = points_px[i].mean(axis=0) + 0.6 * (points_px[i] - points_px[i].mean(axis=0))
        points_px[i] += astray
        sigma_px[i] *= 3
        score[i] = rng.uniform(0.3, 0.8)
    poses: list[HandPose | None] = [
        _pose(*given, camera)
        for given in zip(points_px, sigma_px, shape_mm, sigma_mm, score, strict=True)
    ]
    for i in _runs(rng, frames, noise.missed, mean=3):
        poses[i] = None
    return Clip(np.arange(frames) / fps, joints_mm, poses)


def _pose(
    points_px: np.ndarray,
    sigma_px: np.ndarray,
    shape_mm: np.ndarray,
    sigma_mm: np.ndarray,
    score: float,
    camera: Camera,
) -> HandPose:
    """Placed as in ``pipeline.Stages.poses``."""
    evidence = placement.Evidence(
        shape_mm[None], sigma_mm[None], camera.rays(points_px)[None], sigma_px[None] / camera.fx
    )
    return HandPose(
        side="right",
        side_score=1.0,
        score=score,
        joints_px=points_px,
        joints_mm=placement.fuse(evidence, placement.place(evidence))[0],
        joint_score=confidence.score_of(sigma_px / max(float(extent_px(points_px)), 1.0)),
        visible=np.ones(N_JOINTS, bool),
        joint_sigma_mm=sigma_mm,
        camera=camera,
    )


def _resting(rng: np.random.Generator, frames: int) -> HandMotion:
    return HandMotion(
        np.repeat(sample_poses(rng, 1), frames, axis=0),
        np.tile(np.eye(3, dtype=np.float32), (frames, 1, 1)),
        np.zeros((frames, 3), np.float32),
    )


def _placed(rng: np.random.Generator, motion: HandMotion) -> np.ndarray:
    """(F, 21, 3) somebody's hand before the camera, mm."""
    model, frames = HandModel.load(), len(motion.pose_deg)
    params = HandParameters(
        pose_deg=motion.pose_deg,
        shape=np.repeat(sample_shapes(rng, 1, model.n_shape), frames, axis=0),
        R_camera_from_hand=sample_view(rng) @ motion.R_start_from_hand,
        root_mm=rng.uniform((-120, -60, 380), (120, 120, 700)) + motion.offset_mm,
    )
    return model.joints(params).astype(np.float64)


def _way(joints_mm: np.ndarray) -> np.ndarray:
    """(F,) how far the joints have moved since the start, RMS, relative to the wrist."""
    step = np.diff(joints_mm - joints_mm[:, :1], axis=0)
    return np.concatenate([[0.0], np.cumsum(np.sqrt((step**2).sum(axis=-1).mean(axis=-1)))])


def _along(rng: np.random.Generator, way: np.ndarray, count: int, features: int = 24) -> np.ndarray:
    """(F, count) random functions of the way (F,), unit variance, Matérn kernel of order 3/2."""
    frequency = rng.standard_t(3, (features, count))  # its spectrum is Student's
    phase = rng.uniform(0, 2 * np.pi, (features, count))
    waves = np.cos(way[:, None, None] * frequency + phase)  # (F, features, count)
    return np.sqrt(2 / features) * waves.sum(axis=1)


def _runs(rng: np.random.Generator, frames: int, share: float, mean: int) -> list[int]:
    """Frames in short runs; the first half second is spared, so that every track begins."""
    begins = np.flatnonzero(rng.random(frames) < share / mean)
    lengths = rng.integers(1, 2 * mean, len(begins))
    runs = [range(i, i + n) for i, n in zip(begins, lengths, strict=True)]
    return sorted({i for run in runs for i in run if 15 <= i < frames - 1})


def _longer_side(points_px: np.ndarray) -> np.ndarray:
    return np.ptp(points_px, axis=-2).max(axis=-1)
