"""The tracks of a video: which are followed, lost or in doubt, and for how long."""

from __future__ import annotations

from collections.abc import Sequence

from knuckle.pipeline import judge
from knuckle.pipeline.settings import SMOOTHERS, TrackerSettings
from knuckle.pose import Keypoints
from knuckle.results import HandPose
from knuckle.track.association import assign
from knuckle.track.decisions import DECISIONS
from knuckle.track.search import Search
from knuckle.track.track import Track, TrackIds


class Tracks(list[Track]):
    """All tracks, the oldest first."""

    def __init__(self, settings: TrackerSettings, ids: TrackIds) -> None:
        """Begin with no track; those to come take the next of ``ids``."""
        super().__init__()
        self.settings, self._ids = settings, ids

    @property
    def followed(self) -> list[Track]:
        """Tracks whose hand was found in the last frame."""
        return [track for track in self if not track.lost]

    @property
    def lost(self) -> list[Track]:
        """Tracks whose hand was not found in the last frame."""
        return [track for track in self if track.lost]

    def lately_lost(self, time_s: float) -> list[Track]:
        """Lost tracks whose hand may still be near."""
        memory_s = self.settings.memory_s
        return [track for track in self.lost if track.unseen_s(time_s) <= memory_s]

    @property
    def least_certain(self) -> float:
        """Score below which a track is in doubt: it may be on something else. Lost ones have 0.

        While one of two touching hands is lost, the other's track may be on a piece of both.
        """
        usual = self.settings.doubt_threshold
        contact = any(track.hidden for track in self)
        return max(usual, self.settings.score_threshold + judge.CAUTION) if contact else usual

    @property
    def doubtful(self) -> list[Track]:
        """Tracks that are lost or in doubt."""
        least = self.least_certain
        return [track for track in self if track.score < least]

    def forget(self, time_s: float) -> None:
        """Drop tracks that were rejected, and those that have been lost for too long."""

        def may_come_back(track: Track) -> bool:
            # A hand that comes out from behind another is the one that went there.
            lately = track.unseen_s(time_s) <= self.settings.memory_s
            return track.confirmed and (track.hidden or lately)

        self[:] = [
            track
            for track in self
            if not track.rejected and (not track.lost or may_come_back(track))
        ]

    def begin(
        self, pose: HandPose, time_s: float, *, caution: float = 0.0, least_votes: float = 0.0
    ) -> Track:
        """Begin a track with its first estimate; see ``Track`` for how readily it is confirmed."""
        smooth = self.settings.smooth
        track = Track(
            pose,
            time_s,
            ids=self._ids,
            smoother=SMOOTHERS[smooth]() if smooth else None,
            hand_length_mm=self.settings.hand_length_mm,
            least_score=self.settings.score_threshold,
            caution=caution,
            least_votes=least_votes,
        )
        self.append(track)
        return track

    def begin_in_video(self, pose: HandPose, time_s: float, *, expected: bool) -> Track:
        """Begin a track with a hand that was found in a frame.

        A lone hand that came in motion is ``expected``: then no caution is needed.
        """
        beside_its_like = any(
            track.side == pose.side and judge.beside(pose.joints_px, track.predict(time_s))
            for track in self.followed
        )
        return self.begin(
            pose,
            time_s,
            caution=0.0 if expected else judge.CAUTION,
            least_votes=DECISIONS.most_votes if beside_its_like else 0.0,
        )

    def claim(
        self, new: Keypoints, poses: Sequence[HandPose], time_s: float, search: Search
    ) -> list[Track]:
        """The track of each new hand, best first: one that was lost nearby, or a new one."""
        lost, claimed = self.lost, list[Track]()
        alone = not any(track.confirmed for track in self.followed)
        for pose, owner in zip(poses, match(new, lost, time_s), strict=True):
            expected = alone and search.came_in_motion(pose.joints_px)
            if owner is None:
                claimed.append(self.begin_in_video(pose, time_s, expected=expected))
            else:
                claimed.append(lost[owner])
            alone = False
        return claimed


def match(found: Keypoints, tracks: list[Track], time_s: float) -> list[int | None]:
    """For each hand found, the track that it is of, each at most once, or None."""
    return assign(
        [(found.side(i), points) for i, points in enumerate(found.points_px)],
        [track.whereabouts(time_s) for track in tracks],
    )
