"""When a video's frame is searched for hands, and what in it is worth a closer look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.detect import Detections
from knuckle.pipeline.overlooked import PartnerSearch, neighbours
from knuckle.pipeline.settings import CAUTION, TrackerSettings
from knuckle.pipeline.stages import Stages, detected_odds
from knuckle.pose import Keypoints
from knuckle.pose.duplicates import extent_px
from knuckle.track.association import is_known, is_near, share_inside
from knuckle.track.refuted import Refuted
from knuckle.track.scene import Scene
from knuckle.track.schedule import SearchSchedule
from knuckle.track.track import Track

#: A hand is likelier where one was lost than elsewhere: so many times.
AWAITED_BONUS = 1.5
#: And likelier of that one's side: a hand of which half is hidden says little about its side.
_AWAITED_SIDE_ODDS = 5.0
#: For so long a lost hand is looked for where it should be by now, in every frame.
_AWAITED_S = 1.0
#: If this share of its joints should be inside the frame.
_AWAITED_INSIDE = 0.5
#: Where something moves on and on that is no hand, a search is worth it so many times less often.
_RESTLESS_FACTOR = 3


@dataclass(frozen=True)
class Candidate:
    """A place that looks like a hand from afar.

    Attributes:
        hand: as detected.
        crop: what to look at.
        log_odds: that it is a hand, beside what a look at the crop will tell.
        side_odds: how much likelier than by its looks the crop's side is.
    """

    hand: DetectedHand
    crop: Crop
    log_odds: float = 0.0
    side_odds: float = 1.0


class Search:
    """Finds hands that are not followed yet, or no longer with certainty, at the least cost.

    The detector runs only for a reason, and what it finds is looked at from close by only if that
    may be news. In each frame it is told of the image first (``see``), then asked where to look
    (``claimed``, ``candidates`` if it ``is_due``, ``awaited``), what the looks have shown
    (``look_closer``, ``sure``), who stands beside the hands that are known by then
    (``overlooked``), and told at last what was new (``done``).
    """

    def __init__(self, stages: Stages, settings: TrackerSettings) -> None:
        self._stages, self._settings = stages, settings
        self._schedule = SearchSchedule(
            every=settings.search_every,
            restless=min(_RESTLESS_FACTOR * settings.search_every, settings.idle_search_every),
            idle=settings.idle_search_every,
        )
        self._scene = Scene()
        self._refuted = Refuted()
        self._await_moving = False
        self._detections: Detections | None = None
        self._claimed: list[DetectedHand] = []

    def see(self, image: np.ndarray) -> bool:
        """Take in the next image; returns whether there was a cut before it."""
        cut = self._scene.see(image)
        self._detections = None
        if cut:
            self._refuted = Refuted()
            self._claimed = []
        return cut

    @property
    def has_searched(self) -> bool:
        """Whether the present frame has been searched."""
        return self._detections is not None

    def is_due(self, tracks: Sequence[Track], time_s: float) -> bool:
        """Whether to search this frame; to be asked once per frame."""
        followed = [track for track in tracks if not track.lost]
        doubt, memory_s = self.doubt(tracks), self._settings.memory_s
        return self._schedule.due(
            followed=len(followed),
            slots=self._settings.max_hands,
            doubtful=any(t.score < doubt and t.unseen_s(time_s) <= memory_s for t in tracks),
            change=self._scene.change_since_search(_boxes(followed, time_s)),
        )

    def doubt(self, tracks: Sequence[Track]) -> float:
        """Score below which a track may be on something else; lost ones have 0.

        Where one of two hands in contact is lost, the other's track may hold on to a piece of both.
        """
        usual = self._settings.doubt_threshold
        contact = any(track.hidden for track in tracks)
        return max(usual, self._settings.score_threshold + CAUTION) if contact else usual

    def doubtful(self, tracks: Sequence[Track]) -> list[Track]:
        """Tracks that are lost or hold on to little."""
        doubt = self.doubt(tracks)
        return [track for track in tracks if track.score < doubt]

    def candidates(
        self, image: np.ndarray, tracks: Sequence[Track], time_s: float
    ) -> list[Candidate]:
        """Search the frame for what may be a hand that no track holds with certainty."""
        self._schedule.searched()
        self._scene.searched(_boxes([track for track in tracks if not track.lost], time_s))
        doubtful = self.doubtful(tracks)
        known = [(t.side, t.predict(time_s)) for t in tracks if t not in doubtful]
        self._detections = self._stages.detect(image)
        return [
            self._candidate(hand, doubtful, time_s)
            for hand in self._detections.hands
            if not any(is_known(hand, side, joints_px) for side, joints_px in known)
            and not self._was_no_hand(hand, time_s)
        ]

    def _was_no_hand(self, hand: DetectedHand, time_s: float) -> bool:
        """Whether it has been looked at in vain, and nothing has moved there since."""
        reach = hand.size_px / 2
        box = np.array([*np.subtract(hand.centre_px, reach), *np.add(hand.centre_px, reach)])
        return self._refuted.explains(hand, time_s) and not self._scene.moved_in(box)

    def _candidate(self, hand: DetectedHand, doubtful: list[Track], time_s: float) -> Candidate:
        """A hand that was lost here is likelier than a new one: its side is taken."""
        near = [t for t in doubtful if is_near(hand, t.predict(time_s), t.unseen_s(time_s))]
        awaited = {track.side for track in near}
        log_odds = float(detected_odds([hand])[0])
        if len(awaited) != 1:
            return Candidate(hand, self._stages.crop_of(hand), log_odds)
        crop = self._stages.crop_of(replace(hand, side=awaited.pop()))
        return Candidate(hand, crop, log_odds, _AWAITED_SIDE_ODDS)

    def look_closer(
        self, image: np.ndarray, candidates: Sequence[Candidate], first: Keypoints, time_s: float
    ) -> Keypoints:
        """The hands among the candidates, after another look where the first does not suffice."""
        odds = np.array([each.log_odds for each in candidates])
        side_odds = np.array([each.side_odds for each in candidates])
        looked = self._stages.look_again(image, first, odds, side_odds)
        # The detector may speak against a look, not for it: here others follow, and what is
        # mistaken for a hand once, and stands still, is mistaken in every frame.
        least = self._settings.score_threshold
        is_hand = (looked.seen >= least) & (looked.score >= least)
        looked = looked.believing(-looked.log_odds)
        for i in np.flatnonzero(~is_hand).tolist():
            self._refuted.note(candidates[i].hand, time_s)
        return looked.take(np.flatnonzero(is_hand))

    def awaited(
        self, tracks: Sequence[Track], time_s: float, frame_shape: tuple[int, int]
    ) -> list[Crop]:
        """Where hands that have just been lost should be by now, if there is room for them.

        The detector does not see a hand that comes out from behind another before the two are
        apart, nor one of which half is still hidden; from close by it is seen. It may have moved
        on, or stayed: the two are looked at in turns.
        """
        self._await_moving = not self._await_moving
        lately = [t for t in tracks if t.lost and t.unseen_s(time_s) <= _AWAITED_S]
        room = self._settings.max_hands - sum(not track.lost for track in tracks)
        crops = []
        for track in lately[: max(room, 0)]:
            joints_px = track.predict(time_s, moving=self._await_moving)
            if share_inside(joints_px, frame_shape) > _AWAITED_INSIDE:
                crops.append(self._stages.crop_around(joints_px, track.side))
        return crops

    def claimed(self, time_s: float) -> list[Candidate]:
        """Hands that the looks at the last frame have shown beside others, unless in vain."""
        return [
            Candidate(hand, self._stages.crop_of(hand))
            for hand in self._claimed
            if not self._was_no_hand(hand, time_s)
        ]

    def overlooked(self, image: np.ndarray, known: Keypoints, room: int) -> Keypoints:
        """Hands beside those that are known in this frame, if it was searched, up to so many.

        Notes where the looks at this frame's hands show neighbours: see ``claimed``.
        """
        more = Keypoints.nothing()
        if self._detections is not None:
            more = PartnerSearch(self._stages, image, self._detections).overlooked(known, room)
        self._claimed = neighbours(Keypoints.concatenate(known, more)) if room > len(more) else []
        return more

    def sure(self, returned: Keypoints) -> Keypoints:
        """Those looks at awaited hands that show them."""
        least = self._settings.score_threshold + CAUTION
        return returned.take(np.flatnonzero((returned.score >= least) & (returned.right >= 0.5)))

    def came_in_motion(self, joints_px: np.ndarray) -> bool:
        """Whether something had moved where these joints (21, 2) are before they were found."""
        return self._scene.moved_in(np.concatenate([joints_px.min(axis=0), joints_px.max(axis=0)]))

    def done(self, new: int) -> None:
        """The frame has shown so many hands that were not known."""
        if self.has_searched and not new:
            self._scene.nothing_found()


def _boxes(tracks: Sequence[Track], time_s: float) -> np.ndarray:
    """(N, 4) px around the hands' predicted joints, with room for skin and inexactness."""
    boxes = np.empty((len(tracks), 4))
    for i, track in enumerate(tracks):
        joints_px = track.predict(time_s)
        room = 0.25 * extent_px(joints_px)
        boxes[i] = *(joints_px.min(axis=0) - room), *(joints_px.max(axis=0) + room)
    return boxes
