"""One hand before several cameras, from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from knuckle.hand import Joint
from knuckle.results import HandPose
from knuckle.track.clock import NOMINAL_FPS
from knuckle.track.decisions import DECISIONS
from knuckle.track.side import SideVotes
from knuckle.track.velocity import Velocity
from knuckle.views.bones import RigBones
from knuckle.views.fit import Fit
from knuckle.views.held import LastTogether
from knuckle.views.looks import right_score
from knuckle.views.steady import Steady


@dataclass(eq=False)
class RigTrack:
    """One hand: who it is, which side, where it was and how it moves."""

    track_id: int
    began_s: float  # when it was first seen
    bones: RigBones  # of its person
    steady: Steady | None = None  # smooths it; None leaves each frame as it is
    #: Camera -> its own id of this hand, when it last saw it.
    ids: dict[int, int] = field(default_factory=dict)
    #: What all looks of all cameras say of its side, which never changes once it is told.
    sides: SideVotes = field(default_factory=lambda: SideVotes("right"))
    told: bool = False  # whether its side is decided, as that of one camera's track is: for good
    seen_s: float = 0.0  # when it was last seen
    joints_mm: np.ndarray | None = None  # (21, 3) there; None before the first frame
    #: Where several cameras last saw it, for when one is left.
    together: LastTogether = field(default_factory=LastTogether)
    velocity: Velocity = field(default_factory=Velocity)  # of the wrist, mm a second

    def hear(self, poses: Sequence[HandPose]) -> None:
        """Take note of what the looks of an instant say of the side, and tell it if they agree."""
        for pose in poses:
            right = right_score(pose)
            self.sides.hear(right if self.sides.side == "right" else 1 - right)
        if not self.told:
            self.sides.reconsider()
            self.told = self.sides.says_so(DECISIONS.doubt)

    def see(self, found: Fit, time_s: float) -> np.ndarray:
        """(21, 3) the joints over time; takes note of where the hand is and how it moves."""
        joints_mm = found.joints_mm
        dt_s = 1 / NOMINAL_FPS if self.joints_mm is None else time_s - self.seen_s
        if self.steady is not None:
            joints_mm = self.steady(joints_mm, found.sigma_mm, self.bones.lengths_mm, dt_s)
        self.velocity.see(joints_mm[Joint.WRIST], dt_s)
        self.joints_mm, self.seen_s = joints_mm, time_s
        return joints_mm
