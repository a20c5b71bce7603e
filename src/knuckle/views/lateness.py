"""How late each camera of a calibrated rig is, told from its rays to hands that move.

Rays of one instant meet; those of different instants miss each other by as far as the hand moved
meanwhile. First two cameras after another, to about a frame: the shift with which the rays to all
joints meet best. Then all cameras at once, to a fraction of a frame: in a short window every joint
has a smooth trajectory, which each camera sees at times of its own, and least squares finds the
trajectories and the clocks that explain all keypoints. Nothing is interpolated between frames for
that: interpolated keypoints are less noisy than seen ones, and would draw clocks to half a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from knuckle.errors import InputError
from knuckle.hand import KNUCKLES, N_JOINTS, SIDES, TIPS, Joint
from knuckle.rigid import RigidTransform
from knuckle.views.decisions import LATENESS, LOOKING, SYNCING
from knuckle.views.looks import Looks
from knuckle.views.rig import Rig
from knuckle.views.sync import Followed, peak_of, settled
from knuckle.views.trajectories import ClockTerms, View, clock_terms

#: Multiples of it lie evenly between whole numbers, however many there are.
_GOLDEN = (5**0.5 - 1) / 2
#: What is compared at all shifts.
_FEW = [Joint.WRIST, *KNUCKLES, *TIPS]


@dataclass(frozen=True, eq=False)
class Lateness:
    """The outcome."""

    #: (V,) how much later each camera is than the first, as ``Rig.late_s`` has it.
    late_s: np.ndarray
    doubt_s: np.ndarray  # (V,) expected errors; the first has none


@dataclass(frozen=True, eq=False)
class _Watch:
    """What one camera saw of the hands of both sides, in T frames."""

    T_camera_from_world: RigidTransform  # where it stands
    times_s: np.ndarray  # (T,) by its own clock
    rays: np.ndarray  # (2, T, 21, 2) x/z, y/z; NaN where it has no hand of that side
    sigma: np.ndarray  # (2, T, 21) expected error of these
    extents: np.ndarray  # (2, T) of the hands, as differences of rays

    @classmethod
    def of(cls, seen: Followed, T_camera_from_world: RigidTransform) -> _Watch:
        """Of each frame the best hand of a side."""
        count = len(seen.times_s)
        rays = np.full((len(SIDES), count, N_JOINTS, 2), np.nan)
        sigma, extents = np.full(rays.shape[:-1], np.nan), np.full(rays.shape[:2], np.nan)
        for row, hands in enumerate(seen.hands):
            looks = Looks.of(
                [sorted(hands, key=lambda hand: hand.raw.score)],
                least_share=LOOKING.calibrating_share,
            )
            for i, hand in enumerate(looks.hands):
                side = SIDES.index(hand.side)
                rays[side, row], sigma[side, row] = looks.rays[i], looks.sigma[i]
                extents[side, row] = looks.doubts[i].extent
        return cls(T_camera_from_world, seen.times_s, rays, sigma, extents)

    def view(self, side: int, rows: np.ndarray, times_s: np.ndarray, length_s: float) -> View:
        """What it saw in some frames, at times in a window that is so long."""
        seen = self.rays[side, rows], self.sigma[side, rows], self.extents[side, rows]
        return View.of(self.T_camera_from_world, *seen, times_s, length_s)

    @property
    def period_s(self) -> float:
        """From frame to frame."""
        return float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else np.inf


def lateness(rig: Rig, seen: Sequence[Followed]) -> Lateness:
    """How late each camera is, by the hands that all of them see.

    The rig's unit need not be known; ``seen`` is what each camera saw by itself.

    Raises:
        ValueError: the hands do not tell: too few are seen by two cameras, or they hardly move.
    """
    cameras = zip(seen, rig.cameras, strict=True)
    watches = [_Watch.of(each, camera.T_camera_from_world) for each, camera in cameras]
    late_s = np.array(settled(rig.names, lambda i, k: _shift(watches[i], watches[k])))
    for _ in range(LATENESS.steps):
        step_s, doubt_s = _step(watches, late_s)
        late_s = late_s + np.clip(step_s, -LATENESS.most_step_s, LATENESS.most_step_s)
        if np.abs(step_s).max() < LATENESS.converged_s:
            break
    if not doubt_s.max() < LATENESS.most_doubt_s:
        worst = int(np.argmax(doubt_s))
        raise InputError(
            f"the hands do not tell how late {rig.names[worst]} is: expected hands that two "
            "cameras see at a time, moving to and fro and turning for some seconds"
        )
    return Lateness(late_s - late_s[0], doubt_s)


# --------------------------------------------------------------------------------------------
# Two cameras, to about a frame
# --------------------------------------------------------------------------------------------
def _shift(first: _Watch, second: _Watch) -> tuple[float, float]:
    """How much later the second's clock is, s, and how sure that is (0 for not at all)."""
    if min(len(first.times_s), len(second.times_s)) < 3:
        return 0.0, 0.0
    step_s = min(first.period_s, second.period_s) / 2
    lengths_s = np.ptp(first.times_s), np.ptp(second.times_s)
    most_s = min(SYNCING.most_s, SYNCING.most_share * min(lengths_s))
    steps = np.arange(-round(most_s / step_s), round(most_s / step_s) + 1)
    begun_s = float(second.times_s[0] - first.times_s[0])
    missed = np.array([_missed(first, second, begun_s + s * step_s) for s in steps])
    known = np.isfinite(missed)
    if not known.any():
        return 0.0, 0.0
    # Rays to hands of other instants miss as they do with most shifts.
    likeness = np.where(known, 1 - missed / max(float(np.median(missed[known])), 1e-9), -1.0)
    found, weight = peak_of(likeness, step_s, LATENESS.least_likeness, LATENESS.doubtful)
    return begun_s + (found + steps[0]) * step_s, weight


