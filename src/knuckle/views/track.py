"""One hand before several cameras, from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from knuckle.hand import Joint, Side
from knuckle.results import HandPose
from knuckle.views.bones import RigBones
from knuckle.views.fit import Fit
from knuckle.views.looks import right_score
from knuckle.views.steady import Steady

#: Bare images have no time; they are taken to be so many per second.
NOMINAL_FPS = 30.0
#: One frame's vote on the side, and all of them, count at most so much (logits).
_VOTE, _VOTES = 3.0, 20.0
#: Time constant of the reported velocity.
_VELOCITY_TIME_S = 0.06


@dataclass(eq=False)
class RigTrack:
    """One hand: who it is, which side, where it was and how it moves.

    Attributes:
        number: its id.
        began_s: when it was first seen.
        bones: of its person.
        steady: smooths it.
        ids: camera -> its own id of this hand, when it last saw it.
        votes: on the side, above 0 for a right hand.
        seen_s: when it was last seen.
        joints_mm: (21, 3) there; None before the first frame.
        velocity_mm_s: (3,) of the wrist.
    """

    number: int
    began_s: float
    bones: RigBones
    steady: Steady = field(default_factory=Steady)
    ids: dict[int, int] = field(default_factory=dict)
    votes: float = 0.0
    seen_s: float = 0.0
    joints_mm: np.ndarray | None = None
    velocity_mm_s: np.ndarray = field(default_factory=lambda: np.zeros(3))

    @property
    def side(self) -> Side:
        """As most looks so far have it."""
        return "right" if self.votes >= 0 else "left"

    @property
    def side_score(self) -> float:
        """0..1, how sure the side is."""
        return float(1 / (1 + np.exp(-abs(self.votes))))

    def hear(self, poses: Sequence[HandPose]) -> None:
        """Take note of what the looks of a frame say of the side."""
        votes = self.votes + sum(map(_vote, poses))
        self.votes = float(np.clip(votes, -_VOTES, _VOTES))

    def see(self, found: Fit, time_s: float, *, smooth: bool) -> np.ndarray:
        """(21, 3) the joints over time; takes note of where the hand is and how it moves."""
        dt_s, joints_mm = time_s - self.seen_s, found.joints_mm
        if self.joints_mm is None or dt_s <= 0:
            dt_s = 1 / NOMINAL_FPS
        if smooth:
            joints_mm = self.steady(joints_mm, found.sigma_mm, self.bones.lengths_mm, dt_s)
        if self.joints_mm is not None:
            moved = (joints_mm[Joint.WRIST] - self.joints_mm[Joint.WRIST]) / dt_s
            share = dt_s / (dt_s + _VELOCITY_TIME_S)
            self.velocity_mm_s = self.velocity_mm_s + share * (moved - self.velocity_mm_s)
        self.joints_mm, self.seen_s = joints_mm, time_s
        return joints_mm


def _vote(raw: HandPose) -> float:
    """What a look says of the side: above 0 for a right hand."""
    right = float(np.clip(right_score(raw), 1e-3, 1 - 1e-3))
    return float(np.clip(np.log(right / (1 - right)), -_VOTE, _VOTE))
