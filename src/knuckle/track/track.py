"""One hand from frame to frame: where it goes, which side it is, who it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np

from knuckle.hand import Joint, Side
from knuckle.pose.duplicates import extent_px
from knuckle.results import HandPose, TrackedHand

#: Share of the new measurement in the velocity in the picture.
_VELOCITY_SHARE = 0.7
#: Time constant of the reported velocity in space.
_VELOCITY_TIME_S = 0.06
#: One frame's vote on the side counts at most so much (a logit), all frames together so much.
_VOTE, _VOTES = 3.0, 20.0

Smoother = Callable[[HandPose, float], tuple[np.ndarray, np.ndarray]]


class Track:
    """What is known about one hand.

    Everything that decides where to look next comes from the raw estimates, so that smoothing
    cannot change what is found.

    Attributes:
        track_id: the same for as long as the hand is in view.
        side: never changes.
        score: of the last look, 0..1; 0 while the hand is lost.
    """

    def __init__(
        self, track_id: int, pose: HandPose, time_s: float, smoother: Smoother | None
    ) -> None:
        self.track_id = track_id
        self.side: Side = pose.side
        self.score = pose.score
        self._smoother = smoother
        self._born_s = time_s
        self._seen_s = time_s
        self._lost = False
        self._votes = 0.0
        self._joints_px = pose.joints_px
        self._velocity_px_s = np.zeros(2)
        self._root_mm = np.zeros(3)
        self._velocity_mm_s = np.zeros(3)
        self._looks = 0

    @property
    def lost(self) -> bool:
        """Whether the last look did not find it."""
        return self._lost

    @property
    def contradicted(self) -> bool:
        """Whether its looks have long said that it is a hand of the other side."""
        return self._votes < -_VOTE * 3

    def unseen_s(self, time_s: float) -> float:
        """Time since it was last seen."""
        return time_s - self._seen_s

    def predict(self, time_s: float) -> np.ndarray:
        """Where its joints (21, 2) should be, px: at constant velocity."""
        shift = self._velocity_px_s * (time_s - self._seen_s)
        limit = float(extent_px(self._joints_px))
        return self._joints_px + shift * min(1.0, limit / max(float(np.hypot(*shift)), 1e-9))

    def lose(self) -> None:
        """The hand was not found where it should be."""
        self._lost, self.score = True, 0.0

    def see(self, pose: HandPose, time_s: float) -> TrackedHand:
        """The hand was found; returns what is now known about it."""
        dt_s = max(time_s - self._seen_s, 1e-3)
        joints_px, joints_mm = pose.joints_px, pose.joints_mm
        if self._smoother is not None:
            joints_px, joints_mm = self._smoother(pose, dt_s)
        self._move(pose.joints_px, joints_mm[Joint.WRIST], dt_s)
        self._vote(pose.side_score)
        self._seen_s, self._lost, self.score = time_s, False, pose.score
        return TrackedHand(
            **_fields_of(pose) | {"joints_px": joints_px, "joints_mm": joints_mm},
            track_id=self.track_id,
            age_s=time_s - self._born_s,
            raw=pose,
            velocity_mm_s=self._velocity_mm_s.copy(),
        )

    def _move(self, raw_joints_px: np.ndarray, root_mm: np.ndarray, dt_s: float) -> None:
        """Velocities: in the picture, to predict from; in space, to report."""
        shift_px = (raw_joints_px - self._joints_px).mean(axis=0)
        velocity_mm_s = (root_mm - self._root_mm) / dt_s
        if self._looks == 1:  # two looks make the first velocity
            self._velocity_px_s = shift_px / dt_s
            self._velocity_mm_s = velocity_mm_s
        elif self._looks > 1:
            self._velocity_px_s += _VELOCITY_SHARE * (shift_px / dt_s - self._velocity_px_s)
            share = 1 - np.exp(-dt_s / _VELOCITY_TIME_S)
            self._velocity_mm_s += share * (velocity_mm_s - self._velocity_mm_s)
        self._looks += 1
        self._joints_px, self._root_mm = raw_joints_px, root_mm

    def _vote(self, side_score: float) -> None:
        odds = np.clip(side_score, 1e-3, 1 - 1e-3)
        vote = np.clip(np.log(odds / (1 - odds)), -_VOTE, _VOTE)
        self._votes = float(np.clip(self._votes + vote, -_VOTES, _VOTES))


def _fields_of(pose: HandPose) -> dict:
    return {item.name: getattr(pose, item.name) for item in fields(HandPose)}
