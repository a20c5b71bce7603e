"""Two hands in one frame: mirrored, turned, and upright as a person would hold them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from knuckle.hand import other_side
from knuckle.render.hand_model import ELBOW_MM, FOREARM_BONE, HandModel, HandParameters

MIRROR = np.array([-1.0, 1.0, 1.0])

#: A first and a second hand, or a right and a left one: N each, in one frame.
Pair = tuple[HandParameters, HandParameters]


def unit(vector: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of length 1."""
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)


def palm_offset(turn: np.ndarray) -> np.ndarray:
    """(N, 3) from the wrist of a hand to its palm."""
    return 60.0 * turn[:, :, 1]


def palm_mm(hands: HandParameters) -> np.ndarray:
    """(N, 3) where the palms are."""
    return hands.root_mm + palm_offset(hands.R_camera_from_hand)


def direction_between(first: HandParameters, second: HandParameters) -> np.ndarray:
    """(N, 3) of length 1, from the first hands to the second ones."""
    middle = [hand.root_mm + 50 * hand.R_camera_from_hand[:, :, 1] for hand in (first, second)]
    return unit(middle[1] - middle[0])


def mirror(hands: HandParameters) -> HandParameters:
    """The hands in a mirror at x = 0: right ones become left ones."""
    flip = np.diag(MIRROR).astype(np.float32)
    return replace(
        hands,
        R_camera_from_hand=flip @ hands.R_camera_from_hand @ flip,
        root_mm=hands.root_mm * MIRROR,
        side=[other_side(side) for side in hands.sides],
    )


def turned(hands: HandParameters, rotation: np.ndarray, shift_mm: np.ndarray) -> HandParameters:
    """The hands in another frame: rotation (N, 3, 3), then shift (N, 3)."""
    return replace(
        hands,
        R_camera_from_hand=rotation @ hands.R_camera_from_hand,
        root_mm=(rotation @ hands.root_mm[..., None])[..., 0] + shift_mm,
    )


def merged(mask: np.ndarray, one: HandParameters, two: HandParameters) -> HandParameters:
    """``one`` where the mask is true, else ``two``, which are of the same side."""
    return two.with_rows(mask, one.take(mask))


#: Where forearms point from elbow to hand, before a person who stands and is looked at.
_FOREARMS = unit(np.array([0.0, -0.6, -0.8]))


def upright(first: HandParameters, second: HandParameters) -> Pair:
    """A right and a left hand as they would be held by a person who faces the viewer."""
    turn, middle = body_turn(first, second)
    shift = -(turn @ middle[..., None])[..., 0]
    return turned(first, turn, shift), turned(second, turn, shift)


def body_turn(right: HandParameters, left: HandParameters) -> tuple[np.ndarray, np.ndarray]:
    """Turn (N, 3, 3) that brings a pair upright, and the point (N, 3) between its palms."""
    elbows = [_elbows(hand) for hand in (right, left)]
    middle = 0.5 * (palm_mm(right) + palm_mm(left))
    across = unit(elbows[1] - elbows[0])
    forward = middle - 0.5 * (elbows[0] + elbows[1])
    forward = unit(forward - (forward * across).sum(-1, keepdims=True) * across)
    own = np.stack([across, forward, np.cross(across, forward)], axis=-1)
    wanted = np.stack([[1.0, 0.0, 0.0], _FOREARMS, np.cross([1.0, 0.0, 0.0], _FOREARMS)], axis=-1)
    return wanted @ own.transpose(0, 2, 1), middle


def _elbows(hand: HandParameters) -> np.ndarray:
    """(N, 3) about where the elbows are."""
    forearm = HandModel.load().bone_transforms(hand)[:, FOREARM_BONE]
    own = (forearm[..., :3] @ ELBOW_MM) + forearm[..., 3]
    return (hand.R_camera_from_right() @ own[..., None])[..., 0] + hand.root_mm
