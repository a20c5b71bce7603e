"""Where a second hand may be that the detector has taken for a part of the first.

Hands that touch often share one detection. Two things still tell of the second: who looks at the
first from close by sees a neighbour, and the detector's mask shows more than the hands that were
found explain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from knuckle.codec import DetectedHand
from knuckle.detect import Detections
from knuckle.hand import SIDES, Side, other_side
from knuckle.pipeline.settings import CAUTION
from knuckle.pipeline.sides import OTHER_SIDE_ODDS
from knuckle.pipeline.stages import Stages
from knuckle.pose import Keypoints
from knuckle.pose.duplicates import covered, extent_px, same_hand

#: A hand that touches another lies within so many of that one's extents around its middle.
_REACH = 1.25
#: A neighbour that is seen with less than this probability is not looked for.
_LEAST_CLAIM = 0.5
#: Less of a mask than this share of the found hand's own is no hand: masks are inexact at edges.
_LEAST_SHARE = 0.12
#: Much of a hand that is overlooked is hidden: it is at least this large beside the one found.
_LEAST_SIZE = 0.8
#: So many of the guesses get a second look, and the hand must explain so much of the piece.
_PROMISING, _EXPLAINED = 6, 0.3
#: Which way up it is, nobody knows: it is tried in these directions beside the found one's.
_TURNS = (0.0, np.pi / 2, np.pi, -np.pi / 2)


def find_overlooked(
    stages: Stages, image: np.ndarray, detections: Detections, found: Keypoints, room: int
) -> Keypoints:
    """Look for hands that the detector has taken for parts of others, or of one another.

    Costs nothing where the hands that were found explain the detector's mask, as they mostly do.

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
        claims = neighbours(known)
        more = _look_at(stages, image, claims, known)
        for piece in _pieces(detections, claims, known):
            more = more if len(more) else _explain(stages, image, piece, known)
        if not len(more):
            break
        known = Keypoints.concatenate(known, more)
    return known.split(first)[1]


def neighbours(known: Keypoints) -> list[DetectedHand]:
    """Hands that the looks at known hands have shown beside these, but for the known ones."""
    claims = [known.neighbour_of(i) for i in _without_partner(known)]
    return [claim for claim in claims if claim.score >= _LEAST_CLAIM]


def _look_at(
    stages: Stages, image: np.ndarray, claims: list[DetectedHand], known: Keypoints
) -> Keypoints:
    """The likeliest of the hands that are claimed to be there and are not known, or none."""
    looked = stages.look_again(image, stages.look(image, [stages.crop_of(c) for c in claims]))
    for i in np.argsort(-looked.trust, kind="stable").tolist():
        if looked.score[i] >= stages.settings.score_threshold and _is_new(looked, i, known):
            return looked.take([i])
    return Keypoints.nothing()


def _is_new(looked: Keypoints, i: int, known: Keypoints) -> bool:
    return not any(same_hand(looked, i, known, k) for k in range(len(known)))


def _without_partner(known: Keypoints) -> list[int]:
    """The hands that touch no other known hand."""
    middles = (known.points_px.min(axis=1) + known.points_px.max(axis=1)) / 2  # (K, 2)
    gaps = np.linalg.norm(middles[:, None] - middles, axis=-1)
    alone = (gaps < _REACH * extent_px(known.points_px)[:, None]).sum(axis=1) == 1
    return np.flatnonzero(alone).tolist()


@dataclass(frozen=True, eq=False)
class _Piece:
    """Something that no known hand explains.

    Attributes:
        cells_px: (N, 2) px, what the detector's mask shows there; none if it is only claimed.
        guess: a hand that might explain it, but for its side and angle.
        beside: the side of the hand that it touches, or None where no hand is known.
    """

    cells_px: np.ndarray
    guess: DetectedHand
    beside: Side | None