def _missed(first: _Watch, second: _Watch, shift_s: float) -> float:
    """How far joints miss each other's epipolar lines on average; NaN if little is seen by both."""
    T = second.T_camera_from_world @ first.T_camera_from_world.inverse()
    E = np.cross(np.eye(3), T.translation_mm / np.linalg.norm(T.translation_mm)) @ T.rotation
    thin = max(len(first.times_s) // LATENESS.most_frames, 1)
    at = first.times_s[::thin] + shift_s
    after = np.clip(np.searchsorted(second.times_s, at), 1, len(second.times_s) - 1)
    share = (at - second.times_s[after - 1]) / np.diff(second.times_s)[after - 1]
    share = np.where((share >= 0) & (share <= 1), share, np.nan)[:, None, None]
    a, sa = first.rays[:, ::thin, _FEW], first.sigma[:, ::thin, _FEW]
    b = second.rays[:, :, _FEW]
    b = b[:, after - 1] * (1 - share) + b[:, after] * share  # (2, F, few, 2)
    sb = second.sigma[:, after][:, :, _FEW]
    both = np.isfinite(a[..., 0, 0] + b[..., 0, 0])
    if both.sum() * thin * first.period_s < SYNCING.least_s:
        return np.nan
    in_first, in_second = (np.pad(x[both], [(0, 0), (0, 0), (0, 1)], constant_values=1.0)
                           for x in (a, b))  # fmt: skip
    lines, back = in_first @ E.T, in_second @ E
    across, there = (np.linalg.norm(line[..., :2], axis=-1) for line in (lines, back))
    missed = np.abs((in_second * lines).sum(-1)) / np.hypot(across * sb[both], there * sa[both])
    return float(np.minimum(missed, LATENESS.most_missed).mean())


# --------------------------------------------------------------------------------------------
# All cameras, to a fraction of a frame
# --------------------------------------------------------------------------------------------
def _step(watches: Sequence[_Watch], late_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V,) the Gauss-Newton step of the clocks, s, and (V,) their expected errors after it, s.

    Errors within a window are correlated, whatever they come from: the expected errors follow from
    what becomes of the clocks without each of the windows (Tukey's jackknife). How much the windows
    differ says too little where there are few: the clocks are such that they agree. Noise that
    seems to be motion draws them all one way, of which no window tells.
    """
    count = len(watches)
    windows = list(_windows(watches, late_s))
    if not windows:
        return np.zeros(count), np.full(count, np.inf)
    gradients, curvatures, noises, misses = map(np.array, zip(*windows, strict=True))
    good = misses < LATENESS.most_strain * np.median(misses)  # others are of two hands
    g, H, noise = (values[good].sum(axis=0) for values in (gradients, curvatures, noises))
    step, doubt = np.zeros(count), np.zeros(count)
    # A hand at rest seems to move by noise, from which any clock would seem certain.
    true = H - noise
    if not (true.diagonal()[1:] > LATENESS.least_motion * H.diagonal()[1:]).all():
        return step, np.where(np.arange(count) > 0, np.inf, 0.0)
    step[1:] = -np.linalg.pinv(true[1:, 1:]) @ g[1:]
    without = true - (curvatures - noises)[good], g - gradients[good]
    each = np.array([_solved(*rest) for rest in zip(*without, strict=True)])  # (windows, V - 1)
    spread = np.sqrt((1 - 1 / len(each)) * ((each - step[1:]) ** 2).sum(axis=0))
    shares = noise.diagonal()[1:] / true.diagonal()[1:]
    drawn_s = LATENESS.drawn * max(watch.period_s for watch in watches) * shares
    known = np.sqrt(spread**2 + drawn_s**2 + LATENESS.least_doubt_s**2)
    doubt[1:] = known if len(each) > 1 else np.inf
    return step, doubt


def _solved(true: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """(V - 1,) the step of all clocks but the first; infinite for one of which nothing is known."""
    step = -np.linalg.pinv(true[1:, 1:]) @ gradient[1:]
    return np.where(true.diagonal()[1:] > 0, step, np.inf)


def _windows(watches: Sequence[_Watch], late_s: np.ndarray) -> Iterator[ClockTerms]:
    """The terms of each window, and of each side of hands in it.

    At the ends of a window one camera is alone, which draws its clock outwards: who that is must
    change from window to window, so that these are not whole frames apart.
    """
    clocks = [watch.times_s - late for watch, late in zip(watches, late_s, strict=True)]
    slowest_s = max(watch.period_s for watch in watches)
    length_s = max(LATENESS.least_window_s, LATENESS.frames * slowest_s)
    begin, end = min(clock[0] for clock in clocks), max(clock[-1] for clock in clocks)
    for start in np.arange(begin, end, length_s + _GOLDEN * slowest_s):
        within = [(clock >= start) & (clock < start + length_s) for clock in clocks]
        for side in range(len(SIDES)):
            frames = {
                v: np.flatnonzero(inside & np.isfinite(watch.extents[side]))
                for v, (inside, watch) in enumerate(zip(within, watches, strict=True))
            }
            frames = {v: rows for v, rows in frames.items() if len(rows) >= LATENESS.least_frames}
            if len(frames) >= 2:
                views = [
                    watches[v].view(side, rows, clocks[v][rows] - start, length_s)
                    for v, rows in frames.items()
                ]
                yield clock_terms(views, list(frames), len(watches), length_s)
