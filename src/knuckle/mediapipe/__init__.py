"""The shape that code for MediaPipe's hands expects, over Knuckle's networks.

    import knuckle.mediapipe as mp      # instead of: import mediapipe as mp

What follows in such a program stays: ``mp.solutions.hands.Hands``, which MediaPipe has removed,
``mp.tasks.vision.HandLandmarker``, ``mp.Image``, ``mp.solutions.drawing_utils``. Parts have the
full names they have there (``from knuckle.mediapipe.tasks.python import vision``); after
``import knuckle.mediapipe.stand_in`` even without the ``knuckle.``.

Units, axes and sides are MediaPipe's, as ``docs/mediapipe.md`` lists them. Every result carries the
``HandPose`` it was made from as well (``hands``), for what MediaPipe has no words for: millimetres
in the camera, expected errors, masks.
"""

from knuckle.mediapipe import solutions, tasks
from knuckle.mediapipe.hand_landmark import (
    HAND_CONNECTIONS,
    HandLandmark,
    HandLandmarksConnections,
)
from knuckle.mediapipe.hand_landmarker import (
    HandLandmarker,
    HandLandmarkerOptions,
    HandLandmarkerResult,
    RunningMode,
)
from knuckle.mediapipe.image import Image, ImageFormat
from knuckle.mediapipe.lacking import lacking as __getattr__
from knuckle.mediapipe.names import answer_to

__all__ = [
    "HAND_CONNECTIONS",
    "HandLandmark",
    "HandLandmarker",
    "HandLandmarkerOptions",
    "HandLandmarkerResult",
    "HandLandmarksConnections",
    "Image",
    "ImageFormat",
    "RunningMode",
    "__getattr__",
    "solutions",
    "tasks",
]

#: Whose answers these are held to; programs ask.
__version__ = "0.10.21"

answer_to(__name__)
