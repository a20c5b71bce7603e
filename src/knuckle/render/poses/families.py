"""Families of postures: each a function that draws hands of one kind.

Grasps are those of Feix et al., "The GRASP taxonomy of human grasp types", IEEE THMS 46 (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from knuckle.render.hand_model import (
    FINGER_ROWS,
    FLEXION,
    N_POSE_ROWS,
    PALM_ARCH_ROW,
    SPREAD,
    TWIST,
)
from knuckle.render.poses.anatomy import (
    CMC,
    DIP,
    FOUR,
    INDEX,
    MCP,
    PIP,
    RANGES_DEG,
    THUMB,
    THUMB_IP,
    THUMB_MCP,
    constrain,
    cup_palm,
)
from knuckle.render.poses.pinch import TIP_PRESS_MM, meet_thumb, tip_gap_mm

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


def blank(n: int) -> np.ndarray:
    """(N, 17, 3) flat hands."""
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
    pose = blank(n)
    _bend(pose, rng, _together(rng, n, 30, 12, 4, slope=5), _together(rng, n, 33, 13, 6, slope=4))
    _spread(pose, rng.normal(4, 4, n))
    _thumb(pose, rng, {"relaxed": 5, "opposed": 2, "beside": 1}, scale=1.2)
    return pose


def flat(rng: np.random.Generator, n: int) -> np.ndarray:
    """An open hand, fingers side by side."""
    pose = blank(n)
    _bend(pose, rng, _together(rng, n, 2, 8, 3), np.abs(_together(rng, n, 4, 4, 3)))
    _spread(pose, rng.normal(1, 2, n))
    _thumb(pose, rng, {"relaxed": 2, "out": 2, "beside": 3, "in palm": 1})
    return pose


def splayed(rng: np.random.Generator, n: int) -> np.ndarray:
    """An open hand, fingers apart, perhaps stretched backwards."""
    pose = blank(n)
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
    pose = blank(n)
    _folded(pose, rng)
    loose = rng.uniform(0.7, 1.0, (n, 1))
    for rows in (MCP, PIP, DIP):
        pose[:, rows, FLEXION] *= loose
    _thumb(pose, rng, {"across": 5, "beside": 3, "up": 2, "in palm": 1, "tucked": 1})
    return pose


def counting(rng: np.random.Generator, n: int) -> np.ndarray:
    """Any of the 32 sets of stretched fingers; the signs that people use most come most often."""
    stretched = _number_signs(rng, n)  # (N, 5)
    pose = blank(n)
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
    folded_thumb, free_thumb = blank(n), blank(n)
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
        missed = np.flatnonzero(np.abs(tip_gap_mm(pose, finger) + TIP_PRESS_MM) > 1.5)
        if not len(missed):
            break
        pose[missed] = _pinch(rng, finger[missed])
    return pose


def _pinch(rng: np.random.Generator, finger: np.ndarray) -> np.ndarray:
    n, steps = len(finger), finger - INDEX
    each = np.arange(n)
    pose = blank(n)
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
    cup_palm(pose, rng)
    pose[:, PALM_ARCH_ROW, FLEXION] += 3 * steps
    return meet_thumb(constrain(pose), finger, rng.normal(30, 18, (n, 2)))


def cylinder_grasp(rng: np.random.Generator, n: int) -> np.ndarray:
    """Around a stick, a handle, a glass: fingers parallel, thumb opposed or along the object."""
    pose = blank(n)
    close = rng.uniform(0.35, 1.0, (n, 1))
    _bend(pose, rng, close * _together(rng, n, 62, 7, 3), close * _together(rng, n, 80, 8, 4),
          close * _together(rng, n, 42, 8, 4))  # fmt: skip
    _spread(pose, rng.normal(2, 2, n))
    _thumb(pose, rng, {"opposed": 4, "across": 2, "beside": 1})
    return pose


def sphere_grasp(rng: np.random.Generator, n: int) -> np.ndarray:
    """Around a ball: fingers spread, all joints bent alike, thumb opposed."""
    pose = blank(n)
    close = rng.uniform(0.5, 1.3, (n, 1))
    _bend(pose, rng, close * _together(rng, n, 30, 6, 4), close * _together(rng, n, 40, 7, 4),
          close * _together(rng, n, 28, 6, 4))  # fmt: skip
    _spread(pose, rng.uniform(4, 16, n))
    _thumb(pose, rng, {"opposed": 1})
    return pose


def hook_grasp(rng: np.random.Generator, n: int) -> np.ndarray:
    """Carrying a bag: knuckles straight, the other joints bent."""
    pose = blank(n)
    _bend(pose, rng, _together(rng, n, 8, 12, 3), _together(rng, n, 85, 13, 4),
          _together(rng, n, 52, 12, 4))  # fmt: skip
    _thumb(pose, rng, {"relaxed": 2, "beside": 2, "out": 1})
    return pose


def tripod_grasp(rng: np.random.Generator, n: int) -> np.ndarray:
    """Holding a pen: index finger and thumb meet, the middle finger beside them."""
    pose = blank(n)
    _bend(pose, rng, _together(rng, n, 50, 8, 3, slope=4), _together(rng, n, 50, 9, 4, slope=8))
    pose[:, DIP[:2], FLEXION] *= 0.6
    _thumb(pose, rng, {"opposed": 1})
    pose[:, CMC, FLEXION] += 6
    cup_palm(pose, rng)
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
    pose = blank(n)
    names = rng.integers(len(_LETTERS), size=n)
    for number, (fingers, fan, place) in enumerate(_LETTERS.values()):
        mine = names == number
        count = int(mine.sum())
        part = blank(count)
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
