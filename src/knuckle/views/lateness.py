"""How late each camera of a calibrated rig is, told from its rays to hands that move.

Rays of one instant meet; those of different instants miss each other by as far as the hand moved
meanwhile. First two cameras after another, to about a frame: the shift with which the rays to all
joints meet best. Then all cameras at once, to a fraction of a frame: in a short window every joint
goes a smooth way, which each camera sees at times of its own, and least squares finds the ways and
the clocks that explain all keypoints. Nothing is taken between frames for that: what is
interpolated shakes less than what was seen, and would draw clocks to half a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from knuckle.errors import InputError
from knuckle.hand import KNUCKLES, N_JOINTS, SIDES, TIPS, Joint
from knuckle.rigid import RigidTransform
from knuckle.views.decisions import LATENESS, SYNCING
from knuckle.views.looks import Looks
from knuckle.views.rig import Rig
from knuckle.views.sync import Followed, peak_of, settled

#: What is compared at all shifts.
_FEW = [Joint.WRIST, *KNUCKLES, *TIPS]


@dataclass(frozen=True, eq=False)
class Lateness:
    """The outcome.

    Attributes:
        late_s: (V,) how much later each camera is than the first, as ``Rig.late_s`` has it.
        doubt_s: (V,) expected errors; the first has none.
    """

    late_s: np.ndarray
    doubt_s: np.ndarray


@dataclass(frozen=True, eq=False)
class _Watch:
    """What one camera saw of the hands of both sides, in T frames.

    Attributes:
        T_camera_from_world: where it stands.
        times_s: (T,) by its own clock.
        rays: (2, T, 21, 2) x/z, y/z; NaN where it has no hand of that side.
        sigma: (2, T, 21) expected error of these.
        extents: (2, T) of the hands, as differences of rays.
    """

    T_camera_from_world: RigidTransform
    times_s: np.ndarray
    rays: np.ndarray
    sigma: np.ndarray
    extents: np.ndarray

    @classmethod
    def of(cls, seen: Followed, T_camera_from_world: RigidTransform) -> _Watch:
        """Of each frame the best hand of a side."""
        count = len(seen.times_s)
        rays = np.full((len(SIDES), count, N_JOINTS, 2), np.nan)
        sigma, extents = np.full(rays.shape[:-1], np.nan), np.full(rays.shape[:2], np.nan)
        for row, hands in enumerate(seen.hands):
            looks = Looks.of([sorted(hands, key=lambda hand: hand.raw.score)])
            for i, hand in enumerate(looks.hands):
                side = SIDES.index(hand.side)
                rays[side, row], sigma[side, row] = looks.rays[i], looks.sigma[i]
                extents[side, row] = looks.doubts[i].extent
        return cls(T_camera_from_world, seen.times_s, rays, sigma, extents)

    @property
    def period_s(self) -> float:
        """From frame to frame."""
        return float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else np.inf


def lateness(rig: Rig, seen: Sequence[Followed]) -> Lateness:
    """How late each camera is, by the hands that all of them see.

    Args:
        rig: the cameras; their unit need not be known.
        seen: what each of them saw by itself.

    Raises:
        ValueError: the hands do not tell: too few are seen by two cameras, or they hardly move.
    """
    cameras = zip(seen, rig.cameras, strict=True)
    watches = [_Watch.of(each, camera.T_camera_from_world) for each, camera in cameras]
    late_s = np.array(settled(len(watches), lambda i, k: _shift(watches[i], watches[k])))
    for _ in range(LATENESS.steps):
        step_s, doubt_s = _step(watches, late_s)
        late_s = late_s + np.clip(step_s, -LATENESS.stride_s, LATENESS.stride_s)
        if np.abs(step_s).max() < LATENESS.still_s:
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
#: Of a window: gradient of the cost by the clocks (V,), its second derivatives (V, V), what of
#: these is noise of the ways (V, V), and the median miss.
_Told = tuple[np.ndarray, np.ndarray, np.ndarray, float]


def _step(watches: Sequence[_Watch], late_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V,) by which clocks should move, and (V,) how far they may be off after that.

    Errors within a window go together, whatever they come from: their spread is taken from how
    much windows differ.
    """
    count = len(watches)
    told = list(_windows(watches, late_s))
    if not told:
        return np.zeros(count), np.full(count, np.inf)
    gradients, curvatures, noises, misses = map(np.array, zip(*told, strict=True))
    good = misses < LATENESS.most_strain * np.median(misses)  # others are of two hands
    g, H, noise = (values[good].sum(axis=0) for values in (gradients, curvatures, noises))
    step, doubt = np.zeros(count), np.zeros(count)
    # Hands that stand still shake: ways with nothing but noise would make clocks sure of anything.
    true = H - noise
    if not (true.diagonal()[1:] > LATENESS.least_motion * H.diagonal()[1:]).all():
        return step, np.where(np.arange(count) > 0, np.inf, 0.0)
    inverse = np.linalg.pinv(true[1:, 1:])
    step[1:] = -inverse @ g[1:]
    each = gradients[good][:, 1:] @ inverse
    doubt[1:] = np.hypot(np.sqrt((each**2).sum(axis=0)), LATENESS.least_doubt_s)
    return step, doubt


