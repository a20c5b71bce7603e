"""What decides from frame to frame who is there, who comes back, and when to search."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decisions:
    """Every number that decides in ``track/``; how motion is steadied stands with its filters.

    Extents are longer sides of the box around a hand's joints. None of these is fitted: they were
    set by hand, and a change is held against ``benchmarks/video.py``.

    Attributes:
        reach, reach_per_s: how far from where it was lost a hand may turn up, extents; and so many
            more a second. One that is hidden is where its hider is, but may turn round unseen: then
            the first counts twice.
        log_size: it may meanwhile look so much larger or smaller, logarithm: else it is a finger of
            one that comes back.
        known_hand: a detection belongs to a hand, or to what was looked at in vain, whose middle is
            within this share of its extent.

        doubt: by how much the looks at a hand must speak for one until it is told of, and against
            one until it is dropped; log odds, of each look its score's beside the least score's.
        most_votes: what looks say for or against a hand, and for or against its side, adds up to
            this at most, log odds: four sure looks. As far down, a side is given up. A hand of the
            side that the one beside it has is told of only when its side can be no surer, as the
            two are mostly of one person.

        cells: along the longer side of the thumbnail in which motion is seen: a hand that the
            detector can find covers a few.
        change: grey levels by which a cell has changed: more than noise and compression do.
        cut_share: in a cut more of the picture changes; a hand, or a person, covers less.
        vain_s: where a search, or a look, has found no hand, none is sought for so long, s: neither
            in what moves there nor in what the detector names.
        restless_cells: that holds for so many cells beside what has moved, on each side.
    """

    reach: float = 1.0
    reach_per_s: float = 3.0
    log_size: float = 0.6
    known_hand: float = 0.5

    doubt: float = 0.8
    most_votes: float = 16.0

    cells: int = 48
    change: float = 12.0
    cut_share: float = 0.6
    vain_s: float = 1.0
    restless_cells: int = 2


#: Those that Knuckle decides by.
DECISIONS = Decisions()
