"""Cameras: from millimetres to pixels and back.

The camera frame is OpenCV's: x right, y down, z forward, millimetres. Pixel (0, 0) is the centre
of the top-left pixel. A transform ``T_b_from_a`` takes points of frame a to frame b.
"""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.address import at_home
from knuckle.errors import InputError, NotFoundError, reading, write_text
from knuckle.lens import Distorted, Fisheye, Lens

#: Diagonal field of view that is taken when nothing is known: a typical webcam or phone video.
ASSUMED_DIAGONAL_FOV_DEG = 65.0
#: What a picture may span with a pinhole camera, degrees: from one pixel of a long lens on. Focal
#: lengths in millimetres span more.
_LEAST_SPAN_DEG, _MOST_SPAN_DEG = 0.01, 160.0
#: A pixel whose ray comes back further than this from it has none, px.
_MOST_OFF_PX = 0.5
#: Share of a side by which the centre of a lens may be off the middle of its picture.
_USUAL_OFFSET = 0.15
#: More of a picture than its very corners, which calibration boards seldom reach, must have rays.
_MOST_UNMET = 0.02


@dataclass(frozen=True)
class Camera:
    """Intrinsics of a camera: a pinhole, with OpenCV's distortion if any, or a fisheye.

    Attributes:
        fx, fy: focal lengths, px.
        cx, cy: principal point, px.
        distortion: OpenCV's (k1, k2, p1, p2[, k3[, k4, k5, k6]]), empty for none; for a fisheye
            (k1, k2, k3, k4).
        fisheye: True for OpenCV's fisheye model (Kannala and Brandt 2006).
        assumed: True if no intrinsics were given and Knuckle assumed the field of view. Absolute
            depth is then only as good as that guess.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    assumed: bool = False
    fisheye: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.distortion, np.ndarray | list):  # as OpenCV gives them, (1, 5)
            object.__setattr__(self, "distortion", tuple(np.ravel(self.distortion).tolist()))
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        strange = [number for number in numbers if not isinstance(number, Real)]
        if strange:
            raise TypeError(
                "fx, fy, cx, cy and the distortion coefficients must be numbers, got "
                f"{strange[0]!r} ({type(strange[0]).__name__}): convert it with float(...)"
            )
        # Plain numbers: a NumPy float32 could not be written as JSON.
        for name in ("fx", "fy", "cx", "cy"):
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "distortion", tuple(map(float, self.distortion)))
        if not all(map(math.isfinite, numbers)):
            raise InputError(f"camera parameters must be finite, got {numbers}")
        if self.fx <= 0 or self.fy <= 0:
            raise InputError(
                f"focal lengths must be positive, got fx={self.fx}, fy={self.fy}: give them in "
                "pixels, or leave the camera out and a field of view of 65° is assumed"
            )
        if self.fisheye and len(self.distortion) not in (0, 4):
            raise InputError(
                f"a fisheye has 0 or 4 distortion coefficients, got {len(self.distortion)}"
            )
        if len(self.distortion) not in (0, 4, 5, 8):
            raise InputError(
                f"expected 0, 4, 5 or 8 distortion coefficients, got {len(self.distortion)}"
            )

    @classmethod
    def from_fov(
        cls, width: int, height: int, diagonal_deg: float, *, assumed: bool = False
    ) -> Camera:
        """A camera with square pixels and its principal point at the centre of the image."""
        if not 0 < diagonal_deg < 180:
            raise InputError(f"a field of view is between 0 and 180 degrees, got {diagonal_deg}")
        focal = np.hypot(width, height) / 2 / np.tan(np.radians(diagonal_deg) / 2)
        return cls(focal, focal, (width - 1) / 2, (height - 1) / 2, assumed=assumed)

    @classmethod
    @lru_cache(maxsize=16)
    def assume(cls, width: int, height: int) -> Camera:
        """The camera that is used if none is given (``assumed`` is True)."""
        return cls.from_fov(width, height, ASSUMED_DIAGONAL_FOV_DEG, assumed=True)

    @classmethod
    def given_or_assumed(cls, camera: Camera | None, width: int, height: int) -> Camera:
        """The camera, or the assumed one if it is None.

        Raises:
            TypeError: it is something else, such as a path.
            ValueError: its numbers cannot belong to an image of this size; see ``check_fits``.
        """
        if camera is None:
            return cls.assume(width, height)
        if not isinstance(camera, cls):
            raise TypeError(
                f"camera must be a knuckle.Camera or None, got {type(camera).__name__}: make one "
                "with Camera(fx, fy, cx, cy), or read a file with Camera.load(path)"
            )
        camera.check_fits(width, height)
        return camera

    def check_fits(self, width: int, height: int) -> None:
        """Refuse numbers with which no lens sees a picture of this size; warn of unusual ones.

        Raises:
            ValueError: it would span a tiny fraction of a degree, or nearly a half-space, as where
                focal lengths are in other units than pixels; or the distortion turns back inside
                the picture, so that some of its pixels belong to no ray.
        """
        for name, focal, length in (("fx", self.fx, width), ("fy", self.fy, height)):
            span_deg = 2 * math.degrees(math.atan(length / 2 / focal))
            if not _LEAST_SPAN_DEG < span_deg < _MOST_SPAN_DEG:
                raise InputError(
                    f"with {name}={focal:g} px, {length} px would span {span_deg:.3g}°, expected "
                    f"{_LEAST_SPAN_DEG:g}° to {_MOST_SPAN_DEG:g}°: focal lengths are in pixels of "
                    "this very picture (millimetres / width of the sensor x width of the picture)"
                )
        if self.distortion:
            unmet = _share_unmet(self, width, height)
            if unmet > _MOST_UNMET:
                raise InputError(
                    f"the distortion {tuple(self.distortion)} turns back inside a picture of "
                    f"{width} x {height}: no ray meets some of its pixels; calibrate with a board "
                    "that reaches the corners, or undistort the pictures and leave it out"
                )
        offset = max(abs((self.cx + 0.5) / width - 0.5), abs((self.cy + 0.5) / height - 0.5))
        if offset > _USUAL_OFFSET:
            warnings.warn(
                "the camera's centre (cx, cy) is far from the middle of these "
                f"{width} x {height} pictures: was it calibrated at another size?",
                stacklevel=1,  # one place and one text for cameras of crops, so it is said once
            )

    @classmethod
    def load(cls, path: str | Path) -> Camera:
        """Read ``{"fx":…, "fy":…, "cx":…, "cy":…, "distortion": […]}`` from a JSON file.

        ``"fisheye": true`` says which model the distortion belongs to.

        Raises:
            FileNotFoundError, ValueError: it is missing, or holds no camera.
        """
        path = at_home(path)
        what = "JSON with fx, fy, cx, cy and, if it has any, distortion (and fisheye)"
        then = "knuckle camera calibrate writes such a file"
        with reading(path, f"a camera file, {what}", then):
            if not path.is_file():
                raise NotFoundError(f"camera file {path} does not exist: expected {what}; {then}")
            values = _json_in(path)
            needed = {"fx", "fy", "cx", "cy"}
            known = needed | {"distortion", "fisheye"}
            if not isinstance(values, dict) or not needed <= set(values) <= known:
                raise InputError(f"camera file {path} must be {what}; {_odd_names(values, needed)}")
            try:
                fx, fy, cx, cy = (float(values[key]) for key in ("fx", "fy", "cx", "cy"))
                distortion = tuple(float(k) for k in values.get("distortion", ()))
            except (TypeError, ValueError, OverflowError):
                raise InputError(
                    f"camera file {path} must hold a camera's numbers, got {values!r:.120}: {then}"
                ) from None
            return cls(fx, fy, cx, cy, distortion, fisheye=bool(float(values.get("fisheye", 0))))

    def save(self, path: str | Path) -> None:
        """Write the JSON that ``load`` reads; ``NotWrittenError``, an OSError, where it cannot."""
        values = {"fx": self.fx, "fy": self.fy, "cx": self.cx, "cy": self.cy}
        lens = {"distortion": list(self.distortion)} | ({"fisheye": True} if self.fisheye else {})
        write_text(at_home(path), json.dumps({**values, **lens}) + "\n")

    @cached_property
    def matrix(self) -> np.ndarray:
        """(3, 3) camera matrix K."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def project(self, points_mm: np.ndarray) -> np.ndarray:
        """Pixels of points of the camera frame: (..., 3) mm -> (..., 2) px.

        Points at or behind the camera (z <= 0) have no image: they come out as NaN.
        """
        points_mm = np.asarray(points_mm, dtype=np.float64)
        z = np.where(points_mm[..., 2:] > 0, points_mm[..., 2:], np.nan)
        xy = points_mm[..., :2] / z
        return self.pixels_from_rays(xy)

    def pixels_from_rays(self, rays: np.ndarray) -> np.ndarray:
        """Pixels of directions (x/z, y/z): (..., 2) -> (..., 2) px."""
        rays = np.asarray(rays, dtype=np.float64)
        bent = rays if self._lens is None else self._lens.bend(rays)
        return bent * self._focal_px + self._centre_px

    def rays(self, points_px: np.ndarray) -> np.ndarray:
        """Directions (x/z, y/z) that meet the given pixels: (..., 2) px -> (..., 2)."""
        points_px = np.asarray(points_px, dtype=np.float64)
        places = (points_px - self._centre_px) / self._focal_px
        return places if self._lens is None else self._lens.straighten(places)

    def unproject(self, points_px: np.ndarray, depth_mm: np.ndarray) -> np.ndarray:
        """Points of the camera frame at a given z: (..., 2) px, (...) mm -> (..., 3) mm."""
        depth_mm = np.asarray(depth_mm, dtype=np.float64)[..., None]
        rays = self.rays(points_px)
        xyz = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
        return xyz * depth_mm

    def padded(self, left: float, top: float) -> Camera:
        """The camera of the image after ``left`` columns and ``top`` rows were added to it."""
        return replace(self, cx=self.cx + left, cy=self.cy + top)

    def resized(self, scale_x: float, scale_y: float) -> Camera:
        """The camera of the image resized by these factors (pixel centres at whole numbers)."""
        return replace(
            self,
            fx=self.fx * scale_x,
            fy=self.fy * scale_y,
            cx=(self.cx + 0.5) * scale_x - 0.5,
            cy=(self.cy + 0.5) * scale_y - 0.5,
        )

    @cached_property
    def _focal_px(self) -> np.ndarray:
        return np.array([self.fx, self.fy])

    @cached_property
    def _centre_px(self) -> np.ndarray:
        return np.array([self.cx, self.cy])

    @cached_property
    def _lens(self) -> Lens | None:
        if self.fisheye:
            return Fisheye(self.distortion)
        return Distorted(self.distortion) if self.distortion else None


