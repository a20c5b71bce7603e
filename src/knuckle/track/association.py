"""Which hands of this frame are those of the frames before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knuckle.codec import DetectedHand
from knuckle.hand import Side
from knuckle.pose.duplicates import extent_px

#: A detection belongs to a hand whose middle is within this share of its extent.
_KNOWN_HAND = 0.5
#: A detection is of its side, and not of the other, from this peak on.
_SURE_SIDE = 0.65
#: A hand that was lost may turn up within this many of its extents, and so many more a second.
_REACH, _REACH_PER_S = 1.0, 3.0
#: It may meanwhile look so much larger or smaller (logarithm).
_LOG_SIZE = 0.6

#: A hand that is hidden is where its hider is, but as long as nobody sees it it may turn round: it
#: may turn up so much farther away (extents).
_HIDDEN_REACH = 1.0
#: Two hands are beside each other if so many of the larger one's extents or fewer are between them.
_BESIDE = 1.25

#: What is smaller than this share of a hand, and nearer to its middle than this share of that,
#: is a piece of it.
_PIECE, _PIECE_REACH = 0.5, 0.75

#: Side and (21, 2) joints of a hand, px.
Sighting = tuple[Side, np.ndarray]


def is_known(hand: DetectedHand, side: Side, joints_px: np.ndarray) -> bool:
    """Whether a detection is no news: a hand of this side with these joints (21, 2) explains it.

    One of the other side is news only if it is surely another hand, and not the same one on whose
    side the detector is wavering.
    """
    gap = np.linalg.norm(_middle(joints_px) - hand.centre_px)
    other_hand = hand.side != side and hand.score * hand.side_share > _SURE_SIDE
    return bool(gap < _KNOWN_HAND * extent_px(joints_px) and not other_hand)


def is_near(hand: DetectedHand, joints_px: np.ndarray, unseen_s: float) -> bool:
    """Whether a detection lies where a hand may be by now, whatever its side."""
    reach = (_REACH + _REACH_PER_S * unseen_s) * extent_px(joints_px)
    return bool(np.linalg.norm(_middle(joints_px) - hand.centre_px) < reach)


def is_beside(joints_px: np.ndarray, others_px: np.ndarray) -> bool:
    """Whether two hands (21, 2) each, px, may be about to touch."""
    gap = np.subtract(_middle(joints_px), _middle(others_px))
    return bool(np.hypot(*gap) < _BESIDE * max(extent_px(joints_px), extent_px(others_px)))


def is_piece(joints_px: np.ndarray, whole_px: np.ndarray) -> bool:
    """Whether what was found (21, 2) is a piece of a hand (21, 2) of which not all is seen yet."""
    gap = np.subtract(_middle(joints_px), _middle(whole_px))
    extent = extent_px(whole_px)
    near = np.hypot(*gap) < _PIECE_REACH * extent
    return bool(near and extent_px(joints_px) < _PIECE * extent)


def share_inside(joints_px: np.ndarray, frame_shape: tuple[int, int]) -> np.ndarray:
    """Share of the joints that lie inside a frame of (H, W): (..., 21, 2) -> (...)."""
    limit = np.array([frame_shape[1], frame_shape[0]]) - 0.5
    return ((joints_px > -0.5) & (joints_px < limit)).all(axis=-1).mean(axis=-1)


@dataclass(frozen=True, eq=False)
class Whereabouts:
    """Where a hand that was lost may be by now.

    Attributes:
        side: of the hand.
        places_px: (P, 21, 2) its joints, in each place where it may be.
        unseen_s: for how long it has been lost.
        hidden: another hand hides it: next to nothing is known of its size.
    """

    side: Side
    places_px: np.ndarray
    unseen_s: float
    hidden: bool = False

    def gap(self, joints_px: np.ndarray) -> float | None:
        """How far a hand (21, 2) is from being this one, in its extents; None if it cannot be."""
        extents = extent_px(self.places_px)  # (P,)
        offset = joints_px.mean(axis=0) - self.places_px.mean(axis=1)
        off = float((np.linalg.norm(offset, axis=-1) / extents).min())
        grown = float(abs(np.log(extent_px(joints_px) / extents[0])))
        reach = _REACH + _REACH_PER_S * self.unseen_s + (_HIDDEN_REACH if self.hidden else 0.0)
        if off >= reach or (grown >= _LOG_SIZE and not self.hidden):
            return None
        return off + grown


def assign(found: Sequence[Sighting], lost: Sequence[Whereabouts]) -> list[int | None]:
    """For each hand found, the lost one that it may be, the nearest pairs first.

    Args:
        found: hands that have just turned up.
        lost: hands that were lost.

    Returns:
        For each found hand an index into ``lost``, each at most once, or None.
    """
    pairs = []
    for i, (side, joints_px) in enumerate(found):
        for k, hand in enumerate(lost):
            gap = hand.gap(joints_px) if side == hand.side else None
            if gap is not None:
                pairs.append((gap, i, k))
    matches: list[int | None] = [None] * len(found)
    for _, i, k in sorted(pairs):
        if matches[i] is None and k not in matches:
            matches[i] = k
    return matches


def _middle(joints_px: np.ndarray) -> np.ndarray:
    """(2,) of the box around the joints (21, 2)."""
    return (joints_px.min(axis=0) + joints_px.max(axis=0)) / 2
