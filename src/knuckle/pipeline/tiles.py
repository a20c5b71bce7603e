"""Small hands: a frame is also searched in tiles, which the detector sees enlarged.

The detector sees every picture at one size, however many pixels it has. As in sliced inference
(Akyon et al., ICIP 2022), overlapping squares of the frame are shown to it as pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from knuckle.codec import DetectedHand, is_second_answer
from knuckle.pipeline.settings import FOUND_FROM
from knuckle.stages.detector import Detections, Tile


@lru_cache(maxsize=8)
def tiles_of(frame_size: tuple[int, int], smallest_hand: float, least_px: int) -> tuple[Tile, ...]:
    """The tiles of a frame (W, H) in which hands of this share of its longer side are found.

    None where they are found in the whole frame. They are squares, but for what is less high, with
    sides of ``least_px`` at least: smaller ones would have no more to show. Neighbours overlap by
    the size from which hands are found in the whole frame: a smaller one lies whole in one of them.
    """
    longer = max(frame_size)
    side = max(least_px, round(smallest_hand / FOUND_FROM * longer))
    if side >= longer:
        return ()
    overlap = min(math.ceil(FOUND_FROM * longer), side // 2)
    columns, rows = (_spans(length, side, overlap) for length in frame_size)
    return tuple((x0, y0, x1, y1) for y0, y1 in rows for x0, x1 in columns)


def _spans(length: int, side: int, overlap: int) -> list[tuple[int, int]]:
    """As few stretches of a line as cover it and overlap enough, evenly spread."""
    if length <= side:
        return [(0, length)]
    gaps = math.ceil((length - side) / (side - overlap))
    starts = [round(k * (length - side) / gaps) for k in range(gaps + 1)]
    return [(start, start + side) for start in starts]


def in_tile(seen: Detections, tile: Tile, frame_size: tuple[int, int], n: int) -> Detections:
    """The detections in one of ``n`` tiles, without those that another tile shows whole.

    Each tile is a chance of a false detection: the odds of each hand are divided by ``n``.
    """
    hands = tuple(
        replace(hand, score=hand.score / (hand.score + n * (1 - hand.score)))
        for hand in seen.hands
        if not _is_cut_off(hand, tile, frame_size)
    )
    return replace(seen, hands=hands)


def _is_cut_off(hand: DetectedHand, tile: Tile, frame_size: tuple[int, int]) -> bool:
    """Whether a hand reaches over a border of the tile that is none of the frame."""
    (x0, y0, x1, y1), (width, height) = tile, frame_size
    (x, y), reach = hand.centre_px, hand.size_px / 2
    return (
        (x0 > 0 and x - reach < x0)
        or (y0 > 0 and y - reach < y0)
        or (x1 < width and x + reach > x1)
        or (y1 < height and y + reach > y1)
    )


def joined(whole: Detections, tiles: Sequence[Detections], most: int) -> Detections:
    """The hands of a frame and of its tiles, each once, best first, at most so many.

    The masks are those of the frame.
    """
    hands: list[DetectedHand] = []
    every = [hand for seen in (whole, *tiles) for hand in seen.hands]
    for hand in sorted(every, key=lambda each: -each.score):
        if not any(is_second_answer(hand, better) for better in hands):
            hands.append(hand)
    return replace(whole, hands=tuple(hands[:most]))
