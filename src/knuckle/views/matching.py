"""Which hands of different cameras are one.

Two cameras see the same hand if the rays to all its joints meet, if what they meet in has the size
of a hand, and if both say the same side. Rays of two different hands may meet as well where both
hands lie in one plane with the cameras: then the size tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from knuckle.views.decisions import MATCHING
from knuckle.views.looks import Looks, size_ratio
from knuckle.views.rig import Rig
from knuckle.views.triangulation import Sight, meet


def group(
    rig: Rig, looks: Looks, together: Mapping[int, int], size: float | None = None
) -> list[list[int]]:
    """Looks that are at one hand, at most one of each camera; each is in one group, some alone.

    ``together`` says of looks in which hand they were in the last frame; ``size`` is that of the
    hands over the mean adult's, if it is known.
    """
    pairs = [
        (i, k) for i, k in combinations(range(len(looks)), 2) if looks.camera[i] != looks.camera[k]
    ]
    if not pairs:
        return [[i] for i in range(len(looks))]
    costs = dict(zip(pairs, pair_costs(rig, looks, pairs, size).tolist(), strict=True))
    for i, k in pairs:
        if i in together and together[i] == together.get(k):
            costs[i, k] -= MATCHING.together
    groups, cameras = [[i] for i in range(len(looks))], looks.camera.tolist()
    while True:
        joined = _cheapest(groups, cameras, costs)
        if joined is None:
            return groups
        first, second = joined
        groups = [each for each in groups if each not in (first, second)] + [sorted(first + second)]


def _cheapest(
    groups: list[list[int]], cameras: Sequence[int], costs: Mapping[tuple[int, int], float]
) -> tuple[list[int], list[int]] | None:
    """The two groups that are one most surely; None if no two are."""
    best, chosen = MATCHING.most_cost, None
    for first, second in combinations(groups, 2):
        if {cameras[i] for i in first} & {cameras[k] for k in second}:
            continue
        links = [costs[min(i, k), max(i, k)] for i in first for k in second]
        # One look that is off must not keep two good groups apart, nor one good link join two bad.
        cost = sum(links) / len(links)
        if cost < best:
            best, chosen = cost, (first, second)
    return chosen


def pair_costs(
    rig: Rig, looks: Looks, pairs: Sequence[tuple[int, int]], size: float | None = None
) -> np.ndarray:
    """(P,) what it costs to take the looks of each pair for one hand; infinite if they are not."""
    index = np.array(pairs).T  # (2, P)
    T = [each.T_camera_from_world for each in rig.cameras]
    R, t = np.stack([each.rotation for each in T]), np.stack([each.translation_mm for each in T])
    camera = looks.camera[index]
    sight = Sight(R[camera], t[camera], looks.rays[index], looks.sigma[index])
    points = meet(sight)
    before = (sight.in_cameras(points.mm)[..., 2] > 0).all(axis=(0, -1))
    # Half of the joints must fit well: hidden ones may be anywhere.
    missed = np.median(points.strain, axis=-1)
    known = 1.0 if size is None else size
    larger = np.log(np.maximum(size_ratio(points.mm), 1e-3) / known) / MATCHING.size_spread
    right = looks.right[index]
    other_side = np.abs(right[0] - right[1])
    cost = missed + np.square(larger) + MATCHING.side_cost * other_side**2
    return np.where(before & np.isfinite(cost), cost, np.inf)
