"""The studio of a synthetic capture: cameras and lamps on a dome that look at the hands.

The studio frame is InterHand2.6M's world: millimetres, y down, the person faces the cameras along
-z and holds the hands near ``CENTRE_MM``, about a metre in front of the middle camera. Numbers that
end up in labels (focal lengths, image sizes, distances, the black room with points of light) are
those of its four public frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.render.stage import Lights
from knuckle.rigid import RigidTransform

#: Where the hands are.
CENTRE_MM = np.array([0.0, -40.0, 1050.0])
#: (width, height) of upright and lying cameras.
UPRIGHT, LYING = (334, 512), (512, 334)
MOST_CAMERAS = 140

#: Where on the dome cameras stand: to the sides and up and down, degrees.
_AZIMUTH_DEG, _ELEVATION_DEG = (-95.0, 95.0), (-30.0, 62.0)
_DISTANCE_MM, _FOCAL_PX = (980.0, 1160.0), (1150.0, 1320.0)
#: The share of cameras that stand upright.
_UPRIGHT_SHARE = 0.75
_FIRST_NAME = 400001


@dataclass(frozen=True, eq=False)
class StudioCamera:
    """One camera of the studio."""

    name: str  # six digits, as InterHand2.6M's; 41xxxx would be a grey one there
    size: tuple[int, int]  # (width, height)
    centre_mm: np.ndarray  # (3,) in the studio
    R_camera_from_studio: np.ndarray  # (3, 3)
    camera: Camera  # intrinsics
    response: np.ndarray  # (256, 3) uint8, what the sensor makes of each channel's values

    @property
    def T_camera_from_studio(self) -> RigidTransform:
        """From the studio to the camera's frame."""
        return RigidTransform.from_centre(self.R_camera_from_studio, self.centre_mm)

    def develop(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What the sensor makes of a picture (H, W, 3) uint8: its response, and some noise."""
        exposed = cv2.LUT(image, self.response[:, None])
        return cv2.add(exposed, _grain(rng, image.shape[:2]), dtype=cv2.CV_8U)


def sample_rig(rng: np.random.Generator, count: int) -> list[StudioCamera]:
    """Cameras spread evenly over the dome, every one with a lens of its own.

    Raises:
        ValueError: ``count`` is not 1 to ``MOST_CAMERAS``.
    """
    if not 1 <= count <= MOST_CAMERAS:
        raise InputError(f"expected 1 to {MOST_CAMERAS} cameras, got {count}")
    return [
        _camera(rng, str(_FIRST_NAME + number), place)
        for number, place in enumerate(_dome(rng, count))
    ]


def sample_lamps(rng: np.random.Generator) -> tuple[Lights, np.ndarray]:
    """The light of a session in the studio's frame, and (L, 3) mm where its lamps hang.

    Lamps all around give soft light, more from above; three strong ones give it a direction.
    """
    level = rng.uniform(0.85, 1.15)
    warmth = np.array([1 + rng.normal(0, 0.05), 1.0, 1 - rng.normal(0, 0.05)])
    around = np.zeros((4, 3))
    around[0] = rng.uniform(0.30, 0.42) * level * warmth
    around[2] = -around[0] * rng.uniform(0.1, 0.4)  # y is down: more light from above
    around[3] = -around[0] * rng.uniform(0.0, 0.3)  # and from the front
    towards = np.array([[0.1, -0.8, -0.6], [-0.8, -0.2, -0.5], [0.8, -0.2, -0.5]])
    towards = towards + rng.normal(0, 0.25, (3, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    strength = np.array([0.5, 0.25, 0.25]) * rng.uniform(0.7, 1.2, 3) * level
    lights = Lights(
        directions=towards, colours=strength[:, None] * warmth, ambient=around,
        shadow=float(rng.uniform(0.5, 0.8)), softness_mm=float(rng.uniform(8, 16)),
    )  # fmt: skip
    radius, spacing = 1350.0, 240.0
    lamps = _sphere(int(4 * np.pi * (radius / spacing) ** 2)) * radius
    kept = rng.random(len(lamps)) < 0.6
    return lights, CENTRE_MM + lamps[kept] + rng.normal(0, 15.0, (int(kept.sum()), 3))


def draw_room(view: StudioCamera, lamps_mm: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the dark room as a camera sees it, lamps as stars of light."""
    width, height = view.size
    seen = view.T_camera_from_studio(lamps_mm)
    seen = seen[seen[:, 2] > 1300.0]  # lamps beside the camera are behind its glass
    glow = np.zeros((height, width), np.float32)
    for x, y in view.camera.project(seen):
        if -40 < x < width + 40 and -40 < y < height + 40:
            _add_star(glow, x, y)
    room = 4.0 + glow[..., None] * np.array([1.0, 0.97, 0.92], np.float32)
    return np.clip(room, 0, 255).astype(np.uint8)


def _dome(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 2) azimuth and elevation in radians, evenly spread with a little disorder.

    The first looks straight ahead, the others follow a Fibonacci lattice, so that the first few
    of a large rig are a good small rig.
    """
    low, high = np.sin(np.radians(_ELEVATION_DEG))
    golden = np.array([0.7548776662466927, 0.5698402909980532])  # Roberts' R2 sequence
    share = (0.5 + np.arange(count)[:, None] * golden) % 1.0
    share[0] = 0.5, 0.35
    share = np.clip(share + rng.normal(0, 0.012, share.shape), 0, 1)
    azimuth = np.radians(_AZIMUTH_DEG[0] + share[:, 0] * np.ptp(_AZIMUTH_DEG))
    return np.stack([azimuth, np.arcsin(low + share[:, 1] * (high - low))], axis=1)


def _camera(rng: np.random.Generator, name: str, place: np.ndarray) -> StudioCamera:
    azimuth, elevation = place
    out = np.array([
        np.sin(azimuth) * np.cos(elevation), -np.sin(elevation),
        -np.cos(azimuth) * np.cos(elevation),
    ])  # fmt: skip
    centre = CENTRE_MM + out * rng.uniform(*_DISTANCE_MM)
    target = CENTRE_MM + rng.normal(0, 10.0, 3)
    upright = rng.random() < _UPRIGHT_SHARE
    width, height = UPRIGHT if upright else LYING
    focal = rng.uniform(*_FOCAL_PX)
    if not upright:  # the short side must hold two hands as well
        focal = min(focal, 1200.0)
    camera = Camera(
        fx=_single(focal * rng.uniform(0.9995, 1.0005)),
        fy=_single(focal),
        cx=_single((width - 1) / 2 + rng.normal(0, 4.0)),
        cy=_single((height - 1) / 2 + rng.normal(0, 4.0)),
    )
    R = _looking_at(centre, target, roll=rng.normal(0, 0.04))
    return StudioCamera(
        name, (width, height), centre.astype(np.float32).astype(float),
        R.astype(np.float32).astype(float), camera, _sample_response(rng),
    )  # fmt: skip


def _single(value: float) -> float:
    """The nearest number of single precision: labels hold those."""
    return float(np.float32(value))


def _looking_at(centre: np.ndarray, target: np.ndarray, roll: float) -> np.ndarray:
    """``R_camera_from_studio`` of a camera that looks at a target, upright but for its roll."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll), np.sin(roll)
    return np.stack([cos * right + sin * down, cos * down - sin * right, forward])


def _sample_response(rng: np.random.Generator) -> np.ndarray:
    """(256, 3) uint8: exposure, a cast of colour and a curve that differ between cameras."""
    gain = np.exp(rng.normal(0, 0.10)) * np.exp(rng.normal(0, (0.05, 0.02, 0.07)))
    values = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, 0.06)) * gain
    return np.clip(np.round(values * 255), 0, 255).astype(np.uint8)


