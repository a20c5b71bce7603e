"""All sources of proposals, crops that may show a hand.

Before the first looks: the detections (``detected``), where a track's motion leads (``followed``),
where a lost hand should be by now (``awaited``), where other cameras see one (``told``). After a
look, ``AFTER``: the exact crop of its joints, the neighbour that it shows, the other side. If no
look shows a second hand, ``turned``: crops in all directions where one is claimed, or where the
detector's mask goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.hand import Side, extent_px, middle_px, other_side
from knuckle.pipeline import judge
from knuckle.pipeline.looks import Looks, Origin, Proposal
from knuckle.pipeline.networks import Networks
from knuckle.pose import Keypoints
from knuckle.stages.detector import Detections
from knuckle.track.association import is_inside
from knuckle.track.track import Track

# --- before the first looks ----------------------------------------------------------------------


def detected(
    networks: Networks,
    hands: Sequence[DetectedHand],
    lost: Sequence[Track] = (),
    time_s: float = 0.0,
) -> list[Proposal]:
    """The detections, each of the side of the lost hands nearby if they are of one side."""
    proposals = []
    for hand, odds in zip(hands, judge.detected_odds(hands).tolist(), strict=True):
        near = {t.side for t in lost if judge.may_be(hand, t.predict(time_s), t.unseen_s(time_s))}
        if len(near) == 1:
            crop = networks.crop_of(replace(hand, side=near.pop()))
            side_odds = 1 / judge.TWO_OF_A_SIDE_ODDS
        else:
            crop, side_odds = networks.crop_of(hand), 1.0
        proposals.append(Proposal(crop, "detection", odds, side_odds, hand=hand))
    return proposals


def followed(networks: Networks, tracks: Sequence[Track], time_s: float) -> list[Proposal]:
    """Where the motion of tracks leads, with room for folded fingers to stretch."""
    places_px = [track.predict(time_s) for track in tracks]
    return [
        Proposal(
            _with_room(networks, joints_px, track.side),
            "track",
            track=track,
            known_px=_partner_px(tracks, places_px, i),
        )
        for i, (track, joints_px) in enumerate(zip(tracks, places_px, strict=True))
    ]


def _partner_px(
    tracks: Sequence[Track], places_px: Sequence[np.ndarray], i: int
) -> np.ndarray | None:
    """(21, 2) where the nearest hand of the other side that may touch track ``i`` is by now."""
    own_px = places_px[i]
    others_px = [
        joints_px
        for track, joints_px in zip(tracks, places_px, strict=True)
        if track.side != tracks[i].side and judge.beside(joints_px, own_px)
    ]
    return min(
        others_px,
        key=lambda other_px: float(np.linalg.norm(middle_px(other_px) - middle_px(own_px))),
        default=None,
    )


def _with_room(networks: Networks, joints_px: np.ndarray, side: Side) -> Crop:
    """The crop around joints (21, 2), with room for folded fingers to stretch."""
    crop = networks.crop_around(joints_px, side)
    lacking = judge.lacks_room(crop, joints_px)
    return crop.grown(0.0, lacking, 0.0) if lacking > 0 else crop


def awaited(
    networks: Networks,
    lost: Sequence[Track],
    time_s: float,
    frame_shape: tuple[int, int],
    moving: bool,
) -> list[Proposal]:
    """Where lost hands should be by now if they are ``moving`` on, or have stayed.

    A hand that comes out from behind another is seen in a crop before the detector sees it, for
    which the two must be apart.
    """
    places = [(track, track.predict(time_s, moving=moving)) for track in lost]
    return [
        Proposal(networks.crop_around(joints_px, track.side), "lost", track=track)
        for track, joints_px in places
        if is_inside(joints_px, frame_shape)
    ]


def told(networks: Networks, side: Side, guesses_px: np.ndarray) -> list[Proposal]:
    """Where other cameras see a hand, (G, 21, 2) px; a single guess is taken to be exact."""
    by: Origin = "track" if len(guesses_px) == 1 else "told"
    return [Proposal(networks.crop_around(joints_px, side), by) for joints_px in guesses_px]


# --- after a look --------------------------------------------------------------------------------


def exact(networks: Networks, looks: Looks, i: int) -> Iterator[Proposal]:
    """The exact crop of the joints, with which the network is at its best.

    If the crop of the look cuts the hand off, its joints are not reliable: then a wider crop. Only
    then is the hand of a track looked at again.
    """
    proposal, seen = looks.proposals[i], looks.seen
    cut = judge.cut_off(seen, i)
    if (proposal.by == "track" and not any(cut)) or looks.side_posterior[i] <= 1 - judge.SURE_SIDE:
        return
    if any(cut):
        crop = seen.crops[i].grown(*(judge.BEYOND * border for border in cut))
    else:
        crop = networks.crop_around(seen.points_px[i], seen.side(i))
    yield replace(proposal, crop=crop, by="exact", after=i)


def claims_neighbour(looks: Looks, i: int) -> bool:
    """Whether a look shows a neighbour; for tracks, with their many frames, it must be surer."""
    followed = looks.proposals[i].track is not None
    least = judge.EVEN if followed else looks.least_hope(i)
    return bool(looks.seen.neighbour[i, 0] > least)


def partner(networks: Networks, looks: Looks, i: int) -> Iterator[Proposal]:
    """The neighbour that a look shows."""
    if claims_neighbour(looks, i):
        hand = looks.seen.neighbour_of(i)
        yield Proposal(
            networks.crop_of(hand), "partner", after=i, hand=hand, known_px=looks.seen.points_px[i]
        )


def as_other_side(networks: Networks, looks: Looks, i: int) -> Iterator[Proposal]:
    """The same hand as one of the other side, where its side is in doubt.

    It is in doubt where a better look shows another hand of that side: mostly the two are a left
    and a right one. The side of a track is in doubt only then.
    """
    rivals, is_track = _rivals(looks, i), looks.proposals[i].by == "track"
    if is_track and not rivals:
        return
    unsure = judge.believed_side(looks.side_posterior[i], odds_of_side(looks, i)) < judge.SURE_SIDE
    if unsure or _touches(looks, i, rivals):
        yield of_other_side(networks, looks, i)


def of_other_side(networks: Networks, looks: Looks, i: int) -> Proposal:
    """The hand of look ``i`` as one of the other side."""
    proposal, seen = looks.proposals[i], looks.seen
    crop = networks.crop_around(seen.points_px[i], other_side(seen.side(i)))
    odds = 1 / proposal.side_odds
    return replace(proposal, crop=crop, by="side", side_odds=odds, after=i, track=None)


#: Proposals after a look, the most valuable first.
AFTER: tuple[Callable[[Networks, Looks, int], Iterator[Proposal]], ...] = (
    exact,
    partner,
    as_other_side,
)


def other_of_two(
    networks: Networks, looks: Looks, i: int, hands: Sequence[int]
) -> Iterator[Proposal]:
    """The hand of a look once more, as the one that touches a hand of the other side."""
    proposal, seen = looks.proposals[i], looks.seen
    if proposal.known_px is not None:
        return
    for k in hands:
        touches = judge.beside(seen.points_px[k], seen.points_px[i])
        if k != i and touches and seen.side(k) != seen.side(i):
            crop = networks.crop_around(seen.points_px[i], seen.side(i))
            known_px = seen.points_px[k]
            yield replace(proposal, crop=crop, by="exact", after=i, known_px=known_px)


def odds_of_side(looks: Looks, i: int) -> float:
    """Prior odds of a hand's side, given better looks at other hands of that side."""
    rivals = _rivals(looks, i)
    if not rivals:
        return 1.0
    return judge.SAME_SIDE_ODDS if _touches(looks, i, rivals) else judge.TWO_OF_A_SIDE_ODDS


