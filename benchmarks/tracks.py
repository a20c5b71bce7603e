"""How well hands are followed through a video with known truth.

``follow`` assigns answers to true hands once, in every frame; everything else is read off the
``Trace`` it returns. Frames in which a hand is half out of the picture or hidden are not scored:
they count neither for nor against anyone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from knuckle import metrics
from knuckle.errors import InputError
from knuckle.hand import N_JOINTS, Joint, Side, bone_lengths

#: Id of an answer of a system that gives none, and of no answer.
NO_ID = -1


class Presence(IntEnum):
    """What can be asked about a hand in a frame."""

    AWAY = 0  #: out of the picture; who comes back may be somebody else
    HIDDEN = 1  #: within the picture, but next to nothing of it to be seen
    PARTLY = 2  #: may be found or not
    THERE = 3  #: must be found


@dataclass(frozen=True, eq=False)
class TrueVideo:
    """Where H hands truly are in F frames.

    Attributes:
        side: (H,) sides.
        joints_px: (F, H, 21, 2).
        joints_mm: (F, H, 21, 3) camera frame.
        presence: (F, H) int, see ``Presence``.
    """

    side: tuple[Side, ...]
    joints_px: np.ndarray
    joints_mm: np.ndarray
    presence: np.ndarray

    def __post_init__(self) -> None:
        frames, hands = len(self.joints_px), len(self.side)
        expected = {
            "joints_px": (frames, hands, N_JOINTS, 2),
            "joints_mm": (frames, hands, N_JOINTS, 3),
            "presence": (frames, hands),
        }
        for name, shape in expected.items():
            got = getattr(self, name).shape
            if got != shape:
                raise InputError(f"{name} must have shape {shape}, got {got}")


@dataclass(frozen=True, eq=False)
class Answer:
    """One hand that a system gives for one frame.

    Attributes:
        side: which hand it takes it for.
        joints_px: (21, 2).
        joints_mm: (21, 3), axes of the camera frame.
        track_id: who it is, ``NO_ID`` from systems that do not say.
    """

    side: Side
    joints_px: np.ndarray
    joints_mm: np.ndarray
    track_id: int = NO_ID


@dataclass(frozen=True, eq=False)
class Trace:
    """What a system said about each true hand.

    Attributes:
        truth: of the video.
        found: (F, H) bool.
        track_id: (F, H) int.
        side_right: (F, H) bool, False where not found.
        joints_mm: (F, H, 21, 3), NaN where not found.
        spurious: answers that are about no hand at all.
    """

    truth: TrueVideo
    found: np.ndarray
    track_id: np.ndarray
    side_right: np.ndarray
    joints_mm: np.ndarray
    spurious: int

    @property
    def asked(self) -> np.ndarray:
        """(F, H) bool, where a hand must be found."""
        return self.truth.presence == Presence.THERE


def follow(truth: TrueVideo, answers: Sequence[Sequence[Answer]]) -> Trace:
    """Match a system's answers with the true hands, frame by frame.

    As in CLEAR MOT (Bernardin and Stiefelhagen 2008) a correspondence of ids that still holds is
    kept: where two hands lie on each other, the one that was followed goes on being it. The rest
    is matched by place and side (``metrics.match_hands``).

    Raises:
        ValueError: there is not one list of answers per frame.
    """
    frames, hands = truth.presence.shape
    if len(answers) != frames:
        raise InputError(f"expected answers for {frames} frames, got {len(answers)}")
    found = np.zeros((frames, hands), bool)
    track_id = np.full((frames, hands), NO_ID)
    side_right = np.zeros((frames, hands), bool)
    joints_mm = np.full((frames, hands, N_JOINTS, 3), np.nan)
    last_id = np.full(hands, NO_ID)
    spurious = 0
    for frame, given in enumerate(answers):
        pairs = _pair(truth, frame, given, last_id)
        for hand, k in pairs.items():
            answer = given[k]
            found[frame, hand] = True
            track_id[frame, hand] = last_id[hand] = answer.track_id
            side_right[frame, hand] = answer.side == truth.side[hand]
            joints_mm[frame, hand] = answer.joints_mm
        spurious += len(given) - len(pairs)
    return Trace(truth, found, track_id, side_right, joints_mm, spurious)


def _pair(
    truth: TrueVideo, frame: int, given: Sequence[Answer], last_id: np.ndarray
) -> dict[int, int]:
    """True hand -> index of the answer about it, in one frame."""
    seen = [h for h in range(len(truth.side)) if truth.presence[frame, h] != Presence.AWAY]
    pairs: dict[int, int] = {}
    for hand in seen:
        for k, answer in enumerate(given):
            same = answer.track_id == last_id[hand] != NO_ID
            if same and _off(truth, frame, hand, answer) <= metrics.MATCH_GATE:
                pairs[hand] = k
    left = [hand for hand in seen if hand not in pairs]
    spare = [k for k in range(len(given)) if k not in pairs.values()]
    matches = metrics.match_hands(
        [given[k].side for k in spare],
        np.array([given[k].joints_px for k in spare]).reshape(-1, N_JOINTS, 2),
        [truth.side[hand] for hand in left],
        truth.joints_px[frame, left],
    )
    return pairs | {left[match.true]: spare[match.predicted] for match in matches}


def _off(truth: TrueVideo, frame: int, hand: int, answer: Answer) -> float:
    """2D distance of an answer from a true hand, share of the hand's box."""
    return float(metrics.keypoint_error_share(answer.joints_px, truth.joints_px[frame, hand]))