def _add_star(glow: np.ndarray, x: float, y: float) -> None:
    """A lamp behind the lens's six blades, added in place."""
    height, width = glow.shape
    reach = 42
    x0, x1 = max(int(x) - reach, 0), min(int(x) + reach + 1, width)
    y0, y1 = max(int(y) - reach, 0), min(int(y) + reach + 1, height)
    if x0 >= x1 or y0 >= y1:
        return
    dx = np.arange(x0, x1)[None, :] - x
    dy = np.arange(y0, y1)[:, None] - y
    distance = np.hypot(dx, dy)
    rays = np.abs(np.cos(3 * np.arctan2(dy, dx))) ** 40 * np.exp(-distance / 9.0) * 120
    disc = 500.0 / (1 + np.exp((distance - 5.0) * 2.2)) + 60.0 * np.exp(-distance / 6.0)
    glow[y0:y1, x0:x1] += (disc + rays).astype(np.float32)


def _sphere(count: int) -> np.ndarray:
    """(count, 3) unit vectors on a Fibonacci lattice."""
    number = np.arange(count) + 0.5
    y = 1 - 2 * number / count
    angle = np.pi * (1 + 5**0.5) * number
    ring = np.sqrt(1 - y * y)
    return np.stack([ring * np.cos(angle), y, ring * np.sin(angle)], axis=1)


_GRAIN = np.round(np.random.default_rng(0).normal(0, 1.4, (640, 640, 3))).astype(np.int16)


def _grain(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) int16 noise: a window of one sheet, which is much faster than drawing it."""
    top, left = rng.integers(0, 640 - np.array(shape) + 1)
    return _GRAIN[top : top + shape[0], left : left + shape[1]]
