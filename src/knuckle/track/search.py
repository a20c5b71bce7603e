"""When a frame is searched for hands, and which places need not be looked at again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from knuckle.codec import DetectedHand
from knuckle.hand import extent_px
from knuckle.track.decisions import DECISIONS
from knuckle.track.scene import Scene
from knuckle.track.track import Track


class Search:
    """Says when to search a frame, and remembers for a while what need not be looked at again.

    A search costs as much as following several hands. ``see`` must be called with every image
    before anything else is asked about it.
    """

    def __init__(self, every: int, idle: int) -> None:
        """Remember nothing yet."""
        self._every = every  # frames between two searches when there is a reason to search
        self._idle = idle  # ... and when there is a free slot but no reason at all
        self._since = math.inf  # frames since the last search
        self._tiles_left = 0  # that are still to be searched since the whole frame was
        self._scene = Scene()
        self._refuted: list[tuple[float, DetectedHand]] = []  # a mouse, a fold, a face

    def see(self, image: np.ndarray) -> bool:
        """Take in the next image; returns whether there was a cut before it."""
        cut = self._scene.see(image)
        if cut:
            self._refuted, self._tiles_left = [], 0
        return cut

    def due(
        self,
        followed: Sequence[Track],
        slots: int,
        doubtful: bool,
        time_s: float,
        n_tiles: int = 0,
    ) -> int | None:
        """Which view of this frame to search: 0 all of it, 1, 2, … one of its tiles, None nothing.

        To be asked once per frame. Parts take turns where the whole frame is not due, once
        something has moved.

        ``slots`` are the most hands that may be ``followed``; ``doubtful`` is whether one of them
        may no longer be a hand, or one was lost just now; ``n_tiles`` are searched on their own.
        """
        self._since += 1
        wanted = doubtful or len(followed) < slots
        tile = n_tiles - self._tiles_left + 1 if self._tiles_left and wanted else None
        if tile is not None and self._since == 1:
            return tile  # even where the whole frame is due in every frame
        return 0 if self._is_due(followed, slots, doubtful, time_s) else tile

    def _is_due(self, followed: Sequence[Track], slots: int, doubtful: bool, time_s: float) -> bool:
        soon = self._since >= self._every
        if not followed:
            return soon or self._has_news(followed, time_s)
        if doubtful:
            return soon
        if len(followed) >= slots:
            return False
        return self._since >= self._idle or (soon and self._has_news(followed, time_s))

    def _has_news(self, followed: Sequence[Track], time_s: float) -> bool:
        """Whether something has come outside of the hands since the last search."""
        return self._scene.has_news(_boxes(followed, time_s), time_s)

    def searched(
        self, view: int, followed: Sequence[Track], time_s: float, n_tiles: int = 0
    ) -> None:
        """Note that a view is being searched: 0 the whole frame, 1, 2, … one of its tiles."""
        if view:
            self._tiles_left -= 1
            return
        self._since = 0
        if not self._tiles_left and self._has_news(followed, time_s):
            self._tiles_left = n_tiles  # in a still scene they have shown what there is
        self._scene.searched(_boxes(followed, time_s))

    def found_nothing(self, time_s: float) -> None:
        """The search of the whole frame has shown no hand that was not known."""
        self._scene.nothing_found(time_s)

    def refute(self, hand: DetectedHand, time_s: float) -> None:
        """Note that a look at a detection or a claim has shown no hand."""
        self._refuted.append((time_s, hand))

    def is_refuted(self, hand: DetectedHand, time_s: float) -> bool:
        """Whether it was refuted lately, and nothing has moved there since."""
        self._refuted = [(s, h) for s, h in self._refuted if time_s - s <= DECISIONS.vain_s]
        reach = hand.size_px / 2
        box = np.array([*np.subtract(hand.centre_px, reach), *np.add(hand.centre_px, reach)])
        known = any(_is_same(hand, other) for _, other in self._refuted)
        return known and not self._scene.moved_in(box)

    def came_in_motion(self, joints_px: np.ndarray) -> bool:
        """Whether something had moved where these joints (21, 2) are before they were found."""
        return self._scene.moved_in(np.concatenate([joints_px.min(axis=0), joints_px.max(axis=0)]))


def _is_same(hand: DetectedHand, refuted: DetectedHand) -> bool:
    gap = math.hypot(*np.subtract(hand.centre_px, refuted.centre_px))
    return gap < DECISIONS.known_hand * max(hand.size_px, refuted.size_px)


def _boxes(tracks: Sequence[Track], time_s: float) -> np.ndarray:
    """(N, 4) px around the hands' predicted joints, with room for skin and inexactness."""
    boxes = np.empty((len(tracks), 4))
    for i, track in enumerate(tracks):
        joints_px = track.predict(time_s)
        room = 0.25 * extent_px(joints_px)
        boxes[i] = *(joints_px.min(axis=0) - room), *(joints_px.max(axis=0) + room)
    return boxes
