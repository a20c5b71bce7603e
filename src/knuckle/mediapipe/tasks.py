"""``mp.tasks``: the names that programs reach the Tasks API by."""

from __future__ import annotations

from knuckle.mediapipe import containers
from knuckle.mediapipe.hand_landmark import HandLandmark, HandLandmarksConnections
from knuckle.mediapipe.hand_landmarker import (
    BaseOptions,
    HandLandmarker,
    HandLandmarkerOptions,
    HandLandmarkerResult,
    ImageProcessingOptions,
    RunningMode,
)
from knuckle.mediapipe.lacking import Names
from knuckle.mediapipe.solutions import drawing_styles, drawing_utils

__all__ = ["BaseOptions", "components", "python", "vision"]

vision = Names(
    HandLandmark=HandLandmark,
    HandLandmarker=HandLandmarker,
    HandLandmarkerOptions=HandLandmarkerOptions,
    HandLandmarkerResult=HandLandmarkerResult,
    HandLandmarksConnections=HandLandmarksConnections,
    ImageProcessingOptions=ImageProcessingOptions,
    RunningMode=RunningMode,
    drawing_styles=drawing_styles,
    drawing_utils=drawing_utils,
)
components = Names(
    containers=Names(
        Category=containers.Category,
        Landmark=containers.Landmark,
        NormalizedLandmark=containers.NormalizedLandmark,
    )
)
python = Names(BaseOptions=BaseOptions, vision=vision, components=components)
