"""``mp.solutions.hands.Hands``: the API that most programs about hands were written for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from knuckle.closable import Closable
from knuckle.errors import InputError
from knuckle.image import check_array
from knuckle.mediapipe import answers
from knuckle.mediapipe.containers import ClassificationList, LandmarkList, NormalizedLandmarkList
from knuckle.mediapipe.hand_landmark import HAND_CONNECTIONS, HandLandmark
from knuckle.mediapipe.thresholds import check_num_hands, finder
from knuckle.pipeline import HandTracker
from knuckle.results import HandPose

__all__ = ["HAND_CONNECTIONS", "HandLandmark", "Hands", "SolutionOutputs"]


class SolutionOutputs(NamedTuple):
    """The hands of one picture, best first; the first three are None where there is no hand."""

    #: A list of 21 points per hand, in shares of the picture.
    multi_hand_landmarks: list[NormalizedLandmarkList] | None
    multi_hand_world_landmarks: list[LandmarkList] | None  # a list of 21 points per hand, metres
    #: The side of each hand **in a mirror**: give ``process`` a mirrored picture and it is the
    #: person's own.
    multi_handedness: list[ClassificationList] | None
    #: What they were made from (not in MediaPipe): its ``side`` takes the picture as it is.
    hands: list[HandPose]


class Hands(Closable):
    """Finds hands in pictures, or follows them through a video."""

    def __init__(
        self,
        static_image_mode: bool = False,
        max_num_hands: int = 2,
        model_complexity: int = 1,
        min_detection_confidence: float = 0.5,
        min_tracking_confidence: float = 0.5,
    ) -> None:
        """Make one.

        Args:
            static_image_mode: the pictures have nothing to do with each other. Otherwise they are
                frames of a video, taken to come 1/30 s apart.
            max_num_hands: at most so many hands.
            model_complexity: 0 or 1; there is one network for both.
            min_detection_confidence: least score of a hand that is new, 0..1.
            min_tracking_confidence: below it a followed hand is lost, 0..1.

        Raises:
            ValueError: a number is out of its range.
        """
        if model_complexity not in (0, 1):
            raise InputError(f"model_complexity must be 0 or 1, got {model_complexity}")
        self._closed = False
        check_num_hands("max_num_hands", max_num_hands)
        self._find = finder(
            still=static_image_mode,
            max_hands=max_num_hands,
            detection=min_detection_confidence,
            tracking=min_tracking_confidence,
        )

    def process(self, image: np.ndarray) -> SolutionOutputs:
        """Find the hands of a picture.

        Args:
            image: (H, W, 3) uint8 RGB.

        Raises:
            TypeError: it is no array.
            ValueError: it is of another shape or type, or these ``Hands`` were closed.
        """
        if self._closed:
            raise InputError("these Hands were closed: make others")
        check_array(image)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(
                f"expected a picture (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}"
            )
        hands, size = answers.best_first(self._find(image)), image.shape[1::-1]
        if not hands:
            return SolutionOutputs(None, None, None, [])
        normalized = (answers.normalized(hand, size) for hand in hands)
        return SolutionOutputs(
            [NormalizedLandmarkList(answers.landmarks(points)) for points in normalized],
            [LandmarkList(answers.world_landmarks(answers.world(hand))) for hand in hands],
            [ClassificationList([answers.mirrored_classification(hand)]) for hand in hands],
            hands,
        )

    def reset(self) -> None:
        """Forget the frames so far."""
        if isinstance(self._find, HandTracker):
            self._find.reset()

    def close(self) -> None:
        """End, as MediaPipe does: no picture is taken after it. A second call does nothing."""
        self._closed = True
