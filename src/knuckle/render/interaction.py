"""Two hands of one person that touch: as poses, and as movements.

A *meeting* says which place of one hand meets which place of the other, how the hands are turned
against each other there, which families of poses (``poses.FAMILIES``) they come from, and which
bones close until they touch. ``contact.resolve`` then brings the flesh of both hands into contact
and out of each other; what still passes through is drawn again.

Everything is built with a right hand that holds still, the *first*, and a left hand that comes to
it, the *second*; half of all pairs are mirrored, so that either hand takes either part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from knuckle.hand import Side, other_side
from knuckle.render.contact import GIVE_MM, gap_mm, penetration_mm, resolve
from knuckle.render.hand_model import (
    FLEXION,
    FOREARM_ROW,
    N_BONES,
    N_POSE_ROWS,
    SPREAD,
    HandModel,
    HandParameters,
    sample_shapes,
)
from knuckle.render.poses import (
    DIP,
    MAX_PENETRATION_MM,
    MCP,
    PIP,
    constrain,
    finger_penetration_mm,
    sample_poses,
)
from knuckle.render.rotations import rotation_from_vector, vector_from_rotation

_MIRROR = np.array([-1.0, 1.0, 1.0])

#: Deepest overlap of two hands that a sampled pair may have (mm, by ``penetration_mm``), and the
#: widest gap at which they count as touching.
MAX_OVERLAP_MM, MAX_GAP_MM = 2.5, 1.0

_ROUNDS = 8  # of drawing again what passes through
_CURL_STEPS = 4


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


_PALM, _FOREARM = 0, 16
_PROXIMAL, _MIDDLE, _DISTAL = (4, 7, 10, 13), (5, 8, 11, 14), (6, 9, 12, 15)
_THUMB_TIP, _INDEX_TIP = 3, 6

PALM = (Site(_PALM, (-5, 52, 16), (0, 0, 1)),)
FINGER_BASES = (Site(_PALM, (-5, 78, 14), (0, 0, 1)),)
BACK = (Site(_PALM, (-5, 50, -11), (0, 0, -1)),)
ULNAR_EDGE = (Site(_PALM, (-46, 42, 4), (-1, 0, 0)),)
RADIAL_EDGE = (Site(_PALM, (32, 72, 4), (1, 0, 0)),)
WRIST = tuple(
    Site(_FOREARM, (24 * x, -22, 20 * z), (x, 0, z)) for x, z in ((1, 0), (-1, 0), (0, 1), (0, -1))
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
    """One way for two hands to meet.

    Attributes:
        share: how often.
        first, second: families of poses.
        at, with_: where on the first hand, and what of the second.
        twist_deg: angles between the two "along" directions about the skin's normal, one of which
            is drawn (0: fingers parallel), and how much it scatters.
        closing: bones of the second hand, and of the first, that close until they touch.
        from_mm: distance at which the fingers start closing.
        stray_mm: scatter of the place along the skin.
        wrist_deg: mean and scatter of both wrists' flexion; None leaves it to the family.
        open_share: how far the second hand's fingers are straightened before they close.
        curl_deg: how far the four fingers of both hands bend at most, MCP, PIP and DIP, after the
            hands have met.
        give_mm: how deep flesh is pressed: fingers squeeze between fingers.
    """

    share: float
    first: Mix
    second: Mix
    at: tuple[Site, ...]
    with_: tuple[Site, ...]
    twist_deg: tuple[tuple[float, ...], float]
    closing: tuple[int, ...] = ()
    first_closing: tuple[int, ...] = ()
    from_mm: float = 5.0
    stray_mm: float = 8.0
    wrist_deg: tuple[float, float] | None = None
    open_share: float = 0.0
    curl_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    give_mm: float = GIVE_MM


_GRIP = (_PALM, *_MIDDLE, *_DISTAL, _THUMB_TIP)
_ANY_HAND = {"relaxed": 4, "flat": 2, "splayed": 1, "fist": 2, "counting": 2, "pointing": 1}
_OPEN_HAND = {"relaxed": 2, "flat": 3, "splayed": 1}
_ACROSS = (-90.0, 90.0)
_EITHER_WAY = (-150.0, -90.0, -30.0, 30.0, 90.0, 150.0)

#: Every way to meet, by name; "interlaced" fingers are placed by ``_interlaced``.
MEETINGS: Mapping[str, Meeting] = {
    "interlaced": Meeting(0.16, {"flat": 1}, {"flat": 1}, PALM, PALM, ((0.0,), 0.0),
                          (_THUMB_TIP,), (_THUMB_TIP,), wrist_deg=(0, 12), curl_deg=(20, 80, 30),
                          give_mm=1.7),
    "palms together": Meeting(0.08, {"flat": 1}, {"flat": 1}, PALM, PALM, ((0.0,), 12.0),
                              (_PALM, *_DISTAL, *_MIDDLE), wrist_deg=(-30, 14), stray_mm=5),
    "steeple": Meeting(0.05, {"sphere": 1}, {"sphere": 1}, PALM, PALM, ((0.0,), 8.0),
                       (_THUMB_TIP, *_DISTAL), from_mm=50, stray_mm=4, wrist_deg=(-15, 14)),
    "clasped": Meeting(0.12, {"relaxed": 1, "flat": 1}, {"cylinder": 1}, PALM, PALM,
                       ((-75.0, 75.0, 40.0), 18.0), _GRIP, (*_MIDDLE, *_DISTAL), open_share=0.6),
    "crossing": Meeting(0.12, _ANY_HAND, _ANY_HAND, (*PALM, *BACK, *FINGERS_BACK, *FINGERS_FRONT),
                        (*PALM, *BACK, *FINGERS_BACK, *FINGERS_FRONT), (_ACROSS, 30.0), (_PALM,),
                        stray_mm=18),
    "gripping wrist": Meeting(0.06, _ANY_HAND, {"cylinder": 1}, WRIST, PALM, (_ACROSS, 20.0),
                              _GRIP, from_mm=12, stray_mm=12, open_share=0.6),
    "gripping hand": Meeting(0.10, {"fist": 2, "relaxed": 2, "flat": 1}, {"cylinder": 1},
                             (*BACK, *ULNAR_EDGE, *RADIAL_EDGE, *KNUCKLES), PALM, (_ACROSS, 35.0),
                             _GRIP, from_mm=12, open_share=0.6),
    "gripping fingers": Meeting(0.06, {"flat": 2, "relaxed": 1, "pointing": 1}, {"cylinder": 1},
                                (*FINGERS_BACK, *FINGERS_FRONT, *ONE_FINGER), FINGER_BASES,
                                (_ACROSS, 25.0), _GRIP, from_mm=10, open_share=0.6),
    "rubbing": Meeting(0.09, _OPEN_HAND, {"flat": 2, "relaxed": 3}, (*BACK, *PALM), PALM,
                       (_EITHER_WAY, 25.0), (_PALM, *_DISTAL), stray_mm=12),
    "touching": Meeting(0.10, _ANY_HAND | {"flat": 4, "splayed": 4, "counting": 4},
                        {"pointing": 5, "tripod": 1, "pinching": 1},
                        (*PALM, *FINGER_BASES, *BACK, *FINGERTIP, *ONE_FINGER), POINTER,
                        (_EITHER_WAY, 40.0), (_INDEX_TIP,), stray_mm=6),
    "pinched finger": Meeting(0.05, {"splayed": 2, "counting": 1, "relaxed": 1}, {"sphere": 1},
                              ONE_FINGER, (Site(_INDEX_TIP, (0, 12, 6), (0, 0, 1)),),
                              (_ACROSS, 40.0), (_INDEX_TIP, _THUMB_TIP), from_mm=3, stray_mm=3),
    "side by side": Meeting(0.06, _ANY_HAND, _ANY_HAND, (*ULNAR_EDGE, *RADIAL_EDGE),
                            (*ULNAR_EDGE, *RADIAL_EDGE), ((0.0, 180.0), 25.0), (_PALM,)),
    "fists": Meeting(0.08, {"fist": 1}, {"fist": 3, "relaxed": 1},
                     (*KNUCKLES, *RADIAL_EDGE), (*KNUCKLES, *ULNAR_EDGE, *PALM),
                     ((0.0, 180.0, 90.0, -90.0), 25.0), (_PALM, *_PROXIMAL), stray_mm=5),
}  # fmt: skip
_NAMES = tuple(MEETINGS)
_SLOTS = 18


#: A first and a second hand, or a right and a left one: N each, in one frame.
Pair = tuple[HandParameters, HandParameters]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two hands each in one frame.

    Attributes:
        right, left: N hands each.
        kind: (N,) how they meet: rows of ``MEETINGS``.
    """

    right: HandParameters
    left: HandParameters
    kind: np.ndarray