# --------------------------------------------------------------------------------------------
# Who is who
# --------------------------------------------------------------------------------------------
def id_switches(trace: Trace) -> int:
    """How often a hand's id changes while it is in view (IDSW of CLEAR MOT).

    A hand that was away may come back as somebody else: only changes without an absence between
    them count.
    """
    switches = 0
    for hand in range(len(trace.truth.side)):
        for stay in _stays(trace.truth.presence[:, hand]):
            ids = trace.track_id[stay, hand]
            ids = ids[ids != NO_ID]
            switches += int(np.count_nonzero(np.diff(ids)))
    return switches


def side_flips(trace: Trace) -> int:
    """How often the side that is given for a hand changes while it is in view."""
    flips = 0
    for hand in range(len(trace.truth.side)):
        for stay in _stays(trace.truth.presence[:, hand]):
            right = trace.side_right[stay, hand][trace.found[stay, hand]]
            flips += int(np.count_nonzero(np.diff(right.astype(int))))
    return flips


def frames_to_find(trace: Trace) -> list[int]:
    """For each hand that comes into view, how many frames go by until it is found.

    0: in the first frame in which it had to be. It comes into view when it was away or hidden
    before; a hand that is not found before it goes again counts as many frames as it was asked for.
    """
    waits = []
    for hand in range(len(trace.truth.side)):
        presence, found = trace.truth.presence[:, hand], trace.found[:, hand]
        in_view = np.concatenate([[False], presence > Presence.HIDDEN, [False]])
        for start, stop in np.flatnonzero(np.diff(in_view.astype(int))).reshape(-1, 2):
            asked = np.flatnonzero(presence[start:stop] == Presence.THERE)
            if start == 0 or not len(asked):
                continue
            hits = np.flatnonzero(found[start:stop])
            first = hits[0] if len(hits) else stop - start
            waits.append(int(max(first - asked[0], 0)))
    return waits


def _stays(presence: np.ndarray) -> Iterator[slice]:
    """The stretches of (F,) frames between absences."""
    here = np.concatenate([[False], presence != Presence.AWAY, [False]])
    edges = np.flatnonzero(np.diff(here.astype(int)))
    for start, stop in edges.reshape(-1, 2):
        yield slice(int(start), int(stop))


# --------------------------------------------------------------------------------------------
# How steady, how late, how exact
# --------------------------------------------------------------------------------------------
def missed_share(trace: Trace) -> float:
    """Share of the hands that had to be found and were not."""
    return float(1 - trace.found[trace.asked].mean()) if trace.asked.any() else float("nan")


def wrist_errors(trace: Trace) -> np.ndarray:
    """(N,) MPJPE from the wrist of every hand that had to be found, mm.

    A missed hand counts as one whose joints all lie in one point.
    """
    answered = np.where(trace.found[..., None, None], trace.joints_mm, 0.0)
    errors = metrics.mpjpe(answered, trace.truth.joints_mm, root=Joint.WRIST)
    return errors[trace.asked]


def absolute_errors(trace: Trace) -> np.ndarray:
    """(N,) mean error in the camera frame of every hand that had to be found and was, mm."""
    errors = metrics.absolute_error(trace.joints_mm, trace.truth.joints_mm)
    return errors[trace.asked & trace.found]


