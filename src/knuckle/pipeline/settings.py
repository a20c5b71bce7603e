"""What can be set about an estimator and a tracker, checked when it is set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

from knuckle.errors import InputError
from knuckle.hand import check_hand_length
from knuckle.track.smoothing import OneEuroSmoother
from knuckle.track.track import Smoother

#: Ways of steadying a track, by the name that ``HandTracker(smooth=…)`` takes.
SMOOTHERS: dict[str, Callable[[], Smoother]] = {"one_euro": OneEuroSmoother}

#: From this share of the longer side of a picture on, hands are mostly found in it at one sight
#: (``benchmarks/small_hands.py``).
FOUND_FROM = 0.05
#: Down to this share they are searched for where nothing is said.
SOUGHT_FROM = 0.03


@dataclass(frozen=True)
class EstimatorSettings:
    """Settings of ``HandEstimator``.

    Attributes:
        max_hands: maximum number of hands; the best ones are returned.
        detector_threshold: minimum detector score of a hand, 0..1.
        score_threshold: minimum ``HandPose.score`` of a hand, 0..1, from the close-up look and, in
            single images, the detector's score.
        partner_threshold: the same beside a certain hand, where another one is likely; effectively
            never more than ``score_threshold``.
        smallest_hand: size of the smallest hands to find, as a fraction of the image's longer side.
            Below ``FOUND_FROM`` the image is also searched in tiles, each of which costs as much as
            the whole: for a 16:9 image, 2 tiles at 0.03 and 6 at 0.02. No tile has fewer pixels
            than the detector's input. In a video they take turns, one per frame, after motion and
            while fewer than ``max_hands`` are tracked. By default ``SOUGHT_FROM``, and in a single
            image only if it shows no larger hand.
        looks: number of slightly different crops through which each hand is seen. 4 are a few per
            cent more accurate than 1 and take four times as long per hand, but not per detection.
        hand_length_mm: length from wrist to middle fingertip, if known; fixes the scale.
        weights_dir: folder of networks to use instead of those in the package.
        threads: CPU threads per network; 1 is faster if other programs keep the processors busy.
    """

    max_hands: int = 8
    detector_threshold: float = 0.3
    score_threshold: float = 0.6
    partner_threshold: float = 0.55
    smallest_hand: float | None = None
    looks: int = 1
    hand_length_mm: float | None = None
    weights_dir: str | Path | None = None
    threads: int = 2

    def __post_init__(self) -> None:
        check_counts(self, "max_hands", "looks", "threads")
        check_shares(self, "detector_threshold", "score_threshold", "partner_threshold")
        if self.smallest_hand is not None:
            check_shares(self, "smallest_hand")
        if self.hand_length_mm is not None:
            check_hand_length(self.hand_length_mm)


@dataclass(frozen=True)
class TrackerSettings(EstimatorSettings):
    """Settings of ``HandTracker``, in addition to those of the estimator.

    Attributes:
        max_hands: maximum number of hands tracked at a time.
        score_threshold: minimum score of a new hand, 0..1.
        smooth: "one_euro" (a name in ``SMOOTHERS``), or None for the raw estimates.
        keep_threshold: minimum score of a hand that is already tracked, 0..1.
        doubt_threshold: score below which a tracked hand is searched for again, 0..1.
        search_every: frames between two searches of the whole frame while there is a reason.
        idle_search_every: frames between two searches when a slot is free but nothing changes.
        memory_s: how long a lost hand can come back as the same track, near where it was lost; if
            another hand occludes it, as long as that one is tracked. After that it is a new hand,
            because side and size do not tell people apart. With only one person, set it higher.
    """

    max_hands: int = 2
    smooth: str | None = "one_euro"
    keep_threshold: float = 0.25
    doubt_threshold: float = 0.6
    search_every: int = 3
    idle_search_every: int = 30
    memory_s: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_smooth(self.smooth, SMOOTHERS)
        check_shares(self, "keep_threshold", "doubt_threshold")
        check_counts(self, "search_every", "idle_search_every")
        check_numbers(self, "memory_s")
        if not self.memory_s >= 0:
            raise InputError(f"memory_s must not be negative, got {self.memory_s}")


class EstimatorOptions(TypedDict, total=False):
    """The fields of ``EstimatorSettings``, for type checkers."""

    max_hands: int
    detector_threshold: float
    score_threshold: float
    partner_threshold: float
    smallest_hand: float | None
    looks: int
    hand_length_mm: float | None
    weights_dir: str | Path | None
    threads: int


class TrackerOptions(EstimatorOptions, total=False):
    """The fields of ``TrackerSettings``, likewise."""

    smooth: str | None
    keep_threshold: float
    doubt_threshold: float
    search_every: int
    idle_search_every: int
    memory_s: float


def check_numbers(settings: object, *names: str) -> None:
    """Refuse fields that are no numbers."""
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(
                f"{name} must be a number, got {value!r} ({type(value).__name__}): convert it with "
                "float(...)"
            )


def check_smooth(smooth: object, known: Collection[str]) -> None:
    """Refuse what is neither None nor a way of steadying hands."""
    if smooth is not None and smooth not in known:
        raise InputError(f"smooth must be None or one of {', '.join(known)}, got {smooth!r}")


def check_shares(settings: object, *names: str) -> None:
    """Refuse fields that are not in 0..1."""
    check_numbers(settings, *names)
    for name in names:
        share = getattr(settings, name)
        if not 0 <= share <= 1:
            raise InputError(f"{name} must be in 0..1, got {share}")


def check_counts(settings: object, *names: str) -> None:
    """Refuse fields that do not count from 1."""
    for name in names:
        count = getattr(settings, name)
        if isinstance(count, bool) or not isinstance(count, Integral):
            raise TypeError(f"{name} must be a whole number, got {count!r}")
        if count < 1:
            raise InputError(f"{name} must be at least 1, got {count}")


def told(settings: DataclassInstance) -> str:
    """The fields that are not as they come, as they would be given: "max_hands=1, smooth=None"."""
    given = {item.name: (getattr(settings, item.name), item.default) for item in fields(settings)}
    return ", ".join(
        f"{name}={value!r}" for name, (value, usual) in given.items() if value != usual
    )


#: Any frozen dataclass of settings.
Settings = TypeVar("Settings", bound="DataclassInstance")


def with_options(
    kind: type[Settings], settings: Settings | None, options: Mapping[str, object]
) -> Settings:
    """``settings``, or those of a ``kind`` as it comes, with some fields changed.

    Raises:
        TypeError: there is no such option, or these are settings of something else.
    """
    settings = kind() if settings is None else settings
    if not isinstance(settings, kind):
        raise TypeError(
            f"settings must be {kind.__name__}, got {settings!r:.80}: give options by name, as in "
            "max_hands=2"
        )
    known = [item.name for item in fields(settings)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"unknown option {', '.join(unknown)}; there are {', '.join(known)}")
    changed: dict[str, Any] = dict(options)
    return replace(settings, **changed)
