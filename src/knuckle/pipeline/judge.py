"""Every decision about a single frame: what is a hand, what the same hand, what a second one.

The detector and the looks at a frame are evidence, and none of it is always right. Here stands what
counts as evidence, and how much it counts. What earlier frames say is memory (``track/``); it comes
in as the prior odds of a proposal (``propose``).

Distances are shares of a hand's extent (the longer side of the box around its joints), odds are
natural logarithms. ``python benchmarks/odds.py`` fits the odds anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from knuckle.codec import DetectedHand
from knuckle.crop import MARGIN, Crop
from knuckle.hand import N_JOINTS, Joint, Side, extent_px, middle_px
from knuckle.pipeline.settings import EstimatorSettings
from knuckle.pose import Keypoints
from knuckle.pose.keypoints import logit
from knuckle.stages.detector import Detections
from knuckle.track.association import reach
from knuckle.track.decisions import DECISIONS

# --- is it a hand? -------------------------------------------------------------------------------

#: Below this probability a hand, or a neighbour beside it, is not worth another look.
HOPELESS = 0.12
#: The same after a detection in a picture, which is seen only once: its crop is inexact, and the
#: look through the exact one may be sure where the first was not. In a video the next frame tells.
HOPELESS_IN_PICTURE = 0.04
#: Added to the least score where a hand is unlikely: where one was lost, beside one that is
#: followed, where nothing has moved, where the detector sees none, in a picture that shows none at
#: one sight. False hands rarely exceed the least score by more; real ones mostly do by 0.4.
CAUTION = 0.12
#: Probability of even odds. In a video, with its many frames, also the least probability at which a
#: neighbour is looked for.
EVEN = 0.5

# --- which side? ---------------------------------------------------------------------------------

#: A side is certain from this probability on, by a look or by the detector; below it the other side
#: is looked at as well. In a video, where sides are known from many looks, two looks so certain of
#: different sides show two hands, even if their masks cover the same pixels.
SURE_SIDE = 0.85
#: Odds that two hands beside each other are of one side: mostly they are the two of one person.
SAME_SIDE_ODDS = 0.3
#: Odds that two hands anywhere in a picture are of one side. In the training photographs of two
#: hands they are 0.03, but these show single people more often than other pictures do.
TWO_OF_A_SIDE_ODDS = 0.1

# --- where is it exactly? ------------------------------------------------------------------------

#: Crops that differ by less than this are as good as each other: shift as a share of the size,
#: logarithm of the size, angle (radians). These are 1.4 standard deviations of the crops that the
#: network was trained on about the exact crop (294 hands on photographs).
SPREAD = np.array([0.07, 0.168, 0.35])
#: Factor on the worth of a look through an exact crop, the kind that the network is best at.
EXACT_BONUS = 1.1
#: A crop extends beyond the knuckles by at least the length of a palm. Otherwise a folded finger
#: that stretches would be cut off, and the next crops, made from these joints, would cut it off
#: again. The length of a palm is the distance from the wrist to the middle knuckle, or this factor
#: times that from the index to the little knuckle, whichever is longer in the picture.
PALM_PER_WIDTH = 1.35
#: A joint nearer to the border of its crop than this share of its side may be cut off. A hand whose
#: mask covers this share of a border, half a finger, is cut off.
RIM = 0.05
#: A crop that cuts a hand off, or may do so, is extended by this share of its side at most: the
#: length of a finger that was folded when the crop was made.
BEYOND = 0.35

# --- is it the same hand? ------------------------------------------------------------------------

#: Two looks whose joints are nearer to each other than this, on average, show one hand.
SAME_JOINTS = 0.15
#: Two looks show one hand if their masks overlap by more than this (intersection over union), even
#: if one takes it for the other side and so names its fingers the other way round; hands that touch
#: share hardly any pixels. A look of less trust, or at too little for a hand (``LEAST_SHARE``), is
#: at a part of the other's hand if this share of its mask lies within the other's.
SAME_PIXELS = 0.7

# --- are there two? ------------------------------------------------------------------------------

#: Hands whose middles are nearer to each other than this, in extents of the larger one, may touch.
BESIDE = 1.25
#: A piece of mask smaller than this share of a hand's mask is no hand: masks are inexact at edges.
LEAST_SHARE = 0.12
#: Log odds that a look beside a hand shows another, for each of ``tells_of_second`` (fitted by
#: ``benchmarks/odds.py``).
SECOND_PER_TELL = np.array([1.9, 6.5])

_PALM = [Joint.WRIST, Joint.INDEX_MCP, Joint.MIDDLE_MCP, Joint.LITTLE_MCP]


def detected_odds(hands: Sequence[DetectedHand]) -> np.ndarray:
    """(N,) log odds that a detection is a hand, to be added to those of a look at it.

    They are added in full: the errors of the two networks are mostly independent.
    """
    return logit(np.array([hand.score for hand in hands]))


def least_score(settings: EstimatorSettings) -> float:
    """Score below which a look is never accepted as a hand."""
    return min(settings.score_threshold, settings.partner_threshold)


def stands_alone(
    score: float, right: float, settings: EstimatorSettings, *, unlikely: bool
) -> bool:
    """Whether the score of a look suffices for a hand; where one is unlikely, it must be higher."""
    if unlikely:
        return score >= settings.score_threshold + CAUTION and right >= EVEN
    return score >= settings.score_threshold


def is_enough(hands: Keypoints, i: int, settings: EstimatorSettings) -> bool:
    """Whether hand ``i`` of a picture reaches the threshold of the settings, after all looks."""
    others = (k for k in range(len(hands)) if k != i)
    touched = any(beside(hands.points_px[k], hands.points_px[i]) for k in others)
    least = settings.partner_threshold if touched else settings.score_threshold
    return bool(hands.score[i] >= least)


def cautious(settings: EstimatorSettings, n: int) -> EstimatorSettings:
    """Settings whose thresholds suit a picture that shows no hand and is searched in ``n`` tiles.

    A hand is unlikely there, and each tile may be mistaken for one: the odds must be ``n`` times
    as high.
    """

    def raised(threshold: float) -> float:
        likely = min(threshold + CAUTION, 1.0)
        return n * likely / (n * likely + 1 - likely)

    return replace(
        settings,
        score_threshold=raised(settings.score_threshold),
        partner_threshold=raised(settings.partner_threshold),
    )


def believed_side(right: np.ndarray | float, odds: np.ndarray | float) -> np.ndarray:
    """Posterior probability of a side, given what a look says (0..1) and the prior odds."""
    return np.asarray(right * odds / (right * odds + 1 - right))


def side_odds_of_second(side: Side, first: Side) -> float:
    """Prior odds of a side for the second hand of a picture, given the side of the first."""
    return TWO_OF_A_SIDE_ODDS if side == first else 1 / TWO_OF_A_SIDE_ODDS


def crop_gap(crop: Crop, other: Crop) -> float:
    """Distance of one crop from another in units of ``SPREAD``; below 1 they are equivalent."""
    shift = np.hypot(*np.subtract(crop.centre_px, other.centre_px)) / other.size_px
    log_size = np.log(crop.size_px / other.size_px)
    turn = np.angle(np.exp(1j * (crop.angle - other.angle)))
    return float(np.linalg.norm(np.array([shift, log_size, turn]) / SPREAD))


def is_news(crop: Crop, seen: Sequence[Crop]) -> bool:
    """Whether a crop is equivalent to none of those that were seen."""
    return all(other.mirror != crop.mirror or crop_gap(crop, other) >= 1 for other in seen)


def lacks_room(crop: Crop, joints_px: np.ndarray) -> float:
    """By what share of its side a crop is too short for a hand (21, 2) to stretch its fingers."""
    wrist, index, middle, little = joints_px.take(_PALM, axis=0).tolist()
    palm_px = max(math.dist(wrist, middle), PALM_PER_WIDTH * math.dist(index, little))
    return min(palm_px / crop.size_px - crop.below_top(middle), BEYOND)


def cut_off(looks: Keypoints, i: int) -> list[bool]:
    """Whether the left, the upper, the right border of its crop cut off the hand of look ``i``."""
    return [share >= RIM for share in looks.on_border[i].tolist()]


# --- a detection and a hand ----------------------------------------------------------------------


def is_known(hand: DetectedHand, side: Side, joints_px: np.ndarray) -> bool:
    """Whether a detection is of a known hand, of this side and with these joints (21, 2).

    A detection of the other side there is of another hand only if the detector is certain of it;
    otherwise it may be the same hand, whose side the detector has mistaken.
    """
    gap = np.linalg.norm(middle_px(joints_px) - hand.centre_px)
    other_hand = hand.side != side and hand.score * hand.side_share > SURE_SIDE
    return bool(gap < DECISIONS.known_hand * extent_px(joints_px) and not other_hand)


def may_be(hand: DetectedHand, joints_px: np.ndarray, unseen_s: float) -> bool:
    """Whether a detection lies within reach of a hand (21, 2) last seen so long ago; any side."""
    gap = np.linalg.norm(middle_px(joints_px) - hand.centre_px)
    return bool(gap < reach(unseen_s) * extent_px(joints_px))


# --- two looks -----------------------------------------------------------------------------------


def same_hand(
    weaker: Keypoints, i: int, better: Keypoints, k: int, sides_known: bool = False
) -> bool:
    """Whether look ``i`` of ``weaker`` shows the same hand as look ``k`` of ``better``.

    ``sides_known``: whether the sides of the crops are known from more than these looks.
    """
    gap = _joints_gap(weaker, i, better, k)
    if gap < SAME_JOINTS:
        return True
    if gap > 1.0:  # hands that are an extent apart share no pixels: the masks need not be asked
        return False
    opposite = sides_known and weaker.side(i) != better.side(k)
    if opposite and min(weaker.side_score[i], better.side_score[k]) > SURE_SIDE:
        return False
    shared, own, other = shared_pixels(weaker, i, better, k)
    is_less = weaker.trust[i] < better.trust[k] or own < LEAST_SHARE * other
    is_part = shared > SAME_PIXELS * own and is_less
    return bool(is_part or shared > SAME_PIXELS * (own + other - shared))


def same_joints(a: Keypoints, i: int, b: Keypoints, k: int) -> bool:
    """Whether two looks have the same joints at the same places."""
    return _joints_gap(a, i, b, k) < SAME_JOINTS


def are_joints_of(joints_px: np.ndarray, looks: Keypoints, i: int) -> bool:
    """Whether joints (21, 2) are where look ``i`` has its own."""
    gap_px = np.linalg.norm(joints_px - looks.points_px[i], axis=-1).mean()
    return bool(gap_px < SAME_JOINTS * max(looks.extents_px[i], 1e-9))


def _joints_gap(a: Keypoints, i: int, b: Keypoints, k: int) -> float:
    """Mean distance of the joints of two looks, in extents of the larger hand."""
    gaps = map(math.dist, a.points_px[i].tolist(), b.points_px[k].tolist())
    return float(sum(gaps) / N_JOINTS / max(a.extents_px[i], b.extents_px[k], 1e-9))


def beside(joints_px: np.ndarray, others_px: np.ndarray) -> np.ndarray:
    """Which of N hands (N, 21, 2) may touch another (21, 2), px, or are it: (N,) bool."""
    gap = np.linalg.norm(middle_px(joints_px) - middle_px(others_px), axis=-1)
    return gap < BESIDE * np.maximum(extent_px(joints_px), extent_px(others_px))


def touch(joints_px: np.ndarray, others_px: np.ndarray) -> bool:
    """Whether the boxes around the joints of two hands, (21, 2) px each, overlap."""
    low = np.maximum(joints_px.min(axis=0), others_px.min(axis=0))
    high = np.minimum(joints_px.max(axis=0), others_px.max(axis=0))
    return bool((low < high).all())


def shared_pixels(a: Keypoints, i: int, b: Keypoints, k: int) -> tuple[float, float, float]:
    """Areas of two hands' masks in the frame, px²: of their intersection, the first, the second.

    The cells of one crop's mask are looked up in the other's, so that no picture of the frame's
    size is made.
    """
    here = a.mask[i] > 0.5
    crop_here = replace(a.crops[i], out_size=here.shape[0])
    rows, columns = np.nonzero(here)
    inside = covered(b, k, crop_here.to_frame(np.stack([columns, rows], axis=-1)))
    cell_here, cell_there = _cell_px(a, i), _cell_px(b, k)
    other = float((b.mask[k] > 0.5).sum()) * cell_there
    return float(inside.sum()) * cell_here, len(rows) * cell_here, other


def covered(keypoints: Keypoints, i: int, points_px: np.ndarray) -> np.ndarray:
    """(...) bool, which points of the frame (..., 2) px the mask of hand ``i`` covers."""
    mask = keypoints.mask[i] > 0.5
    size = mask.shape[0]
    points = replace(keypoints.crops[i], out_size=size).to_crop(points_px)
    x, y = np.moveaxis(np.rint(points).astype(int), -1, 0)
    inside = (x >= 0) & (y >= 0) & (x < size) & (y < size)
    inside[inside] = mask[y[inside], x[inside]]
    return inside


def _cell_px(keypoints: Keypoints, i: int) -> float:
    """Area in the frame of a cell of the mask of hand ``i``, px²."""
    return (keypoints.crops[i].size_px / keypoints.mask[i].shape[0]) ** 2


# --- a second hand -------------------------------------------------------------------------------


def apart(looks: Keypoints, i: int, hands: Keypoints, k: int) -> float:
    """0..1, how far look ``i`` shows another hand than ``k``: 1 less the overlap of their masks.

    It is lower if both are of one side, as two such hands beside each other are unlikely.
    """
    if not beside(looks.points_px[i], hands.points_px[k]):
        return 1.0
    shared, own, other = shared_pixels(looks, i, hands, k)
    odds = SAME_SIDE_ODDS if looks.side(i) == hands.side(k) else 1.0
    return odds * (1 - shared / max(own + other - shared, 1.0))


def tells_of_second(
    detections: Detections, hands: Keypoints, k: int, looks: Keypoints, i: int, worth: float
) -> np.ndarray:
    """(2,) evidence that look ``i`` shows another hand than ``k``, which is beside it.

    The log odds of its worth, and ``_explained_apart``.
    """
    return np.array([logit(worth), _explained_apart(detections, hands, k, looks, i)])


def second_odds(tells: np.ndarray) -> float:
    """Log odds of another hand, given its tells (2,)."""
    return float(SECOND_PER_TELL @ tells)


def _explained_apart(
    detections: Detections, known: Keypoints, k: int, looks: Keypoints, i: int
) -> float:
    """The share of the detector's mask around two hands that only one of them covers.

    Of both such shares, the smaller one.
    """
    cells_px = detections.cells_px[detections.shows_hand]  # (C, 2)
    crops = known.crops[k], looks.crops[i]
    middle = np.mean([crop.centre_px for crop in crops], axis=0)
    reach = BESIDE * max(crop.size_px for crop in crops) / MARGIN
    near_px = cells_px[np.linalg.norm(cells_px - middle, axis=-1) < reach]
    first, second = covered(known, k, near_px), covered(looks, i, near_px)
    return float(min((second & ~first).sum(), (first & ~second).sum()) / max(len(near_px), 1))
