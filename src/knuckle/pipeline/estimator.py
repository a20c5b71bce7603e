"""Hands of single images."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.errors import InputError
from knuckle.hand import SIDES
from knuckle.image import to_rgb
from knuckle.pipeline import frame, judge, propose
from knuckle.pipeline.looks import Looks, Proposal
from knuckle.pipeline.networks import Networks
from knuckle.pipeline.settings import EstimatorOptions, EstimatorSettings, told, with_options
from knuckle.pose import Keypoints
from knuckle.results import Frame, HandPose
from knuckle.stages.detector import Detections
from knuckle.turn import never_cut_off

#: The looks at so many boxes are kept at a time, eight at each.
_BOXES_AT_ONCE = 16
#: No picture reaches so far.
_FARTHEST_PX = 1e7


class HandEstimator:
    """Finds the hands of single images and gives their joints in 2D and 3D.

    The networks are loaded at the first call.

    Example:
        >>> estimator = HandEstimator(max_hands=2)
        >>> for hand in estimator(image):
        ...     print(hand.side, hand.joints_mm)
    """

    def __init__(
        self, settings: EstimatorSettings | None = None, **options: Unpack[EstimatorOptions]
    ) -> None:
        """Create an estimator.

        Args:
            settings: see ``EstimatorSettings``.
            **options: fields of ``EstimatorSettings`` by name.

        Raises:
            TypeError: there is no such option.
            ValueError: an option is out of range.
            FileNotFoundError: ``weights_dir`` does not exist.
        """
        self.settings = with_options(EstimatorSettings, settings, options)
        self._networks = Networks(self.settings)

    def __repr__(self) -> str:
        return f"HandEstimator({told(self.settings)})"

    @property
    def versions(self) -> dict[str, str]:
        """Version of the weights of each network, by kind. Loads the networks."""
        return self._networks.versions()

    @never_cut_off
    def __call__(
        self,
        image: np.ndarray | Frame,
        camera: Camera | None = None,
        boxes_xyxy: np.ndarray | None = None,
    ) -> list[HandPose]:
        """Estimate the hands of one image.

        Args:
            image: (H, W, 3) uint8 RGB, or a ``Frame``. ``image.to_rgb`` lists other accepted forms.
            camera: its intrinsics; by default the frame's own. Without either, a diagonal field of
                view of 65° is assumed, and ``camera.assumed`` of the result is True.
            boxes_xyxy: (N, 4) px, each around one hand. Skips detection.

        Returns:
            The hands, best first. With boxes, one hand per box, in their order, even where a hand
            is unlikely (see ``HandPose.score``).

        Raises:
            TypeError: the image is not an array, or the camera not a ``Camera``.
            ValueError: image or boxes are not as described.
        """
        if isinstance(image, Frame):
            camera = image.camera if camera is None else camera
            image = image.image
        image = to_rgb(image)
        height, width = image.shape[:2]
        camera = Camera.given_or_assumed(camera, width, height)
        if boxes_xyxy is None:
            keypoints = self._find(image)
        else:
            keypoints = self._look_into(image, check_boxes(boxes_xyxy))
        keypoints = frame.look_more(self._networks, image, keypoints, self.settings.looks)
        return self._networks.poses(keypoints, camera, (height, width))

    def _find(self, image: np.ndarray) -> Keypoints:
        """Hands of the whole image, each once, best first; small ones too, if they are wanted."""
        networks, settings = self._networks, self.settings
        whole = networks.detect(image)
        if settings.smallest_hand is not None:
            return self._found(image, networks.with_tiles(image, whole), settings)
        found, n_tiles = self._found(image, whole, settings), networks.n_tiles(image)
        if len(found) or not n_tiles:
            return found
        return self._found(
            image, networks.with_tiles(image, whole), judge.cautious(settings, n_tiles)
        )

    def _found(
        self, image: np.ndarray, detections: Detections, settings: EstimatorSettings
    ) -> Keypoints:
        """Those that detections lead to."""
        first = Looks.at(self._networks, image, propose.detected(self._networks, detections.hands))
        looks, hands = frame.hands_of(self._networks, image, first, detections, settings.max_hands)
        found = looks.averaged(hands)
        best_first = np.argsort(-found.trust, kind="stable").tolist()
        return found.take([i for i in best_first if judge.is_enough(found, i, settings)])

    def _look_into(self, image: np.ndarray, boxes_xyxy: np.ndarray) -> Keypoints:
        """One hand per box."""
        starts = range(0, len(boxes_xyxy), _BOXES_AT_ONCE)
        few = (boxes_xyxy[k : k + _BOXES_AT_ONCE] for k in starts)
        return Keypoints.concatenate(
            *(frame.one_each(self._networks, image, list(map(self._guesses, each))) for each in few)
        )

    def _guesses(self, box_xyxy: np.ndarray) -> list[Proposal]:
        """What a box may show: both sides, in four directions."""
        x0, y0, x1, y1 = map(float, box_xyxy)
        middle, size = ((x0 + x1) / 2, (y0 + y1) / 2), max(x1 - x0, y1 - y0)
        hands = (
            DetectedHand(middle, size, angle, side) for side in SIDES for angle in propose.TURNS
        )
        return [Proposal(self._networks.crop_of(hand), "box") for hand in hands]


def check_boxes(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Boxes as (N, 4) float, or ``ValueError``."""
    try:
        boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    except (TypeError, ValueError):  # words, or rows of several lengths
        raise InputError(
            f"boxes_xyxy must be numbers of shape (N, 4), got {boxes_xyxy!r:.80}"
        ) from None
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"boxes_xyxy must have shape (N, 4), got {boxes.shape}")
    sides = boxes[:, 2:] - boxes[:, :2]
    good = (np.abs(boxes) < _FARTHEST_PX).all(axis=1) & (sides >= 1).all(axis=1)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise InputError(
            "a box is (x0, y0, x1, y1) px with x0 < x1 and y0 < y1, a pixel or more apart, got "
            f"{boxes[first]} at {first}; multiply shares of the picture by its width and height, "
            "add the corner to a width and a height"
        )
    return boxes
