"""Hands that the detector has taken for one, or for parts of one another.

Hands that touch often share one detection. Two things still tell of the second: who looks at the
first from close by sees a neighbour, and the detector's mask shows more than the hands that were
found explain. Many looks around the place (``hypotheses``) come upon it; what makes the best pair
with the first one is taken (``partner``).
"""

from __future__ import annotations

import cv2
import numpy as np

from knuckle.codec import DetectedHand
from knuckle.detect import Detections
from knuckle.pipeline.hypotheses import explore, turned
from knuckle.pipeline.partner import best_partner
from knuckle.pipeline.settings import CAUTION
from knuckle.pipeline.stages import Stages
from knuckle.pose import Keypoints
from knuckle.pose.duplicates import covered, extent_px, same_hand

#: A hand that touches another lies within so many of that one's extents around its middle.
_REACH = 1.25
#: Beside a hand that is followed, a neighbour is looked for from this probability on.
_LEAST_CLAIM = 0.5
#: Beside any other: unless it is a hand, and alone, but for this probability.
_DOUBT = 0.4
#: Less of a mask than this share of the found hand's own is no hand: masks are inexact at edges.
_LEAST_SHARE = 0.12
#: Beside a hand that is one and stands alone with this probability it is mostly a forearm, unless
#: it is as much as this share.
_ALONE, _MUCH_SHARE = 0.9, 0.5
#: A hand of which only the place was detected explains so much of the mask there.
_EXPLAINED = 0.3
#: Much of a hand that is overlooked is hidden: it is at least this large beside the one found.
_LEAST_SIZE = 0.8
#: Log odds from which on a second hand is believed, and from which on no better one is looked for:
#: in an image, and in a frame, of which there are many.
_BELIEVED, _SURE, _SURE_IN_FRAME = -0.5, 1.0, 0.0
#: So much likelier is a hand that was detected and seen than one that was only come upon.
_NAMED = 2.0
#: So often what was seen is followed up: in an image, and in a frame.
_ROUNDS, _ROUNDS_IN_FRAME = 2, 1


def told_apart(
    stages: Stages, image: np.ndarray, detections: Detections, found: Keypoints, room: int
) -> Keypoints:
    """The hands of an image, of which some may have been found as one, or as something between.

    Unlike ``find_overlooked``, which adds to hands that are followed, this doubts what was found:
    where hands touch, the first to be found is often a mixture, and the second a piece of an arm.
    Costs nothing where a hand is surely one and alone, as most are, and explains the mask.

    Args:
        stages: the networks.
        image: (H, W, 3) uint8 RGB.
        detections: what the detector saw in it.
        found: hands that were found in it, each once, best first.
        room: at most so many.

    Returns:
        The hands, each once; two that touch stand together.
    """
    rest = found if len(found) else _untold(stages, image, detections)
    hands = Keypoints.nothing()
    while len(rest) and len(hands) < room - 1:
        touching = _beside(rest, rest, 0)
        apart = rest.take([i for i in range(len(rest)) if i not in touching])
        others = Keypoints.concatenate(hands, apart)
        pair = _pair(stages, image, detections, rest.take(touching), others)
        third = _sure_beside(stages, detections, pair, others, rest.take(touching))
        rest = Keypoints.concatenate(third, apart)
        hands = Keypoints.concatenate(hands, pair)
    # Where there is room for one only, it is the best, whoever touches it.
    return Keypoints.concatenate(hands, rest).take(range(min(room, len(hands) + len(rest))))


def find_overlooked(
    stages: Stages, image: np.ndarray, detections: Detections, found: Keypoints, room: int
) -> Keypoints:
    """Look for hands beside those that are followed.

    Costs nothing where these explain the detector's mask and see no neighbour.

    Args:
        stages: the networks.
        image: (H, W, 3) uint8 RGB.
        detections: what the detector saw in it.
        found: all hands that are known in it, each once.
        room: at most so many.

    Returns:
        Hands that are not among those found.
    """
    known, first = found, len(found)
    while len(known) < first + room:
        more = Keypoints.nothing() if len(known) else _untold(stages, image, detections)
        for k in _without_partner(known):
            more = more if len(more) else _partner(stages, image, detections, known, k)
        if not len(more):
            break
        known = Keypoints.concatenate(known, more)
    return known.split(first)[1]


def neighbours(known: Keypoints) -> list[DetectedHand]:
    """Hands that the looks at known hands have shown beside these, but for the known ones."""
    claims = [known.neighbour_of(i) for i in _without_partner(known)]
    return [claim for claim in claims if claim.score >= _LEAST_CLAIM]


def _without_partner(known: Keypoints) -> list[int]:
    """The hands that touch no other known hand."""
    return [k for k in range(len(known)) if len(_beside(known, known, k)) == 1]


def _beside(looks: Keypoints, known: Keypoints, k: int) -> list[int]:
    """The looks at what may touch hand ``k``, or is it."""
    gaps = np.linalg.norm(_middles_px(looks) - _middles_px(known)[k], axis=-1)
    return np.flatnonzero(gaps <= _REACH * extent_px(known.points_px[k])).tolist()