#: What other programs call the matrix that holds the four numbers.
_MATRICES = {"camera_matrix", "cameraMatrix", "K", "mtx", "intrinsic_matrix", "matrix"}


def _odd_names(values: Any, needed: set[str]) -> str:
    """What is wrong with the names in a camera file, in a few words."""
    if not isinstance(values, dict):
        return f"got {values!r:.80}"
    if lacking := sorted(needed - set(values)):
        hint = "; of its matrix they are [0][0], [1][1], [0][2] and [1][2]"
        return f"it lacks {', '.join(lacking)}{hint * bool(_MATRICES & set(values))}"
    odd = sorted(set(values) - needed - {"distortion", "fisheye"})
    return f"{', '.join(odd[:3])}{' …' if len(odd) > 3 else ''} means nothing there"


def _json_in(path: Path) -> Any:
    text = path.read_text(encoding="utf-8-sig")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"camera file {path} is not JSON ({error}): knuckle camera calibrate writes such a file"
        ) from None


@lru_cache(maxsize=16)
def _share_unmet(camera: Camera, width: int, height: int) -> float:
    """Share of the picture's pixels that no ray meets, as the lens model turns back before them."""
    x, y = np.meshgrid(np.linspace(0, width - 1, 41), np.linspace(0, height - 1, 41))
    pixels = np.stack([x, y], axis=-1)
    with np.errstate(all="ignore"):  # what is not finite is not close either
        off_px = np.linalg.norm(camera.pixels_from_rays(camera.rays(pixels)) - pixels, axis=-1)
    if isinstance(camera._lens, Fisheye):
        places = (pixels - camera._centre_px) / camera._focal_px
        off_px[camera._lens.is_beyond(places)] = 0.0
    return float(1 - (off_px < _MOST_OFF_PX).mean())
