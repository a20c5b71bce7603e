"""Which of many looks shows the hand that touches a known one, and whether there is one at all.

Around hands that touch, networks see much: both hands, the first one once more, a piece of a
forearm, something between the two. Scores alone do not tell them apart. What does: together with
the known hand the right one explains more than either alone, and the two share no pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from knuckle.crop import MARGIN
from knuckle.detect import Detections
from knuckle.pose import Keypoints
from knuckle.pose.duplicates import covered, same_hand, shared_pixels

#: Hands that touch are mostly the two of one person: how much less likely two of a side are.
_SAME_SIDE_ODDS = 0.5
#: Log odds that the best look shows a second hand: these, and so much for each thing that tells of
#: one, see ``Partner.tells``. From ``benchmarks/odds.py``.
_BIAS = -0.7
_PER_TELL = np.array([1.9, 0.2, 0.1, 6.5])
#: The mask counts so far around two hands, in extents of the larger one.
_AROUND = 1.2


class Partner(NamedTuple):
    """A look that may show the second hand of a pair.

    Attributes:
        look: its number.
        tells: (4,) what tells that it does: log odds of its worth, of the known hand's claim that
            there is a neighbour, and of the look's own claim, and the share of the detector's mask
            that each of the two explains and the other does not, the lesser one.
    """

    look: int
    tells: np.ndarray

    @property
    def log_odds(self) -> float:
        """That it is a second hand."""
        return float(_BIAS + _PER_TELL @ self.tells) if self.look >= 0 else -np.inf


#: No look may be one.
NOBODY = Partner(-1, np.zeros(len(_PER_TELL)))


def best_partner(
    detections: Detections, known: Keypoints, k: int, looks: Keypoints, least_score: float
) -> Partner:
    """Which look makes the best pair with hand ``k``, and whether that is a hand.

    Of all looks the one of most worth is chosen (a step of soft non-maximum suppression, Bodla et
    al. 2017, in which trust shrinks by what is shared).

    Args:
        detections: what the detector saw.
        known: all known hands; the partner is none of them.
        k: whose partner is wanted.
        looks: what may be it; looks at hand ``k`` may be among them.
        least_score: what scores less is no hand.

    Returns:
        The look, or ``NOBODY``.
    """
    best, most = -1, 0.0
    others = [j for j in range(len(known)) if j != k]
    for i in np.flatnonzero(looks.score >= least_score).tolist():
        if looks.trust[i] > most and not any(same_hand(looks, i, known, j) for j in others):
            worth = _worth(known, k, looks, i)
            best, most = (i, worth) if worth > most else (best, most)
    if best < 0:
        return NOBODY
    claims = _logit(most), _logit(known.neighbour[k, 0]), _logit(looks.neighbour[best, 0])
    explained = _explained_apart(detections, known, k, looks, best)
    return Partner(best, np.array([*claims, explained]))


def _worth(known: Keypoints, k: int, looks: Keypoints, i: int) -> float:
    """Trust in a look at a hand beside hand ``k``, less what it shares with that one."""
    shared, own, other = shared_pixels(looks, i, known, k)
    apart = 1 - shared / max(own + other - shared, 1.0)
    odds = _SAME_SIDE_ODDS if looks.side(i) == known.side(k) else 1.0
    return float(looks.trust[i]) * apart * odds


def _explained_apart(
    detections: Detections, known: Keypoints, k: int, looks: Keypoints, i: int
) -> float:
    """How much of the detector's mask each of two hands explains that the other does not.

    The lesser of the two shares of the mask around them.
    """
    cells_px = detections.cells_px[detections.shows_hand]  # (C, 2)
    crops = known.crops[k], looks.crops[i]
    middle = np.mean([crop.centre_px for crop in crops], axis=0)
    reach = _AROUND * max(crop.size_px for crop in crops) / MARGIN
    near_px = cells_px[np.linalg.norm(cells_px - middle, axis=-1) < reach]
    first, second = covered(known, k, near_px), covered(looks, i, near_px)
    return float(min((second & ~first).sum(), (first & ~second).sum()) / max(len(near_px), 1))


def _logit(probability: float) -> float:
    """Log odds of a network's probability, of which none is believed beyond 1 in 100."""
    inside = min(max(float(probability), 0.01), 0.99)
    return float(np.log(inside / (1 - inside)))
