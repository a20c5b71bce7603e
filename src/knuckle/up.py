"""Which way is up: which axis of a frame, and how it is turned for programs that have y up."""

from __future__ import annotations

import numpy as np

#: Axes of a frame that can point up, against it with a minus.
AXES = ("x", "y", "z", "-x", "-y", "-z")
#: In a camera's frame, whose y points down.
OF_CAMERA = "-y"


def nearest_axis(direction: np.ndarray) -> str:
    """The axis that points most the way of (3,)."""
    return AXES[int(np.argmax([*direction, *-direction]))]


def to_y_up(up: str) -> np.ndarray:
    """(3, 3) the rotation that makes the axis that points up y; x stays where it is, if it can."""
    sign, axis = (-1.0 if up.startswith("-") else 1.0), "xyz".index(up[-1])
    upwards = sign * np.eye(3)[axis]
    across = np.eye(3)[0] if axis else -sign * np.eye(3)[1]
    return np.array([across, upwards, np.cross(across, upwards)])
