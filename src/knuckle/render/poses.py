"""Poses that hands take: families of postures within the ranges and couplings of anatomy.

``sample_poses`` draws single poses, ``sample_motion`` smooth movements between them. Angles are
those of ``hand_model``: rows of ``pose_deg (17, 3)``, columns flexion, spread, twist, degrees;
the thumb's zero is its relaxed place beside the palm.

Sources of the ranges and couplings:

* Ranges of active motion: American Academy of Orthopaedic Surgeons, *Joint Motion: Method of
  Measuring and Recording* (1965), and Hume et al., "Functional range of motion of the joints of
  the hand", J. Hand Surg. 15A (1990).
* DIP about 2/3 of PIP; spread shrinks to nothing as the MCP reaches 90 degrees; the middle
  finger hardly spreads: Lin, Wu and Huang, "Modeling the constraints of human hand motion",
  HUMO (2000).
* Neighbouring fingers move together, ring and little finger most; the palm cups when they flex
  and in opposition: Cobos et al., "Efficient human hand kinematics for manipulation tasks",
  IROS (2008); Zatsiorsky, Li and Latash, "Enslaving effects in multi-finger force production",
  Exp. Brain Res. 131 (2000).
* Thumb: pronation comes with flexion and palmar abduction, Cooney et al., "The kinesiology of the
  thumb trapeziometacarpal joint", J. Bone Joint Surg. 63A (1981).
* Grasps: Feix et al., "The GRASP taxonomy of human grasp types", IEEE THMS 46 (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Float32

from knuckle.hand import FINGERS
from knuckle.render.hand_model import (
    FINGER_ROWS,
    FLEXION,
    FOREARM_ROW,
    N_POSE_ROWS,
    PALM_ARCH_ROW,
    SPREAD,
    TWIST,
    HandModel,
    rotation_from_angles,
)
from knuckle.render.rotations import rotation_from_vector

THUMB, INDEX, MIDDLE, RING, LITTLE = range(5)
FOUR = np.array([INDEX, MIDDLE, RING, LITTLE])
CMC, THUMB_MCP, THUMB_IP = FINGER_ROWS[THUMB]
MCP, PIP, DIP = FINGER_ROWS[1:].T  # (4,) each, index to little

#: Deepest overlap of two fingers, or of a finger and the palm, that a sampled pose may have. Flesh
#: gives way by a few millimetres where it is pressed.
MAX_PENETRATION_MM = 4.0

_ROUNDS = 16  # of drawing again what interpenetrates, before the least bad draw is taken


def _ranges() -> np.ndarray:
    """(17, 3, 2) lowest and highest angle."""
    ranges = np.zeros((N_POSE_ROWS, 3, 2))
    ranges[PALM_ARCH_ROW, FLEXION] = 0, 25
    ranges[CMC] = [(-25, 60), (-30, 42), (-60, 15)]
    ranges[THUMB_MCP] = [(-10, 60), (-8, 8), (-8, 8)]
    ranges[THUMB_IP, FLEXION] = -25, 85
    ranges[MCP, FLEXION] = -30, 95
    ranges[MCP, SPREAD] = [(-18, 25), (-12, 12), (-20, 12), (-35, 12)]
    ranges[MCP, TWIST] = -6, 6
    ranges[PIP, FLEXION] = -8, 112
    ranges[DIP, FLEXION] = -15, 85
    ranges[FOREARM_ROW] = [(-70, 75), (-35, 25), (-15, 15)]
    return ranges


#: (17, 3, 2) lowest and highest angle of every row and column, degrees.
RANGES_DEG = _ranges()


# --- the thumb's places --------------------------------------------------------------------------

#: CMC flexion, spread, twist, MCP flexion, IP flexion.
_THUMB: Mapping[str, tuple[float, float, float, float, float]] = {
    "relaxed": (8, 5, -4, 12, 15),
    "out": (-12, -12, 2, 0, -5),
    "up": (-5, -18, 3, 0, -12),
    "beside": (28, -22, 0, 5, 8),
    "across": (36, 16, -20, 45, 45),
    "in palm": (48, -8, -8, 42, 50),
    "tucked": (44, -12, -5, 35, 30),
    "opposed": (18, 25, -22, 20, 20),
}


def _thumb(
    pose: np.ndarray, rng: np.random.Generator, places: Mapping[str, float], scale: float = 1.0
) -> None:
    """Put each thumb into one of ``places`` (name -> weight), with variation. In place."""
    means = np.array([_THUMB[name] for name in places])
    weights = np.array(list(places.values()))
    chosen = rng.choice(len(means), len(pose), p=weights / weights.sum())
    sigma = np.array([6.0, 6.0, 5.0, 9.0, 11.0]) * scale
    angles = means[chosen] + rng.standard_normal((len(pose), 5)) * sigma
    pose[:, CMC] = angles[:, :3]
    pose[:, THUMB_MCP, FLEXION] = angles[:, 3]
    pose[:, THUMB_IP, FLEXION] = angles[:, 4]


# --- the families --------------------------------------------------------------------------------


def _blank(n: int) -> np.ndarray:
    return np.zeros((n, N_POSE_ROWS, 3))


def _bend(
    pose: np.ndarray,
    rng: np.random.Generator,
    mcp: np.ndarray,
    pip: np.ndarray,
    dip: np.ndarray | None = None,
) -> None:
    """Set the flexions of the four fingers, (N, 4) or broadcast. DIP follows PIP unless given."""
    n = len(pose)
    pose[:, MCP, FLEXION] = np.broadcast_to(mcp, (n, 4))
    pose[:, PIP, FLEXION] = np.broadcast_to(pip, (n, 4))
    if dip is None:
        share = rng.normal(2 / 3, 0.1, (n, 4))
        dip = share * pose[:, PIP, FLEXION]
    pose[:, DIP, FLEXION] = np.broadcast_to(dip, (n, 4))


_FAN = np.array([1.0, 0.05, -0.75, -1.5])  # how the fingers fan out, index to little


def _spread(pose: np.ndarray, degrees: np.ndarray | float) -> None:
    """Fan the fingers by ``degrees`` (N,), positive apart."""
    pose[:, MCP, SPREAD] += np.broadcast_to(degrees, len(pose))[:, None] * _FAN


def _together(rng: np.random.Generator, n: int, mean: float, hand_sd: float, finger_sd: float,
              slope: float = 0.0) -> np.ndarray:  # fmt: skip
    """(N, 4) angles of four fingers that share most of their variation; ``slope`` per finger."""
    shared = rng.normal(mean, hand_sd, (n, 1))
    steps = slope * (np.arange(4) - 1.5) * rng.uniform(0.4, 1.6, (n, 1))
    return shared + steps + rng.normal(0, finger_sd, (n, 4))


def relaxed(rng: np.random.Generator, n: int) -> np.ndarray:
    """At rest: bent a little, more towards the little finger."""
    pose = _blank(n)
    _bend(pose, rng, _together(rng, n, 30, 12, 4, slope=5), _together(rng, n, 33, 13, 6, slope=4))
    _spread(pose, rng.normal(4, 4, n))
    _thumb(pose, rng, {"relaxed": 5, "opposed": 2, "beside": 1}, scale=1.2)
    return pose


def flat(rng: np.random.Generator, n: int) -> np.ndarray:
    """An open hand, fingers side by side."""
    pose = _blank(n)
    _bend(pose, rng, _together(rng, n, 2, 8, 3), np.abs(_together(rng, n, 4, 4, 3)))
    _spread(pose, rng.normal(1, 2, n))
    _thumb(pose, rng, {"relaxed": 2, "out": 2, "beside": 3, "in palm": 1})
    return pose


def splayed(rng: np.random.Generator, n: int) -> np.ndarray:
    """An open hand, fingers apart, perhaps stretched backwards."""
    pose = _blank(n)
    _bend(pose, rng, _together(rng, n, -3, 10, 4), np.abs(_together(rng, n, 5, 7, 4)))
    _spread(pose, rng.uniform(7, 19, n))
    _thumb(pose, rng, {"relaxed": 1, "out": 3, "opposed": 1})
    return pose


def _folded(pose: np.ndarray, rng: np.random.Generator) -> None:
    """All four fingers folded into the palm. In place."""
    n = len(pose)
    _bend(pose, rng, _together(rng, n, 83, 8, 4), _together(rng, n, 102, 6, 3),
          _together(rng, n, 61, 9, 5))  # fmt: skip


def fist(rng: np.random.Generator, n: int) -> np.ndarray:
    """A fist, tight or loose, the thumb over the fingers, beside them, inside or up."""
    pose = _blank(n)
    _folded(pose, rng)
    loose = rng.uniform(0.7, 1.0, (n, 1))
    for rows in (MCP, PIP, DIP):
        pose[:, rows, FLEXION] *= loose
    _thumb(pose, rng, {"across": 5, "beside": 3, "up": 2, "in palm": 1, "tucked": 1})
    return pose


def counting(rng: np.random.Generator, n: int) -> np.ndarray:
    """Any of the 32 sets of stretched fingers; the signs that people use most come most often."""
    stretched = _number_signs(rng, n)  # (N, 5)
    pose = _blank(n)
    _folded(pose, rng)
    up = stretched[:, 1:]
    for rows, mean, sd in ((MCP, 2, 8), (PIP, 6, 6), (DIP, 4, 4)):
        straight = np.abs(rng.normal(mean, sd, (n, 4)))
        pose[:, rows, FLEXION] = np.where(up, straight, pose[:, rows, FLEXION])
    # A stretched ring finger between folded neighbours lags behind.
    lag = up[:, 2] & ~up[:, 1] & ~up[:, 3]
    pose[lag, MCP[2], FLEXION] += rng.uniform(5, 25, lag.sum())
    _spread(pose, rng.uniform(-1, 14, n))
    pose[:, MCP, SPREAD] *= up
    folded_thumb, free_thumb = _blank(n), _blank(n)
    _thumb(folded_thumb, rng, {"across": 4, "in palm": 2, "beside": 1})
    _thumb(free_thumb, rng, {"out": 4, "up": 2, "relaxed": 1})
    thumb_up = stretched[:, :1, None]
    rows = FINGER_ROWS[THUMB]
    pose[:, rows] = np.where(thumb_up, free_thumb[:, rows], folded_thumb[:, rows])
    return pose


def _number_signs(rng: np.random.Generator, n: int) -> np.ndarray:
    """(N, 5) bool, which fingers are stretched."""
    common = np.array([
        [0, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1],
        [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 0, 0, 0, 1], [0, 1, 0, 0, 1],
        [1, 1, 0, 0, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0],
    ], dtype=bool)  # fmt: skip
    everything = (np.arange(32)[:, None] >> np.arange(5)) & 1 == 1
    usual = common[rng.integers(len(common), size=n)]
    any_set = everything[rng.integers(32, size=n)]
    return np.where(rng.random((n, 1)) < 0.65, usual, any_set)


def pointing(rng: np.random.Generator, n: int) -> np.ndarray:
    """The index finger points, the others are folded, tightly or hardly."""
    pose = fist(rng, n)
    half = rng.uniform(0.35, 1.0, (n, 1))
    for rows in (MCP, PIP, DIP):
        pose[:, rows, FLEXION] *= half
    pose[:, MCP[0], FLEXION] = rng.normal(8, 14, n)
    pose[:, PIP[0], FLEXION] = np.abs(rng.normal(8, 10, n))
    pose[:, DIP[0], FLEXION] = 0.5 * pose[:, PIP[0], FLEXION] + rng.normal(0, 3, n)
    pose[:, MCP[0], SPREAD] = rng.normal(0, 5, n)
    _thumb(pose, rng, {"relaxed": 2, "across": 3, "beside": 3, "out": 2, "opposed": 1})
    return pose


def pinching(rng: np.random.Generator, n: int) -> np.ndarray:
    """The thumb's tip meets a fingertip, pad to pad or tip to tip."""
    finger = rng.choice(FOUR, n, p=[0.5, 0.22, 0.15, 0.13])
    pose = _pinch(rng, finger)
    for _ in range(8):  # draw again where they did not meet: the little finger is hard to reach
        missed = np.flatnonzero(np.abs(tip_gap_mm(pose, finger) + _TIP_PRESS_MM) > 1.5)
        pose[missed] = _pinch(rng, finger[missed])
    return pose


