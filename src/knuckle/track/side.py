"""Which side a hand is: its looks vote, and who was told of it once can rely on it."""

from __future__ import annotations

import math

from knuckle.hand import Side, other_side
from knuckle.pose.keypoints import SUREST
from knuckle.track.decisions import DECISIONS


class SideVotes:
    """What all looks at a hand say for or against its side.

    Attributes:
        side: only ``reconsider`` changes it.
    """

    def __init__(self, side: Side) -> None:
        self.side: Side = side
        self._votes = 0.0

    def hear(self, probability: float) -> None:
        """One more look, which has the hand of this side with a probability."""
        votes, most = self._votes + log_odds(probability), DECISIONS.most_votes
        self._votes = min(max(votes, -most), most)

    def be_sure(self) -> None:
        """Others know that this is the side."""
        self._votes = DECISIONS.most_votes

    def reconsider(self) -> None:
        """Take the other side if the votes are for that: only while nobody was told of the hand."""
        if self._votes < 0:
            self.side, self._votes = other_side(self.side), -self._votes

    def says_so(self, least: float) -> bool:
        """Whether the votes are for the side, by so much at least, log odds."""
        return self._votes > 0 and self._votes >= least

    @property
    def given_up(self) -> bool:
        """Whether they have long been against it: then this is another hand."""
        return self._votes <= -DECISIONS.most_votes

    @property
    def score(self) -> float:
        """0..1, how sure the side is."""
        return 1 / (1 + math.exp(-self._votes))


def log_odds(probability: float) -> float:
    """Of what one look says; none is believed to be surer than this."""
    inside = min(max(probability, 1 - SUREST), SUREST)
    return math.log(inside / (1 - inside))
