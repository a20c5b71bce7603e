"""Hands that the detector has taken for one, or for parts of one another.

Hands that touch often share one detection. To find the second of them takes three steps:

1. Guess where it may be (``guesses``): where a look at the first one shows a neighbour, where the
   detector's mask goes on. Without a guess nobody looks further, and most hands end here.
2. Look at the guesses, and at what these looks show (``hypotheses``).
3. Take what makes the best pair with the first hand, if that is likely to be one (``partner``).

What this costs is limited: beside a hand, at most ``MOST_LOOKS`` crops in an image and
``MOST_LOOKS_IN_FRAME`` in a frame of a video; no more than once beside each hand.
"""

from __future__ import annotations

import numpy as np

from knuckle.codec import DetectedHand
from knuckle.detect import Detections
from knuckle.pipeline.guesses import beside, is_without_partner, on_top_of, turned, unexplained
from knuckle.pipeline.hypotheses import MOST_CROPS, explore
from knuckle.pipeline.partner import NOBODY, best_partner
from knuckle.pipeline.settings import CAUTION
from knuckle.pipeline.stages import Stages
from knuckle.pose import Keypoints
from knuckle.pose.duplicates import covered, same_hand

#: Beside a hand that is followed, a neighbour is looked for from this probability on.
_LEAST_CLAIM = 0.5
#: Beside any other: unless it is a hand, and alone, with this probability.
_ALONE = 0.6
#: Less of a mask than this share of the found hand's own is no hand: masks are inexact at edges.
_LEAST_SHARE = 0.12
#: Beside a hand that is one and stands alone with this probability it is mostly a forearm, unless
#: it is as much as this share.
_SURELY_ALONE, _MUCH_SHARE = 0.9, 0.5
#: A look that is trusted so far is not one at two hands at once.
_NO_MIXTURE = 0.75
#: A hand of which only the place was detected explains so much of the mask there.
_EXPLAINED = 0.3
#: Log odds from which on a second hand is believed: one that was come upon, and one that was
#: detected and is seen well, which is likelier.
_BELIEVED, _BELIEVED_IF_NAMED = -1.1, -2.5
#: Log odds from which on no better one is looked for: in an image, and in a frame, of which there
#: are many.
_SURE, _SURE_IN_FRAME = 1.0, 0.0
#: So often what was seen is followed up: in an image, and in a frame.
_ROUNDS, _ROUNDS_IN_FRAME = 2, 1
#: Up to three guesses, all ways up and as both sides, and what is followed up; in a frame also the
#: two guesses that are made at all, as they were made.
MOST_LOOKS = 3 * 8 + _ROUNDS * MOST_CROPS
MOST_LOOKS_IN_FRAME = 2 + 3 * 8 + _ROUNDS_IN_FRAME * MOST_CROPS


