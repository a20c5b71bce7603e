"""Who is a hand, which is the same hand, and whether there are two: all that decides, in one place.

A detector and many looks at a frame tell of hands; none of them is always right. What they tell is
named here, and how much it counts. Everything is a function of a single frame: what the frames
before tell is memory (``track/``), and comes in as a proposal with prior odds (``propose``).

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

#: Probability below which nothing is worth another look: of a hand, or of a neighbour beside it.
HOPELESS = 0.12
#: Where a hand is unlikely (where one was lost, beside one that is followed, where nothing has
#: moved or nobody has detected one), what looks like one is more often a piece of something. Looks
#: at it must score so much more: false hands rarely have more to spare, real ones mostly 0.4.
CAUTION = 0.12
#: Probability from which on it is rather a hand than none; in a video, whose frames are many, also
#: that of a neighbour for which it is worth looking.
EVEN = 0.5

# --- which side? ---------------------------------------------------------------------------------

#: A side is believed from this probability on, by a look or by the detector's peak; else the other
#: one is looked at as well. In a video, where the side is known from many looks, two that are so
#: sure of theirs show two hands that touch or cross, even if their outlines have run together.
SURE_SIDE = 0.85
#: Hands beside each other are mostly the two of one person: odds of two of one side.
SAME_SIDE_ODDS = 0.3
#: Two hands in one picture are mostly those of one person, even far from each other: odds of two of
#: one side (0.03 in training photographs that show two; theirs are people alone more often). Where
#: a hand was lost, one of the other side would be a second one.
TWO_OF_A_SIDE_ODDS = 0.1

# --- where is it exactly? ------------------------------------------------------------------------

#: Up to so far from each other, one crop is as good as another: the middle as a share of the size,
#: the logarithm of the size, the angle (radians). 1.4 standard deviations of the crops that the
#: network was trained on, around the one that the joints define (294 hands on photographs).
SPREAD = np.array([0.07, 0.168, 0.35])
#: A look through the crop that joints define is worth so many times as much: its crop fits better.
EXACT_BONUS = 1.1
#: Above the knuckles a crop reaches at least as far as a palm is long: a folded finger that is
#: stretched would be cut off, and a crop that shows nothing of it keeps the hand folded for ever.
#: A palm is as long as from the wrist to the middle knuckle, or so many times as wide as from the
#: index finger's knuckle to the little one's, whichever is seen longer.
PALM_PER_WIDTH = 1.35
#: A joint so near to the border of a crop, as a share of its side, may be cut off; and a hand is
#: whose mask takes as much of a border: half a finger.
RIM = 0.05
#: Where a crop cuts a hand off, or may do so, it goes on for up to so much of the crop's side: a
#: finger that was folded when the crop was made.
BEYOND = 0.35

# --- is it the same hand? ------------------------------------------------------------------------

#: Two looks whose joints are so near to each other, on average, show one hand.
SAME_JOINTS = 0.15
#: Two looks that outline the same pixels show one hand, even if one took it for the other side and
#: so named its fingers the other way round; so much of the union. Hands that touch share none. A
#: part of a hand that was taken for another lies within the whole one by as much, and is trusted
#: less, or is too little for a hand (``LEAST_SHARE``).
SAME_PIXELS = 0.7

# --- are there two? ------------------------------------------------------------------------------

#: Hands whose middles are no farther apart, in extents of the larger one, may touch.
BESIDE = 1.25
#: Less of a mask than this share of a hand's own is no hand: masks are inexact at edges.
LEAST_SHARE = 0.12
#: Log odds that a look beside a hand shows another, for each of ``tells_of_second`` (fitted by
#: ``benchmarks/odds.py``).
SECOND_PER_TELL = np.array([1.9, 6.5])

_PALM = [Joint.WRIST, Joint.INDEX_MCP, Joint.MIDDLE_MCP, Joint.LITTLE_MCP]


def detected_odds(hands: Sequence[DetectedHand]) -> np.ndarray:
    """(N,) log odds that a detection is a hand, to be added to those of a look at it.

    They count in full: from afar and from close by, networks mostly err on other things.
    """
    return logit(np.array([hand.score for hand in hands]))


def least_score(settings: EstimatorSettings) -> float:
    """Score of a look that may show a hand at all."""
    return min(settings.score_threshold, settings.partner_threshold)


def stands_alone(
    score: float, right: float, settings: EstimatorSettings, *, unlikely: bool
) -> bool:
    """Whether a look shows a hand by its score; where one is unlikely, it must be surer."""
    if unlikely:
        return score >= settings.score_threshold + CAUTION and right >= EVEN
    return score >= settings.score_threshold


def is_enough(hands: Keypoints, i: int, settings: EstimatorSettings) -> bool:
    """Whether hand ``i`` of a picture has the score that is asked for, after all looks at it."""
    others = (k for k in range(len(hands)) if k != i)
    touched = any(beside(hands.points_px[k], hands.points_px[i]) for k in others)
    least = settings.partner_threshold if touched else settings.score_threshold
    return bool(hands.score[i] >= least)


def believed_side(right: np.ndarray | float, odds: np.ndarray | float) -> np.ndarray:
    """Probability of a crop's side, given what a look says of it and how much likelier it is."""
    return np.asarray(right * odds / (right * odds + 1 - right))


def side_odds_of_second(side: Side, first: Side) -> float:
    """How much likelier a side is for the second hand of a picture than by its looks."""
    return TWO_OF_A_SIDE_ODDS if side == first else 1 / TWO_OF_A_SIDE_ODDS