@dataclass(frozen=True, eq=False)
class _Approach:
    """Pairs before they close: not resolved.

    Attributes:
        first, second: a right and a left hand, in the frame of the first.
        kind: (N,) rows of ``MEETINGS``.
        touch: (N, S) see ``contact.resolve``.
        retreat: (N, 3) unit, the way on which the second hand came.
        normal: (N, 3) unit, out of the first hand's skin where they meet.
    """

    first: HandParameters
    second: HandParameters
    kind: np.ndarray
    touch: np.ndarray
    retreat: np.ndarray
    normal: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)


def _approach(
    rng: np.random.Generator, first_shape: np.ndarray, second_shape: np.ndarray, kind: np.ndarray
) -> _Approach:
    """Draw poses and places for pairs of the given kinds."""
    n = len(kind)
    poses = np.zeros((2, n, N_POSE_ROWS, 3))
    turn, root = np.tile(np.eye(3), (n, 1, 1)), np.zeros((n, 3))
    retreat, normal = np.zeros((n, 3)), np.zeros((n, 3))
    touch = np.full((n, _SLOTS), -1)
    model = HandModel.load()
    for row, name in enumerate(_NAMES):
        mine = np.flatnonzero(kind == row)
        if not len(mine):
            continue
        meeting = MEETINGS[name]
        poses[:, mine] = _poses(rng, meeting, len(mine), interlaced=name == "interlaced")
        bones = [*meeting.first_closing, *(N_BONES + bone for bone in meeting.closing)]
        touch[mine, : len(bones)] = bones
        hands = [
            HandParameters(
                pose[mine], shape[mine], np.tile(np.eye(3), (len(mine), 1, 1)),
                np.zeros((len(mine), 3)),
            )
            for pose, shape in zip(poses, (first_shape, second_shape), strict=True)
        ]  # fmt: skip
        put = _interlace if name == "interlaced" else _put
        turn[mine], root[mine], retreat[mine], normal[mine] = put(rng, model, meeting, *hands)
    first = HandParameters(poses[0], first_shape, np.tile(np.eye(3), (n, 1, 1)), np.zeros((n, 3)))
    second = HandParameters(poses[1], second_shape, turn, root, "left")
    apart = np.where((kind == _NAMES.index("interlaced"))[:, None], 0.0, retreat)
    return _Approach(first, _backed_off(first, second, apart), kind, touch, retreat, normal)