def _rivals(looks: Looks, i: int) -> list[int]:
    """Better looks at other hands of the same side."""
    seen = looks.seen
    return [
        k
        for k in range(len(looks))
        if k != i
        and seen.side(k) == seen.side(i)
        and seen.trust[k] > seen.trust[i]
        and seen.score[k] > judge.EVEN
        and not judge.same_hand(seen, i, seen, k)
    ]


def _touches(looks: Looks, i: int, others: Sequence[int]) -> bool:
    """Whether a hand may touch one of others."""
    points_px = looks.seen.points_px
    return any(judge.beside(points_px[k], points_px[i]) for k in others)


# --- where looks leave a hand unseen -------------------------------------------------------------

#: Directions in which a hand of unknown direction is looked for, radians.
TURNS = (0.0, np.pi / 2, np.pi, -np.pi / 2)


def turned(
    networks: Networks, looks: Looks, i: int, hands: Sequence[int], detections: Detections | None
) -> Iterator[Proposal]:
    """Another hand beside look ``i`` in all directions, where it is claimed or the mask goes on.

    If ``i`` is an accepted hand, the looks know of it; masks of the accepted ``hands`` are
    explained.
    """
    seen, guesses = looks.seen, list[DetectedHand]()
    others = [k for k in hands if k != i]
    known_px = seen.points_px[i] if i in hands else None
    if claims_neighbour(looks, i):
        guesses.append(seen.neighbour_of(i))
    if detections is not None:
        piece = unexplained(detections, seen.take([i, *others]))
        guesses += [piece] if piece is not None else []
    for guess in guesses:
        for turn in TURNS:
            crop = networks.crop_of(replace(guess, angle=guess.angle + turn))
            yield Proposal(crop, "turned", after=i, known_px=known_px)


def unexplained(detections: Detections, known: Keypoints) -> DetectedHand | None:
    """A hand that would explain the largest piece of mask beside the first known hand.

    It is of the other side. Masks of known hands are explained; None if no piece is large enough.
    """
    cells_px, is_hand = detections.cells_px, detections.shows_hand  # (H, W, 2), (H, W)
    own = [is_hand & judge.covered(known, k, cells_px) for k in range(len(known))]
    joints_px, extent = known.points_px[0], float(extent_px(known.points_px[0]))
    near = np.linalg.norm(cells_px - middle_px(joints_px), axis=-1) < judge.BESIDE * extent
    piece = _largest_piece(is_hand & near & ~np.any(own, axis=0))
    if piece.sum() <= judge.LEAST_SHARE * own[0].sum():
        return None
    piece_px = cells_px[piece]  # (C, 2)
    x, y = piece_px.mean(axis=0).tolist()
    # Much of a hand that is overlooked is hidden: it is about as large as the one beside it.
    size = max(float(extent_px(piece_px)), extent)
    return DetectedHand((x, y), size, known.crops[0].angle, other_side(known.side(0)))


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool, the largest connected part of a mask, without what is a single cell wide."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    _, label, stats, _ = cv2.connectedComponentsWithStats(opened)
    if len(stats) == 1:  # nothing but background
        return np.zeros(mask.shape, bool)
    return label == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())


def news(proposals: Iterator[Proposal], looks: Looks, most: int) -> list[Proposal]:
    """The first ``most`` proposals that are not equivalent to a look that was made."""
    new: list[Proposal] = []
    for proposal in proposals:
        if len(new) == most:
            break
        knows = proposal.known_px is not None
        alike = [p.crop for p in (*looks.proposals, *new) if (p.known_px is not None) == knows]
        if judge.is_news(proposal.crop, alike):
            new.append(proposal)
    return new
