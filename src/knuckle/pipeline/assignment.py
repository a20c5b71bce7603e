"""Which look shows which track's hand: who keeps a hand, who gives it up, who gets one back.

Looks are named by their number in ``Looks``. The first looks at a frame are those at the tracks
that are followed, in their order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import compress

import numpy as np

from knuckle.hand import other_side
from knuckle.pipeline import judge, propose
from knuckle.pipeline.looks import Looks
from knuckle.pipeline.networks import Networks
from knuckle.pipeline.tracks import Tracks, match
from knuckle.track.association import is_inside
from knuckle.track.track import Track

#: The looks that show hands of tracks, and whose hand each shows.
Assignment = dict[int, Track]


def keep(tracks: Tracks, looks: Looks, time_s: float, frame_shape: tuple[int, int]) -> Assignment:
    """Assign each look at a track to that track; of several tracks on one hand, one keeps it.

    Tracks without a hand are marked as lost.
    """
    followed, seen, assigned = tracks.followed, looks.seen, Assignment()

    def worth(i: int) -> float:
        """Of two tracks on one hand, the one of the hand's side that has moved less far stays."""
        return float(seen.trust[i]) * math.exp(-followed[i].jump(seen.points_px[i], time_s))

    numbers = list(range(len(followed)))
    for i in sorted(numbers, key=worth, reverse=True) if len(followed) > 1 else numbers:
        inside = is_inside(seen.points_px[i], frame_shape)
        if seen.score[i] < tracks.settings.keep_threshold or not inside:
            continue
        rival = next((k for k in assigned if judge.same_hand(seen, i, seen, k, True)), None)
        if rival is None:
            assigned[i] = followed[i]
        elif followed[i].outranks(assigned[rival]):
            assigned[rival] = followed[i]
    _lose_others(followed, list(assigned.values()), time_s)
    return dict(sorted(assigned.items()))


def _lose_others(tracks: Sequence[Track], found: Sequence[Track], time_s: float) -> None:
    """Mark the tracks that were not found as lost, perhaps hidden by one that was."""
    for track in tracks:
        if track not in found:
            here = track.predict(time_s)
            hiders = (other for other in found if judge.touch(here, other.predict(time_s)))
            track.lose(hidden_by=next(hiders, None))


def release_strayed(
    networks: Networks,
    image: np.ndarray,
    tracks: Tracks,
    looks: Looks,
    assigned: Assignment,
    time_s: float,
) -> tuple[Looks, Assignment]:
    """Take hands of the other side away from tracks that have strayed onto them.

    Hands that cross take joints from one another until one track has gone over to the other hand.
    Then another track has lost its hand, or has gone over as well, and may have this one back. A
    track without an id may have been of the wrong side from the start.

    Returns:
        All looks, with further ones at the hands that were taken away; what is left assigned.
    """
    strayed, lacking = _strayed(tracks, looks, assigned)
    if not strayed:  # as in most frames
        return looks, assigned
    proposals = [propose.of_other_side(networks, looks, i) for i in strayed]
    as_others = Looks.at(networks, image, proposals)
    owners = match(as_others.seen, lacking, time_s)
    released = [
        k
        for k, i in enumerate(strayed)
        if as_others.seen.trust[k] > looks.seen.trust[i]
        and as_others.seen.score[k] >= tracks.settings.score_threshold
        and (owners[k] is not None or not assigned[i].confirmed)
    ]
    gone = {strayed[k] for k in released}
    for i in gone:
        assigned[i].lose()
    return looks + as_others.take(released), {i: t for i, t in assigned.items() if i not in gone}


def _strayed(tracks: Tracks, looks: Looks, assigned: Assignment) -> tuple[list[int], list[Track]]:
    """Looks at hands of another side than their track's, and the tracks that may be of these."""
    strayed = [
        i
        for i, track in assigned.items()
        if looks.seen.side_score[i] < (1 - judge.SURE_SIDE if track.confirmed else judge.EVEN)
    ]
    if not strayed:
        return [], []
    lacking = [t for t in tracks.lost if t.confirmed] + [assigned[i] for i in strayed]
    sides = {track.side for track in lacking if track.confirmed}
    may_be_swapped = (
        not assigned[i].confirmed or other_side(assigned[i].side) in sides for i in strayed
    )
    return list(compress(strayed, may_be_swapped)), lacking


def uncertain(tracks: Tracks, looks: Looks, assigned: Assignment) -> list[int]:
    """The assigned looks that may show something else than their track's hand."""
    least = tracks.least_certain
    return [i for i in assigned if looks.seen.score[i] < least]


def assign_found(
    tracks: Tracks, looks: Looks, assigned: Assignment, found: Sequence[int], time_s: float
) -> tuple[Assignment, list[int]]:
    """Give hands that were found to tracks that are uncertain of theirs.

    ``assigned`` are looks that show hands of tracks, ``found`` those that show further hands, best
    first.

    Returns:
        The new assignment, and the looks that show hands of no followed track. Where there are more
        hands than wanted, the most uncertain tracks lose theirs.
    """
    if not found:
        return assigned, []
    seen, doubtful = looks.seen, uncertain(tracks, looks, assigned)
    owners = match(seen.take(found), [assigned[k] for k in doubtful], time_s)
    better, new = dict[int, int](), list[int]()
    for i, owner in zip(found, owners, strict=True):
        if owner is not None and seen.trust[i] > seen.trust[doubtful[owner]]:
            better[doubtful[owner]] = i
        else:
            new.append(i)
    assigned = {better.get(i, i): track for i, track in assigned.items()}
    new = [i for i in new if not any(judge.same_hand(seen, i, seen, k, True) for k in assigned)]
    most = tracks.settings.max_hands
    certain = int((seen.score[list(assigned)] >= tracks.settings.doubt_threshold).sum())
    new = new[: most - certain]
    for i in sorted(assigned, key=lambda i: -seen.score[i])[most - len(new) :]:
        assigned.pop(i).lose()
    return assigned, new