def _pinch(rng: np.random.Generator, finger: np.ndarray) -> np.ndarray:
    n, steps = len(finger), finger - INDEX
    each = np.arange(n)
    pose = _blank(n)
    # The others: stretched (the OK sign) or bent along with the pinching one.
    open_ = rng.random((n, 1)) < 0.5
    others_mcp = np.where(open_, _together(rng, n, 8, 10, 4), _together(rng, n, 45, 14, 6))
    others_pip = np.where(open_, np.abs(_together(rng, n, 12, 9, 5)), _together(rng, n, 50, 16, 8))
    _bend(pose, rng, others_mcp, others_pip)
    _spread(pose, rng.uniform(0, 9, n))
    mcp, pip, dip = FINGER_ROWS[finger].T
    pose[each, mcp, FLEXION] = rng.normal(47, 9, n) + 7 * steps
    pose[each, pip, FLEXION] = rng.normal(48, 13, n)
    pose[each, dip, FLEXION] = rng.normal(24, 13, n)
    pose[each, mcp, SPREAD] *= 0.3
    _thumb(pose, rng, {"opposed": 1})
    # The further the finger, the further the thumb comes across, and the palm with it.
    pose[:, CMC, FLEXION] += 8 * steps
    pose[:, CMC, TWIST] -= 4 * steps
    _cup_palm(pose, rng)
    pose[:, PALM_ARCH_ROW, FLEXION] += 3 * steps
    return meet_thumb(constrain(pose), finger, rng.normal(30, 18, (n, 2)))


