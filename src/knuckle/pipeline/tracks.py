"""The hands of a video that are known: which are followed, lost or in doubt, and for how long."""

from __future__ import annotations

from collections.abc import Sequence

from knuckle.pipeline import judge
from knuckle.pipeline.settings import SMOOTHERS, TrackerSettings
from knuckle.pose import Keypoints
from knuckle.results import HandPose
from knuckle.track.association import assign
from knuckle.track.decisions import DECISIONS
from knuckle.track.search import Search
from knuckle.track.track import Numbers, Track


class Tracks(list[Track]):
    """All of them, the oldest first."""

    def __init__(self, settings: TrackerSettings, numbers: Numbers) -> None:
        """None yet; ``numbers`` become the ids of those to come."""
        super().__init__()
        self._settings, self._numbers = settings, numbers

    @property
    def followed(self) -> list[Track]:
        """Those that the last look found."""
        return [track for track in self if not track.lost]

    @property
    def lost(self) -> list[Track]:
        """The others."""
        return [track for track in self if track.lost]

    def lately_lost(self, time_s: float) -> list[Track]:
        """Those of the lost that may still be near."""
        memory_s = self._settings.memory_s
        return [track for track in self.lost if track.unseen_s(time_s) <= memory_s]

    @property
    def least_certain(self) -> float:
        """Score below which a track may be on something else; lost ones have 0.

        Where one of two hands in contact is lost, the other's track may hold on to a piece of both.
        """
        usual = self._settings.doubt_threshold
        contact = any(track.hidden for track in self)
        return max(usual, self._settings.score_threshold + judge.CAUTION) if contact else usual

    @property
    def doubtful(self) -> list[Track]:
        """Tracks that are lost or hold on to little."""
        least = self.least_certain
        return [track for track in self if track.score < least]

    def forget(self, time_s: float) -> None:
        """Drop tracks that have been hidden for too long, or turned out to be something else."""

        def may_come_back(track: Track) -> bool:
            # Who comes out from behind a hand is who went there.
            lately = track.unseen_s(time_s) <= self._settings.memory_s
            return track.believed and (track.hidden or lately)

        self[:] = [
            track
            for track in self
            if not track.dismissed and (not track.lost or may_come_back(track))
        ]

    def begin(
        self, pose: HandPose, time_s: float, *, caution: float = 0.0, least_votes: float = 0.0
    ) -> Track:
        """One more, with its first estimate; see ``Track`` for how readily it is believed."""
        smooth = self._settings.smooth
        track = Track(
            pose,
            time_s,
            numbers=self._numbers,
            smoother=SMOOTHERS[smooth]() if smooth else None,
            hand_length_mm=self._settings.hand_length_mm,
            least_score=self._settings.score_threshold,
            caution=caution,
            least_votes=least_votes,
        )
        self.append(track)
        return track

    def begin_in_video(self, pose: HandPose, time_s: float, *, expected: bool) -> Track:
        """One more that was found in a frame.

        Args:
            pose: its first estimate.
            time_s: of the frame.
            expected: a lone hand that came in motion is believed as readily as it looks.
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
        """A track for each new hand, best first: one that was lost nearby, else a new one."""
        lost, claimed = self.lost, list[Track]()
        alone = not any(track.believed for track in self.followed)
        for pose, owner in zip(poses, match(new, lost, time_s), strict=True):
            expected = alone and search.came_in_motion(pose.joints_px)
            if owner is None:
                claimed.append(self.begin_in_video(pose, time_s, expected=expected))
            else:
                claimed.append(lost[owner])
            alone = False
        return claimed


def match(found: Keypoints, tracks: list[Track], time_s: float) -> list[int | None]:
    """For each hand found, the track that it may be, each at most once."""
    return assign(
        [(found.side(i), points) for i, points in enumerate(found.points_px)],
        [track.whereabouts(time_s) for track in tracks],
    )
