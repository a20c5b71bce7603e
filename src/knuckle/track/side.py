"""Which side a hand is of: every look at it votes; a side that was reported does not change."""

from __future__ import annotations

import math

from knuckle.hand import Side, other_side
from knuckle.pose.keypoints import SUREST
from knuckle.track.decisions import DECISIONS


class SideVotes:
    """The votes of all looks at a hand for or against its side, log odds."""

    def __init__(self, side: Side) -> None:
        self.side: Side = side  # only ``reconsider`` changes it
        self._votes = 0.0

    def hear(self, probability: float) -> None:
        """Add the vote of one more look: its probability that the hand is of this side."""
        votes, most = self._votes + log_odds(probability), DECISIONS.most_votes
        self._votes = min(max(votes, -most), most)

    def be_sure(self) -> None:
        """Take the side as certain, as other cameras know it."""
        self._votes = DECISIONS.most_votes

    def reconsider(self) -> None:
        """Take the other side if the votes are for it; only before the hand has been reported."""
        if self._votes < 0:
            self.side, self._votes = other_side(self.side), -self._votes

    def says_so(self, least: float) -> bool:
        """Whether the votes favour the side by at least ``least``, log odds."""
        return self._votes > 0 and self._votes >= least

    @property
    def given_up(self) -> bool:
        """Whether the votes have long been against the side: then this is another hand."""
        return self._votes <= -DECISIONS.most_votes

    @property
    def score(self) -> float:
        """0..1, how sure the side is."""
        return 1 / (1 + math.exp(-self._votes))


def log_odds(probability: float) -> float:
    """Log odds of what one look says, which is capped at ``SUREST``."""
    inside = min(max(probability, 1 - SUREST), SUREST)
    return math.log(inside / (1 - inside))