def cylinder_grasp(rng: np.random.Generator, n: int) -> np.ndarray:
    """Around a stick, a handle, a glass: fingers parallel, thumb opposed or along the object."""
    pose = _blank(n)
    close = rng.uniform(0.35, 1.0, (n, 1))
    _bend(pose, rng, close * _together(rng, n, 62, 7, 3), close * _together(rng, n, 80, 8, 4),
          close * _together(rng, n, 42, 8, 4))  # fmt: skip
    _spread(pose, rng.normal(2, 2, n))
    _thumb(pose, rng, {"opposed": 4, "across": 2, "beside": 1})
    return pose


def sphere_grasp(rng: np.random.Generator, n: int) -> np.ndarray:
    """Around a ball: fingers spread, all joints bent alike, thumb opposed."""
    pose = _blank(n)
    close = rng.uniform(0.5, 1.3, (n, 1))
    _bend(pose, rng, close * _together(rng, n, 30, 6, 4), close * _together(rng, n, 40, 7, 4),
          close * _together(rng, n, 28, 6, 4))  # fmt: skip
    _spread(pose, rng.uniform(4, 16, n))
    _thumb(pose, rng, {"opposed": 1})
    return pose


def hook_grasp(rng: np.random.Generator, n: int) -> np.ndarray:
    """Carrying a bag: knuckles straight, the other joints bent."""
    pose = _blank(n)
    _bend(pose, rng, _together(rng, n, 8, 12, 3), _together(rng, n, 85, 13, 4),
          _together(rng, n, 52, 12, 4))  # fmt: skip
    _thumb(pose, rng, {"relaxed": 2, "beside": 2, "out": 1})
    return pose


def tripod_grasp(rng: np.random.Generator, n: int) -> np.ndarray:
    """Holding a pen: index finger and thumb meet, the middle finger beside them."""
    pose = _blank(n)
    _bend(pose, rng, _together(rng, n, 50, 8, 3, slope=4), _together(rng, n, 50, 9, 4, slope=8))
    pose[:, DIP[:2], FLEXION] *= 0.6
    _thumb(pose, rng, {"opposed": 1})
    pose[:, CMC, FLEXION] += 6
    _cup_palm(pose, rng)
    return meet_thumb(pose, np.full(n, INDEX), rng.normal(25, 15, (n, 2)))


_OPEN, _BENT, _CLAW = (0.0, 5.0, 3.0), (75.0, 5.0, 3.0), (5.0, 85.0, 50.0)
_SHUT, _ROUND = (80.0, 97.0, 55.0), (38.0, 45.0, 30.0)

