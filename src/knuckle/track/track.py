"""One hand from frame to frame: its motion, its side, its id."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from knuckle.hand import N_JOINTS, Joint, Side, box_px
from knuckle.results import HandPose, TrackedHand
from knuckle.track.association import Whereabouts
from knuckle.track.decisions import DECISIONS
from knuckle.track.side import SideVotes, log_odds
from knuckle.track.skeleton import BoneLengths
from knuckle.track.uncertainty import sureness_of
from knuckle.track.velocity import Velocity

#: Share of the new measurement in the velocity in the picture.
_VELOCITY_SHARE = 0.7
#: A hand that closes or turns away looks smaller by at most this (share of the logarithm) a second,
#: as far as the look at it counts.
_SHRINKING_PER_S = 4.0

#: Takes an estimate, the lengths of the hand's bones and the time since the last one; gives
#: steady keypoints (21, 2) px and joints (21, 3) mm.
Smoother = Callable[[HandPose, np.ndarray, float], tuple[np.ndarray, np.ndarray]]


class TrackIds:
    """0, 1, 2, … as ``itertools.count``, which can no longer be pickled."""

    def __init__(self) -> None:
        self._next = 0

    def __iter__(self) -> TrackIds:
        return self

    def __next__(self) -> int:
        self._next += 1
        return self._next - 1


class Track:
    """What is known about one hand.

    Everything that decides where to look next comes from the raw estimates, so that smoothing
    cannot change what is found.
    """

    def __init__(
        self,
        pose: HandPose,
        time_s: float,
        *,
        ids: Iterator[int],
        smoother: Smoother | None,
        hand_length_mm: float | None = None,
        least_score: float = 0.5,
        caution: float = 0.0,
        least_votes: float = 0.0,
    ) -> None:
        """Begin with the first estimate of a hand; ``see`` it next.

        The smoother steadies the estimates; None leaves them raw. A score from ``least_score`` on
        speaks for a hand, not against it; until the track is confirmed, ``caution`` is added to
        that. So many ``least_votes`` for its side confirm it, log odds.
        """
        self._ids = ids
        self.track_id: int | None = None  # until it is confirmed
        self._side = SideVotes(pose.side)
        self.score = pose.score  # of the last look, 0..1; 0 while the hand is lost
        self._least_score, self._caution, self._least_votes = least_score, caution, least_votes
        self._evidence = 0.0
        self._smoother = smoother
        self._bones = BoneLengths(hand_length_mm=hand_length_mm)
        self._born_s = time_s
        self._seen_s = time_s
        self.lost = False  # whether the last look did not find it
        self._hidden_by: Track | None = None
        self._keep_shape(pose.joints_px, least_px=0.0)
        self._velocity_px, self._velocity_mm = Velocity(2), Velocity()

    @property
    def side(self) -> Side:
        """It never changes."""
        return self._side.side

    @property
    def confirmed(self) -> bool:
        """Whether its looks have shown that it is a hand, and of this side."""
        return self.track_id is not None

    @property
    def rejected(self) -> bool:
        """Whether its looks say that it is no hand, or have long spoken against its side."""
        return self._evidence < -DECISIONS.doubt or self._side.given_up

    @property
    def hidden(self) -> bool:
        """Whether it was lost behind, or in the grip of, a hand that is still being followed."""
        return self.lost and self._hidden_by is not None and not self._hidden_by.lost

    def outranks(self, other: Track) -> bool:
        """Whether this one keeps a hand that both are found on, whichever has the better look."""
        return self.confirmed and not other.confirmed and self.side == other.side

    def confirm(self) -> None:
        """Take it as certain that this is a hand, and of this side, as other cameras know it."""
        if self.track_id is None:
            self._evidence = DECISIONS.most_votes
            self._side.be_sure()
            self.track_id = next(self._ids)

    def tell(self, joints_px: np.ndarray) -> None:
        """Correct where its joints (21, 2) px were last seen, as other cameras know them."""
        self._seen_px = joints_px

    def unseen_s(self, time_s: float) -> float:
        """Time since it was last seen."""
        return time_s - self._seen_s

    def predict(self, time_s: float, *, moving: bool = True) -> np.ndarray:
        """Where its joints (21, 2) should be, px: at constant velocity, not shrunk too fast.

        With ``moving=False``, where they were last seen.

        Keypoints that fall together in a bad look would make the next crop smaller, and its look
        worse: a hand would be lost in a spiral.
        """
        velocity_px_s = self._velocity_px.per_s
        speed_px_s = math.hypot(*velocity_px_s.tolist())
        ahead_s = min(time_s - self._seen_s, self._extent_px / max(speed_px_s, 1e-9))
        return self._seen_px + ahead_s * velocity_px_s if moving else self._seen_px

    def jump(self, joints_px: np.ndarray, time_s: float) -> float:
        """How far joints (21, 2) are, on average, from where its own should be, in its extents."""
        way_px = (joints_px - self.predict(time_s)).sum(axis=0) / N_JOINTS
        return math.hypot(*way_px.tolist()) / max(self._extent_px, 1.0)

    def whereabouts(self, time_s: float) -> Whereabouts:
        """Where it may be by now: where its motion leads.

        If another hand hides it, also where it was last seen, and where that hand is: a hidden hand
        may stop, turn round, or be carried along.
        """
        joints_px = self.predict(time_s)
        places = [joints_px]
        if self.hidden and self._hidden_by is not None:
            hider = self._hidden_by.predict(time_s).mean(axis=0)
            still = self.predict(time_s, moving=False)
            places += [still, joints_px + hider - joints_px.mean(axis=0)]
        return Whereabouts(self.side, np.stack(places), self.unseen_s(time_s), self.hidden)

    def lose(self, hidden_by: Track | None = None) -> None:
        """Note that the hand was not found where it should be; another one may hide it."""
        self.lost, self.score, self._hidden_by = True, 0.0, hidden_by

    def see(self, pose: HandPose, time_s: float) -> TrackedHand | None:
        """Take in the next estimate; returns the hand as tracked, or None until it is confirmed."""
        dt_s = max(time_s - self._seen_s, 1e-3)
        self._bones.learn(pose.bone_lengths_mm)
        joints_px, joints_mm = pose.joints_px, pose.joints_mm
        if self._smoother is not None:
            joints_px, joints_mm = self._smoother(pose, self._bones.mm, dt_s)
        self._velocity_px.see(pose.joints_px.sum(axis=0) / N_JOINTS, dt_s, _VELOCITY_SHARE)
        self._velocity_mm.see(joints_mm[Joint.WRIST], dt_s)
        shrinking = _SHRINKING_PER_S * sureness_of(pose.score)
        self._keep_shape(pose.joints_px, self._extent_px * math.exp(-shrinking * dt_s))
        self._weigh(pose)
        self._seen_s, self.lost, self.score = time_s, False, pose.score
        if self.track_id is None:
            return None
        return TrackedHand.of(
            pose,
            joints_px=joints_px,
            joints_mm=joints_mm,
            side_score=self._side.score,
            track_id=self.track_id,
            age_s=time_s - self._born_s,
            raw=pose,
            velocity_mm_s=self._velocity_mm.per_s,
        )

    def _keep_shape(self, joints_px: np.ndarray, least_px: float) -> None:
        """Note where the joints are, spread to at least this extent about their middle."""
        x0, y0, x1, y1 = box_px(joints_px)
        extent = max(x1 - x0, y1 - y0)
        self._extent_px = max(extent, least_px)
        middle_px = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        larger = self._extent_px / max(extent, 1.0)
        self._seen_px = middle_px + larger * (joints_px - middle_px)

    def _weigh(self, pose: HandPose) -> None:
        """Add what a look says for or against a hand, and for or against its side."""
        most = DECISIONS.most_votes
        least = self._least_score + (0.0 if self.confirmed else self._caution)
        vote = log_odds(pose.score) - log_odds(least)
        self._evidence = min(self._evidence + vote, most)
        self._side.hear(pose.side_score)
        # A reported side never changes: a hand is reported only once its looks agree on it.
        is_of_side = self._side.says_so(self._least_votes)
        if self.track_id is None and self._evidence >= DECISIONS.doubt and is_of_side:
            self.track_id = next(self._ids)
