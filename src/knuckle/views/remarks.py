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

    def __init__(self, names: Sequence[str]) -> None:
        """Of the cameras of these names."""
        self._names = names
        #: Instants at which several cameras saw hands, and those at which one of these was one.
        self._several, self._met = 0, 0
        #: (V, 2) at which a camera saw hands and some hand was one: without it, and with it.
        self._beside = np.zeros((len(names), 2), int)

    def see(self, cameras: np.ndarray, hands: Sequence[RigHand]) -> None:
        """Take in an instant: the camera of each look (N,), and the hands of the rig."""
        self._several += np.unique(cameras).size > 1
        met = [hand.seen_by for hand in hands if len(hand.seen_by) > 1]
        self._met += bool(met)
        for camera in np.unique(cameras) if met else ():
            self._beside[camera, int(any(camera in seen_by for seen_by in met))] += 1

    def of(self, source: str, bones: RigBones) -> list[str]:
        """A sentence each, about the rig of that file."""
        if self._several >= _SEVERAL and not self._met:
            return [self._never_one(source)]
        if bones.size is None or PEOPLE.least_size < bones.size < PEOPLE.most_size:
            apart = self._several - self._met
            seldom = apart > max(_MOSTLY * self._several, _SEVERAL)
            return [self._seldom_one(apart)] if seldom else self._strangers()
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

    def _strangers(self) -> list[str]:
        """A sentence about each camera that mostly sees other hands than the rest."""
        return [
            f"camera {name} saw hands at {apart + among} instants at which several saw one, "
            f"at {apart} of these another: is its picture mirrored, did its video begin at "
            "another time (--sync), or has it moved since the calibration?"
            for name, (apart, among) in zip(self._names, self._beside, strict=True)
            if apart > max(_MOSTLY * (apart + among), _SEVERAL)
        ]