#: Static letters and like signs: index to little (flexions of MCP, PIP, DIP), fan, thumb's place.
_LETTERS: Mapping[str, tuple[tuple[tuple[float, float, float], ...], float, str]] = {
    "a": ((_SHUT,) * 4, 0, "beside"),
    "b": ((_OPEN,) * 4, 0, "in palm"),
    "c": ((_ROUND,) * 4, 1, "opposed"),
    "e": (((35, 95, 60),) * 4, 0, "in palm"),
    "g": ((_BENT, _SHUT, _SHUT, _SHUT), 0, "beside"),
    "h": ((_BENT, _BENT, _SHUT, _SHUT), 0, "across"),
    "i": ((_SHUT, _SHUT, _SHUT, _OPEN), 0, "across"),
    "k": ((_OPEN, (35, 5, 3), _SHUT, _SHUT), 6, "opposed"),
    "l": ((_OPEN, _SHUT, _SHUT, _SHUT), 0, "out"),
    "m": (((75, 60, 30), (75, 60, 30), (75, 60, 30), _SHUT), 0, "tucked"),
    "q": (((60, 25, 15), _SHUT, _SHUT, _SHUT), 0, "opposed"),
    "s": ((_SHUT,) * 4, 0, "across"),
    "u": ((_OPEN, _OPEN, _SHUT, _SHUT), 0, "across"),
    "v": ((_OPEN, _OPEN, _SHUT, _SHUT), 14, "across"),
    "w": ((_OPEN, _OPEN, _OPEN, _SHUT), 11, "across"),
    "x": ((_CLAW, _SHUT, _SHUT, _SHUT), 0, "across"),
    "y": ((_SHUT, _SHUT, _SHUT, _OPEN), 12, "out"),
    "claw": ((_CLAW,) * 4, 10, "out"),
    "horns": ((_OPEN, _SHUT, _SHUT, _OPEN), 4, "across"),
    "tabletop": ((_BENT,) * 4, 0, "beside"),
}


def letters(rng: np.random.Generator, n: int) -> np.ndarray:
    """Shapes of finger alphabets, with variation."""
    pose = _blank(n)
    names = rng.integers(len(_LETTERS), size=n)
    for number, (fingers, fan, place) in enumerate(_LETTERS.values()):
        mine = names == number
        count = int(mine.sum())
        part = _blank(count)
        mcp, pip, dip = np.array(fingers).T
        _bend(part, rng, mcp + _together(rng, count, 0, 5, 3), pip + _together(rng, count, 0, 4, 3),
              dip + _together(rng, count, 0, 4, 3))  # fmt: skip
        _spread(part, fan + rng.normal(1, 2, count))
        _thumb(part, rng, {place: 1}, scale=0.8)
        pose[mine] = part
    return pose


def wild(rng: np.random.Generator, n: int) -> np.ndarray:
    """Uniform over the ranges, fingers independent; only the DIP follows its PIP, loosely."""
    low, high = RANGES_DEG[..., 0], RANGES_DEG[..., 1]
    pose = rng.uniform(low, high, (n, N_POSE_ROWS, 3))
    pose[:, DIP, FLEXION] = rng.uniform(0.2, 1.0, (n, 4)) * np.maximum(pose[:, PIP, FLEXION], 0)
    return pose


#: Every family, by name. A new one is one function and one line here.
FAMILIES: Mapping[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "relaxed": relaxed,
    "flat": flat,
    "splayed": splayed,
    "fist": fist,
    "counting": counting,
    "pointing": pointing,
    "pinching": pinching,
    "cylinder": cylinder_grasp,
    "sphere": sphere_grasp,
    "hook": hook_grasp,
    "tripod": tripod_grasp,
    "letters": letters,
    "wild": wild,
}

#: Share of each family; "blend" mixes two of the others.
DEFAULT_MIX: Mapping[str, float] = {
    "relaxed": 0.14,
    "flat": 0.07,
    "splayed": 0.07,
    "fist": 0.06,
    "counting": 0.12,
    "pointing": 0.07,
    "pinching": 0.10,
    "cylinder": 0.05,
    "sphere": 0.04,
    "hook": 0.02,
    "tripod": 0.04,
    "letters": 0.07,
    "wild": 0.05,
    "blend": 0.10,
}


# --- sampling ------------------------------------------------------------------------------------


def sample_poses(
    rng: np.random.Generator, n: int, mix: Mapping[str, float] | None = None
) -> Float32[np.ndarray, "hand 17 3"]:
    """Poses of N hands in degrees, from all families, without fingers inside each other.

    Args:
        rng: the same generator state gives the same poses.
        n: how many.
        mix: share of each family (names of ``FAMILIES`` and "blend"); ``DEFAULT_MIX`` if None.

    Returns:
        (N, 17, 3) degrees, within ``RANGES_DEG``, in random order of families. What still overlaps
        by more than ``MAX_PENETRATION_MM`` after a number of draws is the least bad of them.

    Raises:
        ValueError: a name in ``mix`` is unknown, or no share is positive.
    """
    names, shares = _check_mix(DEFAULT_MIX if mix is None else mix)
    family = rng.choice(len(names), n, p=shares)
    best = np.zeros((n, N_POSE_ROWS, 3), dtype=np.float32)
    depth_mm = np.full(n, np.inf)
    for attempt in range(_ROUNDS):
        pending = np.flatnonzero(depth_mm > MAX_PENETRATION_MM)
        if not len(pending):
            break
        drawn = np.empty((len(pending), N_POSE_ROWS, 3))
        for number, name in enumerate(names):
            mine = family[pending] == number
            if attempt % 2 and name not in _EXACT:
                drawn[mine] = _ease(rng, best[pending[mine]])
            else:
                drawn[mine] = _draw(rng, name, int(mine.sum()))
        drawn_depth = finger_penetration_mm(_mean_hand_joints(drawn))
        better = drawn_depth < depth_mm[pending]
        best[pending[better]] = drawn[better]
        depth_mm[pending[better]] = drawn_depth[better]
    return best


