"""``HandLandmarker``: MediaPipe's Tasks API for hands, in its three running modes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from numbers import Integral
from pathlib import Path

import numpy as np

from knuckle.address import at_home
from knuckle.closable import Closable
from knuckle.errors import InputError
from knuckle.mediapipe import answers
from knuckle.mediapipe.containers import Category, Landmark, NormalizedLandmark
from knuckle.mediapipe.image import Image
from knuckle.mediapipe.thresholds import check_num_hands, finder
from knuckle.results import Frame, HandPose, check_time


class Delegate(Enum):
    """Where a network runs."""

    CPU = 0
    GPU = 1


@dataclass
class BaseOptions:
    """Options of every task."""

    #: MediaPipe's model file, which is not opened: the networks are in the package. A folder with
    #: other networks of Knuckle's is used.
    model_asset_path: str | Path | None = None
    model_asset_buffer: bytes | None = None  # likewise not used
    delegate: Delegate | None = None  # CPU

    Delegate = Delegate

    def weights_dir(self) -> Path | None:
        """Folder of other networks, if one was given."""
        path = None if self.model_asset_path is None else at_home(self.model_asset_path)
        return path if path is not None and path.is_dir() else None


class RunningMode(Enum):
    """Pictures that have nothing to do with each other, a video, or a camera that does not wait."""

    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    LIVE_STREAM = "LIVE_STREAM"


@dataclass
class ImageProcessingOptions:
    """What is done to a picture first."""

    region_of_interest: object | None = None  # not for hands; must be None
    #: Clockwise, a multiple of 90. Points come back in the picture as given.
    rotation_degrees: int = 0

    def quarter_turns(self) -> int:
        """Clockwise.

        Raises:
            ValueError: a region was given, or an angle in between.
        """
        if self.region_of_interest is not None:
            raise InputError("this task does not support a region of interest: crop the image")
        if not isinstance(self.rotation_degrees, Integral) or self.rotation_degrees % 90:
            raise InputError(
                f"rotation_degrees must be a whole multiple of 90, got {self.rotation_degrees!r}: "
                "turn the picture yourself by what is left"
            )
        return self.rotation_degrees // 90 % 4


@dataclass
class HandLandmarkerResult:
    """The hands of one picture, best first; three lists of the same length."""

    handedness: list[list[Category]]  # a list with one ``Category`` per hand
    hand_landmarks: list[list[NormalizedLandmark]]  # 21 points per hand, in shares of the picture
    hand_world_landmarks: list[list[Landmark]]  # 21 points per hand, metres
    #: What they were made from (not in MediaPipe).
    hands: list[HandPose] = field(default_factory=list, repr=False, compare=False)


Callback = Callable[[HandLandmarkerResult, Image, int], None]


@dataclass
class HandLandmarkerOptions:
    """Settings; thresholds are turned into ours by ``thresholds.py``."""

    base_options: BaseOptions = field(default_factory=BaseOptions)  # see ``BaseOptions``
    running_mode: RunningMode = RunningMode.IMAGE  # see ``RunningMode``
    num_hands: int = 1  # at most so many hands
    min_hand_detection_confidence: float = 0.5  # least score of a hand that is new, 0..1
    min_hand_presence_confidence: float = 0.5  # below it a followed hand is searched for anew, 0..1
    min_tracking_confidence: float = 0.5  # below it a followed hand is lost, 0..1
    result_callback: Callback | None = None  # takes results in ``LIVE_STREAM``, and only there

    def __post_init__(self) -> None:
        _expect_a(BaseOptions, "base_options", self.base_options, "mp.tasks.BaseOptions()")
        _expect_a(RunningMode, "running_mode", self.running_mode, "vision.RunningMode.VIDEO")
        live = self.running_mode is RunningMode.LIVE_STREAM
        if live and self.result_callback is None:
            raise InputError("LIVE_STREAM needs a result_callback: results come when they are made")
        if not live and self.result_callback is not None:
            raise InputError(
                f"result_callback is for LIVE_STREAM; {self.running_mode.name} returns its results"
            )
        if self.result_callback is not None and not callable(self.result_callback):
            raise TypeError(
                "result_callback must be a function of a result, its image and its time, got "
                f"{self.result_callback!r:.80}"
            )
        if self.base_options.delegate is Delegate.GPU:
            raise InputError("Knuckle runs on the CPU: leave delegate out")
        check_num_hands("num_hands", self.num_hands)


def _expect_a(kind: type, name: str, value: object, as_in: str) -> None:
    """Refuse what only looks like it, such as the name of a mode, or the array of an image."""
    if not isinstance(value, kind):
        found = f"{value!r}" if isinstance(value, str | int | None) else type(value).__name__
        raise TypeError(f"{name} must be as in {as_in}, got {found:.80}")


class HandLandmarker(Closable):
    """Finds hands in pictures, videos or a stream, with MediaPipe's calls and results.

    Example:
        >>> with HandLandmarker.create_from_options(HandLandmarkerOptions(num_hands=2)) as task:
        ...     result = task.detect(Image(ImageFormat.SRGB, rgb))
    """

    def __init__(self, options: HandLandmarkerOptions) -> None:
        """Make a task; ``create_from_options`` is its other name."""
        _expect_a(HandLandmarkerOptions, "options", options, "vision.HandLandmarkerOptions()")
        self._options = options
        self._find = finder(
            still=options.running_mode is RunningMode.IMAGE,
            max_hands=options.num_hands,
            detection=options.min_hand_detection_confidence,
            tracking=options.min_tracking_confidence,
            presence=options.min_hand_presence_confidence,
            weights_dir=options.base_options.weights_dir(),
        )
        self._last_ms: int | None = None
        self._closed = False
        callback = options.result_callback
        self._live = None if callback is None else _Live(self._answer, callback)

    @classmethod
    def create_from_model_path(cls, model_path: str) -> HandLandmarker:
        """A task for single pictures; see ``BaseOptions`` for what becomes of the path."""
        return cls(HandLandmarkerOptions(BaseOptions(model_asset_path=model_path)))

    @classmethod
    def create_from_options(cls, options: HandLandmarkerOptions) -> HandLandmarker:
        """A task with these settings."""
        return cls(options)

    def detect(
        self, image: Image, image_processing_options: ImageProcessingOptions | None = None
    ) -> HandLandmarkerResult:
        """The hands of one picture.

        Raises:
            ValueError: the running mode is another, or the options are not for hands.
        """
        self._expect(RunningMode.IMAGE, image)
        return self._answer(image, None, image_processing_options)

    def detect_for_video(
        self,
        image: Image,
        timestamp_ms: int,
        image_processing_options: ImageProcessingOptions | None = None,
    ) -> HandLandmarkerResult:
        """The hands of the next frame.

        Raises:
            ValueError: the running mode is another, or the time is not later than the one before.
        """
        self._expect(RunningMode.VIDEO, image)
        self._advance(timestamp_ms)
        return self._answer(image, timestamp_ms, image_processing_options)

    def detect_async(
        self,
        image: Image,
        timestamp_ms: int,
        image_processing_options: ImageProcessingOptions | None = None,
    ) -> None:
        """Hand over the next frame and return; it is dropped if a later one comes in time.

        Raises:
            ValueError: the running mode is another, or the time is not later than the one before.
        """
        self._expect(RunningMode.LIVE_STREAM, image)
        self._advance(timestamp_ms)
        assert self._live is not None
        self._live.put(image, timestamp_ms, image_processing_options)

    def close(self) -> None:
        """Finish what was handed over; a second call does nothing.

        Raises:
            Exception: what the callback of a stream raised.
        """
        if not self._closed:
            self._closed = True
            if self._live is not None:
                self._live.close()

    def _expect(self, mode: RunningMode, image: Image) -> None:
        _expect_a(Image, "image", image, "mp.Image(mp.ImageFormat.SRGB, rgb)")
        if self._closed:
            raise InputError("this task was closed: make another")
        if self._options.running_mode is not mode:
            raise InputError(
                f"this call is for the running mode {mode.name}; the task was made with "
                f"{self._options.running_mode.name}"
            )

    def _advance(self, timestamp_ms: int) -> None:
        if not isinstance(timestamp_ms, Integral):
            raise TypeError(
                f"timestamp_ms must be a whole number of milliseconds, got {timestamp_ms!r} "
                f"({type(timestamp_ms).__name__}): convert it with int(...)"
            )
        check_time(timestamp_ms / 1000)
        if self._last_ms is not None and timestamp_ms <= self._last_ms:
            raise InputError(
                f"timestamps must go up: got {timestamp_ms} ms after {self._last_ms} ms; where a "
                "camera does not count, give int(time.monotonic() * 1000)"
            )
        self._last_ms = timestamp_ms

    def _answer(
        self, image: Image, timestamp_ms: int | None, options: ImageProcessingOptions | None
    ) -> HandLandmarkerResult:
        turns = (options or ImageProcessingOptions()).quarter_turns()
        pixels = np.rot90(image.rgb(), -turns) if turns else image.rgb()
        frame = pixels if timestamp_ms is None else Frame(pixels, timestamp_ms / 1000, 0)
        hands, size = answers.best_first(self._find(frame)), (image.width, image.height)
        return HandLandmarkerResult(
            [[answers.category(hand)] for hand in hands],
            [answers.landmarks(answers.normalized(hand, size, turns)) for hand in hands],
            [answers.world_landmarks(answers.world(hand, turns)) for hand in hands],
            hands,
        )


class _Live:
    """One frame at work and the newest one waiting, in a thread of their own."""

    def __init__(
        self,
        answer: Callable[[Image, int, ImageProcessingOptions | None], HandLandmarkerResult],
        callback: Callback,
    ) -> None:
        self._answer, self._callback = answer, callback
        self._changed = threading.Condition()
        self._waiting: tuple[Image, int, ImageProcessingOptions | None] | None = None
        self._ended = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="hand landmarker", daemon=True)
        self._thread.start()

    def put(self, image: Image, timestamp_ms: int, options: ImageProcessingOptions | None) -> None:
        """Replace the frame that waits."""
        self._raise()
        with self._changed:
            self._waiting = image, timestamp_ms, options
            self._changed.notify()

    def close(self) -> None:
        """Wait for the last frame, unless the callback of one before it asks."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()
            self._raise()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _next(self) -> tuple[Image, int, ImageProcessingOptions | None] | None:
        """The frame that waits, or the next one; None when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._ended)
            job, self._waiting = self._waiting, None
            return job

    def _work(self) -> None:
        while (job := self._next()) is not None:
            image, timestamp_ms, options = job
            try:
                result = self._answer(image, timestamp_ms, options)
                self._callback(result, image, timestamp_ms)
            except Exception as error:  # told by the next call, in the caller's thread
                self._error = error
