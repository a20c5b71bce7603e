"""Draws landmarks and the lines between them, with MediaPipe's arguments and in its way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from knuckle.errors import InputError
from knuckle.mediapipe.containers import (
    Landmark,
    LandmarkList,
    NormalizedLandmark,
    NormalizedLandmarkList,
)
from knuckle.output.errors import optional

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
        raise InputError(f"expected a picture (H, W, 3) BGR to draw into, got {image.shape}")
    points = landmark_list if isinstance(landmark_list, list) else landmark_list.landmark
    places = {i: place for i, point in enumerate(points) if (place := _place(point, image.shape))}
    for pair in _pairs(connections, len(points)):
        spec = _spec(connection_drawing_spec, pair)
        if spec is not None and all(end in places for end in pair):
            cv2.line(image, places[pair[0]], places[pair[1]], spec.color, spec.thickness)
    if is_drawing_landmarks:
        for i, place in places.items():
            _draw_landmark(image, place, _spec(landmark_drawing_spec, i))


def plot_landmarks(
    landmark_list: LandmarkList | NormalizedLandmarkList | list[Any] | None,
    connections: Iterable[Any] | None = None,
    landmark_drawing_spec: DrawingSpec = DrawingSpec(color=RED_COLOR, thickness=5),  # noqa: B008
    connection_drawing_spec: DrawingSpec = DrawingSpec(color=BLACK_COLOR, thickness=5),  # noqa: B008
    elevation: int = 10,
    azimuth: int = 10,
) -> None:
    """Show a hand in 3D, in a window or a notebook of matplotlib.

    Args:
        landmark_list: a hand of ``solutions`` or of the Tasks API, best in metres.
        connections: pairs of numbers, or ``Connection``.
        landmark_drawing_spec: for all landmarks.
        connection_drawing_spec: for all lines.
        elevation: where it is seen from, in degrees above the horizon.
        azimuth: ... and around it.

    Raises:
        KnuckleError: matplotlib is not installed.
        ValueError: a pair names a landmark there is not.
    """
    if not landmark_list:
        return
    pyplot = optional("matplotlib.pyplot", "viewer", "plot_landmarks")
    points = landmark_list if isinstance(landmark_list, list) else landmark_list.landmark
    # Upright on the screen: the picture's y points down, its z away.
    places = {i: (-p.z, p.x, -p.y) for i, p in enumerate(points) if _is_sure(p)}
    axes = pyplot.figure(figsize=(10, 10)).add_subplot(projection="3d")
    axes.view_init(elev=elevation, azim=azimuth)
    for spec, ends in (
        *((landmark_drawing_spec, [place]) for place in places.values()),
        *(
            (connection_drawing_spec, [places[end] for end in pair])
            for pair in _pairs(connections, len(points))
            if all(end in places for end in pair)
        ),
    ):
        axes.plot(
            *zip(*ends, strict=True),
            marker="o" if len(ends) == 1 else None,
            color=np.divide(spec.color[::-1], 255),
            linewidth=spec.thickness,
        )
    pyplot.show()


def _draw_landmark(image: np.ndarray, place: tuple[int, int], spec: DrawingSpec | None) -> None:
    """A disc with a white rim."""
    if spec is None:
        return
    rim = max(spec.circle_radius + 1, int(spec.circle_radius * 1.2))
    cv2.circle(image, place, rim, WHITE_COLOR, spec.thickness)
    cv2.circle(image, place, spec.circle_radius, spec.color, spec.thickness)


def _place(point: NormalizedLandmark, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """The pixel that holds a landmark, if it is in the picture and sure enough."""
    if not _is_sure(point) or point.x is None or point.y is None:
        return None
    return _normalized_to_pixel_coordinates(point.x, point.y, shape[1], shape[0])


def _normalized_to_pixel_coordinates(
    normalized_x: float, normalized_y: float, image_width: int, image_height: int
) -> tuple[int, int] | None:
    """The pixel that holds a point; None outside. Many programs call it by this name."""
    if not (0 <= normalized_x <= 1 and 0 <= normalized_y <= 1):
        return None
    x, y = int(normalized_x * image_width), int(normalized_y * image_height)
    return min(x, image_width - 1), min(y, image_height - 1)


def _is_sure(point: Landmark | NormalizedLandmark) -> bool:
    return not any(said and said < _LEAST for said in (point.visibility, point.presence))


def _pairs(connections: Iterable[Any] | None, landmarks: int) -> Iterator[tuple[int, int]]:
    """Lines as pairs of numbers; ``ValueError`` if one names a landmark there is not."""
    for connection in connections or ():
        is_pair = not hasattr(connection, "start")
        start, end = connection if is_pair else (connection.start, connection.end)
        if not all(0 <= each < landmarks for each in (start, end)):
            raise InputError(f"there is no line {start, end}: the hand has {landmarks} landmarks")
        yield int(start), int(end)


def _spec(specs: Specs, key: Any) -> DrawingSpec | None:
    return specs[key] if isinstance(specs, Mapping) else specs
