"""21 keypoints, their confidence, the mask and the side of the hand in each crop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import mul

import numpy as np

from knuckle.codec import DetectedHand, NeighbourCodec
from knuckle.crop import Crop
from knuckle.hand import N_JOINTS, Side, box_px, other_side
from knuckle.rows import Rows

#: Probabilities of networks are clipped to this, and to 1 less this, before they become log odds;
#: the presence in a look at a detection to the second.
SUREST, _SUREST_PRESENCE = 0.99, 0.999
#: Log odds that a detection is a hand, by the look at it: a constant, and factors on the log odds
#: of the look's presence and of its share of well-localised keypoints. Fitted on photographs with
#: and without hands (``benchmarks/hand_odds.py``).
_DETECTED, _PER_PRESENCE, _PER_NEAR = -3.5, 0.56, 1.07
#: A keypoint is well localised within this share of the hand's extent.
_NEAR = 0.1
#: Least spread of a hand's joints across their main axis, over that along it. On bare arms joints
#: lie in a line; of 10,000 hands, photographed and rendered from everywhere, five are thinner.
_THINNEST = 0.1


@dataclass(frozen=True, eq=False)
class Keypoints(Rows):
    """What the keypoint network says about N crops of one frame, axis 0 throughout."""

    crops: tuple[Crop, ...]  # N crops
    points_crop: np.ndarray  # (N, 21, 2) crop px
    sigma_crop: np.ndarray  # (N, 21) expected error per axis, crop px
    visible: np.ndarray  # (N, 21) 0..1
    presence: np.ndarray  # (N,) 0..1, is this a hand at all
    #: (N,) 0..1, that the hand is of the side its crop was cut for: a right hand *as seen in the
    #: crop*.
    side_score: np.ndarray
    mask: np.ndarray  # (N, S, S) 0..1, over the crop
    #: (N, 3) 0..1, how much of its crop's left, upper, right border the hand takes.
    on_border: np.ndarray
    pixels: np.ndarray  # (N, P, P, 3) uint8, what the crops show
    features: np.ndarray  # (N, 21, F) image features at the keypoints
    #: (N, 6) 0..1 that another hand is in the crop, and where (``NeighbourCodec``).
    neighbour: np.ndarray
    #: (N,) prior that this is a hand, by what else is known of it; 0 says nothing.
    log_odds: np.ndarray

    def __len__(self) -> int:
        return len(self.crops)

    @cached_property
    def points_px(self) -> np.ndarray:
        """(N, 21, 2) in the frame."""
        points = np.empty(self.points_crop.shape)  # float64: geometry is done in doubles
        for i, crop in enumerate(self.crops):
            points[i] = crop.to_frame(self.points_crop[i])
        return points

    @cached_property
    def extents_px(self) -> np.ndarray:
        """(N,) longer sides of the boxes around the joints in the frame."""
        boxes = map(box_px, self.points_px)
        return np.array([max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes])

    @cached_property
    def sigma_px(self) -> np.ndarray:
        """(N, 21) expected error per axis, frame px."""
        scale = np.array([crop.size_px / crop.out_size for crop in self.crops])
        return self.sigma_crop * scale[:, None]

    @cached_property
    def look_score(self) -> np.ndarray:
        """(N,) 0..1: the look shows a hand, and its keypoints are well localised.

        In a crop of something that only resembles a hand, keypoints scatter, and their sigmas are
        large. Errors are Laplacian: one is below e with probability 1 - exp(-e / sigma).
        """
        present, near = self._tells
        return present * near

    @cached_property
    def _tells(self) -> np.ndarray:
        """(2, N) presence, 0 where the keypoints lie in a line; share of well-localised ones."""
        tells = np.empty((2, len(self)), np.float32)
        for i, presence in enumerate(self.presence):
            x, y = self.points_crop[i].T.tolist()  # of so few numbers, Python is done before NumPy
            longer_side = max(max(x) - min(x), max(y) - min(y))
            tells[0, i] = 0.0 if _in_a_line(x, y) else presence
            tells[1, i] = _share_within(_NEAR * longer_side, self.sigma_crop[i].tolist())
        return tells

    @cached_property
    def score(self) -> np.ndarray:
        """(N,) 0..1: this is a hand, by the look and the prior."""
        if not self.log_odds.any():
            return np.asarray(self.look_score, np.float64)
        present, near = self._tells
        odds = _DETECTED + _PER_PRESENCE * logit(present, _SUREST_PRESENCE)
        odds = odds + _PER_NEAR * logit(near)
        posterior = 1 / (1 + np.exp(-odds - self.log_odds))
        return np.where(self.log_odds == 0, self.look_score, posterior)

    @cached_property
    def trust(self) -> np.ndarray:
        """(N,) 0..1: the look shows a hand, and of the side that its crop was cut for.

        It compares looks at one place, for which the prior is the same.
        """
        return self.look_score * self.side_score

    def side(self, index: int) -> Side:
        """The side that crop ``index`` was cut for: only left hands are mirrored."""
        return "left" if self.crops[index].mirror else "right"

    def neighbour_of(self, index: int) -> DetectedHand:
        """The other hand in crop ``index``, in the frame; its ``score`` says whether there is one.

        Its side is the other one: mostly it is the other hand of the same person.
        """
        crop, (score, *values) = self.crops[index], self.neighbour[index]
        side = other_side(self.side(index))
        seen = NeighbourCodec(crop.out_size).decode(np.array(values), side, float(score))
        x, y = crop.to_frame(np.array(seen.centre_px))
        return replace(
            seen,
            centre_px=(float(x), float(y)),
            size_px=seen.size_px * crop.size_px / crop.out_size,
            angle=crop.angle + (-seen.angle if crop.mirror else seen.angle),
        )

    @classmethod
    def nothing(cls) -> Keypoints:
        """No crops at all."""
        empty = np.empty(0, np.float32)
        return cls(
            crops=(),
            points_crop=empty.reshape(0, N_JOINTS, 2),
            sigma_crop=empty.reshape(0, N_JOINTS),
            visible=empty.reshape(0, N_JOINTS),
            presence=empty,
            side_score=empty,
            mask=empty.reshape(0, 0, 0),
            on_border=empty.reshape(0, 3),
            pixels=np.empty((0, 0, 0, 3), np.uint8),
            features=empty.reshape(0, N_JOINTS, 0),
            neighbour=empty.reshape(0, 1 + NeighbourCodec.N_VALUES),
            log_odds=empty,
        )

    def take(self, rows: np.ndarray | Sequence[int]) -> Keypoints:
        """The crops of these numbers, in this order."""
        return self if list(rows) == list(range(len(self))) else super().take(rows)

    def with_prior(self, log_odds: np.ndarray) -> Keypoints:
        """The same looks with prior log odds (N,) that each shows a hand.

        They must come from something that is independent of the looks.
        """
        return replace(self, log_odds=self.log_odds + log_odds) if any(log_odds) else self

    def without_prior(self) -> Keypoints:
        """The same looks, each by itself."""
        return replace(self, log_odds=np.zeros(len(self))) if self.log_odds.any() else self

    @classmethod
    def concatenate(cls, *parts: Keypoints) -> Keypoints:
        """The crops of all parts, in order."""
        parts = tuple(part for part in parts if len(part))
        if len(parts) < 2:
            return parts[0] if parts else cls.nothing()
        return cls.joined(parts)


def _in_a_line(x: list[float], y: list[float]) -> bool:
    """Whether points spread much less across than along, wherever along is."""
    xx, yy, xy = _spread(x, x), _spread(y, y), _spread(x, y)
    middle, half = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)  # of those across and along
    return middle - half < _THINNEST**2 * (middle + half)


def _spread(a: list[float], b: list[float]) -> float:
    """Sum of the products of what numbers differ from their mean."""
    return sum(map(mul, a, b)) - sum(a) * sum(b) / len(a)


def _share_within(error: float, sigma: list[float]) -> float:
    """Expected share of keypoints whose error per axis is below this, of these sigmas."""
    return 1 - sum(math.exp(-error / s) for s in sigma) / len(sigma)


def logit(probability: np.ndarray | float, surest: float = SUREST) -> np.ndarray:
    """Log odds of probabilities, none beyond ``surest``."""
    inside = np.clip(probability, 1 - surest, surest)
    return np.asarray(np.log(inside / (1 - inside)))
