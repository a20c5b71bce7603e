"""How many looks at hands differ: those that are alike err alike, and more of them do not help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from knuckle.views.decisions import VARIETY


def variety(seen: Sequence[Mapping[int, np.ndarray]]) -> int:
    """The number of hands that are unlike each other: in how they are turned, or bent.

    Each hand is the rays (21, 2) to its joints, by the number of the camera that sees them.
    """
    unlike: list[dict[int, np.ndarray]] = []
    for rays in seen:
        layouts = {camera: _layout(of_camera) for camera, of_camera in rays.items()}
        if all(_apart(layouts, other) >= VARIETY.least_share for other in unlike):
            unlike.append(layouts)
    return len(unlike)


def _layout(rays: np.ndarray) -> np.ndarray:
    """(21, 2) joints about their centre, as shares of the hand's extent."""
    extent = max(float(np.ptp(rays, axis=0).max()), 1e-9)
    return (rays - rays.mean(axis=0)) / extent


def _apart(one: Mapping[int, np.ndarray], other: Mapping[int, np.ndarray]) -> float:
    """By how much the joints of two hands differ in the camera that tells them apart best."""
    off = [
        ((one[camera] - other[camera]) ** 2).sum(axis=-1).mean()
        for camera in one
        if camera in other
    ]
    return float(np.sqrt(max(off))) if off else np.inf
