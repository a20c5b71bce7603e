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

    The look of most worth is taken, what shows the same hand is left out, and what shows pixels of
    it is worth less (a step of soft non-maximum suppression, Bodla et al. 2017), and so on, until
    nothing is left that is believed. A hand alone is believed by its score; one beside another by
    what tells of two. What turns out to be there for nothing makes way for what it hid.

    Args:
        looks: at the frame.
        detections: with the mask; None if the frame was not searched.
        settings: with the thresholds.
        room: at most so many hands beside those that are known.
        known: looks at hands that are known.

    Returns:
        The known ones, then the others, best first.
    """
    without = frozenset[int]()
    while True:
        hands = _chosen(looks, detections, settings, room, known, without)
        nothing = [
            i for i in hands if i not in known and _is_out_of_nothing(looks, i, hands, settings)
        ]
        if not nothing:
            return hands
        without = without.union(nothing)


def _chosen(
    looks: Looks,
    detections: Detections | None,
    settings: EstimatorSettings,
    room: int,
    known: Sequence[int],
    without: frozenset[int],
) -> list[int]:
    """As ``explain``, without some of the looks; a hand may be there for nothing."""
    seen, hands, beside = looks.seen, list(known), dict[int, int]()
    left = [
        i
        for i, proposal in enumerate(looks.proposals)
        if proposal.by != "track"
        and seen.score[i] >= judge.least_score(settings)
        and i not in without
    ]
    if not left:  # as in most frames of a video
        return hands
    worth = looks.worth.copy()

    def explained(hand: int) -> list[int]:
        """What is left once this hand is known; ``beside`` says whom it touches last."""
        followed = looks.proposals[hand].by == "track"
        rest = [i for i in left if i != hand and not judge.same_hand(seen, i, seen, hand, followed)]
        for i in rest:
            if judge.beside(seen.points_px[i], seen.points_px[hand]):
                worth[i] *= judge.apart(seen, i, seen, hand)
                beside[i] = hand
            elif len(hands) == 1:
                odds = judge.side_odds_of_second(seen.side(i), seen.side(hand))
                worth[i] *= judge.believed_side(looks.right[i], odds) / max(looks.right[i], 1e-9)
        return rest

    def promise(i: int) -> float:
        """Worth of a look; as long as no hand is known, a guess beside one is worth less."""
        return float(worth[i]) - (judge.CAUTION if not hands and _is_guess(looks, i) else 0.0)

    for hand in known:
        left = explained(hand)
    while left and len(hands) < len(known) + room:
        best = max(left, key=promise)
        if _is_believed(looks, best, beside.get(best), float(worth[best]), detections, settings):
            hands.append(best)
            left = explained(best)
        else:
            left.remove(best)
    return hands


def _is_guess(looks: Looks, i: int) -> bool:
    """Whether nobody but another look has named the hand that look ``i`` shows."""
    return looks.first(i).by in ("partner", "turned")


def _is_out_of_nothing(
    looks: Looks, i: int, hands: Sequence[int], settings: EstimatorSettings
) -> bool:
    """Whether nothing but a look speaks for a hand: no detection, and no hand beside it."""
    seen = looks.seen
    if not _is_guess(looks, i):
        return False
    alone = not any(k != i and judge.beside(seen.points_px[k], seen.points_px[i]) for k in hands)
    score, right = float(seen.score[i]), float(looks.right[i])
    return alone and not judge.stands_alone(score, right, settings, unlikely=True)


def _is_believed(
    looks: Looks,
    i: int,
    beside: int | None,
    worth: float,
    detections: Detections | None,
    settings: EstimatorSettings,
) -> bool:
    """Whether look ``i`` shows a hand, beside which there may be another."""
    first = looks.first(i)
    # What the search of a frame names is believed by its score: further frames will tell.
    if beside is None or detections is None or first.by == "search":
        score, right = float(looks.seen.score[i]), float(looks.right[i])
        if first.by == "search":  # what was named from afar must also be seen by itself
            score = min(score, float(looks.seen.seen[i]))
        lost = looks.proposals[i].track is not None
        return judge.stands_alone(score, right, settings, unlikely=lost)
    tells = judge.tells_of_second(detections, looks.seen, beside, looks.seen, i, worth)
    return judge.second_odds(tells) >= 0
