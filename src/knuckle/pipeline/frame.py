"""How a frame becomes hands: look, explain, propose what is missing, look again.

The same for a picture and for a frame of a video, where the looks at tracks come first and those
hands are known. A lone hand costs a look or two. The most that a frame costs beyond the first looks
is four times ``MOST_CROPS`` and three for each hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.pipeline import judge, propose
from knuckle.pipeline.explain import explain
from knuckle.pipeline.looks import Looks, Origin, Proposal, averaged
from knuckle.pipeline.networks import Networks
from knuckle.pose import Keypoints
from knuckle.stages.detector import Detections

#: The most crops of a round, and the most looks that are followed up in it.
MOST_CROPS, MOST_FOLLOWED = 8, 3
#: Looks of these origins are followed up even if no hand lacks its partner.
_WORTH_MORE = ("detection", "search", "turned")
#: ``look_more`` changes a crop's size (logarithm) and turns it (radians) by up to so much.
_LOOK_SIZE, _LOOK_ANGLE = 0.08, 0.2


def hands_of(
    networks: Networks,
    image: np.ndarray,
    looks: Looks,
    detections: Detections | None,
    room: int,
    known: Sequence[int] = (),
    is_refuted: Callable[[DetectedHand], bool] = lambda hand: False,
) -> tuple[Looks, list[int]]:
    """The hands of a frame, after as many more looks as they need.

    ``looks`` are the first ones at the image (H, W, 3) uint8 RGB, ``known`` those of them at hands
    that are known, beside which there is ``room`` for others. ``detections`` are None if the frame
    was not searched; ``is_refuted`` says whether a claimed hand was looked at in vain before.

    Returns:
        All looks, and which of them show the hands: the known ones, then the others, best first.
    """
    followed: set[int] = set()
    hands = explain(looks, detections, networks.settings, room, known)
    for all_around in (False, False, True, False):
        lacking = _without_partner(looks, hands) if len(hands) < len(known) + room else []
        if all_around:
            asked, most = _around(networks, looks, hands, lacking, detections), MOST_CROPS
        else:
            asked = _after(networks, looks, hands, lacking, followed)
            most = MOST_CROPS + len(hands)
        fresh = (p for p in asked if p.by != "partner" or p.hand is None or not is_refuted(p.hand))
        news = propose.news(fresh, looks, most)
        if not news and detections is None:
            break  # most frames of a video end here
        if news:
            looks += Looks.at(networks, image, news)
            hands = explain(looks, detections, networks.settings, room, known)
    return _with_sides_in_doubt(_followed_whole(looks)), hands


def _after_tracks(looks: Looks, by: Origin) -> list[tuple[int, int]]:
    """The looks of this origin that follow a look at a track: the number of both."""
    return [
        (each.after, k)
        for k, each in enumerate(looks.proposals)
        if each.by == by and each.after is not None and looks.proposals[each.after].by == "track"
    ]


def _followed_whole(looks: Looks) -> Looks:
    """The looks; where a track's crop cuts its hand off, the wider look stands in for it."""
    seen, better = looks.seen, dict[int, int]()
    for i, k in _after_tracks(looks, "exact"):
        is_hand = min(seen.score[k], seen.side_score[k]) >= judge.EVEN
        if is_hand and judge.same_hand(seen, k, seen, i, True):
            better[i] = k
    return looks.instead(better) if better else looks


def _with_sides_in_doubt(looks: Looks) -> Looks:
    """The looks; those of tracks are less sure of their side where the other side fits as well."""
    doubts = _after_tracks(looks, "side")
    if not doubts:
        return looks
    seen, side_score = looks.seen, looks.seen.side_score.copy()
    for i, k in doubts:
        otherwise = seen.trust[k] / propose.odds_of_side(looks, i)
        side_score[i] = min(side_score[i], seen.trust[i] / max(seen.trust[i] + otherwise, 1e-9))
    return replace(looks, seen=replace(seen, side_score=side_score))


def _without_partner(looks: Looks, hands: Sequence[int]) -> list[int]:
    """The hands that have no other hand beside them."""
    points_px = looks.seen.points_px
    return [
        k
        for k in hands
        if not any(i != k and judge.beside(points_px[i], points_px[k]) for i in hands)
    ]


