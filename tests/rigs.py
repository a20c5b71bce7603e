"""Small rigs, and what their cameras would see of hands that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from dot_world import blank, paint, true_hand
from knuckle.camera import Camera
from knuckle.hand import MEAN_LENGTHS_MM, Side
from knuckle.pose.confidence import score_of
from knuckle.results import HandPose, TrackedHand
from knuckle.rigid import RigidTransform
from knuckle.track.skeleton import joints_from_bones
from knuckle.views import RigHand, RigTracker
from knuckle.views.rig import Rig, RigCamera
from knuckle.views.sync import Followed
from knuckle.views.triangulation import Points

#: Lenses of every kind.
LENSES = (
    Camera(600.0, 610.0, 318.0, 242.0, (0.1, -0.2, 0.001, -0.002, 0.05)),
    Camera(640.0, 640.0, 321.0, 238.0),
    Camera(420.0, 420.0, 319.0, 240.0, (-0.03, 0.01, -0.008, 0.002), fisheye=True),
    Camera(580.0, 590.0, 330.0, 235.0, (-0.28, 0.09, 0.001, -0.0005)),
)
SIZE = (640, 480)
#: Frequencies, Hz, amplitudes, and phases of what moves a hand: never twice the same way.
SWAY = ((0.31, 60.0, 0.0), (0.83, 40.0, 1.0), (1.37, 25.0, 2.0))

#: The hands that each camera of a rig sees.
Views = list[list[TrackedHand]]


def looking_at(centre_mm: Sequence[float], target_mm: Sequence[float]) -> RigidTransform:
    """``T_camera_from_world`` of a camera that looks at a point, with y down."""
    forward = np.subtract(target_mm, centre_mm).astype(float)
    forward /= np.linalg.norm(forward)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    return RigidTransform.from_centre(
        np.stack([right, np.cross(forward, right), forward]), np.asarray(centre_mm, float)
    )


def rig(count: int = 3, spread_deg: float = 40.0, lenses: Sequence[Camera] = LENSES) -> Rig:
    """Cameras on an arc of 600 mm around the origin, each ``spread_deg`` from the next."""
    cameras = []
    for number in range(count):
        angle = np.radians(spread_deg * (number - (count - 1) / 2))
        centre = 600 * np.array([np.sin(angle), -0.1 * number, -np.cos(angle)])
        name, lens = f"cam_{number}", lenses[number % len(lenses)]
        cameras.append(RigCamera(name, lens, looking_at(centre, (0, 0, 0)), SIZE))
    return Rig(tuple(cameras))


def hand_mm(
    rng: np.random.Generator, middle_mm: Sequence[float] = (0, 0, 0), side: Side = "right"
) -> np.ndarray:
    """(21, 3) a hand of mean bones in some pose, around a point of the world."""
    fingers = np.radians([-55, -18, 0, 15, 30]) + rng.normal(0, 0.05, 5)
    bones = []
    for finger in fingers:
        along = np.array([np.sin(finger), -np.cos(finger), 0.0])
        bend = rng.uniform(0.0, 0.5)
        for k in range(4):
            turned = np.cos(bend * k) * along + np.sin(bend * k) * np.array([0.0, 0.0, -1.0])
            bones.append(turned)
    joints = joints_from_bones(np.array(bones), MEAN_LENGTHS_MM)
    if side == "left":
        joints = joints * (-1, 1, 1)
    return joints - joints.mean(axis=0) + np.asarray(middle_mm, float)


def look(
    rig_camera: RigCamera,
    joints_mm: np.ndarray,
    *,
    side: Side = "right",
    track_id: int = 0,
    rng: np.random.Generator | None = None,
    noise: float = 0.01,
    scale: float = 1.0,
) -> TrackedHand:
    """What a camera would say of a hand: keypoints that shake, a depth that is off by ``scale``.

    ``noise`` is the standard deviation of the keypoints per axis, as a share of the hand's extent;
    the scores say so.
    """
    seen = rig_camera.T_camera_from_world(joints_mm)
    joints_px = rig_camera.camera.project(seen)
    extent = float(np.ptp(joints_px, axis=0).max())
    if rng is not None:
        joints_px = joints_px + rng.normal(0, noise * extent, joints_px.shape)
    pose = HandPose(
        side=side,
        side_score=0.97,
        score=0.95,
        joints_px=joints_px,
        joints_mm=seen * scale,
        joint_score=np.full(21, float(score_of(np.array(noise)))),
        visible=np.ones(21, bool),
        joint_sigma_mm=np.full(21, 6.0),
        camera=rig_camera.camera,
    )
    values = {name: getattr(pose, name) for name in pose.__dataclass_fields__}
    return TrackedHand(**values, track_id=track_id, age_s=0.0, raw=pose, velocity_mm_s=np.zeros(3))


def wrong(hand: TrackedHand, shift_px: Sequence[float]) -> TrackedHand:
    """The same look with all keypoints shifted, and as sure as before."""
    raw = replace(hand.raw, joints_px=hand.raw.joints_px + np.asarray(shift_px, float))
    return replace(hand, joints_px=raw.joints_px, raw=raw)


def pictures(rig: Rig, joints_mm: np.ndarray) -> list[np.ndarray]:
    """What the cameras of a rig see of a hand of dots."""
    images = []
    for each in rig.cameras:
        seen = each.T_camera_from_world(joints_mm)
        hand = replace(
            true_hand(each.camera, (0, 0, 600)), joints_mm=seen, joints_px=each.camera.project(seen)
        )
        images.append(paint(blank(*SIZE), [hand]))
    return images


def dots(rig: Rig) -> np.ndarray:
    base = true_hand(rig.cameras[0].camera, (0.0, 0.0, 600.0)).joints_mm
    return base - base.mean(axis=0)


def truth(time_s: float, motion: float = 1.0) -> np.ndarray:
    """(21, 3) of a hand that goes to and fro, turns and closes."""
    waves = np.array([a * np.sin(2 * np.pi * f * time_s + p) for f, a, p in SWAY])
    rest = hand_mm(np.random.default_rng(0))
    turned, _ = cv2.Rodrigues(motion * np.array([0.005, 0.006, 0.008]) * waves)
    shift = motion * np.array([waves[0], waves[1] + 0.5 * waves[2], waves[2]])
    return rest @ turned.T + shift


def watched(
    rig: Rig,
    times_s: Sequence[np.ndarray],
    late_s: Sequence[float],
    *,
    motion: float = 1.0,
    noise: float = 0.006,
    beside: float = 0.015,
    wander: float = 0.0,
    speed: float = 1.0,
    seed: int = 1,
) -> list[Followed]:
    """What cameras see whose clocks show more than it is; keypoints shake, and lie beside.

    Where these lie changes by ``wander``, as a share of the hand like the others, within 0.3 s.
    """
    rng = np.random.default_rng(seed)
    seen = []
    for each, times, late in zip(rig.cameras, times_s, late_s, strict=True):
        off = rng.normal(0, beside * 200, (21, 2))
        hands: list[list[TrackedHand]] = []
        now, kept = rng.normal(0, wander * 200, (21, 2)), np.exp(-np.diff(times)[0] / 0.3)
        for at in times:
            new = rng.normal(0, wander * 200, (21, 2))
            now = kept * now + np.sqrt(1 - kept**2) * new
            hand = look(each, truth(speed * (at - late), motion), rng=rng, noise=noise)
            hands.append([shifted(hand, off + now)])
        seen.append(Followed(each.name, SIZE, each.camera, times, hands))
    return seen


def shifted(hand: TrackedHand, off_px: np.ndarray) -> TrackedHand:
    """The same look with keypoints beside where they were."""
    return replace(hand, raw=replace(hand.raw, joints_px=hand.raw.joints_px + off_px))


def views_of(
    rig: Rig,
    hands: dict[str, np.ndarray],
    rng: np.random.Generator | None = None,
    **options: float,
) -> Views:
    """Every camera sees every hand; in odd cameras they come in the other order."""
    views = []
    for number, each in enumerate(rig.cameras):
        seen = [
            look(each, joints, side=side, track_id=10 * number + i, rng=rng, **options)
            for i, (side, joints) in enumerate(hands.items())
        ]
        views.append(seen[::-1] if number % 2 else seen)
    return views


def met(joints_mm: np.ndarray, sigma_mm: float | np.ndarray) -> Points:
    """Joints as if all rays had met there, each as sure as that along every axis."""
    information = np.eye(3) / np.broadcast_to(sigma_mm, 21)[:, None, None] ** 2
    return Points(joints_mm, information, np.ones((3, 21), bool), np.ones(21))


def follow(
    tracker: RigTracker,
    frames: Callable[[int], Views],
    count: int,
    fps: float = 30.0,
) -> list[list[RigHand]]:
    return [tracker.put_together(frames(i), i / fps) for i in range(count)]
