"""Draws landmarks and the lines between them, with MediaPipe's arguments and in its way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from knuckle.mediapipe.containers import NormalizedLandmark, NormalizedLandmarkList

#: Colours of drawings are blue, green, red: OpenCV's pictures are drawn on.
WHITE_COLOR = (224, 224, 224)
BLACK_COLOR = (0, 0, 0)
RED_COLOR = (0, 0, 255)
GREEN_COLOR = (0, 128, 0)
BLUE_COLOR = (255, 0, 0)

#: Landmarks that are less sure than this are not drawn, if they say how sure they are.
_LEAST = 0.5


@dataclass
class DrawingSpec:
    """How a landmark or a line looks; a thickness below 0 fills the circle."""

    color: tuple[int, int, int] = WHITE_COLOR
    thickness: int = 2
    circle_radius: int = 2


Specs = DrawingSpec | Mapping[Any, DrawingSpec] | None


def draw_landmarks(
    image: np.ndarray,
    landmark_list: NormalizedLandmarkList | list[NormalizedLandmark] | None,
    connections: Iterable[Any] | None = None,
    landmark_drawing_spec: Specs = DrawingSpec(color=RED_COLOR),  # noqa: B008
    connection_drawing_spec: Specs = DrawingSpec(),  # noqa: B008
    is_drawing_landmarks: bool = True,
) -> None:
    """Draw into a picture.

    Args:
        image: (H, W, 3) uint8 BGR, drawn into.
        landmark_list: a hand of ``solutions`` or of the Tasks API.
        connections: pairs of numbers, or ``Connection``.
        landmark_drawing_spec: one for all, or one by landmark; None draws none.
        connection_drawing_spec: one for all, or one by pair; None draws none.
        is_drawing_landmarks: False draws the lines alone.

    Raises:
        ValueError: the picture has not three channels, or a pair names a landmark there is not.
    """
    if not landmark_list:
        return
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected a picture (H, W, 3) BGR to draw into, got {image.shape}")
    points = landmark_list if isinstance(landmark_list, list) else landmark_list.landmark
    places = {i: place for i, point in enumerate(points) if (place := _place(point, image.shape))}
    for pair in map(_pair, connections or ()):
        if not all(0 <= end < len(points) for end in pair):
            raise ValueError(f"there is no line {pair}: the hand has {len(points)} landmarks")
        spec = _spec(connection_drawing_spec, pair)
        if spec is not None and all(end in places for end in pair):
            cv2.line(image, places[pair[0]], places[pair[1]], spec.color, spec.thickness)
    if is_drawing_landmarks:
        for i, place in places.items():
            _draw_landmark(image, place, _spec(landmark_drawing_spec, i))


def _draw_landmark(image: np.ndarray, place: tuple[int, int], spec: DrawingSpec | None) -> None:
    """A disc with a white rim."""
    if spec is None:
        return
    rim = max(spec.circle_radius + 1, int(spec.circle_radius * 1.2))
    cv2.circle(image, place, rim, WHITE_COLOR, spec.thickness)
    cv2.circle(image, place, spec.circle_radius, spec.color, spec.thickness)


def _place(point: NormalizedLandmark, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """The pixel that holds a landmark, if it is in the picture and sure enough."""
    for said in (point.visibility, point.presence):
        if said and said < _LEAST:
            return None
    if point.x is None or point.y is None or not (0 <= point.x <= 1 and 0 <= point.y <= 1):
        return None
    height, width = shape[:2]
    return min(int(point.x * width), width - 1), min(int(point.y * height), height - 1)


def _pair(connection: Any) -> tuple[int, int]:
    if hasattr(connection, "start"):
        return int(connection.start), int(connection.end)
    start, end = connection
    return int(start), int(end)


def _spec(specs: Specs, key: Any) -> DrawingSpec | None:
    return specs[key] if isinstance(specs, Mapping) else specs
