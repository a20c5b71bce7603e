"""The cameras of a rig, each followed by itself, and several looked at at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.pipeline import HandTracker
from knuckle.results import Frame, HandPose, TrackedHand
from knuckle.views.again import Place
from knuckle.views.rig import Rig
from knuckle.views.settings import RigSettings

_Seen = TypeVar("_Seen")


class Cameras:
    """A tracker for each camera; they share their networks, and nothing else.

    Looks take nearly all of the time, and networks leave Python alone meanwhile: as many cameras as
    there are processors are looked at side by side, each network on one of these. What comes out
    does not depend on it.
    """

    def __init__(self, rig: Rig, settings: RigSettings) -> None:
        self._rig = rig
        processors = os.cpu_count() or 1
        self._workers = settings.workers or min(len(rig), processors)
        first = HandTracker(
            max_hands=settings.max_hands,
            score_threshold=settings.score_threshold,
            smallest_hand=settings.smallest_hand,
            weights_dir=settings.weights_dir,
            threads=min(max(processors // self._workers, 1), 2),
        )
        self.trackers = [first, *(first.beside() for _ in rig.cameras[1:])]  # in the rig's order
        self._pool: ThreadPoolExecutor | None = None
        self._pool_of: int | None = None

    def reset(self) -> None:
        """Forget all hands."""
        for tracker in self.trackers:
            tracker.reset()

    def see(self, frames: Sequence[Frame | np.ndarray | None]) -> list[list[TrackedHand]]:
        """What each camera sees by itself in the next instant; nothing where it has no frame.

        Raises:
            TypeError: these are no list of frames.
            ValueError: there are more or fewer frames than cameras, or one has another size than
                its camera was calibrated at.
        """
        picture = isinstance(frames, np.ndarray) and frames.ndim < 4  # not one of each camera
        if picture or not isinstance(frames, Sequence | np.ndarray) or isinstance(frames, str):
            got = "one image" if picture else type(frames).__name__
            raise TypeError(
                f"expected a list with a frame of each of the {len(self._rig)} cameras "
                f"{', '.join(self._rig.names)}, got {got}"
            )
        if len(frames) != len(self._rig):
            raise InputError(
                f"expected a frame of each of the {len(self._rig)} cameras "
                f"{', '.join(self._rig.names)}, got {len(frames)}: give None for one that has none"
            )
        for frame, rig_camera in zip(frames, self._rig.cameras, strict=True):
            if (size := picture_size(frame)) is not None:
                rig_camera.check_size(size)
        lenses = [each.camera for each in self._rig.cameras]
        return self._side_by_side(_see, zip(self.trackers, frames, lenses, strict=True))

    def look_at(self, asked: Sequence[Sequence[Place]]) -> list[list[HandPose]]:
        """Each camera's second looks at places of the same instant; one for each place."""
        # The camera with the most to do begins: the others need not wait for it at the end.
        order = sorted(range(len(asked)), key=lambda camera: -len(asked[camera]))
        jobs = ((self.trackers[camera], asked[camera]) for camera in order)
        seen = dict(zip(order, self._side_by_side(_look_at, jobs), strict=True))
        return [seen[camera] for camera in range(len(asked))]

    def _side_by_side(
        self, work: Callable[..., _Seen], jobs: Iterable[tuple[Any, ...]]
    ) -> list[_Seen]:
        """The outcome of each job; if one fails, none is still running afterwards."""
        if self._workers == 1:
            return [work(*job) for job in jobs]
        begun: list[Future[_Seen]] = []
        try:
            begun += [self._here().submit(work, *job) for job in jobs]
            return [each.result() for each in begun]
        finally:
            for each in begun:
                each.cancel()
            wait(begun)

    def _here(self) -> ThreadPoolExecutor:
        """The threads of this process: a copy has none yet, and after a fork they are gone."""
        if self._pool is None or self._pool_of != os.getpid():
            self._pool, self._pool_of = ThreadPoolExecutor(self._workers, "camera"), os.getpid()
        return self._pool

    def __getstate__(self) -> dict[str, Any]:
        """All but the threads, which belong to one process."""
        return self.__dict__ | {"_pool": None, "_pool_of": None}


def picture_size(frame: Frame | np.ndarray | None) -> tuple[int, int] | None:
    """(width, height) of a picture; None where there is none."""
    if frame is None:
        return None
    image = frame.image if isinstance(frame, Frame) else np.asarray(frame)
    return image.shape[1::-1] if image.ndim > 1 else None  # what is no picture, the tracker tells


def _see(
    tracker: HandTracker, frame: Frame | np.ndarray | None, camera: Camera
) -> list[TrackedHand]:
    """One camera's own look, through the rig's lens."""
    return [] if frame is None else tracker(frame, camera)


def _look_at(tracker: HandTracker, places: Sequence[Place]) -> list[HandPose]:
    """One camera's second looks."""
    if not places:
        return []  # it may have had no frame yet
    return tracker.look_at([(place.side, place.guesses_px) for place in places])
