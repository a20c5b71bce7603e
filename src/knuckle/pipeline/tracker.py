"""Hands of videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

import numpy as np

from knuckle.camera import Camera
from knuckle.hand import Side, other_side
from knuckle.image import to_rgb
from knuckle.pipeline import judge, propose
from knuckle.pipeline.frame import hands_of, look_more, one_each
from knuckle.pipeline.looks import Looks
from knuckle.pipeline.settings import TrackerOptions, TrackerSettings, with_options
from knuckle.pipeline.stages import Stages
from knuckle.pipeline.tracks import Tracks, match
from knuckle.results import Frame, HandPose, TrackedHand
from knuckle.stages.detector import Detections
from knuckle.track.association import is_inside
from knuckle.track.clock import Clock
from knuckle.track.search import Search
from knuckle.track.track import Numbers, Track
from knuckle.turn import Turn, never_cut_off

#: The looks at hands that are followed, by their numbers, and whose hand each shows.
Seats = dict[int, Track]


class HandTracker:
    """Follows hands through a video: identity, steady joints, bones of constant length.

    Give it the frames in order. The crop of each hand comes from its last joints and their
    velocity; the whole frame is searched only when a hand may have come or gone.

    Example:
        >>> tracker = HandTracker(max_hands=2)
        >>> for frame in open_source("hands.mp4"):
        ...     for hand in tracker(frame):
        ...         print(hand.track_id, hand.side, hand.root_mm)
    """

    def __init__(
        self, settings: TrackerSettings | None = None, **options: Unpack[TrackerOptions]
    ) -> None:
        """Make a tracker.

        Args:
            settings: see ``TrackerSettings``.
            **options: fields of ``TrackerSettings`` by name.

        Raises:
            TypeError: there is no such option.
            ValueError: an option is out of its range.
            FileNotFoundError: ``weights_dir`` does not exist.
        """
        self.settings = with_options(TrackerSettings, settings, options)
        self._stages = Stages(self.settings)
        self._numbers, self._clock, self._turn = Numbers(), Clock(), Turn()
        self._begin_anew()

    def beside(self) -> HandTracker:
        """Another tracker of these settings, for another camera: both use the same networks."""
        other = HandTracker(self.settings)
        other._stages = self._stages
        return other

    @property
    def versions(self) -> dict[str, str]:
        """Version of the weights of each network, by kind. Opens the networks."""
        return self._stages.versions()

    def reset(self, *, renumber: bool = False) -> None:
        """Forget everything, as before the first frame; ids go on counting, unless ``renumber``."""
        with self._turn:
            self._begin_anew(renumber=renumber)

    def _begin_anew(self, *, renumber: bool = False) -> None:
        if renumber:
            self._numbers = Numbers()
        self._tracks = Tracks(self.settings, self._numbers)
        self._search = Search(self.settings.search_every, self.settings.idle_search_every)
        self._await_moving = False
        self._frame: tuple[np.ndarray, float, Camera] | None = None
        self._clock.reset()

    @never_cut_off
    def __call__(
        self, frame: Frame | np.ndarray, camera: Camera | None = None
    ) -> list[TrackedHand]:
        """Follow the hands into the next frame.

        Args:
            frame: the next frame, or a bare image (as for ``HandEstimator``), which is taken to
                come 1/30 s after the one before.
            camera: intrinsics; by default the frame's own, else a field of view is assumed.

        Returns:
            The hands in this frame, in the order of their ids. A frame that is much earlier
            than the one before it starts a new video: new tracks. Threads take turns.
        """
        with self._turn:
            return self._follow(*self._read(frame, camera))

    def _follow(self, image: np.ndarray, time_s: float, camera: Camera) -> list[TrackedHand]:
        self._frame = image, time_s, camera
        if self._search.see(image):
            self._tracks.clear()  # a cut: whoever was there is gone
        self._tracks.forget(time_s)
        looks, seats, detections = self._look(image, time_s)
        looks, found = self._find(image, time_s, looks, seats, detections)
        seats, new = self._seat(looks, seats, found, time_s)
        if detections is not None and not new:
            self._search.found_nothing(time_s)
        hands = looks.averaged([*seats, *new])
        hands = hands.believing(-hands.log_odds)  # only looks count from here on
        hands = look_more(self._stages, image, hands, self.settings.looks)
        poses = self._stages.poses(hands, camera, image.shape[:2])
        tracks = list(seats.values())
        if new:
            newcomers = hands.take(range(len(seats), len(hands)))
            tracks += self._tracks.claim(newcomers, poses[len(seats) :], time_s, self._search)
        told = [track.see(pose, time_s) for track, pose in zip(tracks, poses, strict=True)]
        return sorted((hand for hand in told if hand is not None), key=lambda h: h.track_id)

    # --- what others know of the hands, who see them from elsewhere ------------------------------

    def look_at(self, places: Sequence[tuple[Side, np.ndarray]]) -> list[HandPose]:
        """What the last frame shows where hands should be; nothing is followed for that.

        Args:
            places: of each hand its side and where it may be, (G, 21, 2) px: G guesses, of which
                the likeliest one is looked at again. A single guess is taken to be exact.

        Returns:
            One for each, however little it looks like a hand: ``score`` says.

        Raises:
            RuntimeError: there was no frame yet.
        """
        with self._turn:
            image, _, camera = self._last_frame()
            rows = [propose.told(self._stages, side, guesses_px) for side, guesses_px in places]
            if not rows:
                return []
            seen = one_each(self._stages, image, rows)
            return self._stages.poses(seen, camera, image.shape[:2])

    def would_see_more(self, pose: HandPose, side: Side, joints_px: np.ndarray) -> bool:
        """Whether the crop of joints (21, 2) shows more than the one that a hand was seen through.

        If not, ``look_at`` would say the same again.
        """
        seen, crop = pose.crop_mask, self._stages.crop_around(joints_px, side)
        return seen is None or judge.is_news(crop, [seen.crop])

    def adopt(self, pose: HandPose, instead_of: int | None = None) -> TrackedHand:
        """Follow a hand of the last frame that others are sure of, and of its side.

        Args:
            pose: as ``look_at`` sees it.
            instead_of: ``track_id`` of what was followed there and is not this hand.

        Raises:
            RuntimeError: there was no frame yet.
        """
        with self._turn:
            _, time_s, _ = self._last_frame()
            others = (t for t in self._tracks if instead_of is None or t.number != instead_of)
            self._tracks[:] = list(others)
            track = self._tracks.begin(pose, time_s)
            track.believe()
            seen = track.see(pose, time_s)
            assert seen is not None
            return seen

    def tell(self, track_id: int, joints_px: np.ndarray) -> None:
        """Where a hand (21, 2) is in the last frame, px: the next look begins from there."""
        with self._turn:
            for track in self._tracks:
                if track.number == track_id and not track.lost:
                    track.tell(joints_px)

    def _last_frame(self) -> tuple[np.ndarray, float, Camera]:
        if self._frame is None:
            raise RuntimeError("expected a frame before: call the tracker with one first")
        return self._frame

    # --- the steps of a frame -------------------------------------------------------------------

    def _read(
        self, frame: Frame | np.ndarray, camera: Camera | None
    ) -> tuple[np.ndarray, float, Camera]:
        """Image, time and camera of a frame; starts anew where time does not go on."""
        given_s = None
        if isinstance(frame, Frame):
            image, given_s = to_rgb(frame.image), frame.time_s
            camera = frame.camera if camera is None else camera
            if self._clock.is_new_video(given_s):
                self._begin_anew()
        else:
            image = to_rgb(frame)
        height, width = image.shape[:2]
        camera = Camera.given_or_assumed(camera, width, height)
        return image, self._clock.tick(given_s), camera

    def _look(self, image: np.ndarray, time_s: float) -> tuple[Looks, Seats, Detections | None]:
        """Look at the hands that are followed, where lost ones should be, and at what is detected.

        Returns:
            The looks, which of them show hands that are followed, and what the detector saw of
            the whole frame, if it was searched.
        """
        stages, frame_shape, detections = self._stages, image.shape[:2], None
        tracks = self._tracks.followed
        proposals = propose.followed(stages, tracks, time_s)
        proposals += self._awaited(len(tracks), time_s, frame_shape)
        memory_s = self.settings.memory_s
        doubtful = any(t.unseen_s(time_s) <= memory_s for t in self._tracks.doubtful)
        n_parts, slots = stages.n_parts(image), self.settings.max_hands
        view = self._search.due(tracks, slots, doubtful, time_s, n_parts)
        if view is not None:
            seen, named = self._detected(image, time_s, view)
            detections = None if view else seen  # a part does not tell of the frame
            proposals += named
        looks = Looks.at(stages, image, proposals)  # one batch for all
        seats = self._keep(tracks, looks, time_s, frame_shape)
        looks, seats = self._let_go(image, looks, seats, time_s)
        if len(seats) < len(tracks) and view != 0:
            detections, named = self._detected(image, time_s, 0)
            looks += Looks.at(stages, image, named)
        return looks, seats, detections

    def _awaited(
        self, followed: int, time_s: float, frame_shape: tuple[int, int]
    ) -> list[propose.Proposal]:
        """Where hands that were lost lately should be, if there is room for them."""
        self._await_moving = not self._await_moving
        room = max(self.settings.max_hands - followed, 0)
        lately = self._tracks.lately_lost(time_s)[:room]
        return propose.awaited(self._stages, lately, time_s, frame_shape, self._await_moving)

    def _detected(
        self, image: np.ndarray, time_s: float, view: int
    ) -> tuple[Detections, list[propose.Proposal]]:
        """Search the frame, or a part of it, for hands that no track holds with certainty."""
        self._search.searched(view, self._tracks.followed, time_s, self._stages.n_parts(image))
        detections, doubtful = self._stages.detect(image, view), self._tracks.doubtful
        known = [(t.side, t.predict(time_s)) for t in self._tracks if t not in doubtful]
        news = [
            hand
            for hand in detections.hands
            if not any(judge.is_known(hand, side, joints_px) for side, joints_px in known)
            and not self._search.is_refuted(hand, time_s)
        ]
        named = propose.detected(self._stages, news, doubtful, time_s)
        # The detector may speak against a look, not for it: here others follow, and what is
        # mistaken for a hand once, and stands still, is mistaken in every frame.
        named = [replace(each, by="search", log_odds=min(each.log_odds, 0.0)) for each in named]
        return detections, named

    def _keep(
        self, tracks: list[Track], looks: Looks, time_s: float, frame_shape: tuple[int, int]
    ) -> Seats:
        """The tracks that are still on a hand, each on one of its own; the others are lost.

        The first looks are those at the tracks.
        """
        seen, seats = looks.seen, Seats()

        def worth(i: int) -> float:
            """Of two on one hand, the one whose side it is, and that came less far, stays."""
            return float(seen.trust[i]) * math.exp(-tracks[i].jump(seen.points_px[i], time_s))

        numbers = list(range(len(tracks)))
        for i in sorted(numbers, key=worth, reverse=True) if len(tracks) > 1 else numbers:
            inside = is_inside(seen.points_px[i], frame_shape)
            if seen.score[i] < self.settings.keep_threshold or not inside:
                continue
            rival = next((k for k in seats if judge.same_hand(seen, i, seen, k, True)), None)
            if rival is None:
                seats[i] = tracks[i]
            elif tracks[i].is_heir_of(seats[rival]):
                seats[rival] = tracks[i]
        still = list(seats.values())
        for track in tracks:
            if track not in still:
                here = track.predict(time_s)
                others = (t for t in still if judge.touch(here, t.predict(time_s)))
                track.lose(hidden_by=next(others, None))
        return dict(sorted(seats.items()))

    def _let_go(
        self, image: np.ndarray, looks: Looks, seats: Seats, time_s: float
    ) -> tuple[Looks, Seats]:
        """Tracks that have strayed onto a hand of the other side leave it to the one it is of.

        Hands that cross take joints from one another until one track has gone over. Then there is
        another that has lost its hand, or has gone over as well: it may have this one back. A track
        that nobody has been told of may have been of the wrong side from the start.

        Returns:
            All looks, further ones at the hands that were let go of among them; who stays.
        """
        right, other_hand = looks.seen.right, 1 - judge.SURE_SIDE
        astray = [
            i for i, t in seats.items() if right[i] < (other_hand if t.believed else judge.EVEN)
        ]
        if not astray:  # as in most frames
            return looks, seats
        bereft = [t for t in self._tracks.lost if t.believed] + [seats[i] for i in astray]
        sides = {track.side for track in bereft if track.believed}
        astray = [i for i in astray if not seats[i].believed or other_side(seats[i].side) in sides]
        if not astray:
            return looks, seats
        otherwise = Looks.at(
            self._stages, image, [propose.of_other_side(self._stages, looks, i) for i in astray]
        )
        owners = match(otherwise.seen, bereft, time_s)
        gone = [
            k
            for k, i in enumerate(astray)
            if otherwise.seen.trust[k] > looks.seen.trust[i]
            and otherwise.seen.score[k] >= self.settings.score_threshold
            and (owners[k] is not None or not seats[i].believed)
        ]
        for k in gone:
            seats[astray[k]].lose()
        left = {astray[k] for k in gone}
        return looks + otherwise.take(gone), {i: t for i, t in seats.items() if i not in left}

    def _find(
        self,
        image: np.ndarray,
        time_s: float,
        looks: Looks,
        seats: Seats,
        detections: Detections | None,
    ) -> tuple[Looks, list[int]]:
        """The hands of this frame that no track holds with certainty, after further looks.

        Returns:
            All looks, and the numbers of those that show such hands, best first.
        """
        doubtful = self._unsure_seats(looks, seats)
        known = [i for i in seats if i not in doubtful]
        looks, hands = hands_of(
            self._stages,
            image,
            looks,
            detections,
            self.settings,
            self.settings.max_hands - len(known),
            known,
            lambda hand: self._search.is_refuted(hand, time_s),
        )
        self._refute(looks, time_s)
        return looks, hands[len(known) :]

    def _unsure_seats(self, looks: Looks, seats: Seats) -> list[int]:
        """Looks of tracks that hold on to little."""
        return [i for i in seats if looks.seen.score[i] < self._tracks.least_certain]

    def _refute(self, looks: Looks, time_s: float) -> None:
        """Note which detections and claims have turned out to be no hand."""
        least, good = self.settings.score_threshold, looks.seen
        shown = [
            each.hand
            for i, each in enumerate(looks.proposals)
            if each.hand is not None and min(good.seen[i], good.score[i]) >= least
        ]
        hands = {id(each.hand): each.hand for each in looks.proposals if each.hand is not None}
        for hand in hands.values():
            if not any(hand is one for one in shown):
                self._search.refute(hand, time_s)

    def _seat(
        self, looks: Looks, seats: Seats, found: list[int], time_s: float
    ) -> tuple[Seats, list[int]]:
        """Give the hands that were found to tracks that lack them; the others are newcomers."""
        if not found:
            return seats, []
        seen, doubtful = looks.seen, self._unsure_seats(looks, seats)
        owners = match(seen.take(found), [seats[k] for k in doubtful], time_s)
        places, new = {i: i for i in seats}, list[int]()
        for i, owner in zip(found, owners, strict=True):
            if owner is not None and seen.trust[i] > seen.trust[doubtful[owner]]:
                places[doubtful[owner]] = i
            else:
                new.append(i)
        seats = {places[i]: track for i, track in seats.items()}
        new = [i for i in new if not any(judge.same_hand(seen, i, seen, k, True) for k in seats)]
        certain = int((seen.score[list(seats)] >= self.settings.doubt_threshold).sum())
        new = new[: self.settings.max_hands - certain]
        most_certain = sorted(seats, key=lambda i: -seen.score[i])
        for i in most_certain[self.settings.max_hands - len(new) :]:
            seats.pop(i).lose()
        return seats, new
