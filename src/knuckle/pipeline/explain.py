"""Which looks explain a frame: its hands, each once."""

from __future__ import annotations

from collections.abc import Sequence

from knuckle.pipeline import judge
from knuckle.pipeline.looks import Looks
from knuckle.pipeline.settings import EstimatorSettings
from knuckle.stages.detector import Detections


def explain(
    looks: Looks,
    detections: Detections | None,
    settings: EstimatorSettings,
    room: int,
    known: Sequence[int] = (),
) -> list[int]:
    """The numbers of the looks that show a frame's hands, each hand once.

    Greedy, as soft non-maximum suppression is (Bodla et al. 2017): the look of most worth is
    accepted as a hand, looks at the same hand are dropped, looks that share pixels with it are
    worth less, and so on until no look is accepted. A lone hand is accepted by its score, one
    beside another hand by the tells of a second hand. If a hand that was accepted turns out to have
    neither a detection nor a hand beside it, all is chosen again without it.

    ``detections`` are None if the frame was not searched; ``room`` is for hands beside those that
    are ``known``.

    Returns:
        The known ones, then the others, best first.
    """
    excluded = frozenset[int]()
    while True:
        hands = _chosen(looks, detections, settings, room, known, excluded)
        unfounded = [
            i for i in hands if i not in known and _is_unfounded(looks, i, hands, settings)
        ]
        if not unfounded:
            return hands
        excluded = excluded.union(unfounded)


def _chosen(
    looks: Looks,
    detections: Detections | None,
    settings: EstimatorSettings,
    room: int,
    known: Sequence[int],
    excluded: frozenset[int],
) -> list[int]:
    """As ``explain``, without the excluded looks; a hand may be unfounded."""
    least = judge.least_score(settings)
    left = [
        i
        for i, proposal in enumerate(looks.proposals)
        if proposal.by != "track" and looks.seen.score[i] >= least and i not in excluded
    ]
    if not left:  # as in most frames of a video
        return list(known)
    choice = _Choice(looks, known, left)
    while choice.left and len(choice.hands) < len(known) + room:
        best = max(choice.left, key=choice.promise)
        beside, worth = choice.beside.get(best), float(choice.worth[best])
        if _is_accepted(looks, best, beside, worth, detections, settings):
            choice.accept(best)
        else:
            choice.left.remove(best)
    return choice.hands


class _Choice:
    """The hands accepted so far, and the looks that may show further ones."""

    def __init__(self, looks: Looks, known: Sequence[int], left: list[int]) -> None:
        self._looks = looks
        self.hands = list(known)  # the accepted looks
        self.left = left  # looks that no accepted hand explains
        self.worth = looks.worth.copy()  # (N,) of each look, given the hands accepted so far
        self.beside = dict[int, int]()  # of a look, the last accepted hand that it may touch
        for hand in known:
            self._explain_away(hand)

    def accept(self, hand: int) -> None:
        """Take a look for a hand."""
        self.hands.append(hand)
        self._explain_away(hand)

    def promise(self, i: int) -> float:
        """Worth of a look; as long as no hand is accepted, a guess beside one is worth less."""
        guess = not self.hands and _is_guess(self._looks, i)
        return float(self.worth[i]) - (judge.CAUTION if guess else 0.0)

    def _explain_away(self, hand: int) -> None:
        """Drop the looks at an accepted hand, and lower the worth of those beside it."""
        looks, seen = self._looks, self._looks.seen
        self.left = [i for i in self.left if i != hand and not is_again(looks, i, hand)]
        for i in self.left:
            if judge.beside(seen.points_px[i], seen.points_px[hand]):
                self.worth[i] *= share_apart(looks, i, hand)
                self.beside[i] = hand
            elif len(self.hands) == 1:
                right = looks.side_posterior[i]
                odds = judge.side_odds_of_second(seen.side(i), seen.side(hand))
                self.worth[i] *= judge.believed_side(right, odds) / max(right, 1e-9)


def is_again(looks: Looks, i: int, hand: int) -> bool:
    """Whether look ``i`` shows an accepted hand once more."""
    seen = looks.seen
    if looks.knows_of(i, hand):
        return judge.same_joints(seen, i, seen, hand)
    return judge.same_hand(seen, i, seen, hand, looks.proposals[hand].by == "track")


def share_apart(looks: Looks, i: int, hand: int) -> float:
    """0..1, how much of what look ``i`` is worth remains beside an accepted hand."""
    if looks.knows_of(i, hand):  # no pixel that it shows is that hand's
        return 1.0
    return judge.apart(looks.seen, i, looks.seen, hand)


def _is_guess(looks: Looks, i: int) -> bool:
    """Whether only another look, no detection, speaks for the hand that look ``i`` shows."""
    return looks.first(i).by in ("partner", "turned")


def _is_unfounded(looks: Looks, i: int, hands: Sequence[int], settings: EstimatorSettings) -> bool:
    """Whether a hand has neither a detection nor a hand beside it, nor the score to do without."""
    seen = looks.seen
    if not _is_guess(looks, i):
        return False
    alone = not any(k != i and judge.beside(seen.points_px[k], seen.points_px[i]) for k in hands)
    score, right = float(seen.score[i]), float(looks.side_posterior[i])
    return alone and not judge.stands_alone(score, right, settings, unlikely=True)


def _is_accepted(
    looks: Looks,
    i: int,
    beside: int | None,
    worth: float,
    detections: Detections | None,
    settings: EstimatorSettings,
) -> bool:
    """Whether look ``i`` shows a hand, beside which there may be another."""
    first = looks.first(i)
    # A detection in a video is accepted by the score of its look: further frames will tell.
    if beside is None or detections is None or first.by == "search":
        score, right = float(looks.seen.score[i]), float(looks.side_posterior[i])
        if first.by == "search":  # the look must show a hand by itself, not by the detector's score
            score = min(score, float(looks.seen.look_score[i]))
        lost = looks.proposals[i].track is not None
        return judge.stands_alone(score, right, settings, unlikely=lost)
    tells = judge.tells_of_second(detections, looks.seen, beside, looks.seen, i, worth)
    return judge.second_odds(tells) >= 0
