"""A colour per finger, the ones that Knuckle's own overlays have."""

from __future__ import annotations

from collections.abc import Mapping

from knuckle.draw import FINGER_COLOURS, Colour
from knuckle.mediapipe.hand_landmark import (
    HAND_CONNECTIONS,
    HandLandmark,
    HandLandmarksConnections,
)
from knuckle.mediapipe.solutions.drawing_utils import DrawingSpec

_PALM = DrawingSpec(color=(128, 128, 128), thickness=3)


def get_default_hand_landmarks_style() -> Mapping[int, DrawingSpec]:
    """By landmark: filled discs, the wrist's grey."""
    return {
        landmark: DrawingSpec(color=_bgr(_finger(int(landmark))), thickness=-1, circle_radius=5)
        for landmark in HandLandmark
    }


def get_default_hand_connections_style() -> Mapping[tuple[int, int], DrawingSpec]:
    """By pair, of ``solutions`` and of the Tasks API; what joins two fingers is grey."""
    styles = {}
    tasks = {(each.start, each.end) for each in HandLandmarksConnections.HAND_CONNECTIONS}
    for start, end in HAND_CONNECTIONS | tasks:
        finger = _finger(end)
        alone = start > 0 and _finger(start) == finger
        styles[start, end] = DrawingSpec(color=_bgr(finger), thickness=2) if alone else _PALM
    return styles


def _finger(landmark: int) -> int | None:
    return None if landmark == 0 else (landmark - 1) // 4


def _bgr(finger: int | None) -> Colour:
    if finger is None:
        return _PALM.color
    red, green, blue = FINGER_COLOURS[finger]
    return blue, green, red
