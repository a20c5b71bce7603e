"""The numbers that decide, from frame to frame, on tracks, on hands that return, on searches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decisions:
    """Every number that decides in ``track/``; how motion is steadied stands with its filters.

    Extents are longer sides of the box around a hand's joints. None of these is fitted: they were
    set by hand, and a change is held against ``benchmarks/video.py``.
    """

    #: ``reach``, ``reach_per_s``: how far from where it was lost a hand may reappear, extents: so
    #: far at once, and so much farther for each second. A hidden hand is where the hand in front of
    #: it is, but may turn round unseen: for it ``reach`` counts twice.
    reach: float = 1.0
    reach_per_s: float = 3.0
    #: By how much its size in the picture may have changed meanwhile, logarithm; what is smaller
    #: than that is a finger of a hand that comes back.
    log_size: float = 0.6
    #: A detection is of a known hand, or of a refuted place, if its centre is within this share of
    #: the extent from the middle of that.
    known_hand: float = 0.5

    #: Evidence at which a track is confirmed, and, negative, at which it is rejected. It adds up
    #: over looks: the log odds of each look's score less those of the least score.
    doubt: float = 0.8
    #: Cap on the evidence for a hand and on the votes for or against its side, log odds: four sure
    #: looks. At the negative cap a side is given up. A hand of the same side as the one beside it
    #: is reported only when its side has reached the cap, as two hands side by side are mostly of
    #: one person.
    most_votes: float = 16.0

    #: Along the longer side of the thumbnail in which motion is seen; a hand that the detector can
    #: find covers a few.
    cells: int = 48
    #: Grey levels from which a cell counts as changed; noise and compression do less.
    change: float = 12.0
    #: Share of changed cells from which a new frame is a cut; a person covers less.
    cut_share: float = 0.6
    #: For so long, s, no hand is sought again where a search or a look found none: neither where
    #: something moves nor where the detector sees a hand.
    vain_s: float = 1.0
    restless_cells: int = 2  # margin around what has moved, in cells, in which that holds


#: Those that Knuckle decides by.
DECISIONS = Decisions()