def _after(
    networks: Networks,
    looks: Looks,
    hands: Sequence[int],
    lacking: Sequence[int],
    followed: set[int],
) -> Iterator[Proposal]:
    """Proposals of looks not followed up before: of the hands, and of others if one is missing."""
    missing = not hands or any(propose.claims_neighbour(looks, k) for k in lacking)
    which = [k for k in hands if k not in followed]
    worth_it = {
        i
        for i, each in enumerate(looks.proposals)
        if (missing or each.by in _WORTH_MORE) and each.by not in ("track", "lost")
    }
    worth_it -= followed.union(hands)
    if worth_it:
        others = [i for i in _best_of_alike(looks) if i in worth_it]
        which += others[: max(MOST_FOLLOWED - len(which), 0)]
    # A hand that was found since may cast doubt on the side of one that was followed up before.
    again = [k for k in hands if k in followed]
    followed.update(which)
    for proposer in propose.AFTER:
        if missing or proposer is not propose.partner:
            for i in which:
                yield from proposer(networks, looks, i)
    for i in again:
        yield from propose.as_other_side(networks, looks, i)
    if missing:
        for i in which:
            if i not in hands:
                yield from propose.other_of_two(networks, looks, i, lacking)


def _around(
    networks: Networks,
    looks: Looks,
    hands: Sequence[int],
    lacking: Sequence[int],
    detections: Detections | None,
) -> Iterator[Proposal]:
    """Proposals in all directions beside hands that lack a partner, or, with no hand, one look."""
    if detections is None:
        return
    likeliest = _best_of_alike(looks)[:1] if not hands else []
    for k in lacking or likeliest:
        yield from propose.turned(networks, looks, k, hands, detections)


def _best_of_alike(looks: Looks) -> list[int]:
    """The looks that may show a hand, best first; of those at the same joints, the best one."""
    seen, best = looks.seen, list[int]()
    for i in np.argsort(-seen.trust, kind="stable").tolist():
        if seen.score[i] > looks.least_hope(i) and not any(
            seen.side(i) == seen.side(k) and judge.same_joints(seen, i, seen, k) for k in best
        ):
            best.append(i)
    return best


# --- one hand at each of some places -------------------------------------------------------------


def one_each(
    networks: Networks, image: np.ndarray, guesses: Sequence[Sequence[Proposal]]
) -> Keypoints:
    """One hand for each row of guesses: the likeliest guess, looked at again; it may be no hand."""
    looks = Looks.at(networks, image, [guess for row in guesses for guess in row])
    owner = np.array([k for k, row in enumerate(guesses) for _ in row], int)
    first = _best_of_each(owner, looks.worth)
    again = [
        proposal
        for i in first
        if looks.seen.score[i] > judge.HOPELESS
        for proposer in (propose.exact, propose.as_other_side)
        for proposal in proposer(networks, looks, i)
        if judge.is_news(proposal.crop, [looks.seen.crops[i]])
    ]
    looks += Looks.at(networks, image, again)
    numbers = [*first, *range(len(owner), len(looks))]
    owner = np.concatenate([owner[first], owner[[p.after or 0 for p in again]]]).astype(int)
    best = _best_of_each(owner, looks.worth[numbers])
    return looks.averaged([numbers[k] for k in best])


def _best_of_each(owner: np.ndarray, worth: np.ndarray) -> list[int]:
    """For each of N owners, each with a look or more, the number of its look of most worth."""
    best = np.empty(owner.max(initial=-1) + 1, int)
    worst_first = np.argsort(worth, kind="stable")
    best[owner[worst_first]] = worst_first  # of several, the last one stays
    return best.tolist()


def look_more(networks: Networks, image: np.ndarray, hands: Keypoints, looks: int) -> Keypoints:
    """The same hands, each averaged over ``looks`` looks in all."""
    n, more = len(hands), looks - 1
    if not n or not more:
        return hands
    around = [networks.crop_around(hands.points_px[i], hands.side(i)) for i in range(n)]
    crops = [_nearby(crop, k) for k in range(1, more + 1) for crop in around]
    seen = networks.look(image, crops)
    return averaged(hands, *(seen.take(range(k * n, k * n + n)) for k in range(more)))


def _nearby(crop: Crop, number: int) -> Crop:
    """The crop, scaled and turned a little, by another amount for every number."""
    size, angle = _LOOK_SIZE * np.sin(2.4 * number), _LOOK_ANGLE * np.cos(2.4 * number)
    return replace(
        crop, size_px=crop.size_px * float(np.exp(size)), angle=crop.angle + float(angle)
    )