def _pair(
    stages: Stages,
    image: np.ndarray,
    detections: Detections,
    touching: Keypoints,
    others: Keypoints,
) -> Keypoints:
    """Of hands that touch, the first and its partner, if any, after a closer look if need be."""
    least = stages.settings.score_threshold
    known = Keypoints.concatenate(touching.take([0]), others)
    second, log_odds = best_partner(detections, known, 0, touching, least)
    if log_odds >= _SURE and touching.side(0) != touching.side(second):
        return touching.take([0, second])
    alone = touching.trust[0] * (1 - touching.neighbour[0, 0])
    share = _MUCH_SHARE if alone > _ALONE else _LEAST_SHARE
    guesses = _guesses(detections, known, 0, claimed=1 - alone > _DOUBT, share=share)
    if len(touching) == 1 and not guesses:
        return touching
    looks = explore(stages, image, _all_ways(guesses, touching, 0), touching, _ROUNDS)
    beside = [
        i
        for i in _beside(looks, touching, 0)
        if not any(same_hand(looks, i, others, k) for k in range(len(others)))
    ]
    first = looks.take([max(beside or [0], key=lambda i: looks.trust[i])])
    known = Keypoints.concatenate(first, others)
    second, log_odds = best_partner(detections, known, 0, looks, least)
    if log_odds < _BELIEVED:
        looks = touching  # a hand that the detector has named itself, and that is seen well, stays
        second, log_odds = best_partner(detections, known, 0, touching, least + CAUTION)
        log_odds += _NAMED
    return Keypoints.concatenate(first, looks.take([second] if log_odds >= _BELIEVED else []))


def _sure_beside(
    stages: Stages, detections: Detections, pair: Keypoints, others: Keypoints, found: Keypoints
) -> Keypoints:
    """Those found that surely are hands of their own beside the first of a pair."""
    least, known = stages.settings.score_threshold, Keypoints.concatenate(pair, others)
    return found.take(
        [
            i
            for i in range(len(found))
            if best_partner(detections, known, 0, found.take([i]), least)[1] >= _SURE
        ]
    )


def _partner(
    stages: Stages, image: np.ndarray, detections: Detections, known: Keypoints, k: int
) -> Keypoints:
    """The hand that touches hand ``k`` and is not known, or none."""
    least = stages.settings.score_threshold
    claimed = bool(known.neighbour[k, 0] >= _LEAST_CLAIM)
    guesses = _guesses(detections, known, k, claimed=claimed, share=_LEAST_SHARE)
    if not guesses:
        return Keypoints.nothing()
    looks = explore(stages, image, guesses, known.take([k]), rounds=0)
    best, log_odds = best_partner(detections, known, k, looks, least)
    if log_odds < _SURE_IN_FRAME:
        # There is a hand, but not the way it was claimed to be.
        looks = explore(stages, image, _all_ways(guesses, known, k), looks, _ROUNDS_IN_FRAME)
        best, log_odds = best_partner(detections, known, k, looks, least)
    return looks.take([best] if log_odds >= _BELIEVED else [])


def _guesses(
    detections: Detections, known: Keypoints, k: int, *, claimed: bool, share: float
) -> list[DetectedHand]:
    """Where there may be another hand beside hand ``k``, which may say so itself.

    The mask says so where a piece of it is left that is at least this share of the hand's own.
    """
    piece = _unexplained(detections, known, k, share)
    return [*([known.neighbour_of(k)] if claimed else []), *([piece] if piece else [])]


def _all_ways(guesses: list[DetectedHand], known: Keypoints, k: int) -> list[DetectedHand]:
    """The guesses, and one that lies on hand ``k``, all ways up and as both sides."""
    x, y = _middles_px(known)[k].tolist()
    extent = float(extent_px(known.points_px[k]))
    on_it = DetectedHand((x, y), extent, known.crops[k].angle, known.side(k))
    return [way for guess in (*guesses, on_it) for way in turned(guess)]


def _unexplained(
    detections: Detections, known: Keypoints, k: int, share: float
) -> DetectedHand | None:
    """A hand that might explain the largest piece of mask beside hand ``k``, but for its side."""
    cells_px, is_hand = detections.cells_px, detections.shows_hand
    own = [is_hand & covered(known, i, cells_px) for i in range(len(known))]
    extent = float(extent_px(known.points_px[k]))
    near = np.linalg.norm(cells_px - _middles_px(known)[k], axis=-1) < _REACH * extent
    piece = _largest_piece(is_hand & near & ~np.any(own, axis=0))
    if piece.sum() <= share * own[k].sum():
        return None
    piece_px = cells_px[piece]
    x, y = piece_px.mean(axis=0).tolist()
    size = max(float(np.ptp(piece_px, axis=0).max()), _LEAST_SIZE * extent)
    return DetectedHand((x, y), size, known.crops[k].angle, known.side(k))


def _untold(stages: Stages, image: np.ndarray, detections: Detections) -> Keypoints:
    """The likeliest hand where the detector is surest of one, but none was found; or none.

    Two hands in one may look like neither of them: the place is right, the rest is not.
    """
    if not detections.hands:
        return Keypoints.nothing()
    surest, cells_px = detections.hands[0], detections.cells_px
    near = np.linalg.norm(cells_px - surest.centre_px, axis=-1) < surest.size_px / 2
    piece_px = cells_px[near & detections.shows_hand]
    if not len(piece_px):
        return Keypoints.nothing()
    looks = explore(stages, image, turned(surest), Keypoints.nothing(), _ROUNDS_IN_FRAME)
    best = int(looks.trust.argmax())
    sure = looks.score[best] >= stages.settings.score_threshold + CAUTION
    explained = covered(looks, best, piece_px).mean() >= _EXPLAINED
    return looks.take([best] if sure and explained else [])


def _middles_px(known: Keypoints) -> np.ndarray:
    """(N, 2) middles of the boxes around the joints."""
    return (known.points_px.min(axis=1) + known.points_px.max(axis=1)) / 2


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask, without what is a single cell wide."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    _, label, stats, _ = cv2.connectedComponentsWithStats(opened)
    if len(stats) == 1:
        return np.zeros(mask.shape, bool)
    return label == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