def _backed_off(
    first: HandParameters, second: HandParameters, retreat: np.ndarray
) -> HandParameters:
    """The second hands, drawn back on the way they came until they hardly overlap."""
    for _ in range(4):
        deep = np.maximum(penetration_mm(first, second) - 3.0, 0.0)
        second = replace(second, root_mm=second.root_mm + deep[:, None] * retreat)
    return second


def _poses(rng: np.random.Generator, meeting: Meeting, n: int, *, interlaced: bool) -> np.ndarray:
    """(2, N, 17, 3) poses of both hands before they close."""
    poses = np.stack([sample_poses(rng, n, mix) for mix in (meeting.first, meeting.second)])
    if meeting.wrist_deg is not None:
        poses[:, :, FOREARM_ROW, FLEXION] = rng.normal(*meeting.wrist_deg, (2, n))
    if interlaced:
        poses[:, :, MCP, FLEXION] = rng.normal(18, 8, (2, n, 1)) + rng.normal(0, 2, (2, n, 4))
        poses[:, :, PIP, FLEXION] = rng.normal(12, 6, (2, n, 1))
        poses[:, :, DIP, FLEXION] = 5.0
        fan = np.array([1.0, 0.1, -0.8, -1.7])
        poses[:, :, MCP, SPREAD] = rng.normal(14, 2, (2, n, 1)) * fan
    for rows in (MCP, PIP, DIP):
        poses[1, :, rows, FLEXION] *= 1 - meeting.open_share
    return np.stack([constrain(pose) for pose in poses])


Put = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _put(
    rng: np.random.Generator, model: HandModel, meeting: Meeting,
    first: HandParameters, second: HandParameters,
) -> Put:  # fmt: skip
    """Where the second hand is: turn (N, 3, 3), root (N, 3), retreat and normal (N, 3)."""
    n = len(first)
    point, out, along = _sites(rng, model, first, meeting.at)
    own_point, own_out, own_along = _sites(rng, model, second, meeting.with_)
    twists, scatter = meeting.twist_deg
    twist = np.radians(rng.choice(np.array(twists), n) + rng.normal(0, scatter, n))
    tilt = rotation_from_vector(rng.normal(0, 0.12, (n, 3)))
    out = (tilt @ out[..., None])[..., 0]
    along = _unit(along - (along * out).sum(-1, keepdims=True) * out)
    across = np.cross(out, along)
    aim = np.cos(twist)[:, None] * along + np.sin(twist)[:, None] * across
    target = np.stack([aim, -out, np.cross(aim, -out)], axis=-1)
    own_out, own_along = own_out * _MIRROR, own_along * _MIRROR
    own_along = _unit(own_along - (own_along * own_out).sum(-1, keepdims=True) * own_out)
    own = np.stack([own_along, own_out, np.cross(own_along, own_out)], axis=-1)
    turn = target @ own.transpose(0, 2, 1)
    stray = rng.normal(0, meeting.stray_mm, (2, n, 1))
    point = point + stray[0] * along + stray[1] * across + meeting.from_mm * out
    root = point - (turn @ (own_point * _MIRROR)[..., None])[..., 0]
    return turn, root, out, out


def _interlace(
    rng: np.random.Generator, model: HandModel, meeting: Meeting,
    first: HandParameters, second: HandParameters,
) -> Put:  # fmt: skip
    """Fingers between fingers: both rows of knuckles parallel, half a finger apart."""
    n = len(first)
    joints = [model.joints_from_pose(h.pose_deg, model.rest_joints(h.shape)) for h in
              (first, second)]  # fmt: skip
    share = rng.uniform(0.7, 1.1, (n, 1, 1))
    rows = [(1 - share) * j[:, 5:20:4] + share * j[:, 6:20:4] for j in joints]  # (N, 4, 3)
    fingers = [_unit((j[:, 6:20:4] - j[:, 5:20:4]).mean(axis=1)) for j in joints]
    bend = [np.arctan2(f[:, 2], f[:, 1]) for f in fingers]
    between = np.radians(rng.normal(85, 16, n))
    fold = np.zeros((n, 3))
    fold[:, 0] = -(between - bend[0] - bend[1])
    turn = rotation_from_vector(fold) @ np.diag([-1.0, 1.0, -1.0])
    turn = rotation_from_vector(rng.normal(0, 0.07, (n, 3))) @ turn
    middle, own_middle = (row.mean(axis=1) for row in rows)
    root = middle - (turn @ (own_middle * _MIRROR)[..., None])[..., 0]
    half = 0.5 * np.linalg.norm(rows[0][:, 0] - rows[0][:, 3], axis=1) / 3
    root[:, 0] += np.where(rng.random(n) < 0.5, 1, -1) * half
    root = _widest(first, HandParameters(second.pose_deg, second.shape, turn, root, "left"))
    own_finger = (turn @ (fingers[1] * _MIRROR)[..., None])[..., 0]
    return turn, root, -own_finger, -own_finger


