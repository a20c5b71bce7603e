"""Moving hands with the errors that the shipped networks make: raw estimates with truth.

The networks' answer is a wrong hand, but a hand: bones point a little elsewhere, more so towards
the tips, and mostly in depth; their lengths are about right, and keypoints and lifted shape agree.
There are two kinds of error. What a network gets wrong about a pose it gets wrong again in the next
frame, and it changes only as the pose does: here a random function of the path of the pose (Fourier
features of a Matérn kernel), which no filter can remove. Added to it is noise that is new in each
frame. Both magnitudes were measured on the shipped clip
(``python benchmarks/smoothing.py --noise``). Keypoints and lifted shapes with such errors go
through the real ``pose/placement.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from knuckle.camera import Camera
from knuckle.hand import BONES, N_BONES, N_JOINTS, extent_px
from knuckle.pose import confidence, placement
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.poses import HandMotion, sample_motion, sample_poses
from knuckle.render.scene import sample_view
from knuckle.results import HandPose

CAMERA = Camera.from_fov(1280, 720, 65.0)
Errors = Callable[..., np.ndarray]
#: (20,) how the errors of bones' directions grow along the fingers, and (21,) those of joints.
BONE_GROWTH = np.tile([0.45, 0.9, 1.05, 1.4], 5)
JOINT_GROWTH = np.array([0.7, *[0.6, 0.85, 1.1, 1.4] * 5])
#: Share of the variance of a bone's direction that is common to its finger.
_COMMON = 0.65


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a network's errors: (what follows the pose, what is new each frame).

    Attributes:
        across, depth: of a bone's direction, radians across the line of sight and along it.
        length: of the logarithm of a bone's length.
        scale: of the logarithm of the whole hand's size.
        shift: of the whole hand in the picture, share of its longer side there.
        keypoint: of a keypoint beside the lifted joint, likewise.
        reach_mm: after the joints have moved so far (RMS, relative to the wrist), the part that
            follows the pose is another one.
        claimed_px, claimed_mm: expected errors that the networks claim, mean over the joints: share
            of the hand's longer side, mm.
        claim: of the logarithms of these.
        bad: share of looks that are bad, in runs of two on average.
        missed: share of frames without a hand, in runs of three on average.
    """

    across: tuple[float, float] = (0.06, 0.01)
    depth: tuple[float, float] = (0.27, 0.022)
    length: tuple[float, float] = (0.07, 0.02)
    scale: tuple[float, float] = (0.03, 0.003)
    shift: tuple[float, float] = (0.012, 0.001)
    keypoint: tuple[float, float] = (0.02, 0.003)
    reach_mm: float = 25.0
    claimed_px: float = 0.024
    claimed_mm: float = 9.5
    claim: tuple[float, float] = (0.4, 0.09)
    bad: float = 0.02
    missed: float = 0.02


