"""Settings of a rig's tracker."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from knuckle.errors import InputError
from knuckle.hand import MIDDLE_RAY, N_BONES, check_hand_length
from knuckle.pipeline.settings import (
    TrackerSettings,
    check_counts,
    check_numbers,
    check_shares,
    check_smooth,
)
from knuckle.views.steady import Steady

#: Ways of steadying a rig's hands, by the name that ``RigTracker(smooth=…)`` takes: those of
#: ``HandTracker``.
STEADIERS: dict[str, Callable[[], Steady]] = {"one_euro": Steady}
#: What a rig has no use for, though a single camera has.
_OF_ONE_CAMERA = {
    "hand_length_mm": "a rig's own scale tells how long the hands before it are: leave it out, or "
    "give all bones as bone_lengths_mm",
    "threads": "a rig looks through several cameras at a time: say how many with workers",
}


@dataclass(frozen=True)
class RigSettings:
    """Settings of ``RigTracker``.

    Attributes:
        max_hands: maximum number of hands tracked at a time, also in each camera.
        score_threshold: minimum score of a new hand in each camera, 0..1.
        smallest_hand: size of the smallest hands to find, as a fraction of an image's longer side;
            see ``TrackerSettings``.
        smooth: "one_euro" (a name in ``STEADIERS``), over about 50 ms, or None for no smoothing.
        one_person: all hands have one size, estimated from all of them.
        least_views: number of cameras that must see a hand for it to start. One is enough to
            continue.
        bone_lengths_mm: (20,) in the order of ``hand.BONES``, mm, if they are known.
        lock_looks: number of looks after which the bone lengths are locked, once well known.
        memory_s: how long a hand that no camera sees can come back as the same track.
        weights_dir: folder of networks to use instead of those in the package.
        workers: number of cameras processed at the same time; by default one per processor.
    """

    max_hands: int = 2
    score_threshold: float = TrackerSettings.score_threshold
    smallest_hand: float | None = None
    smooth: str | None = "one_euro"
    one_person: bool = True
    least_views: int = 2
    bone_lengths_mm: tuple[float, ...] | None = None
    lock_looks: int = 60
    memory_s: float = 1.0
    weights_dir: str | Path | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        check_counts(self, "max_hands", "least_views", "lock_looks")
        if self.workers is not None:
            check_counts(self, "workers")
        check_shares(self, "score_threshold")
        if self.smallest_hand is not None:
            check_shares(self, "smallest_hand")
        check_smooth(self.smooth, STEADIERS)
        check_numbers(self, "memory_s")
        if not self.memory_s >= 0:
            raise InputError(f"memory_s must not be negative, got {self.memory_s}")
        lengths = self.bone_lengths_mm
        if lengths is None:
            return
        if len(lengths) != N_BONES or not all(0 < length < math.inf for length in lengths):
            raise InputError("bone_lengths_mm must be 20 positive lengths, as hand.BONES has them")
        check_hand_length(float(sum(lengths[MIDDLE_RAY])))


class RigOptions(TypedDict, total=False):
    """The fields of ``RigSettings``, for type checkers."""

    max_hands: int
    score_threshold: float
    smallest_hand: float | None
    smooth: str | None
    one_person: bool
    least_views: int
    bone_lengths_mm: tuple[float, ...] | None
    lock_looks: int
    memory_s: float
    weights_dir: str | Path | None
    workers: int | None


def refuse_of_one_camera(options: Mapping[str, object]) -> None:
    """Refuse options of a single camera's tracker that mean nothing to a rig.

    Raises:
        TypeError: there is one; says what to do instead.
    """
    for name, why in _OF_ONE_CAMERA.items():
        if name in options:
            raise TypeError(f"{name} is for one camera: {why}")