def _windows(watches: Sequence[_Watch], late_s: np.ndarray) -> Iterator[_Told]:
    """What each short time tells, one side of hands after the other."""
    clocks = [watch.times_s - late for watch, late in zip(watches, late_s, strict=True)]
    slowest_s = max(watch.period_s for watch in watches)
    length_s = max(LATENESS.least_window_s, LATENESS.frames * slowest_s)
    begin, end = min(clock[0] for clock in clocks), max(clock[-1] for clock in clocks)
    for start in np.arange(begin, end, length_s):
        within = [(clock >= start) & (clock < start + length_s) for clock in clocks]
        for side in range(len(SIDES)):
            frames = {
                v: np.flatnonzero(inside & np.isfinite(watch.extents[side]))
                for v, (inside, watch) in enumerate(zip(within, watches, strict=True))
            }
            frames = {v: rows for v, rows in frames.items() if len(rows) >= LATENESS.least_frames}
            if len(frames) >= 2:
                views = [
                    _View.of(watches[v], side, rows, clocks[v][rows], start, length_s)
                    for v, rows in frames.items()
                ]
                yield _told(views, list(frames), len(watches), length_s)


@dataclass(frozen=True, eq=False)
class _View:
    """What one camera sees of a hand in a window, of F frames.

    Attributes:
        rows: (21, F, 2, 3) of each ray, so that rows @ point = right for points on it.
        right: (21, F, 2).
        depth: (4,) of a homogeneous point.
        sigma: (21, F) expected error of the rays.
        size: (21, F) extent of the hand, as a difference of rays.
        way, speed: (F, K) polynomials at the frames' times, and their derivatives by seconds.
    """

    rows: np.ndarray
    right: np.ndarray
    depth: np.ndarray
    sigma: np.ndarray
    size: np.ndarray
    way: np.ndarray
    speed: np.ndarray

    @classmethod
    def of(
        cls,
        watch: _Watch,
        side: int,
        frames: np.ndarray,
        times_s: np.ndarray,
        start_s: float,
        length_s: float,
    ) -> _View:
        """Of some frames, at times of the clock of all."""
        T = watch.T_camera_from_world
        R, t = T.rotation, T.translation_mm
        rays = watch.rays[side, frames].swapaxes(0, 1)  # (21, F, 2)
        at = 2 * (times_s - start_s) / length_s - 1
        return cls(
            R[:2] - rays[..., None] * R[2],
            rays * t[2] - t[:2],
            np.append(R[2], t[2]),
            watch.sigma[side, frames].T,
            np.broadcast_to(watch.extents[side, frames], rays.shape[:2]),
            legendre.legvander(at, LATENESS.degree),
            _derived(at, 1) * (2 / length_s),
        )

    def depths(self, ways: np.ndarray) -> np.ndarray:
        """(21, F) how far away joints are whose ways are (21, K, 3)."""
        return np.abs(self.way @ ways @ self.depth[:3] + self.depth[3])

    def equations(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What rays of weight (21, F) ask of ways: rows (21, 2 F, 3 K), those of speeds, right.

        A keypoint lies a little beside its joint in all frames of a window, and shakes less than
        that: what frames have in common counts for less.
        """
        common = 1 - 1 / np.sqrt(1 + self.way.shape[0] * LATENESS.beside**2)
        found = []
        for values in (
            self.way[:, None, :, None] * self.rows[..., None, :],
            self.speed[:, None, :, None] * self.rows[..., None, :],
            self.right[..., None, None],
        ):
            weighed = weight[..., None, None, None] * values
            weighed = weighed - common * weighed.mean(axis=1, keepdims=True)
            found.append(weighed.reshape(N_JOINTS, 2 * self.way.shape[0], -1))
        way, speed, right = found
        return way, speed, right


def _told(views: Sequence[_View], numbers: Sequence[int], count: int, length_s: float) -> _Told:
    """What one hand in one window says of the clocks of the cameras with these numbers.

    The ways are eliminated (variable projection of Golub and Pereyra, 1973): what is left is the
    cost by the clocks alone.
    """
    depths: list[np.ndarray] = [np.ones(view.sigma.shape) for view in views]
    trust = [np.ones(view.sigma.shape) for view in views]
    bend = _bend(length_s)
    smooth = np.zeros_like(bend)
    for number in range(LATENESS.rounds):
        each = [
            view.equations(w / (view.sigma * z))
            for view, w, z in zip(views, trust, depths, strict=True)
        ]
        A, D, b = (list(values) for values in zip(*each, strict=True))
        rays = sum(a.swapaxes(1, 2) @ a for a in A)
        if number == 0:  # before anything is known ways are all but straight
            smooth = LATENESS.stiff * rays.trace(axis1=1, axis2=2).mean() / bend.trace() * bend
        inverse = np.linalg.inv(rays + smooth)
        x = inverse @ sum(a.swapaxes(1, 2) @ right for a, right in zip(A, b, strict=True))
        errors = [right - a @ x for a, right in zip(A, b, strict=True)]
        depths = [view.depths(x.reshape(N_JOINTS, -1, 3)) for view in views]
        missed = [
            np.linalg.norm(e.reshape(*w.shape, 2), axis=-1) / w
            for e, w in zip(errors, trust, strict=True)
        ]
        usual = float(np.median(np.concatenate(missed, axis=1)))
        trust = [1 / np.sqrt(1 + (m / max(usual, 1e-9)) ** 2 / LATENESS.freedom) for m in missed]
        # The unit of the world need not be known: a hand is as large as it looks from so far.
        size = np.median([np.median(v.size * z) for v, z in zip(views, depths, strict=True)])
        smooth = bend / size**2
    told = rays @ inverse  # of all that keypoints say, so much goes into the ways
    freedom = sum(e.shape[1] for e in errors) - told.trace(axis1=1, axis2=2)
    spread = sum((e**2).sum(axis=(1, 2)) for e in errors) / np.maximum(freedom, 1.0)
    shaking = spread[:, None, None] * inverse
    g, H, noise = np.zeros(count), np.zeros((count, count)), np.zeros((count, count))
    DA = [d.swapaxes(1, 2) @ a for d, a in zip(D, A, strict=True)]
    for i, (v, d, e) in enumerate(zip(numbers, D, errors, strict=True)):
        g[v] = float((e.swapaxes(1, 2) @ d @ x).sum())
        for k, u in enumerate(numbers):
            K = -DA[i] @ inverse @ DA[k].swapaxes(1, 2)
            if i == k:
                K = K + d.swapaxes(1, 2) @ d
            H[v, u] = float((x.swapaxes(1, 2) @ K @ x).sum())
            noise[v, u] = float((shaking * K).sum())
    return g, H, noise, usual


def _bend(length_s: float) -> np.ndarray:
    """(3 K, 3 K) what it costs ways to bend, in sizes of the hand.

    A joint's acceleration is taken for white noise: of all that passes through the same points,
    the way that bends least is likeliest.
    """
    at = (np.arange(2 * LATENESS.degree) + 0.5) / LATENESS.degree - 1
    bends = _derived(at, 2) * (2 / length_s) ** 2
    share = LATENESS.shake**2 * length_s / len(at) / LATENESS.swing
    return share * np.kron(bends.T @ bends, np.eye(3))


def _derived(at: np.ndarray, order: int) -> np.ndarray:
    """(F, K) derivatives of Legendre's polynomials."""
    series = legendre.legder(np.eye(LATENESS.degree + 1), order, axis=0)
    return legendre.legval(at, series).T
