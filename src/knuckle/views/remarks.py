"""What looks wrong about a rig, by the hands that its cameras see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knuckle.hand import MIDDLE_RAY
from knuckle.views.bones import RigBones
from knuckle.views.decisions import PEOPLE
from knuckle.views.hand import RigHand

#: Instants that say something: a false hand or two in another camera are no reason to complain.
_SEVERAL = 10
#: Share of the instants at which several cameras see hands: if at more of them none of these is one
#: hand, something is wrong. Cameras out of step find hands that rest, and lose those that move.
_MOSTLY = 0.5


class Remarks:
    """Keeps in mind how often the hands that cameras see are one."""

    def __init__(self) -> None:
        #: Instants at which several cameras saw hands, and those at which one of these was one.
        self._several, self._met = 0, 0

    def see(self, cameras: np.ndarray, hands: Sequence[RigHand]) -> None:
        """Take in an instant: the camera of each look (N,), and the hands of the rig."""
        self._several += np.unique(cameras).size > 1
        self._met += any(len(hand.seen_by) > 1 for hand in hands)

    def of(self, source: str, bones: RigBones) -> list[str]:
        """A sentence each, about the rig of that file."""
        if self._several >= _SEVERAL and not self._met:
            return [self._never_one(source)]
        if bones.size is None or PEOPLE.least_size < bones.size < PEOPLE.most_size:
            apart = self._several - self._met
            seldom = apart > max(_MOSTLY * self._several, _SEVERAL)
            return [self._seldom_one(apart)] if seldom else []
        length = float(bones.lengths_mm[MIDDLE_RAY].sum())
        return [
            f"the hands come out {length:.3g} mm long, wrist to fingertip, which no hand is: "
            f"is the unit of {source} another? Say it with --unit, or let the hands "
            "tell it: --unit hands"
        ]

    def _never_one(self, source: str) -> str:
        return (
            f"several cameras of {source} saw hands at {self._several} instants, which were never "
            "one: is its unit another (--unit hands), are the videos those of other cameras "
            "(--views), or did they begin at other times (--sync)?"
        )

    def _seldom_one(self, apart: int) -> str:
        return (
            f"of {self._several} instants at which several cameras saw hands, at {apart} none of "
            "these was one hand: did the videos begin at other times (--sync), or has a camera "
            "moved since the calibration?"
        )