def _check_mix(mix: Mapping[str, float]) -> tuple[list[str], np.ndarray]:
    unknown = sorted(set(mix) - set(FAMILIES) - {"blend"})
    if unknown:
        raise ValueError(f"expected families among {[*FAMILIES, 'blend']}, got {unknown}")
    shares = np.array(list(mix.values()), dtype=float)
    if (shares < 0).any() or shares.sum() <= 0:
        raise ValueError(f"expected shares >= 0 with a positive sum, got {dict(mix)}")
    return list(mix), shares / shares.sum()


# Families whose poses mean an exact contact, which must not be loosened.
_EXACT = ("pinching", "tripod")


def _ease(rng: np.random.Generator, pose_deg: np.ndarray) -> np.ndarray:
    """Loosen poses a little at random, above all the thumb: it comes to lie on the fingers."""
    n = len(pose_deg)
    pose = pose_deg.astype(float)
    pose[:, CMC, SPREAD] += rng.uniform(-4, 16, n)
    pose[:, CMC, FLEXION] -= rng.uniform(-4, 10, n)
    pose[:, THUMB_MCP, FLEXION] -= rng.uniform(-6, 10, n)
    pose[:, THUMB_IP, FLEXION] -= rng.uniform(-10, 14, n)
    for rows in (MCP, PIP, DIP):
        pose[:, rows, FLEXION] *= rng.uniform(0.92, 1.02, (n, 1))
    pose[:, MCP, SPREAD] += rng.normal(0, 2, (n, 4))
    return constrain(pose)


def _draw(rng: np.random.Generator, name: str, n: int) -> np.ndarray:
    """N poses of one family with wrist and palm, within range."""
    if name == "blend":
        pose = _blend(rng, n)
    else:
        pose = FAMILIES[name](rng, n)
        if name != "wild":
            _pose_wrist(pose, rng)
    if name not in _EXACT:
        _cup_palm(pose, rng)
    return constrain(pose)


def _blend(rng: np.random.Generator, n: int) -> np.ndarray:
    """Half-way poses between two families each: what hands pass through."""
    names = list(FAMILIES)
    ends = []
    for _ in range(2):
        chosen = rng.integers(len(names), size=n)
        end = _blank(n)
        for number, name in enumerate(names):
            mine = chosen == number
            end[mine] = FAMILIES[name](rng, int(mine.sum()))
        ends.append(end)
    share = rng.uniform(0.15, 0.85, (n, 1, 1))
    pose = share * ends[0] + (1 - share) * ends[1]
    _pose_wrist(pose, rng)
    return pose


def _pose_wrist(pose: np.ndarray, rng: np.random.Generator) -> None:
    """Wrist angles; wrists stretch when fingers close (tenodesis). In place."""
    n = len(pose)
    closing = pose[:, PIP, FLEXION].mean(1)
    pose[:, FOREARM_ROW, FLEXION] = rng.normal(5, 22, n) - 0.25 * closing
    pose[:, FOREARM_ROW, SPREAD] = rng.normal(-4, 10, n)
    pose[:, FOREARM_ROW, TWIST] = rng.normal(0, 5, n)


def _cup_palm(pose: np.ndarray, rng: np.random.Generator) -> None:
    """The palm's arch follows the little finger's flexion and the thumb's opposition. In place."""
    little = np.maximum(pose[:, MCP[3], FLEXION], 0)
    opposed = np.maximum(pose[:, CMC, SPREAD], 0)
    pose[:, PALM_ARCH_ROW] = 0.0
    pose[:, PALM_ARCH_ROW, FLEXION] = 0.1 * little + 0.15 * opposed + rng.normal(0, 2, len(pose))


def constrain(pose_deg: np.ndarray) -> np.ndarray:
    """Poses within ``RANGES_DEG``, with the couplings that hold in every posture."""
    pose = pose_deg.copy()
    # Collateral ligaments tighten: no spread is left at 90 degrees of flexion.
    flexion = np.clip(pose[:, MCP, FLEXION], 0, 90)
    slack = 1.0 - 0.85 * (flexion / 90.0)
    limits = RANGES_DEG[MCP, SPREAD]
    pose[:, MCP, SPREAD] = np.clip(pose[:, MCP, SPREAD], slack * limits[:, 0], slack * limits[:, 1])
    # A bent PIP bends its DIP at least a little, unless something presses on the fingertip.
    pose[:, DIP, FLEXION] = np.maximum(pose[:, DIP, FLEXION], 0.25 * pose[:, PIP, FLEXION] - 15.0)
    return np.clip(pose, RANGES_DEG[..., 0], RANGES_DEG[..., 1])


# --- fingertip meets thumb -----------------------------------------------------------------------

# Which angles of the thumb and of a finger may move to bring their tips together: bone of the
# chain, column, and how willingly (standard deviation, degrees).
_THUMB_MOVES = ((0, FLEXION, 15.0), (0, SPREAD, 12.0), (0, TWIST, 10.0), (1, FLEXION, 14.0),
                (2, FLEXION, 14.0))  # fmt: skip