def _pieces(
    detections: Detections, claims: list[DetectedHand], known: Keypoints
) -> Iterator[_Piece]:
    """What may be another hand, the likeliest first."""
    piece = _unexplained(detections, known) if len(known) else _untold(detections)
    if piece is not None:
        yield piece
    for claim in sorted(claims, key=lambda c: -c.score)[:1]:
        # There is a hand, but not the way it was claimed to be.
        yield _Piece(np.empty((0, 2)), claim, other_side(claim.side))


def _explain(stages: Stages, image: np.ndarray, piece: _Piece, known: Keypoints) -> Keypoints:
    """The likeliest hand that is not known and explains the piece, or none."""
    guesses = [
        replace(piece.guess, angle=piece.guess.angle + turn, side=side)
        for side in SIDES
        for turn in _TURNS
    ]
    first = stages.look(image, [stages.crop_of(guess) for guess in guesses])
    promising = np.argsort(-first.score, kind="stable")[:_PROMISING]
    looked = stages.look_again(image, first.take(promising))
    sides = [looked.side(i) for i in range(len(looked))]
    likely = looked.trust * [OTHER_SIDE_ODDS if side != piece.beside else 1.0 for side in sides]
    least = stages.settings.score_threshold + (0.0 if piece.beside else CAUTION)
    for i in np.argsort(-likely, kind="stable").tolist():
        if (
            looked.score[i] >= least
            and covered(looked, i, piece.cells_px).sum() >= _EXPLAINED * len(piece.cells_px)
            and _is_new(looked, i, known)
        ):
            return looked.take([i])
    return Keypoints.nothing()


def _unexplained(detections: Detections, known: Keypoints) -> _Piece | None:
    """The largest piece beside a known hand that has no partner yet."""
    cells_px, is_hand = _cells_px(detections), _is_hand(detections)
    own = [covered(known, i, cells_px) for i in range(len(known))]
    rest = is_hand & ~np.any(own, axis=0)
    largest, beside = np.zeros(is_hand.shape, bool), -1
    for i in _without_partner(known):
        joints_px = known.points_px[i]
        middle = (joints_px.min(axis=0) + joints_px.max(axis=0)) / 2
        near = np.linalg.norm(cells_px - middle, axis=-1) < _REACH * extent_px(joints_px)
        piece = _largest_piece(rest & near)
        if piece.sum() > max(_LEAST_SHARE * own[i].sum(), largest.sum()):
            largest, beside = piece, i
    if beside < 0:
        return None
    piece_px = cells_px[largest]
    span = float(np.ptp(piece_px, axis=0).max())
    size = max(span, _LEAST_SIZE * float(extent_px(known.points_px[beside])))
    x, y = piece_px.mean(axis=0).tolist()
    guess = DetectedHand((x, y), size, known.crops[beside].angle, "right")
    return _Piece(piece_px, guess, known.side(beside))


def _untold(detections: Detections) -> _Piece | None:
    """What the detector is surest of, but nothing was found there.

    Two hands in one may look like neither of them: the place is right, the rest is not.
    """
    if not detections.hands:
        return None
    best, cells_px = detections.hands[0], _cells_px(detections)
    near = np.linalg.norm(cells_px - best.centre_px, axis=-1) < best.size_px / 2
    piece_px = cells_px[near & _is_hand(detections)]
    return _Piece(piece_px, best, None) if len(piece_px) else None


def _is_hand(detections: Detections) -> np.ndarray:
    """(h, w) bool, cells that show a hand; whose, is the lesser question."""
    return detections.side_masks.sum(axis=0) > 0.5


def _cells_px(detections: Detections) -> np.ndarray:
    """(h, w, 2) where the cells of the detector's masks lie in the frame, px."""
    height, width = detections.side_masks.shape[1:]
    rows, columns = np.mgrid[:height, :width]
    cell = np.array(detections.letterbox.box_size) / (width, height)
    return detections.letterbox.to_frame((np.stack([columns, rows], axis=-1) + 0.5) * cell - 0.5)


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask, without what is a single cell wide."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    _, label, stats, _ = cv2.connectedComponentsWithStats(opened)
    if len(stats) == 1:
        return np.zeros(mask.shape, bool)
    return label == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