def acceleration_errors(trace: Trace, *, root: Joint | None) -> np.ndarray:
    """(N, 21) |p'' - t''| of every joint in every three frames in a row, mm/frame².

    Args:
        trace: of evenly spaced frames.
        root: joint from which positions are taken, or None for the camera frame.
    """
    off = trace.joints_mm - trace.truth.joints_mm  # (F, H, 21, 3)
    if root is not None:
        off = off - off[:, :, root : root + 1]
    second = np.linalg.norm(np.diff(off, n=2, axis=0), axis=-1)  # (F - 2, H, 21)
    asked = trace.asked & trace.found
    whole = asked[:-2] & asked[1:-1] & asked[2:]
    return second[whole]


def still_jitter(trace: Trace, *, root: Joint | None = None) -> float:
    """Root mean square of the joints' second differences, mm/frame²: of hands that do not move.

    With the truth at rest everything that moves is tremble.
    """
    tremble = acceleration_errors(trace, root=root)
    return float(np.sqrt((tremble**2).mean())) if tremble.size else float("nan")


def bone_spread(trace: Trace) -> float:
    """Standard deviation of a bone's length within a track, share of its mean; mean of all bones.

    A system without ids has one track per true hand.
    """
    spreads = []
    for hand in range(len(trace.truth.side)):
        lengths = bone_lengths(trace.joints_mm[:, hand])  # (F, 20)
        for number in np.unique(trace.track_id[trace.found[:, hand], hand]):
            own = lengths[trace.found[:, hand] & (trace.track_id[:, hand] == number)]
            spreads.append((own.std(axis=0) / np.maximum(own.mean(axis=0), 1e-9)).mean())
    return float(np.mean(spreads)) if spreads else float("nan")


def step_lag(values: np.ndarray, step_frame: int, settle: int) -> float:
    """How many frames late a sudden step comes out: the area above the step response.

    The mean delay of any linear filter, whatever its shape: with progress p_k in 0..1 between
    where the output rested before and where it rests after, lag = sum_k (1 - p_k) over the frames
    from the step on. An output that is there at once has 0; a first-order low-pass with share a
    has (1 - a) / a.

    Args:
        values: (F, ...) the output, with the step between ``step_frame - 1`` and ``step_frame``.
        step_frame: first frame in which the input is in its new place.
        settle: so many frames belong to the response; what follows is rest.

    Raises:
        ValueError: there are no frames of rest before or after.
    """
    flat = np.asarray(values, np.float64).reshape(len(values), -1)
    before, after = flat[max(step_frame - settle, 0) : step_frame], flat[step_frame + settle :]
    if not len(before) or not len(after):
        raise InputError(
            f"expected frames of rest around the step at {step_frame}, got {len(flat)} frames"
        )
    start, step = before.mean(axis=0), after.mean(axis=0) - before.mean(axis=0)
    progress = (
        (flat[step_frame : step_frame + settle] - start) @ step / max(float(step @ step), 1e-12)
    )
    return float((1 - progress).sum())


def motion_lag(answered: np.ndarray, true: np.ndarray, most: int = 5) -> float:
    """By how many frames a motion comes late: the shift that lays it best onto the truth.

    The mean squared distance to the truth k frames ago is taken for k = 0..``most`` frames to
    either side, and the lowest point of the parabola through the least and its neighbours.
    What is constantly off does not count.

    Args:
        answered: (F, ...) without gaps.
        true: (F, ...).
        most: largest shift to try.

    Returns:
        frames; NaN if there are not enough.
    """
    answered = np.asarray(answered, np.float64).reshape(len(answered), -1)
    true = np.asarray(true, np.float64).reshape(len(true), -1)
    inner = slice(most, len(true) - most)
    if len(true) < 4 * most:
        return float("nan")
    shifts = np.arange(-most, most + 1)
    costs = []
    for shift in shifts:
        off = answered[inner] - true[most - shift : len(true) - most - shift]
        costs.append(((off - off.mean(axis=0)) ** 2).sum(axis=1).mean())
    k = int(np.clip(np.argmin(costs), 1, len(costs) - 2))
    left, middle, right = costs[k - 1 : k + 2]
    bend = left - 2 * middle + right
    return float(shifts[k] + (0.5 * (left - right) / bend if bend > 1e-12 else 0.0))
