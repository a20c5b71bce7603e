"""What a camera sees of a hand between its frames.

Shutters of several cameras do not open together, and pictures of some arrive late: rays of frames
that are nearest in time miss each other by as far as the hand moved meanwhile. So what each camera
sees is brought to one instant, along the smooth way through its frames about it. How far off that
way the hand may be adds to what its keypoints are off.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from knuckle.hand import N_JOINTS
from knuckle.pose.placement import MIN_DEPTH_MM
from knuckle.results import HandPose, TrackedHand
from knuckle.views.decisions import TIMING

#: When a hand was seen, s, and how.
Look = tuple[float, HandPose]


@dataclass(frozen=True, eq=False)
class Brought:
    """A look at one hand, brought to another instant."""

    pose: HandPose  # the hand there
    #: (21,) expected error of its rays (x/z, y/z) by having been brought, per axis.
    doubt: np.ndarray

    @classmethod
    def nowhere(cls, hand: TrackedHand) -> Brought:
        """A look as it is, at the instant of its frame."""
        return cls(hand.raw, np.zeros(N_JOINTS))


def weights_at(times_s: Sequence[float], now_s: float) -> np.ndarray:
    """(N,) of what was seen at N times in what was there now: by Lagrange's polynomial."""
    times = np.array(times_s)
    apart_s = times[:, None] - times
    np.fill_diagonal(apart_s, 1.0)
    factors = (now_s - times) / apart_s
    np.fill_diagonal(factors, 1.0)
    return factors.prod(axis=1)


def at_instant(looks: Sequence[Look], now_s: float) -> HandPose:
    """A hand at an instant, on the smooth way of its joints through looks of other times.

    All but the joints is as in the last look.
    """
    weights = weights_at([at_s for at_s, _ in looks], now_s)
    px, mm = (
        np.tensordot(weights, [getattr(pose, name) for _, pose in looks], axes=1)
        for name in ("joints_px", "joints_mm")
    )
    return replace(looks[-1][1], joints_px=px, joints_mm=mm)


class Moments:
    """The last looks of every camera, and where they have its hands at an instant.

    It needs no later frame: an instant is that of the earliest frame among those given together,
    so that the other cameras have looked before it and after.
    """

    def __init__(self, cameras: int) -> None:
        #: (V,) how much later than this instant the frame of each camera was taken.
        self.later_s = np.zeros(cameras)
        self.reset()

    def reset(self) -> None:
        """Forget all looks."""
        self._now_s = 0.0
        #: (camera, its own id of a hand) -> as it was seen, in the order of time.
        self._seen: dict[tuple[int, int], list[Look]] = {}

    def turn_to(self, now_s: float, later_s: np.ndarray) -> None:
        """Begin an instant: how much later (V,) the frame of each camera was taken."""
        self._now_s, self.later_s = now_s, later_s
        self._seen = {
            who: kept
            for who, looks in self._seen.items()
            if (kept := [look for look in looks if now_s - look[0] < TIMING.memory_s])
        }

    def keep(self, views: Sequence[Sequence[TrackedHand]]) -> None:
        """Remember what each camera sees in its frame of this instant."""
        for camera, hands in enumerate(views):
            at_s = self._now_s + float(self.later_s[camera])
            for hand in hands:
                kept = self._seen.setdefault((camera, hand.track_id), [])
                kept.append((at_s, hand.raw.without_mask()))

    def bring(self, camera: int, hand: TrackedHand) -> Brought:
        """What a camera sees in its frame of this instant, brought to the instant."""
        later_s = float(self.later_s[camera])
        if abs(later_s) < TIMING.same_s:
            return Brought.nowhere(hand)
        last = (self._now_s + later_s, hand.raw)
        looks = _about(self._now_s, [*self._seen.get((camera, hand.track_id), ()), last])
        return Brought(at_instant(looks, self._now_s), _doubt(looks, self._now_s))


def _about(now_s: float, looks: Sequence[Look]) -> list[Look]:
    """Up to three looks after one another: the first one from now on, and those before it.

    Before the first look nothing tells how the hand moved; behind the last, two of them do.
    """
    times_s = [at_s for at_s, _ in looks]
    after = bisect_left(times_s, now_s)
    if after == 0:
        return list(looks[:1])
    last, most = (after, 3) if after < len(looks) else (after - 1, 2)
    first = last
    while first > 0 and last - first + 1 < most:
        if not 0 < times_s[first] - times_s[first - 1] < TIMING.most_gap_s:
            break
        first -= 1
    return list(looks[first : last + 1])


def _doubt(looks: Sequence[Look], now_s: float) -> np.ndarray:
    """(21,) how far off the way through looks a hand may be: what the polynomial leaves out.

    That is the next derivative: of a hand that moves as fast as it did, and to and fro.
    """
    (first_s, first), (last_s, last) = looks[0], looks[-1]
    if len(looks) > 1:
        way = np.linalg.norm(last.rays - first.rays, axis=1) / np.sqrt(2)
        speed = way / (last_s - first_s)
    else:
        distance_mm = max(float(last.joints_mm[:, 2].mean()), MIN_DEPTH_MM)
        speed = np.full(N_JOINTS, TIMING.speed_mm_s / distance_mm)
    order = len(looks)
    apart_s = np.prod([abs(now_s - at_s) for at_s, _ in looks])
    sway = (2 * np.pi * TIMING.sway_hz) ** (order - 1)
    return speed * sway * float(apart_s) / math.factorial(order)
