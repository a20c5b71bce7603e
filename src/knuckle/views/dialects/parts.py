"""What the readers of calibrations share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError, warn
from knuckle.rigid import RigidTransform
from knuckle.views.rig import RigCamera

#: Below, the skew of a matrix moves no keypoint by more than it trembles, px.
_LEAST_SKEW_PX = 0.5


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a file says."""

    cameras: tuple[RigCamera, ...]  # their translations in units of the file
    #: Millimetres of one unit; None where neither the file nor its form says it.
    unit_mm: float | None
    up: str | None = None  # axis of the world that points up, if the file says

    @property
    def longest(self) -> float:
        """The largest distance of a camera from the origin, in units of the file."""
        return max((float(np.linalg.norm(each.centre_mm)) for each in self.cameras), default=0.0)


def lens(K: Any, distortion: Any = None, *, fisheye: bool = False, name: str = "") -> Camera:
    """A camera from its matrix (3, 3) and OpenCV's coefficients.

    Raises:
        ValueError: these are no intrinsics.
    """
    matrix = np.asarray(K, dtype=np.float64)
    if matrix.shape != (3, 3):
        raise InputError(f"camera {name}: expected a 3 x 3 matrix, got the shape {matrix.shape}")
    if not np.allclose(matrix[2], (0, 0, 1)):
        raise InputError(
            f"camera {name}: the last row of its matrix must be 0 0 1, got "
            f"{' '.join(f'{value:g}' for value in matrix[2])}: transpose it if it was written by "
            "columns, as MATLAB does, and divide it by its last number"
        )
    _check_axes(matrix, name)
    coefficients = np.asarray(() if distortion is None else distortion, dtype=np.float64).ravel()
    if fisheye:
        coefficients = coefficients[:4]  # some write a fifth that is not used
    elif len(coefficients) > 8 and not coefficients[8:].any():
        coefficients = coefficients[:8]
    if not coefficients.any():
        coefficients = coefficients[:0]
    try:
        fx, fy, cx, cy = (float(matrix[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
        return Camera(fx, fy, cx, cy, tuple(coefficients.tolist()), fisheye=fisheye)
    except ValueError as error:
        raise InputError(f"camera {name}: {error}") from None


def _check_axes(matrix: np.ndarray, name: str) -> None:
    """Warn of a camera whose rows and columns are not at right angles: such a lens is not known."""
    if matrix[1, 0]:
        raise InputError(
            f"camera {name}: the second row of its matrix must begin with 0, got "
            f"{matrix[1, 0]:g}: is it a matrix of intrinsics?"
        )
    if abs(matrix[0, 1]) > _LEAST_SKEW_PX:
        warn(
            f"camera {name}: the skew of its matrix, {matrix[0, 1]:g}, is not used, and pixels lie "
            "up to half as many px beside: calibrate without skew, as OpenCV does",
        )


def rotation(values: Any, name: str = "") -> np.ndarray:
    """(3, 3) from a matrix or from Rodrigues' vector; ``ValueError`` if it is neither."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 3:
        if np.linalg.norm(array) > 2 * np.pi:  # programs write half a turn at most
            raise InputError(
                f"camera {name}: expected a rotation as Rodrigues' vector in radians, got "
                f"{' '.join(f'{value:g}' for value in array.ravel())}, more than a whole turn: "
                "are these degrees?"
            )
        return cv2.Rodrigues(array.reshape(3, 1))[0]
    if array.shape == (3, 3):
        return array
    raise InputError(
        f"camera {name}: expected a rotation as 3 numbers (Rodrigues) or 3 x 3, got {array.shape}"
    )


def pose(R: Any, t: Any, name: str = "") -> RigidTransform:
    """``T_camera_from_world`` from the two parts that files have.

    Raises:
        ValueError: these are no pose.
    """
    translation = np.asarray(t, dtype=np.float64).ravel()
    if translation.shape != (3,):
        raise InputError(f"camera {name}: expected a translation of 3 numbers, got {translation}")
    return RigidTransform(rotation(R, name), translation)


def size(values: Sequence[Any] | None) -> tuple[int, int] | None:
    """(width, height) where there is one."""
    return None if values is None or len(values) != 2 else (int(values[0]), int(values[1]))