_FINGER_MOVES = ((0, FLEXION, 12.0), (0, SPREAD, 5.0), (1, FLEXION, 14.0), (2, FLEXION, 10.0))
# A fingertip is a ball around a point this far before the tip joint, with this radius (mm).
_TIP_SETBACK_MM = 2.0
_TIP_RADIUS_MM = np.array([6.4, 5.6, 5.6, 5.5, 4.7])
_TIP_PRESS_MM = 1.0  # by how much two tips flatten each other
_CARRIER = np.array([0, 0, 0, 17, 18])  # bone that carries each finger's base


def meet_thumb(
    pose_deg: np.ndarray, finger: np.ndarray, contact_deg: np.ndarray, steps: int = 5
) -> np.ndarray:
    """Move thumb and one finger of each pose so that their tips touch.

    Damped Gauss-Newton: the balls of the two tips must touch, the normals at the places where they
    are meant to touch should face each other, and the pose should stay near the given one.

    Args:
        pose_deg: (N, 17, 3).
        finger: (N,) int, ``INDEX`` .. ``LITTLE``.
        contact_deg: (N, 2) where thumb and finger touch: 0 the middle of the pad, 90 the very tip.
        steps: iterations.

    Returns:
        (N, 17, 3) degrees within range.
    """
    moved = pose_deg.copy()
    thumb = np.full_like(finger, THUMB)
    sides = ((thumb, _THUMB_MOVES, contact_deg[:, 0]), (finger, _FINGER_MOVES, contact_deg[:, 1]))
    starts = [_moving_angles(pose_deg, which, moves)[0] for which, moves, _ in sides]
    sigma = np.array([sd for _, moves, _ in sides for *_, sd in moves])
    distance = (_TIP_RADIUS_MM[THUMB] + _TIP_RADIUS_MM[finger] - _TIP_PRESS_MM)[:, None]
    each = np.arange(len(moved))[:, None]
    for _ in range(steps):
        tips, slopes = zip(*(_tip_jacobian(moved, *side) for side in sides), strict=True)
        centre_gap = tips[0][:, :3] - tips[1][:, :3]
        meant = tips[0][:, 3:] - tips[1][:, 3:]  # direction from thumb to finger, were they facing
        meant /= np.linalg.norm(meant, axis=1, keepdims=True)
        residual = np.concatenate(
            [centre_gap + distance * meant, tips[0][:, 3:] + tips[1][:, 3:]], axis=1
        )
        finger_sign = np.repeat([-1.0, 1.0], 3)[:, None]
        jacobian = np.concatenate([slopes[0], slopes[1] * finger_sign], axis=2)  # (N, 6, 9)
        residual, jacobian = residual / _TOLERANCE, jacobian / _TOLERANCE[:, None]
        pull = np.concatenate([
            _moving_angles(moved, which, moves)[0] - start
            for (which, moves, _), start in zip(sides, starts, strict=True)], axis=1)  # fmt: skip
        transposed = jacobian.transpose(0, 2, 1)
        normal = transposed @ jacobian + np.diag(1.0 / sigma**2)
        gradient = (transposed @ residual[..., None])[..., 0] + pull / sigma**2
        step = np.clip(-np.linalg.solve(normal, gradient[..., None])[..., 0], -25.0, 25.0)
        parts = np.split(step, [len(_THUMB_MOVES)], axis=1)
        for (which, moves, _), part in zip(sides, parts, strict=True):
            angles, rows, columns = _moving_angles(moved, which, moves)
            moved[each, rows, columns] = angles + part
        moved = constrain(moved)
    return moved


# One unit of residual: 0.4 mm between the tips, 0.35 between their normals.
_TOLERANCE = np.repeat([0.4, 0.35], 3)


