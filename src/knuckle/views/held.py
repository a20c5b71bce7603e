"""What is known of a hand's depth before the one camera that still sees it.

One camera alone hardly knows how far away a hand is. But where several saw it a moment ago, two
things are known: how deep it was then, and by how much this camera's own depths were off, which err
alike from instant to instant. Both age: hands move, and turn.
"""

from __future__ import annotations

import math

import numpy as np

from knuckle.hand import N_JOINTS
from knuckle.views.bones import RigBones
from knuckle.views.decisions import HOLDING
from knuckle.views.fit import Fit, Held
from knuckle.views.meeting import Meeting


class LastTogether:
    """Where several cameras last saw a hand together, and how far off each was about its depths."""

    def __init__(self) -> None:
        #: When, its middle (3,) in the world, and the expected error of that, mm.
        self._together: tuple[float, np.ndarray, float] | None = None
        #: camera -> when it last saw the hand with others, and what its depths (21,) lacked, mm.
        self._off: dict[int, tuple[float, np.ndarray]] = {}

    def fit(self, meeting: Meeting, bones: RigBones, time_s: float) -> Fit:
        """The hand that cameras see at an instant, by what they saw before if one is left."""
        lengths_mm = bones.lengths_mm
        if len(meeting) == 1:
            return meeting.fit(lengths_mm, new=bones.new, held=self._held(meeting, time_s))
        found = meeting.fit(lengths_mm, new=bones.new)
        middle_mm, sigma_mm = found.joints_mm.mean(axis=0), float(np.median(found.sigma_mm))
        self._together = time_s, middle_mm, sigma_mm
        for i in meeting.members:
            camera, T = meeting.seen_from(i)
            lacking_mm = (found.joints_mm - meeting.said_mm(i, lengths_mm)) @ T.rotation[2]
            self._off[camera] = time_s, lacking_mm
        return found

    def _held(self, meeting: Meeting, time_s: float) -> Held | None:
        """What is known for the camera that sees the hand alone; None if several never did."""
        if self._together is None:
            return None
        at_s, middle_mm, sigma_mm = self._together
        drift_mm = HOLDING.drift_mm * math.sqrt(time_s - at_s)
        camera, T = meeting.seen_from(meeting.members[0])
        off_s, off_mm = self._off.get(camera, (-math.inf, np.zeros(N_JOINTS)))
        alike = math.exp(-(time_s - off_s) / HOLDING.alike_s)
        return Held(
            depth_mm=float(T(middle_mm)[2]),
            sigma_mm=math.hypot(sigma_mm, drift_mm),
            off_mm=alike * off_mm,
            doubt=min(math.hypot(HOLDING.least, math.sqrt(1 - alike**2)), 1.0),
        )