def crop_gap(crop: Crop, other: Crop) -> float:
    """How far one crop is from another, in spreads: below 1, one is as good as the other."""
    shift = np.hypot(*np.subtract(crop.centre_px, other.centre_px)) / other.size_px
    log_size = np.log(crop.size_px / other.size_px)
    turn = np.angle(np.exp(1j * (crop.angle - other.angle)))
    return float(np.linalg.norm(np.array([shift, log_size, turn]) / SPREAD))


def is_news(crop: Crop, seen: Sequence[Crop]) -> bool:
    """Whether a crop shows something else than others do."""
    return all(other.mirror != crop.mirror or crop_gap(crop, other) >= 1 for other in seen)


def lacks_room(crop: Crop, joints_px: np.ndarray) -> float:
    """How much of its side a crop around a hand (21, 2) lacks above, for a finger to stretch."""
    wrist, index, middle, little = joints_px.take(_PALM, axis=0).tolist()
    palm_px = max(math.dist(wrist, middle), PALM_PER_WIDTH * math.dist(index, little))
    return min(palm_px / crop.size_px - crop.below_top(middle), BEYOND)


def cut_off(looks: Keypoints, i: int) -> list[bool]:
    """Whether the left, the upper, the right border of its crop cut off the hand of look ``i``."""
    return [share >= RIM for share in looks.on_border[i].tolist()]


# --- a detection and a hand ----------------------------------------------------------------------


def is_known(hand: DetectedHand, side: Side, joints_px: np.ndarray) -> bool:
    """Whether a detection is no news: a hand of this side with these joints (21, 2) explains it.

    One of the other side is news only if it is surely another hand, and not the same one on whose
    side the detector is wavering.
    """
    gap = np.linalg.norm(middle_px(joints_px) - hand.centre_px)
    other_hand = hand.side != side and hand.score * hand.side_share > SURE_SIDE
    return bool(gap < DECISIONS.known_hand * extent_px(joints_px) and not other_hand)


def may_be(hand: DetectedHand, joints_px: np.ndarray, unseen_s: float) -> bool:
    """Whether a detection lies where a hand (21, 2) may be by now, whatever its side."""
    gap = np.linalg.norm(middle_px(joints_px) - hand.centre_px)
    return bool(gap < reach(unseen_s) * extent_px(joints_px))


# --- two looks -----------------------------------------------------------------------------------


def same_hand(
    weaker: Keypoints, i: int, better: Keypoints, k: int, sides_known: bool = False
) -> bool:
    """Whether look ``i`` of ``weaker`` is a second answer about hand ``k`` of ``better``.

    ``sides_known`` says that the sides of the crops come from more than these looks.
    """
    gap = _joints_gap(weaker, i, better, k)
    if gap < SAME_JOINTS:
        return True
    if gap > 1.0:  # hands that are an extent apart share no pixels: the masks need not be asked
        return False
    opposite = sides_known and weaker.side(i) != better.side(k)
    if opposite and min(weaker.right[i], better.right[k]) > SURE_SIDE:
        return False
    shared, own, other = shared_pixels(weaker, i, better, k)
    is_less = weaker.trust[i] < better.trust[k] or own < LEAST_SHARE * other
    is_part = shared > SAME_PIXELS * own and is_less
    return bool(is_part or shared > SAME_PIXELS * (own + other - shared))


def same_joints(a: Keypoints, i: int, b: Keypoints, k: int) -> bool:
    """Whether two looks have seen the same joints at the same places."""
    return _joints_gap(a, i, b, k) < SAME_JOINTS


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
    """Areas in the frame, px²: what two hands' masks share, the first mask, the second.

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
    """Which places in the frame, (..., 2) px, the mask of hand ``i`` covers: (...) bool."""
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
    """0..1, what look ``i`` shows that hand ``k`` does not: 1 less what they share of the union.

    Two hands of one side beside each other are unlikely: that lowers it as well.
    """
    if not beside(looks.points_px[i], hands.points_px[k]):
        return 1.0
    shared, own, other = shared_pixels(looks, i, hands, k)
    odds = SAME_SIDE_ODDS if looks.side(i) == hands.side(k) else 1.0
    return odds * (1 - shared / max(own + other - shared, 1.0))


def tells_of_second(
    detections: Detections, hands: Keypoints, k: int, looks: Keypoints, i: int, worth: float
) -> np.ndarray:
    """(2,) what tells that look ``i`` shows another hand than hand ``k`` beside it.

    Log odds of its worth, and the share of the detector's mask that each of the two explains and
    the other does not, the lesser one.
    """
    return np.array([logit(worth), _explained_apart(detections, hands, k, looks, i)])


def second_odds(tells: np.ndarray) -> float:
    """Log odds of another hand by what tells of it (2,)."""
    return float(SECOND_PER_TELL @ tells)


def _explained_apart(
    detections: Detections, known: Keypoints, k: int, looks: Keypoints, i: int
) -> float:
    """How much of the detector's mask each of two hands explains that the other does not.

    The lesser of the two shares of the mask around them.
    """
    cells_px = detections.cells_px[detections.shows_hand]  # (C, 2)
    crops = known.crops[k], looks.crops[i]
    middle = np.mean([crop.centre_px for crop in crops], axis=0)
    reach = BESIDE * max(crop.size_px for crop in crops) / MARGIN
    near_px = cells_px[np.linalg.norm(cells_px - middle, axis=-1) < reach]
    first, second = covered(known, k, near_px), covered(looks, i, near_px)
    return float(min((second & ~first).sum(), (first & ~second).sum()) / max(len(near_px), 1))
