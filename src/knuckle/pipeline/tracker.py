"""Hands of videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

import numpy as np

from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.hand import Side
from knuckle.image import to_rgb
from knuckle.pipeline import assignment, judge, propose
from knuckle.pipeline.assignment import Assignment
from knuckle.pipeline.frame import hands_of, look_more, one_each
from knuckle.pipeline.looks import Looks
from knuckle.pipeline.networks import Networks
from knuckle.pipeline.settings import TrackerOptions, TrackerSettings, told, with_options
from knuckle.pipeline.tracks import Tracks
from knuckle.results import Frame, HandPose, TrackedHand
from knuckle.stages.detector import Detections
from knuckle.track.clock import Clock
from knuckle.track.search import Search
from knuckle.track.track import TrackIds
from knuckle.turn import Turn, never_cut_off


class HandTracker:
    """Tracks hands through a video: persistent ids, smoothed joints, constant bone lengths.

    Give it the frames in order. The crop of each hand is predicted from its last joints and their
    velocity; the whole frame is searched only when a hand may have appeared or disappeared.

    Example:
        >>> tracker = HandTracker(max_hands=2)
        >>> for frame in open_source("hands.mp4"):
        ...     for hand in tracker(frame):
        ...         print(hand.track_id, hand.side, hand.root_mm)
    """

    def __init__(
        self, settings: TrackerSettings | None = None, **options: Unpack[TrackerOptions]
    ) -> None:
        """Create a tracker.

        Args:
            settings: see ``TrackerSettings``.
            **options: fields of ``TrackerSettings`` by name.

        Raises:
            TypeError: there is no such option.
            ValueError: an option is out of range.
            FileNotFoundError: ``weights_dir`` does not exist.
        """
        self.settings = with_options(TrackerSettings, settings, options)
        self._networks = Networks(self.settings)
        self._ids, self._clock, self._turn = TrackIds(), Clock(), Turn()
        self._begin_anew()

    def __repr__(self) -> str:
        followed = ", ".join(str(track.track_id) for track in self._tracks.followed)
        return f"<HandTracker({told(self.settings)}), follows hands: {followed or 'none'}>"

    def beside(self) -> HandTracker:
        """Another tracker of these settings, for another camera: both use the same networks."""
        other = HandTracker(self.settings)
        other._networks = self._networks
        return other

    @property
    def versions(self) -> dict[str, str]:
        """Version of the weights of each network, by kind. Loads the networks."""
        return self._networks.versions()

    def reset(self, *, renumber: bool = False) -> None:
        """Forget all hands, for a new video; ids continue, or restart at 0 with ``renumber``."""
        with self._turn:
            self._begin_anew(renumber=renumber)

    def _begin_anew(self, *, renumber: bool = False) -> None:
        if renumber:
            self._ids = TrackIds()
        self._tracks = Tracks(self.settings, self._ids)
        self._search = Search(self.settings.search_every, self.settings.idle_search_every)
        self._await_moving = False
        self._frame: tuple[np.ndarray, float, Camera] | None = None
        self._clock.reset()

    @never_cut_off
    def __call__(
        self, frame: Frame | np.ndarray, camera: Camera | None = None
    ) -> list[TrackedHand]:
        """Track the hands in the next frame.

        Args:
            frame: the next frame, or a bare image (as for ``HandEstimator``), which is taken to
                come 1/30 s after the previous one.
            camera: intrinsics; by default the frame's own, else a field of view is assumed.

        Returns:
            The hands in this frame, in the order of their ids. A frame that is much earlier
            than the previous one starts a new video, with new tracks. Calls from several threads
            wait for each other.
        """
        with self._turn:
            return self._follow(*self._read(frame, camera))

    def _follow(self, image: np.ndarray, time_s: float, camera: Camera) -> list[TrackedHand]:
        self._frame = image, time_s, camera
        if self._search.see(image):
            self._tracks.clear()  # a cut: all hands are gone
        self._tracks.forget(time_s)
        looks, assigned, detections = self._look(image, time_s)
        looks, found = self._find(image, time_s, looks, assigned, detections)
        assigned, new = assignment.assign_found(self._tracks, looks, assigned, found, time_s)
        if detections is not None and not new:
            self._search.found_nothing(time_s)
        hands = looks.averaged([*assigned, *new])
        hands = hands.without_prior()  # only looks count from here on
        hands = look_more(self._networks, image, hands, self.settings.looks)
        poses = self._networks.poses(hands, camera, image.shape[:2])
        tracks, n = list(assigned.values()), len(assigned)
        if new:
            newcomers = hands.take(range(n, len(hands)))
            tracks += self._tracks.claim(newcomers, poses[n:], time_s, self._search)
        seen = [track.see(pose, time_s) for track, pose in zip(tracks, poses, strict=True)]
        return sorted((hand for hand in seen if hand is not None), key=lambda h: h.track_id)

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
            rows = [propose.told(self._networks, side, guesses_px) for side, guesses_px in places]
            if not rows:
                return []
            seen = one_each(self._networks, image, rows)
            return self._networks.poses(seen, camera, image.shape[:2])

    def would_see_more(self, pose: HandPose, side: Side, joints_px: np.ndarray) -> bool:
        """Whether the crop of joints (21, 2) shows more than the one that a hand was seen through.

        If not, ``look_at`` would say the same again.
        """
        seen, crop = pose.crop_mask, self._networks.crop_around(joints_px, side)
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
            self._tracks[:] = [
                t for t in self._tracks if instead_of is None or t.track_id != instead_of
            ]
            track = self._tracks.begin(pose, time_s)
            track.confirm()
            seen = track.see(pose, time_s)
            assert seen is not None
            return seen

    def tell(self, track_id: int, joints_px: np.ndarray) -> None:
        """Where a hand (21, 2) is in the last frame, px: the next look begins from there."""
        with self._turn:
            for track in self._tracks:
                if track.track_id == track_id and not track.lost:
                    track.tell(joints_px)

    def _last_frame(self) -> tuple[np.ndarray, float, Camera]:
        if self._frame is None:
            raise RuntimeError("expected a frame before: call the tracker with one first")
        return self._frame

    # --- the steps of a frame -------------------------------------------------------------------

    def _read(
        self, frame: Frame | np.ndarray, camera: Camera | None
    ) -> tuple[np.ndarray, float, Camera]:
        """Image, time and camera of a frame; a time that goes back begins a new video."""
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

    def _look(
        self, image: np.ndarray, time_s: float
    ) -> tuple[Looks, Assignment, Detections | None]:
        """Look at the hands that are followed, where lost ones should be, and at detections.

        The looks come with those of them that show hands that are followed, and with what the
        detector saw of the whole frame, if it was searched.
        """
        networks, frame_shape, detections = self._networks, image.shape[:2], None
        followed = self._tracks.followed
        proposals = propose.followed(networks, followed, time_s)
        proposals += self._awaited(len(followed), time_s, frame_shape)
        view = self._view_to_search(image, time_s)
        if view is not None:
            seen, detected = self._detected(image, time_s, view)
            detections = None if view else seen  # a tile does not stand for the frame
            proposals += detected
        looks = Looks.at(networks, image, proposals)  # one batch for all
        assigned = assignment.keep(self._tracks, looks, time_s, frame_shape)
        looks, assigned = assignment.release_strayed(
            networks, image, self._tracks, looks, assigned, time_s
        )
        if len(assigned) < len(followed) and view != 0:
            detections, detected = self._detected(image, time_s, 0)
            looks += Looks.at(networks, image, detected)
        return looks, assigned, detections

    def _awaited(
        self, followed: int, time_s: float, frame_shape: tuple[int, int]
    ) -> list[propose.Proposal]:
        """Where hands that were lost lately should be, if there is room for them."""
        self._await_moving = not self._await_moving
        room = max(self.settings.max_hands - followed, 0)
        lately = self._tracks.lately_lost(time_s)[:room]
        return propose.awaited(self._networks, lately, time_s, frame_shape, self._await_moving)

    def _view_to_search(self, image: np.ndarray, time_s: float) -> int | None:
        """What to search for hands in this frame: 0 all of it, 1, 2, … a tile, None nothing."""
        tracks, settings = self._tracks, self.settings
        doubtful = any(t.unseen_s(time_s) <= settings.memory_s for t in tracks.doubtful)
        n_tiles = self._networks.n_tiles(image)
        return self._search.due(tracks.followed, settings.max_hands, doubtful, time_s, n_tiles)

    def _detected(
        self, image: np.ndarray, time_s: float, view: int
    ) -> tuple[Detections, list[propose.Proposal]]:
        """Search the frame, or a tile of it, for hands that no track is certain of."""
        self._search.searched(view, self._tracks.followed, time_s, self._networks.n_tiles(image))
        detections, doubtful = self._networks.detect(image, view), self._tracks.doubtful
        known = [(t.side, t.predict(time_s)) for t in self._tracks if t not in doubtful]
        news = [
            hand
            for hand in detections.hands
            if not any(judge.is_known(hand, side, joints_px) for side, joints_px in known)
            and not self._search.is_refuted(hand, time_s)
        ]
        proposals = propose.detected(self._networks, news, doubtful, time_s)
        # In a video the detector may lower the score of a look, not raise it: further frames will
        # tell, and what is taken for a hand once, and stands still, is taken for one in each frame.
        return detections, [
            replace(each, by="search", log_odds=min(each.log_odds, 0.0)) for each in proposals
        ]

    def _find(
        self,
        image: np.ndarray,
        time_s: float,
        looks: Looks,
        assigned: Assignment,
        detections: Detections | None,
    ) -> tuple[Looks, list[int]]:
        """All looks at this frame, and the numbers of those that show hands, best first.

        They are hands that no track is certain of, after further looks.
        """
        doubtful = assignment.uncertain(self._tracks, looks, assigned)
        known = [i for i in assigned if i not in doubtful]
        looks, hands = hands_of(
            self._networks,
            image,
            looks,
            detections,
            self.settings.max_hands - len(known),
            known,
            lambda hand: self._search.is_refuted(hand, time_s),
        )
        self._refute(looks, time_s)
        return looks, hands[len(known) :]

    def _refute(self, looks: Looks, time_s: float) -> None:
        """Remember which detections and claims have turned out to be no hand."""
        seen, hands = looks.seen, dict[int, DetectedHand]()
        shown = set[int]()
        for i, proposal in enumerate(looks.proposals):
            if proposal.hand is not None:
                hands[id(proposal.hand)] = proposal.hand
                if min(seen.look_score[i], seen.score[i]) >= self.settings.score_threshold:
                    shown.add(id(proposal.hand))
        for key, hand in hands.items():
            if key not in shown:
                self._search.refute(hand, time_s)