def _widest(first: HandParameters, second: HandParameters) -> np.ndarray:
    """(N, 3) the second hands' roots, shifted along the knuckles to where there is most room."""
    shifts = np.linspace(-5.0, 5.0, 6)[:, None, None] * np.array([1.0, 0.0, 0.0])
    roots = second.root_mm + shifts  # (6, N, 3)
    gaps = np.stack([gap_mm(first, replace(second, root_mm=root)) for root in roots])
    return roots[gaps.argmax(axis=0), np.arange(len(first))]


def _sites(
    rng: np.random.Generator, model: HandModel, hand: HandParameters, sites: tuple[Site, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One of ``sites`` on each hand: place, outwards and along (N, 3), in the hand's own frame."""
    drawn = rng.integers(len(sites), size=len(hand))
    bone = np.array([site.bone for site in sites])[drawn]
    local = np.array([(site.at_mm, site.out, site.along) for site in sites])[drawn]  # (N, 3, 3)
    transform = model.bone_transforms(hand)[np.arange(len(hand)), bone].astype(np.float64)
    frame = model.R_hand_from_bone[bone]
    pivot = model.rest_joints(hand.shape)[np.arange(len(hand)), model.bone_pivot[bone]]
    place, out, along = (frame[:, None] @ local[..., None])[..., 0].transpose(1, 0, 2)
    place = place + pivot
    moved = (transform[:, None, :, :3] @ np.stack([place, out, along], 1)[..., None])[..., 0]
    return moved[:, 0] + transform[:, :, 3], _unit(moved[:, 1]), _unit(moved[:, 2])


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)


# --- pairs ---------------------------------------------------------------------------------------


def sample_interactions(
    rng: np.random.Generator,
    n: int,
    shapes: tuple[np.ndarray, np.ndarray] | None = None,
    mix: Mapping[str, float] | None = None,
) -> Pairs:
    """Pairs of hands of one person that touch and do not pass through each other.

    Args:
        rng: the same generator state gives the same pairs.
        n: how many.
        shapes: (N, S) of the right and of the left hands; random people's if None.
        mix: share of each kind (names of ``MEETINGS``); the meetings' own shares if None.

    Returns:
        N pairs in a frame that stands upright as a camera before the person would: x to the
        person's left, y down, z away from the viewer, its origin between the hands. They overlap
        by no more than ``MAX_OVERLAP_MM``; what did not come free after a number of draws is moved
        apart.

    Raises:
        ValueError: a name in ``mix`` is unknown, or no share is positive.
    """
    shares = _shares(mix)
    if shapes is None:
        people = sample_shapes(rng, n, HandModel.load().n_shape)
        shapes = people, people
    mirrored = rng.random(n) < 0.5
    right, left = (np.asarray(shape, np.float32) for shape in shapes)
    first_shape = np.where(mirrored[:, None], left, right)
    second_shape = np.where(mirrored[:, None], right, left)
    kind = rng.choice(len(_NAMES), n, p=shares)
    first, second = _meet(rng, first_shape, second_shape, kind).closed
    first, second = _upright(first, second)
    other = mirror(second), mirror(first)
    return Pairs(_where(mirrored, other[0], first), _where(mirrored, other[1], second), kind)


def _shares(mix: Mapping[str, float] | None) -> np.ndarray:
    mix = {name: meeting.share for name, meeting in MEETINGS.items()} if mix is None else mix
    unknown = sorted(set(mix) - set(MEETINGS))
    if unknown:
        raise ValueError(f"expected kinds among {list(MEETINGS)}, got {unknown}")
    shares = np.array([mix.get(name, 0.0) for name in MEETINGS], dtype=float)
    if (shares < 0).any() or shares.sum() <= 0:
        raise ValueError(f"expected shares >= 0 with a positive sum, got {dict(mix)}")
    return shares / shares.sum()


@dataclass(frozen=True, eq=False)
class _Met:
    """Pairs that have met: each a first and a second hand, in the frame of the first.

    Attributes:
        opened: before they close: free of each other, hardly touching.
        closed: after.
        touch, retreat, normal: see ``_Approach``.
    """

    opened: Pair
    closed: Pair
    touch: np.ndarray
    retreat: np.ndarray
    normal: np.ndarray

    def good(self) -> np.ndarray:
        """(N,) bool: both states are free, and in the second the hands touch."""
        return _free(*self.opened) & _free(*self.closed) & (gap_mm(*self.closed) <= MAX_GAP_MM)

    def with_rows(self, rows: np.ndarray, others: _Met) -> _Met:
        """The same with some pairs replaced."""
        arrays = [a.copy() for a in (self.touch, self.retreat, self.normal)]
        for array, new in zip(arrays, (others.touch, others.retreat, others.normal), strict=True):
            array[rows] = new
        opened, closed = (
            (mine[0].with_rows(rows, new[0]), mine[1].with_rows(rows, new[1]))
            for mine, new in ((self.opened, others.opened), (self.closed, others.closed))
        )
        return _Met(opened, closed, *arrays)


def _meet(
    rng: np.random.Generator, first_shape: np.ndarray, second_shape: np.ndarray, kind: np.ndarray
) -> _Met:
    """Pairs of the given kinds, drawn again until they are good."""
    met = _met_once(rng, first_shape, second_shape, kind)
    for _ in range(_ROUNDS):
        bad = np.flatnonzero(~met.good())
        if not len(bad):
            return met
        again = _met_once(rng, first_shape[bad], second_shape[bad], kind[bad])
        met = met.with_rows(bad, again)
    bad = np.flatnonzero(~met.good())
    return met.with_rows(bad, _apart(rng, first_shape[bad], second_shape[bad], kind[bad]))


def _met_once(
    rng: np.random.Generator, first_shape: np.ndarray, second_shape: np.ndarray, kind: np.ndarray
) -> _Met:
    approach = _approach(rng, first_shape, second_shape, kind)
    give = np.array([meeting.give_mm for meeting in MEETINGS.values()])[kind]
    opened = resolve(approach.first, approach.second, steps=20, give_mm=give)
    closed = resolve(*_curled(rng, opened, kind), approach.touch, give_mm=give)
    closed = resolve(*closed, steps=8, give_mm=give)  # what pulls may have pressed too hard
    return _Met(opened, closed, approach.touch, approach.retreat, approach.normal)


def _curled(rng: np.random.Generator, pair: Pair, kind: np.ndarray) -> Pair:
    """Fingers bent step by step, as far as the other hand lets them."""
    most = np.array([meeting.curl_deg for meeting in MEETINGS.values()])[kind]  # (N, 3)
    rows = np.flatnonzero(most.any(axis=1))
    first, second = pair[0][rows], pair[1][rows]
    bend = most[rows] * np.sqrt(rng.random((len(rows), 1))) / _CURL_STEPS
    for _ in range(_CURL_STEPS if len(rows) else 0):
        bent = _bent(first, bend), _bent(second, bend)
        first, second = resolve(*bent, steps=6, give_mm=MEETINGS["interlaced"].give_mm)
    return pair[0].with_rows(rows, first), pair[1].with_rows(rows, second)


def _bent(hand: HandParameters, bend_deg: np.ndarray) -> HandParameters:
    """The four fingers flexed further by (N, 3) degrees at MCP, PIP and DIP."""
    pose = hand.pose_deg.copy()
    for rows, degrees in zip((MCP, PIP, DIP), bend_deg.T, strict=True):
        pose[:, rows, FLEXION] += degrees[:, None]
    return replace(hand, pose_deg=constrain(pose))


def _apart(
    rng: np.random.Generator, first_shape: np.ndarray, second_shape: np.ndarray, kind: np.ndarray
) -> _Met:
    """Pairs as they were drawn, moved apart: what takes the place of those that never come free."""
    approach = _approach(rng, first_shape, second_shape, kind)
    pair = approach.first, _moved_apart(approach.first, approach.second)
    return _Met(pair, pair, approach.touch, approach.retreat, approach.normal)


def _free(first: HandParameters, second: HandParameters) -> np.ndarray:
    """(N,) bool: neither the hands nor the fingers of one of them pass through each other."""
    own = np.maximum(_own_penetration_mm(first), _own_penetration_mm(second))
    deep = penetration_mm(first, second)
    return (deep <= MAX_OVERLAP_MM) & (own <= MAX_PENETRATION_MM + 0.5)


def _own_penetration_mm(hand: HandParameters) -> np.ndarray:
    model = HandModel.load()
    return finger_penetration_mm(
        model.joints_from_pose(hand.pose_deg, model.rest_joints(hand.shape))
    )


def _moved_apart(first: HandParameters, second: HandParameters) -> HandParameters:
    """The second hands, away from the first ones as far as needed."""
    palms = [hand.root_mm + 50 * hand.R_camera_from_hand[:, :, 1] for hand in (first, second)]
    away = _unit(palms[1] - palms[0])
    for _ in range(40):
        deep = penetration_mm(first, second)
        if (deep <= MAX_OVERLAP_MM).all():
            break
        push = np.where(deep > MAX_OVERLAP_MM, deep + 1.0, 0.0)
        second = replace(second, root_mm=second.root_mm + push[:, None] * away)
    return second


def mirror(hands: HandParameters) -> HandParameters:
    """The hands in a mirror at x = 0: right ones become left ones."""
    flip = np.diag(_MIRROR).astype(np.float32)
    side: Side | tuple[Side, ...]
    if isinstance(hands.side, str):
        side = other_side(hands.side)
    else:
        side = tuple(other_side(each) for each in hands.side)
    return replace(
        hands,
        R_camera_from_hand=flip @ hands.R_camera_from_hand @ flip,
        root_mm=hands.root_mm * _MIRROR,
        side=side,
    )


def turned(hands: HandParameters, rotation: np.ndarray, shift_mm: np.ndarray) -> HandParameters:
    """The hands in another frame: rotation (N, 3, 3), then shift (N, 3)."""
    return replace(
        hands,
        R_camera_from_hand=rotation @ hands.R_camera_from_hand,
        root_mm=(rotation @ hands.root_mm[..., None])[..., 0] + shift_mm,
    )


def _where(mask: np.ndarray, one: HandParameters, two: HandParameters) -> HandParameters:
    """``one`` where the mask is true, else ``two``, which are of the same side."""
    return two.with_rows(mask, one[mask])


# --- upright -------------------------------------------------------------------------------------

_ELBOW_MM = np.array([0.0, -235.0, -3.0])  # in the flat hand's frame
#: Where forearms point from elbow to hand, before a person who stands and is looked at.
_FOREARMS = _unit(np.array([0.0, -0.6, -0.8]))


def _upright(first: HandParameters, second: HandParameters) -> Pair:
    """A right and a left hand as they would be held by a person who faces the viewer."""
    turn, middle = _body_turn(first, second)
    shift = -(turn @ middle[..., None])[..., 0]
    return turned(first, turn, shift), turned(second, turn, shift)


def _body_turn(right: HandParameters, left: HandParameters) -> tuple[np.ndarray, np.ndarray]:
    """Turn (N, 3, 3) that brings a pair upright, and the point (N, 3) between its palms."""
    elbows = [_elbows(hand) for hand in (right, left)]
    palms = [hand.root_mm + 60 * hand.R_camera_from_hand[:, :, 1] for hand in (right, left)]
    middle = 0.5 * (palms[0] + palms[1])
    across = _unit(elbows[1] - elbows[0])
    forward = middle - 0.5 * (elbows[0] + elbows[1])
    forward = _unit(forward - (forward * across).sum(-1, keepdims=True) * across)
    own = np.stack([across, forward, np.cross(across, forward)], axis=-1)
    wanted = np.stack([[1.0, 0.0, 0.0], _FOREARMS, np.cross([1.0, 0.0, 0.0], _FOREARMS)], axis=-1)
    return wanted @ own.transpose(0, 2, 1), middle


def _elbows(hand: HandParameters) -> np.ndarray:
    """(N, 3) about where the elbows are."""
    forearm = HandModel.load().bone_transforms(hand)[:, _FOREARM]
    own = (forearm[..., :3] @ _ELBOW_MM) + forearm[..., 3]
    own = own * np.where(hand.is_left()[:, None], _MIRROR, 1.0)
    return (hand.R_camera_from_hand @ own[..., None])[..., 0] + hand.root_mm


# --- motion --------------------------------------------------------------------------------------

#: Smoothing of what contact adds to a movement, pass by pass (s): the last one is exact.
_SMOOTH_S = (0.10, 0.06, 0.03, 0.0)
_SHORTEST_S = 2.8  # less than any meeting with its coming and going lasts
_DETOUR_MM = 320.0  # from palm to palm
_PACE_MM_S, _PACE_RAD_S = 300.0, 1.5  # mean speed on the way from state to state, at most


def interaction_motion(
    rng: np.random.Generator,
    time_s: Float[np.ndarray, " time"],
    right_shape: Float[np.ndarray, " coefficient"],
    left_shape: Float[np.ndarray, " coefficient"],
    model: HandModel | None = None,
    mix: Mapping[str, float] | None = None,
) -> Pair:
    """Two hands that come together, touch (hold, rub, clasp and open) and part, again and again.

    Every stretch of the way has minimum jerk (Flash and Hogan, J. Neurosci. 1985); where flesh
    would pass through flesh, hands and fingers give way, smoothly in time.

    Args:
        rng: source of randomness.
        time_s: (T,) increasing times.
        right_shape: (S,) of the right hand.
        left_shape: (S,) of the left hand.
        model: the hand model; the one that ships if None.
        mix: share of each kind of meeting, see ``sample_interactions``.

    Returns:
        The right and the left hand, T each, in a common world frame: that of a person who faces
        the viewer, x to the person's left, y down, z away from the viewer, millimetres, the hands
        around its origin. ``R_camera_from_hand`` is the turn into that world. The hands overlap by
        no more than ``MAX_OVERLAP_MM`` at any time.

    Raises:
        ValueError: ``time_s`` is empty or does not increase.
    """
    time_s = np.asarray(time_s, dtype=np.float64)
    if time_s.ndim != 1 or not len(time_s) or (np.diff(time_s) <= 0).any():
        raise ValueError(f"expected increasing times (T,), got {time_s.shape}")
    model = model or HandModel.load()
    mirrored = rng.random() < 0.5
    shapes = [np.atleast_2d(np.asarray(shape, np.float32)) for shape in (right_shape, left_shape)]
    if mirrored:
        shapes.reverse()
    clock = time_s - time_s[0]
    clock = clock + rng.uniform(0.0, 2.5)  # begin anywhere in the first meeting
    keys = _key_states(rng, clock[-1], shapes, _shares(mix))
    first, second = _freed(clock, *keys.at(clock, shapes))
    first, second = _in_the_world(rng, clock, keys, first, second)
    return (mirror(second), mirror(first)) if mirrored else (first, second)


@dataclass(frozen=True, eq=False)
class _Keys:
    """States that a movement passes through.

    Attributes:
        time_s: (K, 2) when each is reached and left.
        pose_deg: (K, 2, 17, 3) of the first and of the second hand.
        palm_mm: (K, 3) place of the second hand's palm, in the frame of the first.
        turn: (K, 3, 3) of the second hand, there.
        upright: (K, 3, 3) from the frame of the first hand to the world.
    """

    time_s: np.ndarray
    pose_deg: np.ndarray
    palm_mm: np.ndarray
    turn: np.ndarray
    upright: np.ndarray

    def at(self, time_s: np.ndarray, shapes: list[np.ndarray]) -> Pair:
        """The hands on the straight way from state to state, in the frame of the first."""
        k, ease = self._progress(time_s)
        change = self.pose_deg[k + 1] - self.pose_deg[k]
        poses = (self.pose_deg[k] + ease[:, None, None, None] * change).transpose(1, 0, 2, 3)
        turn = _between(self.turn, k, ease)
        palm = self.palm_mm[k] + ease[:, None] * (self.palm_mm[k + 1] - self.palm_mm[k])
        n = len(time_s)
        still = np.tile(np.eye(3), (n, 1, 1))
        first = HandParameters(poses[0], np.repeat(shapes[0], n, 0), still, np.zeros((n, 3)))
        root = palm - _palm_offset(turn)
        return first, HandParameters(poses[1], np.repeat(shapes[1], n, 0), turn, root, "left")

    def upright_at(self, time_s: np.ndarray) -> np.ndarray:
        """(T, 3, 3) from the frame of the first hand to the world."""
        return _between(self.upright, *self._progress(time_s))

    def _progress(self, time_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The state before each time (T,), and how far the way to the next one is gone (T,)."""
        k = np.searchsorted(self.time_s[:, 0], time_s, side="right") - 1
        k = np.clip(k, 0, len(self.time_s) - 2)
        leave, reach = self.time_s[k, 1], self.time_s[k + 1, 0]
        x = np.clip((time_s - leave) / np.maximum(reach - leave, 1e-9), 0, 1)
        return k, x**3 * (10 - 15 * x + 6 * x**2)


def _palm_offset(turn: np.ndarray) -> np.ndarray:
    """(N, 3) from the wrist of a hand to its palm."""
    return 60.0 * turn[:, :, 1]


def _between(turns: np.ndarray, k: np.ndarray, ease: np.ndarray) -> np.ndarray:
    """(T, 3, 3) turns a part of the way from each state (rows k) to the next."""
    steps = vector_from_rotation(turns[:-1].transpose(0, 2, 1) @ turns[1:])
    return turns[k] @ rotation_from_vector(steps[k] * ease[:, None])


def _key_states(
    rng: np.random.Generator, end_s: float, shapes: list[np.ndarray], shares: np.ndarray
) -> _Keys:
    """Meetings one after another until the time is over."""
    episodes = int(np.ceil(end_s / _SHORTEST_S)) + 1
    kind = rng.choice(len(_NAMES), episodes, p=shares)
    first_shape, second_shape = (np.repeat(shape, episodes, 0) for shape in shapes)
    met = _meet(rng, first_shape, second_shape, kind)
    closed = _rubs(rng, met)
    uprights, _ = _body_turn(*met.closed)
    states: list[State] = []
    for e, (upright, back) in enumerate(zip(uprights, met.retreat, strict=True)):
        opened = _state(met.opened, e, upright)
        near = _drawn_back(opened, back * rng.uniform(55, 80))
        comes, goes = (
            _strayed(rng, _drawn_back(opened, back * rng.uniform(130, 230))) for _ in range(2)
        )
        touching = [_state(pair, e, upright) for pair in closed]
        detour = [_detour(states[-1], comes)] if states else []
        states += [*detour, comes, near, opened, *touching, opened, near, goes]
    return _Keys(_timed(rng, states), *(np.stack(values) for values in zip(*states, strict=True)))


def _detour(goes: State, comes: State) -> State:
    """A state on the way round the first hand: between two others on either side of it."""
    middle = np.array([0.0, 60.0, 0.0])  # of the first hand's palm
    sides = _unit(goes[1] - middle) + _unit(comes[1] - middle) + (0.0, 0.4, 0.0)  # not the arm's
    place = middle + _DETOUR_MM * _unit(sides)
    half = np.array([0.5])
    turns = [_between(np.stack(pair), np.array([0]), half)[0] for pair in
             zip(goes[2:], comes[2:], strict=True)]  # fmt: skip
    return 0.5 * (goes[0] + comes[0]), place, turns[0], turns[1]


def _timed(rng: np.random.Generator, states: list[State]) -> np.ndarray:
    """(K, 2) when each state is reached and left: in no haste, and now and then with a rest."""
    places, turns, uprights = (np.stack(values) for values in list(zip(*states, strict=True))[1:])
    way = np.linalg.norm(np.diff(places, axis=0), axis=1) / _PACE_MM_S
    for each in (turns, uprights):
        angle = vector_from_rotation(each[:-1].transpose(0, 2, 1) @ each[1:])
        way = np.maximum(way, np.linalg.norm(angle, axis=1) / _PACE_RAD_S)
    way = np.maximum(way, rng.uniform(0.3, 0.6, len(way)))
    rest = np.maximum(rng.uniform(-0.4, 0.4, len(states)), 0.0)
    reached = np.concatenate([[0.0], np.cumsum(way + rest[:-1])])
    return np.stack([reached, reached + rest], axis=1)


def _rubs(rng: np.random.Generator, met: _Met, count: int = 3) -> list[Pair]:
    """The closed pairs, and how they look after the second hand has slid and fingers moved."""
    states = [met.closed]
    for _ in range(count):
        last = states[-1]
        first, second = resolve(*resolve(*_slid(rng, *last, met.normal), met.touch), steps=8)
        good = _free(first, second) & (gap_mm(first, second) <= MAX_GAP_MM)
        states.append((_where(good, first, last[0]), _where(good, second, last[1])))
    return states


def _slid(
    rng: np.random.Generator, first: HandParameters, second: HandParameters, normal: np.ndarray
) -> Pair:
    """The second hand slid over the first, the fingers of both moved a little."""
    n = len(first)
    slide = rng.normal(0, 9.0, (n, 3))
    slide -= (slide * normal).sum(-1, keepdims=True) * normal
    twist = rotation_from_vector(normal * rng.normal(0, 0.12, (n, 1)))
    palm = second.root_mm + _palm_offset(second.R_camera_from_hand)
    turn = twist @ second.R_camera_from_hand
    root = palm + slide - _palm_offset(turn)
    second = replace(second, R_camera_from_hand=turn, root_mm=root)
    return _fidgeted(rng, first), _fidgeted(rng, second)


def _fidgeted(rng: np.random.Generator, hand: HandParameters) -> HandParameters:
    """Every angle that is used changed a little."""
    change = rng.normal(0, 3.0, hand.pose_deg.shape) * (np.abs(hand.pose_deg) > 0)
    return replace(hand, pose_deg=constrain(hand.pose_deg + change))


#: Poses (2, 17, 3) of both hands; place (3,) and turn (3, 3) of the second hand's palm in the frame
#: of the first; turn (3, 3) of that frame to the world.
State = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _state(pair: Pair, row: int, upright: np.ndarray) -> State:
    first, second = pair
    turn = second.R_camera_from_hand[row].astype(np.float64)
    palm = second.root_mm[row] + _palm_offset(turn[None])[0]
    return np.stack([first.pose_deg[row], second.pose_deg[row]]), palm, turn, upright


def _drawn_back(state: State, offset_mm: np.ndarray) -> State:
    return state[0], state[1] + offset_mm, *state[2:]


def _strayed(rng: np.random.Generator, state: State) -> State:
    """Elsewhere, turned a little, and in other poses: where hands are between two meetings."""
    poses = sample_poses(rng, 2)
    poses[:, FOREARM_ROW] = state[0][:, FOREARM_ROW]
    turn = rotation_from_vector(rng.normal(0, 0.25, (1, 3)))[0] @ state[2]
    return poses, state[1] + rng.normal(0, 20.0, 3), turn, state[3]


def _freed(time_s: np.ndarray, first: HandParameters, second: HandParameters) -> Pair:
    """The movement with both hands out of each other at all times."""
    way = first, second
    for sigma_s in _SMOOTH_S:
        own = np.maximum(_own_penetration_mm(first), _own_penetration_mm(second))
        near = np.flatnonzero((gap_mm(first, second) < 0.0) | (own > MAX_PENETRATION_MM - 1.0))
        if not len(near):
            return first, second
        moved = resolve(first[near], second[near], steps=8, give_mm=0.8)
        first, second = first.with_rows(near, moved[0]), second.with_rows(near, moved[1])
        if sigma_s:
            first, second = _smoothed(time_s, way, (first, second), sigma_s)
    return first, _apart_in_time(time_s, first, second)


def _smoothed(
    time_s: np.ndarray, way: Pair,
    moved: Pair, sigma_s: float,
) -> Pair:  # fmt: skip
    """What was changed on the way, smoothed in time and added to the way again."""
    weight = np.exp(-0.5 * ((time_s[:, None] - time_s) / sigma_s) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    first, second = (
        replace(new, pose_deg=old.pose_deg + np.tensordot(weight, new.pose_deg - old.pose_deg, 1))
        for old, new in zip(way, moved, strict=True)
    )
    old_turn = way[1].R_camera_from_hand
    turned_by = vector_from_rotation(moved[1].R_camera_from_hand @ old_turn.transpose(0, 2, 1))
    turn = rotation_from_vector(weight @ turned_by) @ old_turn
    palms = [h.root_mm + _palm_offset(h.R_camera_from_hand) for h in (way[1], moved[1])]
    palm = palms[0] + weight @ (palms[1] - palms[0])
    return first, replace(second, R_camera_from_hand=turn, root_mm=palm - _palm_offset(turn))


def _apart_in_time(
    time_s: np.ndarray, first: HandParameters, second: HandParameters
) -> HandParameters:
    """The second hand, kept away smoothly wherever it is still too deep in the first."""
    free = _moved_apart(first, second)
    push = free.root_mm - second.root_mm
    if not push.any():
        return second
    # The widest push within reach, smoothed over less than that: nowhere less than needed.
    gaps = np.abs(time_s[:, None] - time_s)
    size = np.linalg.norm(push, axis=1)
    widest = np.where(gaps < 0.3, size, 0.0).max(axis=1)
    weight = np.maximum(1 - gaps / 0.3, 0)
    reach = (weight / weight.sum(axis=1, keepdims=True)) @ widest
    palms = [hand.root_mm + 50 * hand.R_camera_from_hand[:, :, 1] for hand in (first, second)]
    away = _unit(palms[1] - palms[0])
    return _moved_apart(first, replace(second, root_mm=second.root_mm + reach[:, None] * away))


def _in_the_world(
    rng: np.random.Generator, time_s: np.ndarray, keys: _Keys,
    first: HandParameters, second: HandParameters,
) -> Pair:  # fmt: skip
    """Both hands upright around the origin, swaying slowly."""
    rates = rng.uniform(0.05, 0.3, (2, 3)) * 2 * np.pi
    phase = rng.uniform(0, 2 * np.pi, (2, 3))
    waves = np.sin(time_s[:, None, None] * rates + phase)  # (T, 2, 3)
    turn = rotation_from_vector(waves[:, 0] * rng.uniform(0.05, 0.35, 3)) @ keys.upright_at(time_s)
    palms = [hand.root_mm + _palm_offset(hand.R_camera_from_hand) for hand in (first, second)]
    middle = 0.5 * (palms[0] + palms[1])
    shift = waves[:, 1] * rng.uniform(10, 50, 3) - (turn @ middle[..., None])[..., 0]
    return turned(first, turn, shift), turned(second, turn, shift)
