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
        log_size: it may meanwhile look so much larger or smaller, logarithm.

        believed, dismissed, most_evidence: evidence that there is a hand at all is the sum of its
            scores over the least one. It is believed from the first value on, dismissed below the
            second, and can save up to the third.
        vote, votes: one frame's vote on the side counts at most so much, all frames together so
            much; logits. A hand is not of its side for good after three votes more against it.

        stretch, inexact: a bone may look so many times as long as it is, and so much longer than
            that, share of the hand's length: depth, proportions and keypoints are inexact, and
            short bones suffer most.
        known_looks, most_held: bones are known after so many looks. What stays out of reach for
            more than so many in a row is believed, and teaches the bones: they were wrong.
        most_fingers: where more are out of reach, nothing is left that says where the hand is.

        cells: along the longer side of the thumbnail in which motion is seen: a hand that the
            detector can find covers a few.
        change: grey levels by which a cell has changed: more than noise and compression do.
        cut_share: in a cut more of the picture changes; a hand, or a person, covers less.
        restless_frames, restless_cells: after a search that found nothing, what moved counts as
            restless for so many frames, and so many cells beside it on each side.
        restless_factor: there, a search is worth it so many times less often.
        refuted_s: for so long a place that was looked at in vain is not looked at again, s.
        same_place, same_log_size: a detection is the same as one that was refuted if its middle is
            off by no more than this share of its size, and its size by this logarithm.
        surer: unless the detector's score has risen by so much: a hand may have come there.
    """

    reach: float = 1.0
    reach_per_s: float = 3.0
    log_size: float = 0.6

    believed: float = 0.2
    dismissed: float = -0.1
    most_evidence: float = 3.0
    vote: float = 3.0
    votes: float = 20.0

    stretch: float = 1.5
    inexact: float = 0.12
    known_looks: int = 5
    most_held: int = 10
    most_fingers: int = 3

    cells: int = 48
    change: float = 12.0
    cut_share: float = 0.6
    restless_frames: int = 30
    restless_cells: int = 2
    restless_factor: int = 3
    refuted_s: float = 1.0
    same_place: float = 0.3
    same_log_size: float = 0.4
    surer: float = 0.15


#: Those that Knuckle decides by.
DECISIONS = Decisions()
