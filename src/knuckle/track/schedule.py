"""When it is worth searching the whole frame."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class SearchSchedule:
    """Searching costs as much as following several hands, so it has to be worth it.

    Attributes:
        every: frames between two searches when there is a reason to search.
        idle: frames between two searches when there is a free slot but no reason at all.
    """

    every: int = 3
    idle: int = 30
    _since: int = 1_000_000

    def due(self, *, followed: int, slots: int, doubtful: bool, changed: bool) -> bool:
        """Whether to search this frame; to be asked once per frame.

        Args:
            followed: hands being followed.
            slots: hands to be followed at most.
            doubtful: one of them may no longer be a hand, or one has just been lost.
            changed: something outside them has changed since the last search.
        """
        self._since += 1
        if followed == 0:
            return changed or self._since >= self.every
        if doubtful or (followed < slots and changed):
            return self._since >= self.every
        return followed < slots and self._since >= self.idle

    def searched(self) -> None:
        """The whole frame has just been searched."""
        self._since = 0
