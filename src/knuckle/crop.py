"""A hand as networks see it: cut from the frame, upright and as a right hand.

One object cuts the image and carries points in and out, mirror included. Training and inference
use the same one, so they cannot disagree. It follows the project's pixel convention (whole numbers
are pixel centres), which is also that of ``cv2.warpAffine``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.hand import KNUCKLES, Joint, Side, box_px

#: Side of the crop over the side of the tightest upright square around the 21 joints. Fingertips
#: and skin lie outside the joints, and the crop of the next frame must survive motion.
MARGIN = 1.4


@dataclass(frozen=True)
class Crop:
    """A square of the frame, ``size_px`` on a side, sampled to ``out_size`` pixels."""

    centre_px: tuple[float, float]  # (x, y) of its middle in the frame
    size_px: float  # side of the square in the frame
    #: Direction of the crop's *up* in the frame, radians clockwise from the frame's up.
    angle: float = 0.0
    #: True where the crop shows the frame mirrored (a left hand, seen as a right one).
    mirror: bool = False
    out_size: int = 128  # side of the crop in crop pixels

    def __post_init__(self) -> None:
        numbers = (*self.centre_px, self.size_px, self.angle)
        if not all(map(math.isfinite, numbers)) or self.size_px <= 0 or self.out_size < 1:
            raise ValueError(f"a crop needs finite numbers and a positive size, got {self}")

    @classmethod
    def from_joints(
        cls,
        joints_px: np.ndarray,
        side: Side,
        *,
        valid: np.ndarray | None = None,
        out_size: int = 128,
        margin: float = MARGIN,
    ) -> Crop:
        """The crop of a hand whose joints are known.

        Up is from the wrist to the knuckles; the square is the tightest one around the turned
        joints (21, 2) px of the frame, times ``margin``. A left hand is mirrored. Joints that are
        not ``valid`` (21,) are not looked at. ``out_size`` is the side of the crop in crop pixels.

        Raises:
            ValueError: a joint that counts is not finite, or it is not known which way is up
                (see ``knows_up``).
        """
        if valid is not None and not knows_up(valid):
            raise ValueError("which way a hand is up needs its wrist and all of its knuckles")
        points = joints_px.tolist()
        (x0, y0), knuckles = points[Joint.WRIST], [points[k] for k in _KNUCKLES]
        x, y = (sum(values) / len(knuckles) for values in zip(*knuckles, strict=True))
        angle = math.atan2(x - x0, y0 - y)
        known = joints_px if valid is None else joints_px[valid]
        return cls.around(known, side, angle, out_size=out_size, margin=margin)

    @classmethod
    def around(
        cls,
        points_px: np.ndarray,
        side: Side,
        angle: float,
        *,
        out_size: int = 128,
        margin: float = MARGIN,
    ) -> Crop:
        """The tightest square with the given up direction around points, times ``margin``."""
        sin, cos = math.sin(angle), math.cos(angle)
        x0, y0, x1, y1 = box_px(points_px @ np.array([[cos, -sin], [sin, cos]]))
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        size = max(x1 - x0, y1 - y0, 1.0) * margin
        middle = cos * x - sin * y, sin * x + cos * y
        return cls(middle, size, angle, side == "left", out_size)

    def grown(self, left: float, top: float, right: float) -> Crop:
        """The least square of the same direction that reaches farther, by shares of its side."""
        wide, high = 1 + left + right, 1 + top
        across, up = (right - left) / 2 * self.size_px, top / 2 * self.size_px
        sin, cos = math.sin(self.angle), math.cos(self.angle)
        across = -across if self.mirror else across
        x, y = self.centre_px
        middle = x + cos * across + sin * up, y + sin * across - cos * up
        return replace(self, centre_px=middle, size_px=max(wide, high) * self.size_px)

    @cached_property
    def frame_from_crop(self) -> np.ndarray:
        """(3, 3) affine map of homogeneous pixels."""
        (a, b), (c, d) = self._linear
        middle, (x, y) = (self.out_size - 1) / 2, self.centre_px
        return np.array(
            [[a, b, x - (a + b) * middle], [c, d, y - (c + d) * middle], [0.0, 0.0, 1.0]]
        )

    @cached_property
    def crop_from_frame(self) -> np.ndarray:
        """(3, 3) affine map of homogeneous pixels, the inverse of ``frame_from_crop``."""
        # Turned and mirrored, a matrix is undone by its transpose.
        scale2 = (self.size_px / self.out_size) ** 2
        (a, c), (b, d) = ((u / scale2, v / scale2) for u, v in self._linear)
        middle, (x, y) = (self.out_size - 1) / 2, self.centre_px
        return np.array(
            [[a, b, middle - a * x - b * y], [c, d, middle - c * x - d * y], [0.0, 0.0, 1.0]]
        )

    @property
    def _linear(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Rows of the (2, 2) map from steps in the crop to steps in the frame."""
        scale = self.size_px / self.out_size
        sin, cos = scale * math.sin(self.angle), scale * math.cos(self.angle)
        return ((-cos, -sin), (-sin, cos)) if self.mirror else ((cos, -sin), (sin, cos))

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """Crop pixels to frame pixels, (..., 2) -> (..., 2)."""
        return points @ self.frame_from_crop[:2, :2].T + self.frame_from_crop[:2, 2]

    def to_crop(self, points_px: np.ndarray) -> np.ndarray:
        """Frame pixels to crop pixels, (..., 2) -> (..., 2)."""
        return points_px @ self.crop_from_frame[:2, :2].T + self.crop_from_frame[:2, 2]

    def below_top(self, point_px: Sequence[float]) -> float:
        """How far a place of the frame (x, y) is below the crop's first row, as a share of it."""
        (x, y), (x0, y0) = point_px, self.centre_px
        down = (y - y0) * math.cos(self.angle) - (x - x0) * math.sin(self.angle)
        return down / self.size_px + (1 - 1 / self.out_size) / 2

    def cut(self, image: np.ndarray, fill: int | None = None) -> np.ndarray:
        """The crop's pixels (S, S, C) or (S, S) in the type of the image, uint8 or float32.

        Beyond the frame its border is repeated, or the grey value ``fill`` painted. Where
        the crop shrinks the frame to less than half, the frame is averaged first, so that thin
        fingers do not break up.
        """
        affine, four = self.frame_from_crop, False
        if self.size_px >= 2 * self.out_size:
            image, affine = _halved(image, self)
            # OpenCV warps four channels three times as fast as three.
            four = image.ndim == 3 and image.shape[2] == 3
            image = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA) if four else image
        crop = cv2.warpAffine(
            image,
            affine[:2],
            (self.out_size, self.out_size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT,
            borderValue=(fill or 0,) * 4,
        )
        return cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB) if four else crop

    def paste(self, mask: np.ndarray, frame_shape: tuple[int, int]) -> np.ndarray:
        """Lay a map (S, S) of the crop back over the frame (H, W): the inverse of ``cut``.

        S need not be ``out_size``. Outside of the crop it is zero.
        """
        crop = replace(self, out_size=mask.shape[0])
        return cv2.warpAffine(
            np.asarray(mask, dtype=np.float32),
            crop.frame_from_crop[:2],
            (frame_shape[1], frame_shape[0]),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )

    def jittered(
        self, rng: np.random.Generator, *, shift: float, log_scale: float, angle: float
    ) -> Crop:
        """A crop nearby, as an inexact detector or the last frame would give it.

        Standard deviations: of the middle, as a share of the size; of the size's logarithm; of the
        angle, radians.
        """
        dx, dy = rng.normal(0, shift, 2) * self.size_px
        return replace(
            self,
            centre_px=(self.centre_px[0] + float(dx), self.centre_px[1] + float(dy)),
            size_px=self.size_px * float(np.exp(rng.normal(0, log_scale))),
            angle=self.angle + float(rng.normal(0, angle)),
        )


