"""Two hands of one side that touch: mostly one of them is the other hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from knuckle.hand import other_side
from knuckle.pipeline.stages import Stages
from knuckle.pose import Keypoints

#: Hands that touch are mostly the two of one person. How much likelier that makes the other side.
OTHER_SIDE_ODDS = 1.3


def touch(joints_px: np.ndarray, others_px: np.ndarray) -> bool:
    """Whether the boxes around the joints of two hands, (21, 2) px each, overlap."""
    low = np.maximum(joints_px.min(axis=0), others_px.min(axis=0))
    high = np.minimum(joints_px.max(axis=0), others_px.max(axis=0))
    return bool((low < high).all())


def with_sides_reconsidered(
    stages: Stages, image: np.ndarray, found: Keypoints, followed: int = 0
) -> Keypoints:
    """Look at the less certain of two hands of one side that touch as one of the other side.

    Args:
        stages: the networks.
        image: (H, W, 3) uint8 RGB.
        found: all hands of the image, each once.
        followed: so many of them, the first, are tracks. A track does not change its side; that it
            looks more like the other one lowers ``right``, and so tells in its vote.

    Returns:
        The same hands in the same order, some of them as the other side.
    """
    doubtful = _doubtful_sides(found, followed)
    if not doubtful:
        return found
    crops = [stages.crop_around(found.points_px[i], other_side(found.side(i))) for i in doubtful]
    looks = stages.look(image, crops)
    chosen, right = np.arange(len(found)), found.right.copy()
    for k, i in enumerate(doubtful):
        otherwise = looks.trust[k] * OTHER_SIDE_ODDS
        if i < followed:
            right[i] = min(right[i], found.trust[i] / max(found.trust[i] + otherwise, 1e-9))
        elif otherwise > found.trust[i]:
            chosen[i] = len(found) + k
    return Keypoints.concatenate(replace(found, right=right), looks).take(chosen)


def _doubtful_sides(found: Keypoints, followed: int) -> list[int]:
    """Of each two hands of one side that touch, the newer one or the less certain one."""
    doubtful = set()
    for i in range(len(found)):
        for k in range(i):
            if found.side(i) == found.side(k) and touch(found.points_px[i], found.points_px[k]):
                newer = i >= followed > k
                doubtful.add(i if newer or found.trust[i] < found.trust[k] else k)
    return sorted(doubtful)
