"""The frames of an instant, one a camera, and those that are not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from knuckle.results import Frame


def with_lens(frame: Frame | np.ndarray | None, rig_camera: Any) -> Any:
    """A frame with the rig's lens, and its size checked."""
    if frame is None:
        return None
    image = frame.image if isinstance(frame, Frame) else np.asarray(frame)
    if image.ndim >= 2:
        rig_camera.check_size((image.shape[1], image.shape[0]))
    if isinstance(frame, Frame):
        return replace(frame, camera=rig_camera.camera)
    return frame, rig_camera.camera


def picture_size(frame: Frame | np.ndarray | None) -> tuple[int, int] | None:
    """(width, height) of a picture."""
    if frame is None:
        return None
    image = frame.image if isinstance(frame, Frame) else np.asarray(frame)
    return image.shape[1], image.shape[0]
