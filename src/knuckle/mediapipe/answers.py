"""A ``HandPose`` in MediaPipe's units and axes.

* A picture reaches from 0 to 1; ours from -0.5 to width - 0.5, because pixel 0 has its centre at 0.
* z in the picture is the distance beyond the wrist in the scale of x, as if from far away.
* Metres are counted from the middle of the hand, a little below its middle knuckle; the axes are
  the camera's, which are ours.
* Sides: the Tasks API names the person's own hand. ``solutions`` takes every picture for a mirrored
  one and names the hand that it would be in a mirror. The index is 0 for a right hand in both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knuckle.hand import Joint, Side, other_side
from knuckle.mediapipe.containers import (
    Category,
    Classification,
    Landmark,
    NormalizedLandmark,
)
from knuckle.results import HandPose

#: How far from the middle knuckle to the wrist MediaPipe's origin lies, as a share of the way.
MIDDLE_TO_WRIST = 0.05
_INDEX: dict[Side, int] = {"right": 0, "left": 1}


def normalized(hand: HandPose, size: tuple[int, int], quarter_turns: int = 0) -> np.ndarray:
    """(21, 3) in shares of a picture of (width, height) px.

    The hand was found in the picture after it was turned clockwise, by so many ``quarter_turns``.
    """
    turned = size if quarter_turns % 2 == 0 else size[::-1]
    x, y = ((hand.joints_px + 0.5) / turned).T
    for _ in range(quarter_turns % 4):  # back, a quarter at a time
        x, y = y, 1 - x
    return np.stack([x, y, _depth_px(hand) / size[0]], axis=1)


def _depth_px(hand: HandPose) -> np.ndarray:
    """(21,) distance beyond the wrist, in pixels at the wrist's distance."""
    depth_mm = hand.joints_mm[:, 2]
    return (depth_mm - hand.root_mm[2]) * hand.camera.fx / max(float(hand.root_mm[2]), 1.0)


def world(hand: HandPose, quarter_turns: int = 0) -> np.ndarray:
    """(21, 3) metres from the middle of the hand."""
    middle = hand.joints_root_mm[Joint.MIDDLE_MCP] * (1 - MIDDLE_TO_WRIST)
    x, y, z = ((hand.joints_root_mm - middle) / 1000).T
    for _ in range(quarter_turns % 4):
        x, y = y, -x
    return np.stack([x, y, z], axis=1)


def landmarks(points: np.ndarray) -> list[NormalizedLandmark]:
    """Points in the picture; like MediaPipe's hands, without visibility and presence."""
    return [NormalizedLandmark(x, y, z, 0.0, 0.0) for x, y, z in points.tolist()]


def world_landmarks(points: np.ndarray) -> list[Landmark]:
    """Points in metres."""
    return [Landmark(x, y, z, 0.0, 0.0) for x, y, z in points.tolist()]


def category(hand: HandPose) -> Category:
    """The person's own side."""
    name = hand.side.capitalize()
    return Category(_INDEX[hand.side], float(hand.side_score), name, name)


def mirrored_classification(hand: HandPose) -> Classification:
    """The side that the hand would have if the picture were a mirror's."""
    label = other_side(hand.side).capitalize()
    return Classification(_INDEX[hand.side], float(hand.side_score), label)


def best_first(hands: Sequence[HandPose]) -> list[HandPose]:
    """As both APIs give them."""
    return sorted(hands, key=lambda hand: -hand.score)
