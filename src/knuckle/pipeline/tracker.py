"""Hands of videos."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
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
from knuckle.track.track import Numbers, Track

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

#: A frame that is earlier than the one before by more than this, s, is of another video.
_NEW_VIDEO_S = 0.2


@dataclass(frozen=True, eq=False)
class Followed:
    """Tracks, and for each the look at its hand in this frame.

    Attributes:
        tracks: N of them.
        looks: N.
    """

    tracks: list[Track]
    looks: Keypoints

    def __len__(self) -> int:
        return len(self.tracks)

    def take(self, indices: Sequence[int]) -> Followed:
        """The tracks with these indices, in this order."""
        return Followed([self.tracks[i] for i in indices], self.looks.take(indices))


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
        self._numbers = Numbers()
        self._warned_of_time = False
        self.reset()

    @property
    def versions(self) -> dict[str, str]:
        """Version of the weights of each network, by kind. Opens the networks."""
        return self._stages.versions()

    def reset(self, *, renumber: bool = False) -> None:
        """Forget everything, as before the first frame; ids go on counting, unless ``renumber``."""
        if renumber:
            self._numbers = Numbers()
        self._tracks: list[Track] = []
        self._search = Search(self._stages, self.settings)
        self._time_s: float | None = None
        self._given_s: float | None = None  # that of the last frame, which may not go on

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
            than the one before it starts a new video: new tracks.
        """
        image, time_s, camera = self._read(frame, camera)
        if self._search.see(image):
            self._tracks = []  # a cut: whoever was there is gone
        self._forget(time_s)
        followed, found = self._look(image, time_s)
        followed, new = self._seat(followed, found, time_s)
        hands = self._with_overlooked(image, followed.looks, new, time_s)
        new = hands.split(len(followed))[1]
        self._search.done(len(new))
        poses = self._stages.poses(self._stages.look_more(image, hands), camera, image.shape[:2])
        tracks = followed.tracks + self._claim(new, poses[len(followed) :], time_s)
        told = [track.see(pose, time_s) for track, pose in zip(tracks, poses, strict=True)]
        return sorted((hand for hand in told if hand is not None), key=lambda h: h.track_id)

    def _read(
        self, frame: Frame | np.ndarray, camera: Camera | None
    ) -> tuple[np.ndarray, float, Camera]:
        """Image, time and camera of a frame; starts anew where time does not go on."""
        if isinstance(frame, Frame):
            image, time_s = to_rgb(frame.image), frame.time_s
            camera = frame.camera if camera is None else camera
            time_s = self._going_on(time_s)
        else:
            image = to_rgb(frame)
            time_s = 0.0 if self._time_s is None else self._time_s + 1 / NOMINAL_FPS
        height, width = image.shape[:2]
        camera = Camera.given_or_assumed(camera, width, height)
        self._time_s = time_s
        return image, time_s, camera

    def _going_on(self, given_s: float) -> float:
        """The time of a frame: as given, or a nominal step on where the given ones stand still.

        Clocks that stand still or step back a little are common with webcams; only a large step
        back is another video, and starts anew.
        """
        if self._given_s is not None and given_s < self._given_s - _NEW_VIDEO_S:
            self.reset()
        self._given_s = given_s
        if self._time_s is None or given_s > self._time_s:
            return given_s
        if not self._warned_of_time:
            self._warned_of_time = True
            warnings.warn(
                f"expected frames in the order of their times, got one at {given_s:g} s after one "
                f"at {self._time_s:g} s: it is taken to come 1/{NOMINAL_FPS:g} s later; give every "
                "frame its own time_s, and call reset() before another video",
                stacklevel=4,
            )
        return self._time_s + 1 / NOMINAL_FPS

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

    def _look(self, image: np.ndarray, time_s: float) -> tuple[Followed, Keypoints]:
        """Look at the hands that are followed, and at whatever else may be one.

        Returns:
            The tracks that are still on a hand, and the hands that were found besides, each once,
            best first. These may be hands that are followed.
        """
        search, frame_shape = self._search, image.shape[:2]
        tracks = [track for track in self._tracks if not track.lost]
        candidates = search.claimed(time_s)
        if search.is_due(self._tracks, time_s):
            candidates += search.candidates(image, self._tracks, time_s)
        own_crops = [self._stages.crop_around(t.predict(time_s), t.side) for t in tracks]
        awaited_crops = search.awaited(self._tracks, time_s, frame_shape)
        # One batch for all: the hands that are followed, awaited, and what the search has found.
        crops = [*own_crops, *awaited_crops, *(each.crop for each in candidates)]
        own, rest = self._stages.look(image, crops).split(len(own_crops))
        returned, first = rest.split(len(awaited_crops))
        followed = self._keep(Followed(tracks, own), time_s, frame_shape)
        followed, strayed = self._let_go(image, followed, time_s)
        if len(followed) < len(tracks) and not search.has_searched:
            late = search.candidates(image, self._tracks, time_s)
            first = Keypoints.concatenate(
                first, self._stages.look(image, [each.crop for each in late])
            )
            candidates += late
        closer = search.look_closer(image, candidates, first, time_s)
        found = Keypoints.concatenate(search.sure(returned), strayed, closer)
        return followed, self._each_once(self._without_pieces(found, time_s), time_s)

    def _keep(self, followed: Followed, time_s: float, frame_shape: tuple[int, int]) -> Followed:
        """The tracks that are still on a hand, each on one of its own; the others are lost."""
        tracks, looks = followed.tracks, followed.looks
        expected = np.array([track.predict(time_s) for track in tracks]).reshape(-1, 21, 2)
        # Of two tracks on one hand, the one whose side it is, and that came less far, stays.
        came = np.linalg.norm((looks.points_px - expected).mean(axis=1), axis=1)
        jump = came / np.maximum(extent_px(expected), 1.0)
        best_first = np.argsort(-looks.trust * np.exp(-jump), kind="stable")
        inside = share_inside(looks.points_px, frame_shape)
        there = (looks.score >= self.settings.keep_threshold) & (inside >= _LEAST_INSIDE)
        present = best_first[there[best_first]].tolist()
        kept = [present[k] for k in without_duplicates(looks.take(present), sides_known=True)]
        owners = {i: tracks[i] for i in sorted(kept)}  # the hand of each look
        for i in (i for i in present if i not in kept):
            rival = next((k for k in owners if same_hand(looks, i, looks, k, True)), None)
            if rival is not None and _is_heir(tracks[i], owners[rival]):
                owners[rival] = tracks[i]
        still = list(owners.values())
        for i, track in enumerate(tracks):
            if track not in still:
                others = (t for k, t in owners.items() if touch(expected[i], expected[k]))
                track.lose(hidden_by=next(others, None))
        return Followed(still, looks.take(list(owners)))

    def _let_go(
        self, image: np.ndarray, followed: Followed, time_s: float
    ) -> tuple[Followed, Keypoints]:
        """Tracks that have strayed onto a hand of the other side leave it to the one it is of.

        Hands that cross take joints from one another until one track has gone over. Then there is
        another that has lost its hand, or has gone over as well: it may have this one back. A track
        that nobody has been told of may have been of the wrong side from the start.

        Returns:
            The tracks that stay, and looks at the hands that were let go of.
        """
        tracks, looks = followed.tracks, followed.looks
        least = [_OTHER_HAND if track.believed else 0.5 for track in tracks]
        astray = np.flatnonzero(looks.right < least).tolist()
        bereft = [t for t in self._tracks if t.lost and t.believed] + [tracks[i] for i in astray]
        owners_sides = {track.side for track in bereft if track.believed}
        others = {i: other_side(tracks[i].side) for i in astray}
        astray = [i for i in astray if not tracks[i].believed or others[i] in owners_sides]
        if not astray:
            return followed, Keypoints.nothing()
        crops = [self._stages.crop_around(looks.points_px[i], others[i]) for i in astray]
        otherwise = self._stages.look(image, crops)
        owners = self._match(otherwise, bereft, time_s)
        gone = [
            k
            for k, i in enumerate(astray)
            if otherwise.trust[k] > looks.trust[i]
            and otherwise.score[k] >= self.settings.score_threshold
            and (owners[k] is not None or not tracks[i].believed)
        ]
        left = {astray[k] for k in gone}
        for i in left:
            tracks[i].lose()
        stay = [i for i in range(len(tracks)) if i not in left]
        return followed.take(stay), otherwise.take(gone)

    def _without_pieces(self, looked: Keypoints, time_s: float) -> Keypoints:
        """Those that are not a finger of a hand which has just been lost and comes back."""
        lost = [track.predict(time_s, moving=False) for track in self._tracks if track.lost]
        return looked.take(
            [
                i
                for i, joints_px in enumerate(looked.points_px)
                if not any(is_piece(joints_px, whole_px) for whole_px in lost)
            ]
        )

    def _each_once(self, looked: Keypoints, time_s: float) -> Keypoints:
        """The hands that the search has found, each once, best first."""
        awaited = self._match(looked, self._search.doubtful(self._tracks), time_s)
        bonus = np.array([1.0 if match is None else AWAITED_BONUS for match in awaited])
        looked = looked.take(np.argsort(-looked.trust * bonus, kind="stable"))
        return looked.take(without_duplicates(looked))

    def _seat(
        self, followed: Followed, found: Keypoints, time_s: float
    ) -> tuple[Followed, Keypoints]:
        """Give the hands that were found to tracks that lack them; the others are newcomers."""
        if not len(found):
            return followed, found
        followed, rest = self._reseat(followed, found, time_s)
        new = self._newcomers(rest, followed.looks)
        return self._make_room(followed, len(new)), new

    def _reseat(
        self, followed: Followed, found: Keypoints, time_s: float
    ) -> tuple[Followed, Keypoints]:
        """Put tracks that hold on to little back on their hands, where the search found these.

        Returns:
            The tracks, and what was found but is none of these hands.
        """
        own = followed.looks
        usual = np.array([track.score for track in followed.tracks])
        least = np.maximum(self._search.doubt(self._tracks), _DROP * usual)
        doubtful = np.flatnonzero(own.score < least)
        matches = self._match(found, [followed.tracks[k] for k in doubtful], time_s)
        chosen, taken = np.arange(len(own)), set[int]()
        for i, match in enumerate(matches):
            if match is not None and found.trust[i] > own.trust[doubtful[match]]:
                chosen[doubtful[match]] = len(own) + i
                taken.add(i)
        rest = found.take([i for i in range(len(found)) if i not in taken])
        return Followed(followed.tracks, Keypoints.concatenate(own, found).take(chosen)), rest

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

    def _make_room(self, followed: Followed, newcomers: int) -> Followed:
        """Give up the least certain tracks where newcomers need their places."""
        most_certain_first = np.argsort(-followed.looks.score, kind="stable")
        kept = sorted(most_certain_first[: self.settings.max_hands - newcomers].tolist())
        for i, track in enumerate(followed.tracks):
            if i not in kept:
                track.lose()
        return followed.take(kept)

    def _with_overlooked(
        self, image: np.ndarray, own: Keypoints, new: Keypoints, time_s: float
    ) -> Keypoints:
        """All hands of this frame: those followed, the new ones, and who was hidden beside them."""
        known = Keypoints.concatenate(own, new)
        more = self._search.overlooked(image, known, self.settings.max_hands - len(known))
        hands = Keypoints.concatenate(known, self._without_pieces(more, time_s))
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
