"""Places that look like a hand from afar and from close by turn out to be none."""

from __future__ import annotations

import numpy as np

from knuckle.codec import DetectedHand

#: A detection is the same as a refuted one if its middle is off by no more than this share of its
#: size, and its size by no more than this logarithm.
_SAME_PLACE, _SAME_LOG_SIZE = 0.3, 0.4
#: It is no longer the same if the detector is so much surer now: a hand may have come there.
_SURER = 0.15


class Refuted:
    """Remembers for a while what need not be looked at again: a mouse, a fold, a face."""

    def __init__(self, memory_s: float = 1.0) -> None:
        """Remember each place for so long."""
        self._memory_s = memory_s
        self._places: list[tuple[float, DetectedHand]] = []

    def note(self, hand: DetectedHand, time_s: float) -> None:
        """A closer look has shown that this is no hand."""
        self._places.append((time_s, hand))

    def explains(self, hand: DetectedHand, time_s: float) -> bool:
        """Whether a detection is one of those that were looked at in vain."""
        self._places = [(s, h) for s, h in self._places if time_s - s <= self._memory_s]
        return any(_is_same(hand, refuted) for _, refuted in self._places)


def _is_same(hand: DetectedHand, refuted: DetectedHand) -> bool:
    size = max(hand.size_px, refuted.size_px, 1e-6)
    gap = np.hypot(*np.subtract(hand.centre_px, refuted.centre_px)) / size
    grown = abs(np.log(max(hand.size_px, 1e-6) / max(refuted.size_px, 1e-6)))
    return bool(
        gap < _SAME_PLACE and grown < _SAME_LOG_SIZE and hand.score < refuted.score + _SURER
    )
