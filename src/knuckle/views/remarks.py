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


class Remarks:
    """Keeps in mind whether the hands that cameras see have ever been one."""

    def __init__(self) -> None:
        self._ever_met, self._apart = False, 0

    def see(self, cameras: np.ndarray, hands: Sequence[RigHand]) -> None:
        """Take in an instant: the camera of each look (N,), and the hands of the rig."""
        self._ever_met = self._ever_met or bool(hands)
        self._apart += np.unique(cameras).size > 1

    def of(self, source: str, bones: RigBones) -> list[str]:
        """A sentence each, about the rig of that file."""
        if bones.size is None:
            return [] if self._ever_met or self._apart < _SEVERAL else [self._never_one(source)]
        if PEOPLE.least_size < bones.size < PEOPLE.most_size:
            return []
        length = float(bones.lengths_mm[MIDDLE_RAY].sum())
        return [
            f"the hands come out {length:.3g} mm long, wrist to fingertip, which no hand is: "
            f"is the unit of {source} another? Say it with --unit, or let the hands "
            "tell it: --unit hands"
        ]

    def _never_one(self, source: str) -> str:
        return (
            f"several cameras of {source} saw hands at {self._apart} instants, which were never "
            "one: is its unit another (--unit hands), are the videos those of other cameras "
            "(--views), or did they begin at other times (--sync)?"
        )
