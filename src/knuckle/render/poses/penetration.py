"""How deep fingers reach into fingers, palms and other hands: capsules around bones."""

from __future__ import annotations

from functools import cache

import numba
import numpy as np
from jaxtyping import Float

from knuckle.hand import N_JOINTS
from knuckle.render.hand_model import HandModel

#: Deepest overlap of two fingers, or of a finger and the palm, that a sampled pose may have. Flesh
#: gives way by a few millimetres where it is pressed.
MAX_PENETRATION_MM = 4.0

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
    return np.maximum(-capsule_gaps_mm(joints_mm), 0.0).max(axis=1)


def capsule_gaps_mm(joints_mm: Float[np.ndarray, "hand 21 3"]) -> np.ndarray:
    """(N, P) gaps between the pairs of ``finger_capsules``, mm; negative where they overlap."""
    joints = np.ascontiguousarray(joints_mm, dtype=np.float32)  # one layout to compile for
    starts, ends, radii, pairs = finger_capsules()
    gaps = np.empty((len(joints), len(pairs)), np.float32)
    _fill_gaps(
        joints, starts, ends, radii.astype(np.float32) / np.float32(mean_palm_length_mm()), pairs,
        gaps,
    )  # fmt: skip
    return gaps


@numba.njit(cache=True, nogil=True, fastmath=True)
def _fill_gaps(
    joints: np.ndarray, starts: np.ndarray, ends: np.ndarray, radii: np.ndarray, pairs: np.ndarray,
    gaps: np.ndarray,
) -> None:  # fmt: skip
    """``capsule_gaps_mm``; radii in lengths of the palm. The nearest points as ``segment_gap``."""
    zero, one = np.float32(0.0), np.float32(1.0)
    d, e, r = np.empty(3, np.float32), np.empty(3, np.float32), np.empty(3, np.float32)
    for n in range(len(joints)):
        palm = zero
        for c in range(3):
            palm += (joints[n, 9, c] - joints[n, 0, c]) ** 2
        palm = np.sqrt(palm)
        for k in range(len(pairs)):
            first, second = pairs[k]
            dd, ee, de, dr, er = zero, zero, zero, zero, zero
            for c in range(3):
                p, q = joints[n, starts[first], c], joints[n, starts[second], c]
                d[c], e[c] = joints[n, ends[first], c] - p, joints[n, ends[second], c] - q
                r[c] = p - q
                dd += d[c] * d[c]
                ee += e[c] * e[c]
                de += d[c] * e[c]
                dr += d[c] * r[c]
                er += e[c] * r[c]
            s = (de * er - dr * ee) / max(dd * ee - de * de, np.float32(1e-6))
            s = min(max(s, zero), one)
            t = (de * s + er) / ee
            if t < zero or t > one:
                t = min(max(t, zero), one)
                s = min(max((de * t - dr) / dd, zero), one)
            distance = zero
            for c in range(3):
                distance += (r[c] + s * d[c] - t * e[c]) ** 2
            gaps[n, k] = np.sqrt(distance) - (radii[first] + radii[second]) * palm


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


def mean_hand_joints(pose_deg: np.ndarray) -> np.ndarray:
    """(N, 21, 3) joints of the mean hand, in the hand frame."""
    model = HandModel.load()
    rest = np.broadcast_to(model.joints_mm, (len(pose_deg), N_JOINTS, 3))
    return model.joints_from_pose(pose_deg, rest)
