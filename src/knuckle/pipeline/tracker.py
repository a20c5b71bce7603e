"""Hands of videos."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from knuckle.camera import Camera
from knuckle.hand import other_side
from knuckle.image import to_rgb
from knuckle.pipeline.search import AWAITED_BONUS, Search
from knuckle.pipeline.settings import CAUTION, SMOOTHERS, TrackerSettings, with_options
from knuckle.pipeline.sides import touch, with_sides_reconsidered
from knuckle.pipeline.stages import Stages
from knuckle.pose import Keypoints
from knuckle.pose.duplicates import extent_px, same_hand, without_duplicates
from knuckle.results import Frame, HandPose, TrackedHand
from knuckle.track.association import assign, is_beside, is_piece, share_inside
from knuckle.track.track import Track

#: A hand has left when fewer of its joints than this lie inside the frame.
_LEAST_INSIDE = 0.25

#: A look that scores less than this share of the one before may show a hand that has jumped away.
_DROP = 0.65

#: A look shows a hand of the other side if it says its own with less than this probability.
_OTHER_HAND = 0.15

#: Hands that are beside each other are mostly the two of one person. One of the side that the other
#: has must be seen as such for so long (sum of logits, 3 for a sure look) until it is believed.
_LIKE_VOTES = 12.0

#: A hand that is hidden by another may come back for so many times longer than others.
_HIDDEN_MEMORY = 5.0

#: Bare images have no time; they are taken to be so many per second.
NOMINAL_FPS = 30.0


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

    def __init__(self, settings: TrackerSettings | None = None, **options: Any) -> None:
        """Make a tracker.

        Args:
            settings: see ``TrackerSettings``.
            **options: fields of ``TrackerSettings`` by name.

        Raises:
            TypeError: there is no such option.
            ValueError: an option is out of its range.
            FileNotFoundError: ``weights_dir`` does not exist.
        """
        self.settings = with_options(settings or TrackerSettings(), options)
        self._stages = Stages(self.settings)
        self._numbers = itertools.count()
        self.reset()

    @property
    def versions(self) -> dict[str, str]:
        """Version of the weights of each network, by kind. Opens the networks."""
        return self._stages.versions()

    def reset(self) -> None:
        """Forget everything, as before the first frame; ids go on counting."""
        self._tracks: list[Track] = []
        self._search = Search(self._stages, self.settings)
        self._time_s: float | None = None

    def __call__(
        self, frame: Frame | np.ndarray, camera: Camera | None = None
    ) -> list[TrackedHand]:
        """Follow the hands into the next frame.

        Args:
            frame: the next frame, or a bare image (as for ``HandEstimator``), which is taken to
                come 1/30 s after the one before.
            camera: intrinsics; by default the frame's own, else a field of view is assumed.

        Returns:
            The hands in this frame, in the order of their ids. A frame that is not later than the
            one before it starts a new video: new tracks.
        """
        image, time_s, camera = self._read(frame, camera)
        if self._search.see(image):
            self._tracks = []  # a cut: whoever was there is gone
        self._forget(time_s)
        followed = [track for track in self._tracks if not track.lost]
        searched = self._search.is_due(self._tracks, time_s)
        candidates = self._search.claimed(time_s)
        if searched:
            candidates += self._search.candidates(image, self._tracks, time_s)
        awaited = self._search.awaited(self._tracks, time_s, image.shape[:2])
        # One batch for all: the hands that are followed, awaited, and what the search has found.
        crops = [self._stages.crop_around(t.predict(time_s), t.side) for t in followed]
        places = [*crops, *awaited, *(each.crop for each in candidates)]
        own, rest = self._stages.look(image, places).split(len(crops))
        returned, first = rest.split(len(awaited))
        seen, own = self._keep(followed, own, time_s, image.shape[:2])
        seen, own, strayed = self._let_go(image, seen, own, time_s)
        if len(seen) < len(followed) and not searched:
            searched = True
            late = self._search.candidates(image, self._tracks, time_s)
            looked = self._stages.look(image, [each.crop for each in late])
            candidates, first = [*candidates, *late], Keypoints.concatenate(first, looked)
        returned = Keypoints.concatenate(self._search.sure(returned), strayed)
        found = Keypoints.concatenate(
            returned, self._search.look_closer(image, candidates, first, time_s)
        )
        new = Keypoints.nothing()
        if len(found):
            found = self._unique(self._whole(found, time_s), time_s)
            own, new = self._reseat(seen, own, found, time_s)
            new = self._newcomers(new, own)
            seen, own = self._make_room(seen, own, new)
        hands = self._with_overlooked(image, own, new, time_s)
        new = hands.split(len(own))[1]
        if searched and not len(new):
            self._search.nothing_new()
        looked = self._stages.look_more(image, hands)
        poses = self._stages.poses(looked, camera, image.shape[:2])
        seen += self._claim(new, poses[len(own) :], time_s)
        told = [track.see(pose, time_s) for track, pose in zip(seen, poses, strict=True)]
        return sorted((hand for hand in told if hand is not None), key=lambda h: h.track_id)

    def _read(
        self, frame: Frame | np.ndarray, camera: Camera | None
    ) -> tuple[np.ndarray, float, Camera]:
        """Image, time and camera of a frame; starts anew where time does not go on."""
        if isinstance(frame, Frame):
            image, time_s = to_rgb(frame.image), frame.time_s
            camera = frame.camera if camera is None else camera
            if self._time_s is not None and time_s <= self._time_s:
                self.reset()
        else:
            image = to_rgb(frame)
            time_s = 0.0 if self._time_s is None else self._time_s + 1 / NOMINAL_FPS
        height, width = image.shape[:2]
        camera = Camera.given_or_assumed(camera, width, height)
        self._time_s = time_s
        return image, time_s, camera

    def _forget(self, time_s: float) -> None:
        """Drop tracks that have been hidden for too long, or turned out to be something else."""

        def may_come_back(track: Track) -> bool:
            # Who comes out from behind a hand is who went there.
            memory_s = self.settings.memory_s * (_HIDDEN_MEMORY if track.hidden else 1.0)
            return track.believed and track.unseen_s(time_s) <= memory_s

        self._tracks = [
            track
            for track in self._tracks
            if not track.dismissed and (not track.lost or may_come_back(track))
        ]

    def _keep(
        self,
        followed: list[Track],
        looked: Keypoints,
        time_s: float,
        frame_shape: tuple[int, int],
    ) -> tuple[list[Track], Keypoints]:
        """The tracks that are still on a hand, each on one of its own."""
        # Of two tracks on one hand, the one whose side it is, and that came less far, stays.
        expected = np.array([track.predict(time_s) for track in followed]).reshape(-1, 21, 2)
        came = np.linalg.norm((looked.points_px - expected).mean(axis=1), axis=1)
        jump = came / np.maximum(extent_px(expected), 1.0)
        best_first = np.argsort(-looked.trust * np.exp(-jump), kind="stable")
        inside = share_inside(looked.points_px, frame_shape)
        there = (looked.score >= self.settings.keep_threshold) & (inside >= _LEAST_INSIDE)
        present = best_first[there[best_first]]
        kept = [present[k] for k in without_duplicates(looked.take(present), sides_known=True)]
        kept = sorted(int(i) for i in kept)
        owners = dict(zip(kept, (followed[i] for i in kept), strict=True))
        for i in present:
            rival = next((k for k in kept if same_hand(looked, i, looked, k, True)), None)
            if i not in kept and rival is not None and _is_heir(followed[i], owners[rival]):
                owners[rival] = followed[i]
        seen = list(owners.values())
        for i, track in enumerate(followed):
            if track not in seen:
                others = (t for k, t in owners.items() if touch(expected[i], expected[k]))
                track.lose(hidden_by=next(others, None))
        return seen, looked.take(kept)

    def _let_go(
        self, image: np.ndarray, seen: list[Track], own: Keypoints, time_s: float
    ) -> tuple[list[Track], Keypoints, Keypoints]:
        """Tracks that have strayed onto a hand of the other side leave it to the one it is of.

        Hands that cross take joints from one another until one track has gone over. Then there is
        another that has lost its hand, or has gone over as well: it may have this one back. A track
        that nobody has been told of may have been of the wrong side from the start.

        Returns:
            The tracks that stay, their looks, and looks at the hands that were let go of.
        """
        least = np.array([_OTHER_HAND if track.believed else 0.5 for track in seen])
        wrong = np.flatnonzero(own.right < least).tolist()
        bereft = [t for t in self._tracks if t.lost and t.believed] + [seen[i] for i in wrong]
        wrong = [
            i
            for i in wrong
            if not seen[i].believed or any(t.believed and t.side != seen[i].side for t in bereft)
        ]
        if not wrong:
            return seen, own, Keypoints.nothing()
        crops = [self._stages.crop_around(own.points_px[i], other_side(own.side(i))) for i in wrong]
        looked = self._stages.look(image, crops)
        owners = self._match(looked, bereft, time_s)
        gone = [
            k
            for k, i in enumerate(wrong)
            if looked.trust[k] > own.trust[i]
            and looked.score[k] >= self.settings.score_threshold
            and (owners[k] is not None or not seen[i].believed)
        ]
        left = {wrong[k] for k in gone}
        for i in left:
            seen[i].lose()
        stay = [i for i in range(len(seen)) if i not in left]
        return [seen[i] for i in stay], own.take(stay), looked.take(gone)

    def _whole(self, looked: Keypoints, time_s: float) -> Keypoints:
        """Those that are not a finger of a hand which has just been lost and comes back."""
        lost = [track.predict(time_s, moving=False) for track in self._tracks if track.lost]
        return looked.take(
            [
                i
                for i, joints_px in enumerate(looked.points_px)
                if not any(is_piece(joints_px, whole_px) for whole_px in lost)
            ]
        )

    def _unique(self, looked: Keypoints, time_s: float) -> Keypoints:
        """The hands that the search has found, each once, best first."""
        awaited = self._match(looked, self._search.doubtful(self._tracks), time_s)
        bonus = np.array([1.0 if match is None else AWAITED_BONUS for match in awaited])
        looked = looked.take(np.argsort(-looked.trust * bonus, kind="stable"))
        return looked.take(without_duplicates(looked))

    def _reseat(
        self, seen: list[Track], own: Keypoints, new: Keypoints, time_s: float
    ) -> tuple[Keypoints, Keypoints]:
        """Put tracks that hold on to little back on their hands, where the search found these."""
        usual = np.array([track.score for track in seen])
        least = np.maximum(self._search.doubt(self._tracks), _DROP * usual)
        doubtful = np.flatnonzero(own.score < least)
        matches = self._match(new, [seen[k] for k in doubtful], time_s)
        chosen = np.arange(len(own))
        for i, match in enumerate(matches):
            if match is not None and new.trust[i] > own.trust[doubtful[match]]:
                chosen[doubtful[match]] = len(own) + i
        rest = [i for i in range(len(new)) if len(own) + i not in chosen]
        return Keypoints.concatenate(own, new).take(chosen), new.take(rest)

    def _newcomers(self, new: Keypoints, own: Keypoints) -> Keypoints:
        """Hands that are not followed yet, and for which there is room.

        There is room where nothing is followed, or where what is followed is hardly a hand.
        """
        unknown = [
            i
            for i in range(len(new))
            if not any(same_hand(new, i, own, k, sides_known=True) for k in range(len(own)))
        ]
        certain = int((own.score >= self.settings.doubt_threshold).sum())
        return new.take(unknown[: self.settings.max_hands - certain])

    def _make_room(
        self, seen: list[Track], own: Keypoints, new: Keypoints
    ) -> tuple[list[Track], Keypoints]:
        """Give up the least certain tracks where newcomers need their places."""
        most_certain_first = np.argsort(-own.score, kind="stable")
        kept = sorted(int(i) for i in most_certain_first[: self.settings.max_hands - len(new)])
        for i, track in enumerate(seen):
            if i not in kept:
                track.lose()
        return [seen[i] for i in kept], own.take(kept)

    def _with_overlooked(
        self, image: np.ndarray, own: Keypoints, new: Keypoints, time_s: float
    ) -> Keypoints:
        """All hands of this frame: those followed, the new ones, and who was hidden beside them."""
        known = Keypoints.concatenate(own, new)
        more = self._search.overlooked(image, known, self.settings.max_hands - len(known))
        hands = Keypoints.concatenate(known, self._whole(more, time_s))
        return with_sides_reconsidered(self._stages, image, hands, followed=len(own))

    def _claim(self, new: Keypoints, poses: list[HandPose], time_s: float) -> list[Track]:
        """A track for each new hand, best first: one that was lost nearby, else a new one."""
        lost = [track for track in self._tracks if track.lost]
        alone = not any(track.believed and not track.lost for track in self._tracks)
        claimed = []
        for pose, match in zip(poses, self._match(new, lost, time_s), strict=True):
            claimed.append(lost[match] if match is not None else self._begin(pose, time_s, alone))
            alone = False
        return claimed

    def _begin(self, pose: HandPose, time_s: float, alone: bool) -> Track:
        """A new track; only a lone hand that came in motion is believed as readily as it looks."""
        at_once = alone and self._search.came_in_motion(pose.joints_px)
        beside_its_like = any(
            not track.lost
            and track.side == pose.side
            and is_beside(pose.joints_px, track.predict(time_s))
            for track in self._tracks
        )
        smooth, length_mm = self.settings.smooth, self.settings.hand_length_mm
        track = Track(
            pose,
            time_s,
            numbers=self._numbers,
            smoother=SMOOTHERS[smooth](length_mm) if smooth else None,
            least_score=self.settings.score_threshold,
            caution=0.0 if at_once else CAUTION,
            least_votes=_LIKE_VOTES if beside_its_like else 0.0,
        )
        self._tracks.append(track)
        return track

    @staticmethod
    def _match(found: Keypoints, tracks: list[Track], time_s: float) -> list[int | None]:
        """For each hand found, the track that it may be, each at most once."""
        return assign(
            [(found.side(i), points) for i, points in enumerate(found.points_px)],
            [track.whereabouts(time_s) for track in tracks],
        )


def _is_heir(track: Track, other: Track) -> bool:
    """Whether a hand that both have been found on is this track's, whoever had the better look."""
    return track.believed and not other.believed and track.side == other.side
