"""The 26 joints of OpenXR and the 25 of WebXR, with their turns and radii, from our 21.

Both count a joint for every bone, at its near end, and one for every tip; so each finger has its
metacarpal's base as well, which no picture shows: it is put between the wrist and the knuckle.

Axes of the space are theirs: x right, **y up**, z towards the viewer, metres, the camera at the
origin. A joint's own: -z along the bone to the tip, y out of the back of the hand (of the nail), x
to the right of the back seen with the fingers up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from knuckle.bones import aligned, hand_frame, quaternions
from knuckle.hand import FINGERS, KNUCKLES, Joint, Side, bone_lengths, check_side
from knuckle.mesh import hand_skin, pad_frames

_FINGERS = ("THUMB", "INDEX", "MIDDLE", "RING", "LITTLE")
_SEGMENTS = ("METACARPAL", "PROXIMAL", "INTERMEDIATE", "DISTAL", "TIP")

#: In the order of ``XrHandJointEXT``.
OPENXR_JOINTS: tuple[str, ...] = (
    "PALM",
    "WRIST",
    *(
        f"{finger}_{segment}"
        for finger in _FINGERS
        for segment in _SEGMENTS
        if (finger, segment) != ("THUMB", "INTERMEDIATE")
    ),
)


def _webxr_name(name: str) -> str:
    finger, _, segment = name.lower().partition("_")
    finger = {"little": "pinky"}.get(finger, finger)
    phalanx = "" if segment in ("", "metacarpal", "tip") else "phalanx-"
    if finger in ("wrist", "thumb"):
        return f"{finger}-{phalanx}{segment}".rstrip("-")
    return f"{finger}-finger-{phalanx}{segment}"


#: In the order of ``XRHandJoint``: the same without the palm.
WEBXR_JOINTS: tuple[str, ...] = tuple(map(_webxr_name, OPENXR_JOINTS[1:]))

#: Where a metacarpal begins, as a share of the way from the wrist to its knuckle, and how much of
#: the knuckles' breadth there is at that height. From skeletons; no picture tells.
_BASE_ALONG, _BASE_BREADTH = 0.27, 0.25
_TO_Y_UP = np.array([1.0, -1.0, -1.0])
#: From axes with y along the bone and z out of its pad: right, back, backwards.
_AXES = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]])
_MM = 1000.0
#: So many vertices of the skin make a ring around a finger.
_AROUND = 12


@dataclass(frozen=True, eq=False)
class XrHand:
    """A hand as OpenXR (26) or WebXR (25) has it.

    Attributes:
        names: (J,) of the joints.
        positions_m: (J, 3).
        orientations_xyzw: (J, 4) unit quaternions.
        radii_m: (J,) from the joint to the skin.
    """

    names: tuple[str, ...]
    positions_m: np.ndarray
    orientations_xyzw: np.ndarray
    radii_m: np.ndarray


def openxr_hand(joints_mm: np.ndarray, side: Side) -> XrHand:
    """The 26 joints of OpenXR.

    Args:
        joints_mm: (21, 3) in the camera frame (``HandPose.joints_mm``).
        side: which hand this is.
    """
    check_side(side)
    joints = np.asarray(joints_mm, np.float64) * _TO_Y_UP / _MM
    positions = _positions(joints, side)
    turns = _turns(joints, side, positions) @ _AXES
    scale = bone_lengths(joints).sum() / (hand_skin().lengths_mm.sum() / _MM)
    return XrHand(OPENXR_JOINTS, positions, quaternions(turns), _radii_m() * scale)


def webxr_hand(joints_mm: np.ndarray, side: Side) -> XrHand:
    """The 25 joints of WebXR; see ``openxr_hand``."""
    hand = openxr_hand(joints_mm, side)
    return XrHand(WEBXR_JOINTS, hand.positions_m[1:], hand.orientations_xyzw[1:], hand.radii_m[1:])


def _positions(joints: np.ndarray, side: Side) -> np.ndarray:
    """(26, 3) in the unit of ``joints``."""
    wrist, across = joints[Joint.WRIST], hand_frame(joints, side)[:, 0]
    knuckles = joints[KNUCKLES]
    breadth = (knuckles - joints[Joint.MIDDLE_MCP]) @ across  # (4,)
    bases = wrist + _BASE_ALONG * (knuckles - wrist) + _BASE_BREADTH * breadth[:, None] * across
    palm = (bases[1] + joints[Joint.MIDDLE_MCP]) / 2
    fingers = [
        np.concatenate([base[None], joints[finger]])
        for base, finger in zip(bases, FINGERS[1:], strict=True)
    ]
    return np.concatenate([palm[None], wrist[None], joints[FINGERS[0]], *fingers])


def _turns(joints: np.ndarray, side: Side, positions: np.ndarray) -> np.ndarray:
    """(26, 3, 3) y along the bone that begins at a joint, z out of its pad."""
    whole, pads = hand_frame(joints, side), pad_frames(joints, side).reshape(5, 4, 3, 3)
    thumb = pads[0][[1, 2, 3, 3]]  # the tip is turned as the bone that ends in it
    fingers = []
    for finger in range(1, 5):
        base = positions[1 + 5 * finger]
        metacarpal = aligned(pads[finger, 0], positions[2 + 5 * finger] - base)
        fingers.append(np.concatenate([metacarpal[None], pads[finger][[1, 2, 3, 3]]]))
    return np.concatenate([whole[None], whole[None], thumb, *fingers])


@cache
def _radii_m() -> np.ndarray:
    """(26,) from the joints of the flat hand to the skin around them."""
    skin = hand_skin()
    places = _positions(skin.joints_mm, "right")
    apart = np.linalg.norm(skin.vertices_mm[:, None] - places, axis=-1)
    return np.sort(apart, axis=0)[:_AROUND].mean(axis=0) / _MM
