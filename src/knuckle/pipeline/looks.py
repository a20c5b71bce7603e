"""Proposals and looks: where a hand may be, and what the keypoint network sees there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.hand import Side
from knuckle.pipeline import judge
from knuckle.pose import Keypoints
from knuckle.track.track import Track


class Networks(Protocol):
    """What a frame asks of the networks; ``Stages`` is one."""

    def look(self, image: np.ndarray, crops: list[Crop]) -> Keypoints:
        """One look at each crop, all in one batch."""

    def crop_of(self, hand: DetectedHand) -> Crop:
        """The crop of a detected hand."""

    def crop_around(self, joints_px: np.ndarray, side: Side) -> Crop:
        """The crop of a hand whose joints are known."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """A crop that may show a hand.

    Attributes:
        crop: what to look at.
        by: who proposes it: "detection" (in a video "search"), "track", "exact", … (``propose``).
        log_odds: that it shows a hand, beside what a look will tell.
        side_odds: how much likelier than by its looks the crop's side is.
        after: the look that proposes it, by its number; None where nobody has looked yet.
        hand: the detection or the claim of a look that it goes back to, if any.
        track: whose hand it should be.
    """

    crop: Crop
    by: str
    log_odds: float = 0.0
    side_odds: float = 1.0
    after: int | None = None
    hand: DetectedHand | None = None
    track: Track | None = None


@dataclass(frozen=True, eq=False)
class Looks:
    """N looks at a frame: what each goes back to, and what it shows.

    Attributes:
        proposals: N of them.
        seen: what the network says, N crops.
    """

    proposals: tuple[Proposal, ...]
    seen: Keypoints

    def __len__(self) -> int:
        return len(self.proposals)

    def __add__(self, other: Looks) -> Looks:
        """All looks, those of the other after these; ``after`` counts through all of them."""
        return Looks(self.proposals + other.proposals, Keypoints.concatenate(self.seen, other.seen))

    @classmethod
    def none(cls) -> Looks:
        """No looks at all."""
        return cls((), Keypoints.nothing())

    @classmethod
    def at(cls, stages: Networks, image: np.ndarray, proposals: Sequence[Proposal]) -> Looks:
        """Look at all proposals, in one batch."""
        if not proposals:
            return cls.none()
        seen = stages.look(image, [proposal.crop for proposal in proposals])
        return cls(tuple(proposals), seen.believing(np.array([p.log_odds for p in proposals])))

    def take(self, numbers: Sequence[int] | np.ndarray) -> Looks:
        """Those with these numbers, in this order."""
        chosen = np.asarray(numbers, int)
        return Looks(tuple(self.proposals[i] for i in chosen), self.seen.take(chosen))

    @cached_property
    def right(self) -> np.ndarray:
        """(N,) 0..1 that the hand is of its crop's side, by all that is known."""
        odds = np.array([proposal.side_odds for proposal in self.proposals])
        right = np.asarray(self.seen.right, np.float64)
        return right * odds / (right * odds + 1 - right)

    @cached_property
    def worth(self) -> np.ndarray:
        """(N,) trust in each look, by all that is known of its side; one may be above 1."""
        fits = [proposal.by in ("exact", "side") for proposal in self.proposals]
        return self.seen.seen * self.right * np.where(fits, judge.EXACT_BONUS, 1.0)

    def first(self, i: int) -> Proposal:
        """Who first proposed the hand that look ``i`` shows, from here or as this side or not."""
        proposal = self.proposals[i]
        while proposal.by in ("exact", "side") and proposal.after is not None:
            proposal = self.proposals[proposal.after]
        return proposal

    def averaged(self, numbers: Sequence[int]) -> Keypoints:
        """What some looks show, each with the one that proposed it, where both show one hand."""
        chosen = self.seen.take(numbers)
        if all(self.proposals[i].after is None for i in numbers):
            return chosen
        before = [self.proposals[i].after for i in numbers]
        first = [i if k is None else k for i, k in zip(numbers, before, strict=True)]
        return chosen.averaged_with(self.seen.take(first))
