"""The joints as markers at a constant rate: what programs of biomechanics read.

Axes as in ``armature``: y up.
"""

from __future__ import annotations

import numpy as np

from knuckle.hand import Joint, Side
from knuckle.output.timeline import Timeline


def marker_names(side: Side) -> list[str]:
    """(21,) ``RWrist``, ``RThumbCMC``, … ``RLittleTIP``."""
    names = []
    for joint in Joint:
        finger, _, part = joint.name.partition("_")
        names.append(f"{side[0].upper()}{finger.capitalize()}{part}")
    return names


def markers(timeline: Timeline) -> tuple[list[str], np.ndarray]:
    """Names (M,) and places (T, M, 3) in millimetres, NaN where a hand is not seen."""
    names = [name for side in timeline.motions for name in marker_names(side)]
    places = np.empty((len(timeline.times_s), 0, 3))
    for motion in timeline.motions.values():
        seen = np.where(motion.seen[:, None, None], motion.joints_mm, np.nan)
        places = np.concatenate([places, seen], axis=1)
    return names, places