def _moving_angles(
    pose_deg: np.ndarray, finger: np.ndarray, moves: tuple[tuple[int, int, float], ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles (N, K) of ``moves`` on each pose's finger, with their rows (N, K) and columns (K,)."""
    rows = FINGER_ROWS[finger][:, [bone for bone, _, _ in moves]]
    columns = np.array([column for _, column, _ in moves])
    return pose_deg[np.arange(len(pose_deg))[:, None], rows, columns], rows, columns


def _tip_jacobian(
    pose_deg: np.ndarray,
    finger: np.ndarray,
    moves: tuple[tuple[int, int, float], ...],
    contact_deg: np.ndarray,
    probe_deg: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Centre and normal of the tip (N, 6), and their slopes (N, 6, K) per degree."""
    n, count = len(pose_deg), len(moves)
    rows = FINGER_ROWS[finger]
    each = np.arange(n)[:, None]
    chains = np.tile(pose_deg[each, rows], (count + 1, 1, 1, 1))  # (K + 1, N, 3 bones, 3)
    for k, (bone, column, _) in enumerate(moves):
        chains[k + 1, :, bone, column] += probe_deg
    base = np.tile(_carrier_turn(pose_deg, finger), (count + 1, 1, 1))
    tips = _tip_ball(chains.reshape(-1, 3, 3), base, np.tile(finger, count + 1),
                        np.tile(contact_deg, count + 1)).reshape(count + 1, n, 6)  # fmt: skip
    return tips[0], ((tips[1:] - tips[0]) / probe_deg).transpose(1, 2, 0)


def _carrier_turn(pose_deg: np.ndarray, finger: np.ndarray) -> np.ndarray:
    """(N, 3, 3) turn of the metacarpal that carries each finger."""
    model = HandModel.load()
    gain = model.bone_pose_gain[_CARRIER[finger]]
    return rotation_from_angles(pose_deg[:, PALM_ARCH_ROW] * gain[:, None])


def _tip_ball(
    chain_deg: np.ndarray, base: np.ndarray, finger: np.ndarray, contact_deg: np.ndarray
) -> np.ndarray:
    """(N, 6) centre of the tip's ball (mm, hand frame, mean hand) and normal where it touches.

    ``chain_deg`` (N, 3 bones, 3) are the finger's own angles, ``base`` (N, 3, 3) the turn of the
    metacarpal, which turns about the wrist.
    """
    model = HandModel.load()
    bones = FINGER_ROWS[finger]  # the bones of fingers have the numbers of their pose rows
    frame = model.R_hand_from_bone[bones[:, 0]]  # one frame for the whole straight finger
    turns = rotation_from_angles(chain_deg)
    pivots = model.joints_mm[FINGERS[finger]]  # (N, 4, 3)
    lengths = np.linalg.norm(np.diff(pivots, axis=1), axis=2)  # (N, 3)
    rotation = base @ frame
    point = (base @ pivots[:, 0, :, None])[..., 0]
    for k in range(3):
        rotation = rotation @ turns[:, k]
        along = lengths[:, k] - (_TIP_SETBACK_MM if k == 2 else 0.0)
        point = point + rotation[..., 1] * along[:, None]
    angle = np.deg2rad(contact_deg)[:, None]
    normal = np.cos(angle) * rotation[..., 2] + np.sin(angle) * rotation[..., 1]
    return np.concatenate([point, normal], axis=1)


def tip_gap_mm(pose_deg: Float[np.ndarray, "hand 17 3"], finger: np.ndarray) -> np.ndarray:
    """(N,) gap between the balls of the thumb's tip and of a finger's, negative if they overlap.

    On the mean hand, in mm; ``finger`` (N,) is ``INDEX`` .. ``LITTLE``.
    """
    joints = _mean_hand_joints(pose_deg)
    centres = []
    for which in (np.full_like(finger, THUMB), finger):
        before, tip = (joints[np.arange(len(joints)), FINGERS[which, k]] for k in (2, 3))
        back = before - tip
        back /= np.linalg.norm(back, axis=1, keepdims=True)
        centres.append(tip + _TIP_SETBACK_MM * back)
    distance = np.linalg.norm(centres[0] - centres[1], axis=1)
    return distance - _TIP_RADIUS_MM[THUMB] - _TIP_RADIUS_MM[finger]


# --- fingers inside fingers ----------------------------------------------------------------------

# Radii in mm of the flesh around the bones of the mean hand, base to tip.
_RADII_MM = np.array([[0.0, 9.4, 6.6], [8.8, 7.8, 5.7], [8.8, 7.7, 5.7], [8.3, 7.2, 5.6],
                      [7.1, 6.1, 4.8]])  # fmt: skip
_PALM_RADIUS_MM = 9.5


@cache
def finger_capsules() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Capsules (start joint, end joint, radius in mm) and the pairs (P, 2) that may collide.

    0..14: the three bones of each finger (thumb first); 15..18: the metacarpals of index to little.
    """
    starts = [1 + 4 * f + k for f in range(5) for k in range(3)] + [0, 0, 0, 0]
    ends = [2 + 4 * f + k for f in range(5) for k in range(3)] + [5, 9, 13, 17]
    radii = [*_RADII_MM.reshape(-1), *[_PALM_RADIUS_MM] * 4]
    pairs = [
        (3 * f + i, 3 * g + j)
        for f in range(5) for g in range(f + 1, 5) for i in range(3) for j in range(3)
        if not (f == 0 and i == 0)  # the thumb's metacarpal is part of the palm
    ]  # fmt: skip
    pairs += [(3 * f + i, 15 + m) for f in range(5) for i in (1, 2) for m in range(4)]
    return np.array(starts), np.array(ends), np.array(radii), np.array(pairs)


def finger_penetration_mm(joints_mm: Float[np.ndarray, "hand 21 3"]) -> np.ndarray:
    """How deep fingers reach into each other or into the palm, at worst, in mm.

    Bones are capsules with the flesh's radius, scaled with the hand; any frame, any side.

    Args:
        joints_mm: (N, 21, 3).

    Returns:
        (N,) overlap of the worst pair, 0 where nothing overlaps.
    """
    joints = np.asarray(joints_mm, dtype=np.float32)
    starts, ends, radii, pairs = finger_capsules()
    scale = np.linalg.norm(joints[:, 9] - joints[:, 0], axis=1) / mean_palm_length_mm()
    first, second = pairs.T
    a = starts[first], ends[first]
    b = starts[second], ends[second]
    distance = _segment_distance(joints[:, a[0]], joints[:, a[1]], joints[:, b[0]], joints[:, b[1]])
    room = (radii[first] + radii[second]).astype(np.float32) * scale[:, None]
    return np.maximum(room - distance, 0.0).max(axis=1)


def hands_penetration_mm(
    right_mm: Float[np.ndarray, "hand 21 3"], left_mm: Float[np.ndarray, "hand 21 3"]
) -> np.ndarray:
    """How deep two hands reach into each other, at worst, in mm; from their joints alone.

    Capsules as in ``finger_penetration_mm``; ``contact.penetration_mm`` is finer where pose and
    shape are known.

    Args:
        right_mm: (N, 21, 3).
        left_mm: (N, 21, 3) in the same frame.

    Returns:
        (N,) overlap of the worst pair of bones, 0 where none overlap.
    """
    starts, ends, radii, _ = finger_capsules()
    first, second = (a.ravel() for a in np.indices((len(starts), len(starts))))
    hands = np.stack([right_mm, left_mm]).astype(np.float32)
    scale = np.linalg.norm(hands[:, :, 9] - hands[:, :, 0], axis=-1) / mean_palm_length_mm()
    distance = _segment_distance(
        hands[0][:, starts[first]], hands[0][:, ends[first]],
        hands[1][:, starts[second]], hands[1][:, ends[second]],
    )  # fmt: skip
    room = radii[first] * scale[0][:, None] + radii[second] * scale[1][:, None]
    return np.maximum(room - distance, 0.0).max(axis=1)


def _segment_distance(p: np.ndarray, p_end: np.ndarray, q: np.ndarray, q_end: np.ndarray
                      ) -> np.ndarray:  # fmt: skip
    """(...) least distance of two segments."""
    gap = segment_gap(p, p_end, q, q_end)[0]
    return np.sqrt(_dot(gap, gap))


def segment_gap(p: np.ndarray, p_end: np.ndarray, q: np.ndarray, q_end: np.ndarray
                ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Between the nearest points of two segments (Ericson, Real-Time Collision Detection, 5.1.9).

    Returns:
        (..., 3) from the second segment's nearest point to the first one's, and the latter.
    """
    d, e, r = p_end - p, q_end - q, p - q
    dd, ee, de = _dot(d, d), _dot(e, e), _dot(d, e)
    dr, er = _dot(d, r), _dot(e, r)
    s = np.clip((de * er - dr * ee) / np.maximum(dd * ee - de * de, 1e-6), 0, 1)
    t = (de * s + er) / ee
    clamped = np.clip(t, 0, 1)
    s = np.where(t == clamped, s, np.clip((de * clamped - dr) / dd, 0, 1))
    along = s[..., None] * d
    return r + along - clamped[..., None] * e, p + along


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", a, b)


def mean_palm_length_mm() -> float:
    """From the wrist to the knuckle of the middle finger of the mean hand, mm."""
    return float(np.linalg.norm(HandModel.load().joints_mm[9]))


def _mean_hand_joints(pose_deg: np.ndarray) -> np.ndarray:
    """(N, 21, 3) joints of the mean hand, in the hand frame."""
    model = HandModel.load()
    rest = np.broadcast_to(model.joints_mm, (len(pose_deg), 21, 3))
    return model.joints_from_pose(pose_deg, rest)


# --- motion --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HandMotion:
    """A movement, frame by frame.

    Attributes:
        pose_deg: (F, 17, 3).
        R_start_from_hand: (F, 3, 3) how the hand has turned since the first frame.
        offset_mm: (F, 3) how far the wrist has moved since the first frame, in axes of the camera.
    """

    pose_deg: Float32[np.ndarray, "frame 17 3"]
    R_start_from_hand: Float32[np.ndarray, "frame 3 3"]
    offset_mm: Float32[np.ndarray, "frame 3"]


def sample_motion(
    rng: np.random.Generator,
    frames: int,
    fps: float,
    mix: Mapping[str, float] | None = None,
    *,
    draw: Callable[[int], np.ndarray] | None = None,
) -> HandMotion:
    """A hand that moves from pose to pose, each stretch with minimum jerk, with pauses.

    Minimum-jerk profiles (Flash and Hogan, J. Neurosci. 1985) start and stop at rest. A stretch
    lasts 0.25 to 1.2 s, a pause up to 0.5 s. The place of the hand and its turn go along, with key
    points of their own.

    Args:
        rng: the same generator state gives the same motion.
        frames: how many.
        fps: frames a second.
        mix: of the key poses, see ``sample_poses``.
        draw: gives so many key poses (N, 17, 3) instead; from a stock it is many times as fast.

    Raises:
        ValueError: ``frames`` or ``fps`` is not positive.
    """
    if frames < 1 or fps <= 0:
        raise ValueError(f"expected frames >= 1 and fps > 0, got {frames} and {fps}")
    time_s = np.arange(frames) / fps
    times, keys = _key_times(rng, time_s[-1])
    poses = sample_poses(rng, keys, mix) if draw is None else draw(keys)
    pose = _through(time_s, times, poses.reshape(keys, -1)).reshape(frames, N_POSE_ROWS, 3)
    times, keys = _key_times(rng, time_s[-1])
    turn = _through(time_s, times, np.cumsum(rng.normal(0, 0.25, (keys, 3)), axis=0))
    times, keys = _key_times(rng, time_s[-1])
    place = _through(time_s, times, np.cumsum(rng.normal(0, 35.0, (keys, 3)), axis=0))
    return HandMotion(
        pose_deg=pose.astype(np.float32),
        R_start_from_hand=rotation_from_vector(turn - turn[0]).astype(np.float32),
        offset_mm=(place - place[0]).astype(np.float32),
    )


def _key_times(rng: np.random.Generator, end_s: float) -> tuple[np.ndarray, int]:
    """(K, 2) when each key pose is reached and left, until the end is covered; and K."""
    reached, times = 0.0, []
    while True:
        left = reached + max(0.0, rng.uniform(-0.4, 0.5))
        times.append((reached, left))
        if left >= end_s:
            return np.array(times), len(times)
        reached = left + rng.uniform(0.25, 1.2)


def _through(time_s: np.ndarray, key_times: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """(F, D) values that rest at ``keys`` (K, D) and move between them with minimum jerk."""
    index = np.clip(np.searchsorted(key_times[:, 0], time_s, side="right") - 1, 0, len(keys) - 1)
    after = np.minimum(index + 1, len(keys) - 1)
    leave, reach = key_times[index, 1], key_times[after, 0]
    x = np.clip((time_s - leave) / np.maximum(reach - leave, 1e-9), 0, 1)[:, None]
    ease = x**3 * (10 - 15 * x + 6 * x**2)
    return keys[index] + ease * (keys[after] - keys[index])