def knows_up(valid: np.ndarray) -> bool:
    """Whether the joints that say which way a hand is up are among the known ones, (21,) bool."""
    return bool(valid[Joint.WRIST] and valid[KNUCKLES].all())


@dataclass(frozen=True)
class CropView:
    """A camera turned to look straight at the crop: what the lifter sees.

    The same hand gives the same view wherever it stands in the frame and whatever the focal
    length, up to its distance; a left hand is seen as a right one. Its z axis goes through the
    middle of the crop, its y axis points down the crop.
    """

    #: (3, 3) homography from homogeneous crop pixels to directions (x/z, y/z, 1) of the view.
    view_from_crop: np.ndarray
    #: (3, 3) orthogonal matrix from the view to the camera frame; a reflection where the crop is
    #: mirrored.
    camera_from_view: np.ndarray
    rays_per_px: float  # length in ray units of one crop pixel, in the middle of the crop

    @classmethod
    @lru_cache(maxsize=8)  # of a frame, the lifter and the pair network ask for the same ones
    def of(cls, crop: Crop, camera: Camera) -> CropView:
        """The view of a crop through a camera.

        Lens distortion is taken as constant over the crop: the map is exact in its middle.
        """
        (cx, cy), ((a, b), (c, d)) = crop.centre_px, crop._linear
        probes_px = np.array([[cx, cy], [cx + a, cy + c], [cx + b, cy + d]])
        # Forward is (fx, fy, 1), and the steps from there have no depth.
        (fx, fy), *beside = camera.rays(probes_px).tolist()
        (rx, ry), (dx, dy) = ((x - fx, y - fy) for x, y in beside)  # right, and down
        distance2 = fx * fx + fy * fy + 1
        distance = math.sqrt(distance2)
        z = fx / distance, fy / distance, 1 / distance
        along = dx * z[0] + dy * z[1]
        y = _unit(dx - along * z[0], dy - along * z[1], -along * z[2])
        x = _cross(z, y) if crop.mirror else _cross(y, z)
        camera_from_view = np.array([x, y, z]).T
        middle = (crop.out_size - 1) / 2
        rays_from_crop = np.array(
            [[rx, dx, fx - middle * (rx + dx)], [ry, dy, fy - middle * (ry + dy)], [0.0, 0.0, 1.0]]
        )
        # The area that one crop pixel covers at distance 1 in front of the turned camera.
        area = abs(rx * dy - ry * dx) / (distance2 * distance)
        return cls(camera_from_view.T @ rays_from_crop, camera_from_view, math.sqrt(area))

    @property
    def camera_from_crop(self) -> np.ndarray:
        """(3, 3) map from homogeneous crop pixels to rays (x/z, y/z, 1) of the camera."""
        return self.camera_from_view @ self.view_from_crop

    def rays(self, points: np.ndarray) -> np.ndarray:
        """Directions (x/z, y/z) in the view of crop pixels, (..., 2) -> (..., 2)."""
        xyz = points @ self.view_from_crop[:, :2].T + self.view_from_crop[:, 2]
        return xyz[..., :2] / xyz[..., 2:]

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Points or directions of the view in the camera frame, (..., 3) -> (..., 3)."""
        return points @ self.camera_from_view.T

    def to_view(self, points: np.ndarray) -> np.ndarray:
        """Points or directions of the camera frame in the view, (..., 3) -> (..., 3)."""
        return points @ self.camera_from_view


#: Three coordinates: too few for NumPy, which takes ten times as long as Python with them.
_Vector = tuple[float, float, float]


def _cross(a: _Vector, b: _Vector) -> _Vector:
    (ax, ay, az), (bx, by, bz) = a, b
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


def _unit(x: float, y: float, z: float) -> _Vector:
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


#: (2, 4) corners of a square.
_CORNERS = np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
_KNUCKLES: list[int] = KNUCKLES.tolist()


def _halved(image: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image that a crop needs, halved until the crop shrinks it to more than half.

    Returns the small image and the map from crop pixels to its pixels.
    """
    affine = crop.frame_from_crop
    halvings = int(math.log2(crop.size_px / crop.out_size))
    factor = 2**halvings
    corners = affine[:2, :2] @ ((crop.out_size - 1) * _CORNERS) + affine[:2, 2:]  # (2, 4) px
    low, high = np.floor(corners.min(axis=1)), np.ceil(corners.max(axis=1))
    size = image.shape[1::-1]
    x0, y0 = (low.astype(int) - 2 * factor).clip(0, size).tolist()
    x1, y1 = (high.astype(int) + 2 * factor + 1).clip(0, size).tolist()
    # Whole blocks only, so that the centre of block i is at factor * i + (factor - 1) / 2.
    columns, rows = (x1 - x0) // factor, (y1 - y0) // factor
    if columns < 1 or rows < 1:
        return image, affine
    small = image[y0 : y0 + rows * factor, x0 : x0 + columns * factor]
    for _ in range(halvings):  # ten times as fast in OpenCV as averaging once by the whole factor
        size = small.shape[1] // 2, small.shape[0] // 2
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    first = np.array([[x0], [y0]]) + (factor - 1) / 2  # the middle of the first block
    small_from_crop = affine.copy()
    small_from_crop[:2] /= factor
    small_from_crop[:2, 2:] -= first / factor
    return small, small_from_crop
