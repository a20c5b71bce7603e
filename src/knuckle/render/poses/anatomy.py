"""What joints can do: the ranges of their angles, and the couplings that always hold.

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
"""

from __future__ import annotations

import numpy as np

from knuckle.render.hand_model import (
    FINGER_ROWS,
    FLEXION,
    FOREARM_ROW,
    N_POSE_ROWS,
    PALM_ARCH_ROW,
    SPREAD,
    TWIST,
)

THUMB, INDEX, MIDDLE, RING, LITTLE = range(5)
FOUR = np.array([INDEX, MIDDLE, RING, LITTLE])
#: Rows of a pose.
CMC, THUMB_MCP, THUMB_IP = FINGER_ROWS[THUMB]
MCP, PIP, DIP = FINGER_ROWS[1:].T  # (4,) each, index to little


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


def pose_wrist(pose: np.ndarray, rng: np.random.Generator) -> None:
    """Wrist angles; wrists stretch when fingers close (tenodesis). In place."""
    n = len(pose)
    closing = pose[:, PIP, FLEXION].mean(1)
    pose[:, FOREARM_ROW, FLEXION] = rng.normal(5, 22, n) - 0.25 * closing
    pose[:, FOREARM_ROW, SPREAD] = rng.normal(-4, 10, n)
    pose[:, FOREARM_ROW, TWIST] = rng.normal(0, 5, n)


def cup_palm(pose: np.ndarray, rng: np.random.Generator) -> None:
    """The palm's arch follows the little finger's flexion and the thumb's opposition. In place."""
    little = np.maximum(pose[:, MCP[3], FLEXION], 0)
    opposed = np.maximum(pose[:, CMC, SPREAD], 0)
    pose[:, PALM_ARCH_ROW] = 0.0
    pose[:, PALM_ARCH_ROW, FLEXION] = 0.1 * little + 0.15 * opposed + rng.normal(0, 2, len(pose))
