"""MediaPipe's three confidences as Knuckle's thresholds, and what finds hands by them.

Both count from 0 to 1, but half does not mean the same: MediaPipe's defaults give Knuckle's, and
either side of them the scale is stretched evenly.
"""

from __future__ import annotations

from numbers import Integral, Real
from pathlib import Path
from typing import Any

from knuckle.errors import InputError
from knuckle.pipeline import HandEstimator, HandTracker, TrackerSettings

#: What MediaPipe takes where nothing is said.
_THEIR_DEFAULT = 0.5


def finder(
    *,
    still: bool,
    max_hands: int,
    detection: float,
    tracking: float,
    presence: float = _THEIR_DEFAULT,
    weights_dir: Path | None = None,
) -> HandEstimator | HandTracker:
    """What finds hands in pictures that are ``still``, or follows them through a video.

    Raises:
        TypeError: one is not a number.
        ValueError: one is not in 0..1.
    """
    for name, value in (("detection", detection), ("tracking", tracking), ("presence", presence)):
        if not isinstance(value, Real):
            raise TypeError(
                f"the {name} confidence must be a number in 0..1, got {value!r} "
                f"({type(value).__name__}): convert it with float(...)"
            )
        if not 0 <= value <= 1:
            raise InputError(f"the {name} confidence must be in 0..1, got {value}")
    ours = TrackerSettings()
    options: dict[str, Any] = {
        "max_hands": max_hands,
        "weights_dir": weights_dir,
        "score_threshold": _stretched(detection, ours.score_threshold),
        # The detector proposes; with it alone a strict caller would lose small hands.
        "detector_threshold": min(_stretched(detection, ours.detector_threshold), 0.5),
    }
    if still:
        return HandEstimator(**options)
    return HandTracker(
        keep_threshold=_stretched(tracking, ours.keep_threshold),
        doubt_threshold=_stretched(presence, ours.doubt_threshold),
        **options,
    )


def check_num_hands(name: str, count: int) -> None:
    """Refuse what cannot be a number of hands, by the ``name`` it has there.

    Raises:
        TypeError: it is not a whole number.
        ValueError: there would be no hand.
    """
    if not isinstance(count, Integral):
        raise TypeError(f"{name} must be a whole number, got {count!r} ({type(count).__name__})")
    if count < 1:
        raise InputError(f"{name} must be at least 1, got {count}")


def _stretched(theirs: float, our_default: float) -> float:
    """From 0..1 to 0..1 so that their default is ours."""
    if theirs <= _THEIR_DEFAULT:
        return our_default * theirs / _THEIR_DEFAULT
    return our_default + (1 - our_default) * (theirs - _THEIR_DEFAULT) / (1 - _THEIR_DEFAULT)
