"""When it is worth searching the whole frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from knuckle.track.scene import Change


@dataclass
class SearchSchedule:
    """Searching costs as much as following several hands, so it has to be worth it.

    Attributes:
        every: frames between two searches when there is a reason to search.
        restless: frames between two searches when all that moves has moved before.
        idle: frames between two searches when there is a free slot but no reason at all.
    """

    every: int = 3
    restless: int = 9
    idle: int = 30
    _since: float = field(default=math.inf, init=False)  # frames since the last search

    def due(self, *, followed: int, slots: int, doubtful: bool, change: Change) -> bool:
        """Whether to search this frame; to be asked once per frame.

        Args:
            followed: hands being followed.
            slots: hands to be followed at most.
            doubtful: one of them may no longer be a hand, or one has just been lost.
            change: what has changed outside them since the last search.
        """
        self._since += 1
        if followed == 0:
            return change is Change.FRESH or self._since >= self.every
        if doubtful:
            return self._since >= self.every
        if followed >= slots:
            return False
        pace = {Change.FRESH: self.every, Change.RESTLESS: self.restless, Change.NONE: self.idle}
        return self._since >= pace[change]

    def searched(self) -> None:
        """The whole frame has just been searched."""
        self._since = 0
