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
#: Log odds that the best look shows a second hand, by what tells of it: see ``_log_odds_of``. A
#: logistic regression over 144 rendered pairs that touch and 134 single hands.
_BIAS, _PER_WORTH, _PER_CLAIM, _PER_CLAIM_BACK, _PER_SHARE = -1.05, 0.5, 0.4, 0.2, 10.0
#: The mask counts so far around two hands, in extents of the larger one.
_AROUND = 1.2


class Partner(NamedTuple):
    """Number of a look, and the log odds that it shows the second hand of a pair."""

    look: int
    log_odds: float


#: No look may be one.
NOBODY = Partner(-1, -np.inf)


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
        The look and the log odds that it is a second hand, or ``NOBODY``.
    """
    best, most = -1, 0.0
    others = [j for j in range(len(known)) if j != k]
    for i in np.flatnonzero(looks.score >= least_score).tolist():
        if looks.trust[i] > most and not any(same_hand(looks, i, known, j) for j in others):
            worth = _worth(known, k, looks, i)
            best, most = (i, worth) if worth > most else (best, most)
    if best < 0:
        return NOBODY
    return Partner(best, _log_odds_of(detections, known, k, looks, best, most))


def _worth(known: Keypoints, k: int, looks: Keypoints, i: int) -> float:
    """Trust in a look at a hand beside hand ``k``, less what it shares with that one."""
    shared, own, other = shared_pixels(looks, i, known, k)
    apart = 1 - shared / max(own + other - shared, 1.0)
    odds = _SAME_SIDE_ODDS if looks.side(i) == known.side(k) else 1.0
    return float(looks.trust[i]) * apart * odds


def _log_odds_of(
    detections: Detections, known: Keypoints, k: int, looks: Keypoints, i: int, worth: float
) -> float:
    """Log odds that look ``i`` shows a second hand beside hand ``k``.

    By its worth, by what each says of a neighbour, and by how much of the detector's mask each
    explains that the other does not: the lesser share of the two.
    """
    cells_px = detections.cells_px[detections.shows_hand]  # (C, 2)
    crops = known.crops[k], looks.crops[i]
    middle = np.mean([crop.centre_px for crop in crops], axis=0)
    reach = _AROUND * max(crop.size_px for crop in crops) / MARGIN
    near_px = cells_px[np.linalg.norm(cells_px - middle, axis=-1) < reach]
    first, second = covered(known, k, near_px), covered(looks, i, near_px)
    share = min((second & ~first).sum(), (first & ~second).sum()) / max(len(near_px), 1)
    return float(
        _BIAS
        + _PER_WORTH * _logit(worth)
        + _PER_CLAIM * _logit(known.neighbour[k, 0])
        + _PER_CLAIM_BACK * _logit(looks.neighbour[i, 0])
        + _PER_SHARE * share
    )


def _logit(probability: float) -> float:
    """Log odds of a network's probability, of which none is believed beyond 1 in 100."""
    inside = min(max(float(probability), 0.01), 0.99)
    return float(np.log(inside / (1 - inside)))
