"""Proposals and looks: crops that may show a hand, and what the keypoint network sees in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.hand import N_JOINTS
from knuckle.pipeline import judge
from knuckle.pipeline.networks import Networks
from knuckle.pose import Keypoints
from knuckle.rows import Rows
from knuckle.track.track import Track

#: Where proposals come from (``propose``): a detection (in a video, of a "search"), a box that was
#: given, a track, a lost track, what other cameras see ("told"); of a look, its exact crop, the
#: other side, the partner that it shows, and that partner turned all ways.
Origin = Literal[
    "detection", "search", "box", "track", "lost", "told", "exact", "side", "partner", "turned"
]


@dataclass(frozen=True, eq=False)
class Proposal:
    """A crop that may show a hand."""

    crop: Crop  # what to look at
    by: Origin  # where it comes from
    log_odds: float = 0.0  # prior log odds that it shows a hand
    side_odds: float = 1.0  # prior odds that a hand in it is of the crop's side
    after: int | None = None  # number of the look that proposes it; None before the first looks
    #: The detection or the claim of a look that it goes back to, if any.
    hand: DetectedHand | None = None
    track: Track | None = None  # whose hand it should be, if anyone's
    #: (21, 2) joints of a hand beside it that is known: the network looks for the other.
    known_px: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Looks(Rows):
    """N looks at a frame."""

    proposals: tuple[Proposal, ...]  # the N crops that were looked at
    seen: Keypoints  # what the network says of them

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
    def at(cls, networks: Networks, image: np.ndarray, proposals: Sequence[Proposal]) -> Looks:
        """Look at all proposals, in one batch."""
        if not proposals:
            return cls.none()
        known_px = [proposal.known_px for proposal in proposals]
        seen = networks.look(image, [proposal.crop for proposal in proposals], known_px)
        return cls(tuple(proposals), seen.with_prior(np.array([p.log_odds for p in proposals])))

    @cached_property
    def side_posterior(self) -> np.ndarray:
        """(N,) 0..1 that the hand is of its crop's side, by the look and the prior odds."""
        odds = np.array([proposal.side_odds for proposal in self.proposals])
        return judge.believed_side(np.asarray(self.seen.side_score, np.float64), odds)

    @cached_property
    def worth(self) -> np.ndarray:
        """(N,) trust in each look by ``side_posterior``, more where the crop fits; may exceed 1."""
        fits = [proposal.by in ("exact", "side") for proposal in self.proposals]
        return self.seen.look_score * self.side_posterior * np.where(fits, judge.EXACT_BONUS, 1.0)

    def knows_of(self, i: int, hand: int) -> bool:
        """Whether look ``i`` shows the other hand than ``hand``, of which it was made knowing."""
        known_px, seen = self.proposals[i].known_px, self.seen
        if known_px is None or seen.side(i) == seen.side(hand):
            return False
        return judge.are_joints_of(known_px, seen, hand)

    def first(self, i: int) -> Proposal:
        """The proposal that look ``i`` goes back to through exact crops and changes of side."""
        proposal = self.proposals[i]
        while proposal.by in ("exact", "side") and proposal.after is not None:
            proposal = self.proposals[proposal.after]
        return proposal

    def least_hope(self, i: int) -> float:
        """Probability below which what look ``i`` shows is not worth another look."""
        in_picture = self.first(i).by == "detection"
        return judge.HOPELESS_IN_PICTURE if in_picture else judge.HOPELESS

    def averaged(self, numbers: Sequence[int]) -> Keypoints:
        """The keypoints of some looks, each averaged with the look that proposed it if any."""
        chosen = self.seen.take(numbers)
        if all(self.proposals[i].after is None for i in numbers):
            return chosen
        before = [self.proposals[i].after for i in numbers]
        # Joints of a hand that its crop cuts off do not count.
        first = [
            i if k is None or any(judge.cut_off(self.seen, k)) else k
            for i, k in zip(numbers, before, strict=True)
        ]
        return averaged(chosen, self.seen.take(first))

    def instead(self, better: Mapping[int, int]) -> Looks:
        """The looks, of which some (keys) are replaced by better ones (values) at their hand."""
        order = [better.get(i, i) for i in range(len(self))]
        crops = (self.proposals[i].crop for i in order)
        each = zip(self.proposals, crops, strict=True)
        proposals = tuple(replace(proposal, crop=crop) for proposal, crop in each)
        return Looks(proposals, self.seen.take(order))


def averaged(hands: Keypoints, *others: Keypoints) -> Keypoints:
    """The mean of looks and of further looks at the same hands, in the crops of the first.

    Errors of looks at one hand are correlated, but not fully: their mean, weighed by inverse
    variance, is nearer to the truth than the best look. Its variance is taken to be the weighed
    mean of theirs, as if they were fully correlated. Others through the same crop, or at what may
    be another hand, do not count, nor joints at the rim of their crop, which may be cut off.
    """
    points, sigma = hands.points_crop.copy(), hands.sigma_crop.copy()
    for i, crop in enumerate(hands.crops):
        more = [
            other
            for other in others
            if other.crops[i] != crop
            and other.side(i) == hands.side(i)
            and judge.same_joints(other, i, hands, i)
        ]
        if not more:
            continue
        scale = crop.out_size / crop.size_px
        seen = [points[i], *(crop.to_crop(other.points_px[i]) for other in more)]
        spread = [sigma[i], *(other.sigma_px[i] * scale for other in more)]
        counts = [np.ones(N_JOINTS), *(_clear_of_rim(other, i) for other in more)]
        weight = counts / np.square(spread)  # (looks, 21)
        total = weight.sum(axis=0)
        points[i] = (weight[..., None] * np.array(seen)).sum(axis=0) / total[:, None]
        sigma[i] = np.sqrt(np.sum(counts, axis=0) / total)
    return replace(hands, points_crop=points, sigma_crop=sigma)


def _clear_of_rim(looks: Keypoints, i: int) -> np.ndarray:
    """(21,) 1 where a joint of a look lies well inside its crop, else 0."""
    size, points = looks.crops[i].out_size, looks.points_crop[i]
    rim = judge.RIM * size
    return ((points > rim) & (points < size - 1 - rim)).all(axis=-1).astype(float)