@dataclass(frozen=True, eq=False)
class Clip:
    """One hand, frame by frame.

    Attributes:
        time_s: (F,).
        joints_mm: (F, 21, 3) where it truly is.
        poses: F raw estimates, None where the hand was missed.
        shown: (F,) bool, where the whole hand is in the picture; everywhere by default.
    """

    time_s: np.ndarray
    joints_mm: np.ndarray
    poses: list[HandPose | None]
    shown: np.ndarray | None = None

    @property
    def seen(self) -> np.ndarray:
        """(S,) frames with an estimate."""
        return np.array([i for i, pose in enumerate(self.poses) if pose is not None])

    @property
    def scored(self) -> np.ndarray:
        """(S,) those of them that show the whole hand."""
        return self.seen if self.shown is None else self.seen[self.shown[self.seen]]


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
    seed: int, change: str, frames: int = 170, fps: float = 30.0, noise: Noise | None = None
) -> Clip:
    """A hand at rest that is another one from the middle frame on, without bad looks.

    Args:
        seed: of pose, place and noise.
        change: "across" (60 mm in the picture), "nearer" (15 % of the distance), "turn" (30°
            about the line of sight) or "fingers" (another pose).
        frames: length.
        fps: rate.
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
    frames, size_px = len(joints_mm), _longer_side(camera.project(joints_mm))[:, None, None]
    way = _way(joints_mm) / noise.reach_mm

    def errors(sigma: tuple[float, float], *shape: int) -> np.ndarray:
        slow = _along(rng, way, int(np.prod(shape))).reshape(frames, *shape)
        return sigma[0] * slow + sigma[1] * rng.standard_normal((frames, *shape))

    shape_mm = _misjudged(joints_mm, noise, errors)
    points_px = camera.project(shape_mm + joints_mm[:, :1]) + size_px * (
        errors(noise.shift, 1, 2) + errors(noise.keypoint, N_JOINTS, 2)
    )
    shape_mm *= np.exp(errors(noise.scale, 1, 1))
    claim = np.exp(errors(noise.claim, 2, N_JOINTS)) * JOINT_GROWTH
    sigma_px = noise.claimed_px * claim[:, 0] * size_px[..., 0]
    sigma_mm = noise.claimed_mm * claim[:, 1]
    sigma_mm[:, 0] = 0.5  # the wrist is its own origin
    score = np.full(frames, 0.97)
    for i in _runs(rng, frames, noise.bad, mean=2):  # keypoints fall together, or go astray
        astray = rng.normal(0, 0.15, (N_JOINTS, 2)) * size_px[i]
        points_px[i] = points_px[i].mean(axis=0) + 0.6 * (points_px[i] - points_px[i].mean(axis=0))
        points_px[i] += astray
        sigma_px[i] *= 3
        score[i] = rng.uniform(0.3, 0.8)
    poses = _poses(points_px, sigma_px, shape_mm, sigma_mm, score, camera)
    for i in _runs(rng, frames, noise.missed, mean=3):
        poses[i] = None
    return Clip(np.arange(frames) / fps, joints_mm, poses)


def _misjudged(joints_mm: np.ndarray, noise: Noise, errors: Errors) -> np.ndarray:
    """(F, 21, 3) from the wrist: the wrong hand that the networks see."""
    bones = joints_mm[:, BONES[:, 1]] - joints_mm[:, BONES[:, 0]]
    length = np.linalg.norm(bones, axis=-1, keepdims=True)
    tilt = np.concatenate(
        [_by_finger(errors, noise.across, 2), _by_finger(errors, noise.depth, 1)], axis=-1
    )
    direction = bones / length + tilt * BONE_GROWTH[:, None]
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    bones = direction * length * np.exp(errors(noise.length, N_BONES, 1))
    fingers = np.cumsum(bones.reshape(-1, 5, 4, 3), axis=2).reshape(-1, N_BONES, 3)
    return np.concatenate([np.zeros_like(fingers[:, :1]), fingers], axis=1)


def _by_finger(errors: Errors, sigma: tuple[float, float], axes: int) -> np.ndarray:
    """(F, 20, axes): partly the same for the bones of a finger."""
    own, common = errors(sigma, 5, 4, axes), errors(sigma, 5, 1, axes)
    return (np.sqrt(1 - _COMMON) * own + np.sqrt(_COMMON) * common).reshape(-1, N_BONES, axes)


def _poses(
    points_px: np.ndarray,
    sigma_px: np.ndarray,
    shape_mm: np.ndarray,
    sigma_mm: np.ndarray,
    score: np.ndarray,
    camera: Camera,
) -> list[HandPose | None]:
    """Placed as in ``pipeline.Networks.poses``."""
    evidence = placement.Evidence(shape_mm, sigma_mm, camera.rays(points_px), sigma_px / camera.fx)
    joints_mm = placement.fuse(evidence, placement.place(evidence))
    joint_score = confidence.score_of(sigma_px / np.maximum(extent_px(points_px), 1.0)[:, None])
    return [
        HandPose(
            side="right",
            side_score=1.0,
            score=float(score[i]),
            joints_px=points_px[i],
            joints_mm=joints_mm[i],
            joint_score=joint_score[i],
            visible=np.ones(N_JOINTS, bool),
            joint_sigma_mm=sigma_mm[i],
            camera=camera,
        )
        for i in range(len(score))
    ]


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
