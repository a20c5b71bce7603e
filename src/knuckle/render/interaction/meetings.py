"""The kinds of contact between two hands: places on the skin, and which place meets which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from knuckle.errors import InputError
from knuckle.render.contact import GIVE_MM
from knuckle.render.hand_model import FOREARM_BONE

# --- places on a hand ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Site:
    """A place on the skin: near a bone, with the directions out of the skin and along it.

    In axes of the bone's own frame, from its pivot: x to the thumb's side, y along, z out of the
    pad or the palm.
    """

    bone: int
    at_mm: tuple[float, float, float]
    out: tuple[float, float, float]
    along: tuple[float, float, float] = (0.0, 1.0, 0.0)


_PALM = 0
_PROXIMAL, _MIDDLE, _DISTAL = (4, 7, 10, 13), (5, 8, 11, 14), (6, 9, 12, 15)
_THUMB_TIP, _INDEX_TIP = 3, 6

PALM = (Site(_PALM, (-5, 52, 16), (0, 0, 1)),)
FINGER_BASES = (Site(_PALM, (-5, 78, 14), (0, 0, 1)),)
BACK = (Site(_PALM, (-5, 50, -11), (0, 0, -1)),)
ULNAR_EDGE = (Site(_PALM, (-46, 42, 4), (-1, 0, 0)),)
RADIAL_EDGE = (Site(_PALM, (32, 72, 4), (1, 0, 0)),)
WRIST = tuple(
    Site(FOREARM_BONE, (24 * x, -22, 20 * z), (x, 0, z))
    for x, z in ((1, 0), (-1, 0), (0, 1), (0, -1))
)
#: The front of a fist: the backs of the proximal bones.
KNUCKLES = tuple(Site(bone, (0, 20, -9), (0, 0, -1)) for bone in _PROXIMAL[:3])
FINGERS_BACK = tuple(Site(bone, (0, 28, -8), (0, 0, -1)) for bone in _PROXIMAL[1:3])
FINGERS_FRONT = tuple(Site(bone, (0, 28, 8), (0, 0, 1)) for bone in _PROXIMAL[1:3])
ONE_FINGER = tuple(
    Site(bone, (7 * x, 12, 7 * z), (x, 0, z))
    for bone in (*_MIDDLE, _INDEX_TIP, 2)
    for x, z in ((1, 0), (-1, 0), (0, 1), (0, -1))
)
FINGERTIP = tuple(Site(bone, (0, 18, 5), (0, 0.5, 0.8), (0, 0.8, -0.5)) for bone in (3, *_DISTAL))
POINTER = (
    Site(_INDEX_TIP, (0, 18, 5), (0, 0.5, 0.8), (0, 0.8, -0.5)),
    Site(_INDEX_TIP, (0, 22, 1), (0, 1, 0.2), (0, 0.2, -1)),
)


# --- meetings ------------------------------------------------------------------------------------

Mix = Mapping[str, float]


@dataclass(frozen=True)
class Meeting:
    """One way for two hands to meet."""

    share: float  # how often
    #: ``first``, ``second``: families of poses.
    first: Mix
    second: Mix
    #: ``at``, ``with_``: where on the first hand, and what of the second.
    at: tuple[Site, ...]
    with_: tuple[Site, ...]
    #: Angles between the two "along" directions about the skin's normal, one of which is drawn (0:
    #: fingers parallel), and how much it scatters.
    twist_deg: tuple[tuple[float, ...], float]
    #: Bones of the second hand, and of the first, that close until they touch.
    closing: tuple[int, ...] = ()
    first_closing: tuple[int, ...] = ()
    distance_mm: float = 5.0  # distance of the two places before the fingers close
    scatter_mm: float = 8.0  # standard deviation of the place along the skin
    #: Mean and scatter of both wrists' flexion; None leaves it to the family.
    wrist_deg: tuple[float, float] | None = None
    #: Share by which the second hand's fingers are straightened before they close.
    straightened: float = 0.0
    #: How far the four fingers of both hands bend at most, MCP, PIP and DIP, after the hands have
    #: met.
    curl_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    give_mm: float = GIVE_MM  # how deep flesh is pressed: fingers squeeze between fingers


_GRIP = (_PALM, *_MIDDLE, *_DISTAL, _THUMB_TIP)
_ANY_HAND = {"relaxed": 4, "flat": 2, "splayed": 1, "fist": 2, "counting": 2, "pointing": 1}
_OPEN_HAND = {"relaxed": 2, "flat": 3, "splayed": 1}
_ACROSS = (-90.0, 90.0)
_EITHER_WAY = (-150.0, -90.0, -30.0, 30.0, 90.0, 150.0)

#: Every kind, by name; "interlaced" fingers are placed by ``approach._place_interlaced``.
MEETINGS: Mapping[str, Meeting] = {
    "interlaced": Meeting(0.16, {"flat": 1}, {"flat": 1}, PALM, PALM, ((0.0,), 0.0),
                          (_THUMB_TIP,), (_THUMB_TIP,), wrist_deg=(0, 12), curl_deg=(20, 80, 30),
                          give_mm=1.7),
    "palms together": Meeting(0.08, {"flat": 1}, {"flat": 1}, PALM, PALM, ((0.0,), 12.0),
                              (_PALM, *_DISTAL, *_MIDDLE), wrist_deg=(-30, 14), scatter_mm=5),
    "steeple": Meeting(0.05, {"sphere": 1}, {"sphere": 1}, PALM, PALM, ((0.0,), 8.0),
                       (_THUMB_TIP, *_DISTAL), distance_mm=50, scatter_mm=4, wrist_deg=(-15, 14)),
    "clasped": Meeting(0.12, {"relaxed": 1, "flat": 1}, {"cylinder": 1}, PALM, PALM,
                       ((-75.0, 75.0, 40.0), 18.0), _GRIP, (*_MIDDLE, *_DISTAL), straightened=0.6),
    "crossing": Meeting(0.12, _ANY_HAND, _ANY_HAND, (*PALM, *BACK, *FINGERS_BACK, *FINGERS_FRONT),
                        (*PALM, *BACK, *FINGERS_BACK, *FINGERS_FRONT), (_ACROSS, 30.0), (_PALM,),
                        scatter_mm=18),
    "gripping wrist": Meeting(0.06, _ANY_HAND, {"cylinder": 1}, WRIST, PALM, (_ACROSS, 20.0),
                              _GRIP, distance_mm=12, scatter_mm=12, straightened=0.6),
    "gripping hand": Meeting(0.10, {"fist": 2, "relaxed": 2, "flat": 1}, {"cylinder": 1},
                             (*BACK, *ULNAR_EDGE, *RADIAL_EDGE, *KNUCKLES), PALM, (_ACROSS, 35.0),
                             _GRIP, distance_mm=12, straightened=0.6),
    "gripping fingers": Meeting(0.06, {"flat": 2, "relaxed": 1, "pointing": 1}, {"cylinder": 1},
                                (*FINGERS_BACK, *FINGERS_FRONT, *ONE_FINGER), FINGER_BASES,
                                (_ACROSS, 25.0), _GRIP, distance_mm=10, straightened=0.6),
    "rubbing": Meeting(0.09, _OPEN_HAND, {"flat": 2, "relaxed": 3}, (*BACK, *PALM), PALM,
                       (_EITHER_WAY, 25.0), (_PALM, *_DISTAL), scatter_mm=12),
    "touching": Meeting(0.10, _ANY_HAND | {"flat": 4, "splayed": 4, "counting": 4},
                        {"pointing": 5, "tripod": 1, "pinching": 1},
                        (*PALM, *FINGER_BASES, *BACK, *FINGERTIP, *ONE_FINGER), POINTER,
                        (_EITHER_WAY, 40.0), (_INDEX_TIP,), scatter_mm=6),
    "pinched finger": Meeting(0.05, {"splayed": 2, "counting": 1, "relaxed": 1}, {"sphere": 1},
                              ONE_FINGER, (Site(_INDEX_TIP, (0, 12, 6), (0, 0, 1)),),
                              (_ACROSS, 40.0), (_INDEX_TIP, _THUMB_TIP),
                              distance_mm=3, scatter_mm=3),
    "side by side": Meeting(0.06, _ANY_HAND, _ANY_HAND, (*ULNAR_EDGE, *RADIAL_EDGE),
                            (*ULNAR_EDGE, *RADIAL_EDGE), ((0.0, 180.0), 25.0), (_PALM,)),
    "fists": Meeting(0.08, {"fist": 1}, {"fist": 3, "relaxed": 1},
                     (*KNUCKLES, *RADIAL_EDGE), (*KNUCKLES, *ULNAR_EDGE, *PALM),
                     ((0.0, 180.0, 90.0, -90.0), 25.0), (_PALM, *_PROXIMAL), scatter_mm=5),
}  # fmt: skip
NAMES = tuple(MEETINGS)
#: Most bones of both hands that close in any meeting.
SLOTS = 18


def shares_of(mix: Mapping[str, float] | None) -> np.ndarray:
    """(M,) how often each of ``MEETINGS`` is drawn; their own shares if ``mix`` is None.

    Raises:
        ValueError: a name in ``mix`` is unknown, or no share is positive.
    """
    mix = {name: meeting.share for name, meeting in MEETINGS.items()} if mix is None else mix
    unknown = sorted(set(mix) - set(MEETINGS))
    if unknown:
        raise InputError(f"expected kinds among {list(MEETINGS)}, got {unknown}")
    shares = np.array([mix.get(name, 0.0) for name in MEETINGS], dtype=float)
    if (shares < 0).any() or shares.sum() <= 0:
        raise InputError(f"expected shares >= 0 with a positive sum, got {dict(mix)}")
    return shares / shares.sum()
