"""When several videos began, told from the hands before the cameras.

How far each finger is bent is the same from wherever it is seen. So the bends of both hands, and
how fast they change, are laid over each other with all shifts, and the one that fits best is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.hand import SIDES
from knuckle.pipeline import HandTracker
from knuckle.results import TrackedHand
from knuckle.video import open_source
from knuckle.views.decisions import SYNCING


@dataclass(frozen=True, eq=False)
class Motion:
    """How the hands before one camera bend over time."""

    name: str  # of the source
    times_s: np.ndarray  # (T,) of its frames, by its own clock
    #: (T, 30) flexion of each joint in degrees, left hand first; NaN where none is seen.
    bends: np.ndarray

    @classmethod
    def of(
        cls,
        name: str,
        times_s: Sequence[float] | np.ndarray,
        hands: Sequence[Sequence[TrackedHand]],
    ) -> Motion:
        """From the hands of every frame."""
        bends = np.full((len(times_s), len(SIDES), 15), np.nan)
        for row, seen in zip(bends, hands, strict=True):
            for hand in seen:
                row[SIDES.index(hand.side)] = hand.joint_angles[:, 0]
        return cls(name, np.asarray(times_s, float), bends.reshape(len(times_s), -1))


@dataclass(frozen=True, eq=False)
class Followed:
    """What one camera saw by itself."""

    name: str  # of the source
    size: tuple[int, int]  # (width, height) of its pictures
    camera: Camera  # its lens
    times_s: np.ndarray  # (T,) of its frames, by its own clock
    hands: list[list[TrackedHand]]  # of every frame

    @property
    def motion(self) -> Motion:
        """How its hands bend."""
        return Motion.of(self.name, self.times_s, self.hands)


def follow(
    source: str | Path,
    camera: Camera | None = None,
    *,
    fps: float | None = None,
    max_hands: int = 2,
    first_s: float = 20.0,
    weights_dir: Path | None = None,
    on_source: Callable[[], object] = lambda: None,
) -> Followed:
    """The hands in the first seconds of a source, wherever its clock begins."""
    tracker = HandTracker(max_hands=max_hands, weights_dir=weights_dir)
    times: list[float] = []
    hands = []
    with open_source(source, camera=camera, fps=fps) as frames:
        size = frames.size
        for frame in frames:
            if times and frame.time_s - times[0] > first_s:
                break
            times.append(frame.time_s)
            hands.append(tracker(frame))
    on_source()
    lens = Camera.given_or_assumed(camera, *size)
    return Followed(str(source), size, lens, np.array(times), hands)


def offsets(motions: Sequence[Motion]) -> list[float]:
    """What each source's clock shows at one instant, the first one's being 0.

    Raises:
        ValueError: the motions do not tell: too few hands, too little motion, or several answers.
    """
    names = [Path(each.name).name for each in motions]
    return _settled(names, [_Bends.of(each) for each in motions], SYNCING.most_s)


def doubts(motions: Sequence[Motion], clocks_s: Sequence[float]) -> np.ndarray:
    """(V,) expected errors of ``offsets``, s; the first has none.

    From what becomes of the clocks without parts of the recording (the jackknife of groups). They
    are infinite where that cannot be told: the recording is short, or one moment of it decides.
    """
    known = np.zeros(len(motions))
    bends = [each for each in map(_Bends.of, motions) if each is not None]
    begin = max(each.start_s - clock for each, clock in zip(bends, clocks_s, strict=True))
    end = min(each.end_s - clock for each, clock in zip(bends, clocks_s, strict=True))
    together = [
        each.between(begin, end, clock) for each, clock in zip(bends, clocks_s, strict=True)
    ]
    each = np.array(list(_without_parts(together, begin, end)))  # (parts, V)
    left_out = (SYNCING.part_s + SYNCING.slow_s) / (end - begin)
    if len(each) < SYNCING.least_parts or left_out >= 0.5 or not np.isfinite(each).all():
        known[1:] = np.inf
        return known
    spread = np.sqrt((1 / left_out - 1) * each.var(axis=0))
    slowest_s = max(float(np.median(np.diff(motion.times_s))) for motion in motions)
    known[1:] = np.hypot(spread, SYNCING.drawn * slowest_s)[1:]
    return known


def _without_parts(bends: Sequence[_Bends], begin: float, end: float) -> Iterator[list[float]]:
    """What clocks of bends of one instant show without each part between two times, s.

    Infinitely much where nothing tells then.
    """
    around = SYNCING.slow_s / 2  # what was there shows for so long in what was subtracted
    for start in np.arange(begin, end - SYNCING.part_s / 2, SYNCING.part_s):
        stop = start + SYNCING.part_s
        rest = [each.without(start - around, stop + around) for each in bends]
        try:
            yield _settled([""] * len(rest), rest, SYNCING.near_s)
        except InputError:
            yield [np.inf] * len(rest)


def _settled(names: Sequence[str], bends: Sequence[_Bends | None], most_s: float) -> list[float]:
    """See ``settled``; no two sources begin more than ``most_s`` apart."""
    return settled(names, lambda i, k: _lag(bends[i], bends[k], most_s))


def settled(names: Sequence[str], lag: Callable[[int, int], tuple[float, float]]) -> list[float]:
    """What the clock of each video shows at one instant, the first one showing 0.

    ``lag`` says how much later the second of two is, s, and how sure that is (0 for not at all).

    Raises:
        ValueError: these do not say it, or contradict each other.
    """
    count = len(names)
    pairs = list(combinations(range(count), 2))
    lags, weights = zip(*(lag(i, k) for i, k in pairs), strict=True)
    # Least squares over all pairs; those that fit best have the most say.
    A = np.zeros((len(pairs) + 1, count))
    b = np.zeros(len(pairs) + 1)
    for row, ((i, k), later, weight) in enumerate(zip(pairs, lags, weights, strict=True)):
        A[row, k], A[row, i], b[row] = weight, -weight, weight * later
    A[-1, 0] = 1.0
    found = np.linalg.lstsq(A, b, rcond=None)[0]
    if np.linalg.matrix_rank(A) < count or np.abs(A @ found - b).max() > SYNCING.contradiction_s:
        alone = _alone(names, [pair for pair, weight in zip(pairs, weights, strict=True) if weight])
        raise InputError(
            f"the hands do not tell when {', '.join(alone) or 'the videos'} began: expected the "
            "same hands in all of them, opening and closing, for some seconds; clap or make fists "
            f"at the beginning, or trim the files to one instant{', or leave it out' * bool(alone)}"
        )
    return [float(value) for value in found]


def _alone(names: Sequence[str], known: Sequence[tuple[int, int]]) -> list[str]:
    """The videos of which nothing is known against the most others; none if there are no such."""
    groups = [{i} for i in range(len(names))]
    for pair in known:
        joined = set().union(*(group for group in groups if group & set(pair)))
        groups = [group for group in groups if not group & joined] + [joined]
    most = max(groups, key=len)
    return [] if len(most) < 2 else [n for i, n in enumerate(names) if i not in most]


def _lag(first: _Bends | None, second: _Bends | None, most_s: float) -> tuple[float, float]:
    """How much later the second's clock is, s, and how sure that is (0 for not at all).

    Up to ``most_s`` later or earlier than if both began at once.
    """
    if first is None or second is None:
        return 0.0, 0.0
    A, B = first.deg, second.deg
    within_s = min(most_s, SYNCING.most_share * min(len(A), len(B)) * SYNCING.grid_s)
    begun_s = second.start_s - first.start_s
    most = round(within_s / SYNCING.grid_s)
    likeness = np.array([_likeness(A, B, shift) for shift in range(-most, most + 1)])
    peak, weight = peak_of(likeness, SYNCING.grid_s, SYNCING.least_likeness, SYNCING.doubtful)
    return (peak - most) * SYNCING.grid_s + begun_s, weight


def peak_of(
    likeness: np.ndarray, step_s: float, least: float, doubtful: float
) -> tuple[float, float]:
    """Where the highest of likenesses is, in fractions of a step, and how high.

    At shifts ``step_s`` apart. It is 0 high where it is lower than ``least``, and where another one
    far off has more than the share ``doubtful`` of it.
    """
    best = int(np.argmax(likeness))
    if likeness[best] < least:
        return 0.0, 0.0
    far = np.abs(np.arange(len(likeness)) - best) * step_s > SYNCING.peak_s
    if far.any() and likeness[far].max() > doubtful * likeness[best]:
        return 0.0, 0.0
    return best + _peak(likeness, best), float(likeness[best])


@dataclass(frozen=True, eq=False)
class _Bends:
    """A motion at even times, without what changes slowly."""

    start_s: float  # by the source's clock
    deg: np.ndarray  # (T, 30), ``SYNCING.grid_s`` apart; NaN where unknown

    @classmethod
    def of(cls, motion: Motion) -> _Bends | None:
        """None where too little is seen."""
        times, bends = motion.times_s, motion.bends
        if len(times) < 3 or times[-1] - times[0] < SYNCING.least_s:
            return None
        grid = np.arange(times[0], times[-1], SYNCING.grid_s)
        gap_s = 2.5 * float(np.median(np.diff(times)))
        out = np.full((len(grid), bends.shape[1]), np.nan)
        for side in range(len(SIDES)):
            part = slice(15 * side, 15 * side + 15)
            known = np.isfinite(bends[:, part]).all(axis=1)
            if known.sum() < 3:
                continue
            at = times[known]
            near = np.abs(grid[:, None] - at[None]).min(axis=1) < gap_s
            for column in range(part.start, part.stop):
                values = np.interp(grid, at, bends[known, column])
                out[near, column] = (values - _slow(values))[near]
        return cls(float(times[0]), out) if np.isfinite(out).any() else None

    @property
    def times_s(self) -> np.ndarray:
        """(T,) by the source's clock."""
        return self.start_s + SYNCING.grid_s * np.arange(len(self.deg))

    @property
    def end_s(self) -> float:
        """When it ends, by the source's clock."""
        return self.start_s + SYNCING.grid_s * len(self.deg)

    def between(self, start_s: float, stop_s: float, clock_s: float) -> _Bends:
        """The part between two times, which and its own are by a clock ``clock_s`` behind."""
        times_s = self.times_s - clock_s
        within = (times_s >= start_s) & (times_s < stop_s)
        return _Bends(float(times_s[within][0]), self.deg[within])

    def without(self, start_s: float, stop_s: float) -> _Bends:
        """The same with nothing known in between."""
        within = (self.times_s >= start_s) & (self.times_s < stop_s)
        return _Bends(self.start_s, np.where(within[:, None], np.nan, self.deg))


def _slow(values: np.ndarray) -> np.ndarray:
    """The running mean over ``SYNCING.slow_s``."""
    width = max(round(SYNCING.slow_s / SYNCING.grid_s) | 1, 3)
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1 / width), mode="valid")


def _likeness(A: np.ndarray, B: np.ndarray, shift: int) -> float:
    """Correlation of all bends, -1..1, with B ``shift`` steps later; -1 if too little is left."""
    a = A[max(-shift, 0) :]
    b = B[max(shift, 0) :]
    length = min(len(a), len(b))
    a, b = a[:length], b[:length]
    both = np.isfinite(a) & np.isfinite(b)
    if both.any(axis=1).sum() * SYNCING.grid_s < SYNCING.least_s:
        return -1.0
    a, b = np.where(both, a, 0.0), np.where(both, b, 0.0)
    size = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / size) if size > 0 else -1.0


def _peak(values: np.ndarray, best: int) -> float:
    """Where between the grid's points the peak is, by a parabola through three of them."""
    if not 0 < best < len(values) - 1:
        return 0.0
    before, at, after = values[best - 1 : best + 2]
    bend = before - 2 * at + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