class PartnerSearch:
    """Tells the hands of one image apart."""

    def __init__(self, stages: Stages, image: np.ndarray, detections: Detections) -> None:
        """Begin with an image.

        Args:
            stages: the networks.
            image: (H, W, 3) uint8 RGB.
            detections: what the detector saw in it.
        """
        self._stages, self._image, self._detections = stages, image, detections
        self._least_score = stages.settings.score_threshold
        self._least_beside = min(self._least_score, stages.settings.partner_threshold)

    def told_apart(self, found: Keypoints, room: int) -> Keypoints:
        """The hands of an image, of which some may have been found as one, or as a mixture.

        Unlike ``overlooked``, which adds to hands that are followed, this doubts what was found:
        where hands touch, the first to be found is often a mixture, and the second a piece of an
        arm. Costs nothing where a hand is surely one and alone, as most are, and explains the mask.

        Args:
            found: hands that were found in it, each once, best first.
            room: at most so many.

        Returns:
            The hands, each once; two that touch stand together.
        """
        hands, rest = Keypoints.nothing(), found if len(found) else self._at_surest_detection()
        while len(rest) and len(hands) < room:
            if len(hands) == room - 1 and rest.trust[0] >= _NO_MIXTURE:
                break  # there is room for this one only, whoever touches it
            near = beside(rest, rest, 0)
            touching = rest.take(near)
            apart = rest.take([i for i in range(len(rest)) if i not in near])
            others = Keypoints.concatenate(hands, apart)
            pair = self._pair(touching, others)
            more = self._surely_another(touching, pair, others)
            hands, rest = Keypoints.concatenate(hands, pair), Keypoints.concatenate(more, apart)
        return Keypoints.concatenate(hands, rest).take(range(min(room, len(hands) + len(rest))))

    def overlooked(self, known: Keypoints, room: int) -> Keypoints:
        """Hands beside those that are followed.

        Costs nothing where these explain the detector's mask and see no neighbour.

        Args:
            known: all hands that are known in the frame, each once.
            room: at most so many more.

        Returns:
            Hands that are not among the known ones.
        """
        if room <= 0:
            return Keypoints.nothing()
        hands = known if len(known) else self._at_surest_detection()
        for k in range(len(hands)):
            if len(hands) < len(known) + room and is_without_partner(hands, k):
                hands = Keypoints.concatenate(hands, self._partner(hands, k))
        return hands.split(len(known))[1]

    def look_around(
        self, touching: Keypoints, others: Keypoints, guesses: list[DetectedHand]
    ) -> tuple[Keypoints, Keypoints]:
        """Many looks at hands that touch, where none is known for certain.

        Returns:
            The best look at the first of them, or at what is there instead; all looks.
        """
        ways = _all_ways([*guesses, on_top_of(touching, 0)])
        looks = explore(self._stages, self._image, ways, touching, _ROUNDS)
        return looks.take([_best_look(looks, touching, others)]), looks

    def _pair(self, touching: Keypoints, others: Keypoints) -> Keypoints:
        """Of hands that touch, the first and its partner, if any, after many looks if need be."""
        known = Keypoints.concatenate(touching.take([0]), others)
        named = NOBODY
        if len(touching) > 1:
            named = best_partner(self._detections, known, 0, touching, self._least_beside)
        if named.log_odds >= _SURE and touching.side(0) != touching.side(named.look):
            return touching.take([0, named.look])
        alone = touching.trust[0] * (1 - touching.neighbour[0, 0])
        share = _MUCH_SHARE if alone > _SURELY_ALONE else _LEAST_SHARE
        guesses = self.guesses(known, 0, claimed=alone < _ALONE, share=share)
        if len(touching) == 1 and not guesses:
            return touching
        first, looks = self.look_around(touching, others, guesses)
        known = Keypoints.concatenate(first, others)
        seen = best_partner(self._detections, known, 0, looks, self._least_beside)
        if seen.log_odds >= _BELIEVED:
            return Keypoints.concatenate(first, looks.take([seen.look]))
        named = best_partner(self._detections, known, 0, touching, self._least_beside + CAUTION)
        stays = named.log_odds >= _BELIEVED_IF_NAMED
        return Keypoints.concatenate(first, touching.take([named.look] if stays else []))

    def _surely_another(self, touching: Keypoints, pair: Keypoints, others: Keypoints) -> Keypoints:
        """Those of the hands that touch which surely are none of the pair: a third hand."""
        known = Keypoints.concatenate(pair, others)

        def is_another(i: int) -> bool:
            if touching.crops[i] in pair.crops:  # one of the pair, as it was
                return False
            look = touching.take([i])
            best = best_partner(self._detections, known, 0, look, self._least_beside)
            return best.log_odds >= _SURE

        return touching.take([i for i in range(len(touching)) if is_another(i)])

    def _partner(self, known: Keypoints, k: int) -> Keypoints:
        """The hand that touches hand ``k`` and is not known, or none."""
        claimed = bool(known.neighbour[k, 0] >= _LEAST_CLAIM)
        guesses = self.guesses(known, k, claimed=claimed, share=_LEAST_SHARE)
        if not guesses:
            return Keypoints.nothing()
        looks = explore(self._stages, self._image, guesses, known.take([k]), rounds=0)
        best = best_partner(self._detections, known, k, looks, self._least_beside)
        if best.log_odds < _SURE_IN_FRAME:
            # There is a hand, but not the way it was guessed to be.
            ways = _all_ways([*guesses, on_top_of(known, k)])
            looks = explore(self._stages, self._image, ways, looks, _ROUNDS_IN_FRAME)
            best = best_partner(self._detections, known, k, looks, self._least_beside)
        return looks.take([best.look] if best.log_odds >= _BELIEVED else [])

    def guesses(
        self, known: Keypoints, k: int, *, claimed: bool, share: float
    ) -> list[DetectedHand]:
        """Where there may be another hand beside hand ``k``: at most two places.

        Args:
            known: all known hands.
            k: beside whom.
            claimed: whether to believe the look at it that there is a neighbour.
            share: a piece of mask that is left over counts if it is more than this share of its
                own.
        """
        piece = unexplained(self._detections, known, k, share)
        return [*([known.neighbour_of(k)] if claimed else []), *([piece] if piece else [])]

    def _at_surest_detection(self) -> Keypoints:
        """The likeliest hand where the detector is surest of one, but none was found; or none.

        Two hands in one may look like neither of them: the place is right, the rest is not.
        """
        if not self._detections.hands:
            return Keypoints.nothing()
        surest, cells_px = self._detections.hands[0], self._detections.cells_px
        near = np.linalg.norm(cells_px - surest.centre_px, axis=-1) < surest.size_px / 2
        piece_px = cells_px[near & self._detections.shows_hand]  # (C, 2)
        if not len(piece_px):
            return Keypoints.nothing()
        ways, nothing = turned(surest), Keypoints.nothing()
        looks = explore(self._stages, self._image, ways, nothing, _ROUNDS_IN_FRAME)
        best = int(looks.trust.argmax())
        is_sure = looks.score[best] >= self._least_score + CAUTION
        explains = covered(looks, best, piece_px).mean() >= _EXPLAINED
        return looks.take([best] if is_sure and explains else [])


def neighbours(known: Keypoints) -> list[DetectedHand]:
    """Hands that the looks at known hands have shown beside these, but for the known ones."""
    claims = [known.neighbour_of(k) for k in range(len(known)) if is_without_partner(known, k)]
    return [claim for claim in claims if claim.score >= _LEAST_CLAIM]


def _all_ways(guesses: list[DetectedHand]) -> list[DetectedHand]:
    """The guesses, all ways up and as both sides."""
    return [way for guess in guesses for way in turned(guess)]


def _best_look(looks: Keypoints, touching: Keypoints, others: Keypoints) -> int:
    """The most trusted look at the first of the hands that touch, or at what touches it.

    A look at another known hand is none.
    """
    candidates = [
        i
        for i in beside(looks, touching, 0)
        if not any(same_hand(looks, i, others, k) for k in range(len(others)))
    ]
    return max(candidates or [0], key=lambda i: looks.trust[i])
