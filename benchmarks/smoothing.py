"""Raw, causal and two-sided smoothing on hands whose truth is known: one run, one table.

    python benchmarks/smoothing.py            # the table of docs/smoothing.md
    python benchmarks/smoothing.py --noise    # the errors of the shipped networks that it imitates

The hands and their errors are those of ``noisy_motion.py``. Seeds below 1000 were used to choose
settings, the table is made with others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from knuckle.hand import bone_lengths
from knuckle.track.offline import OfflineTrack
from knuckle.track.smoothing import OneEuroSmoother
from noisy_motion import CAMERA, Clip, moving, stepping
from noisy_motion import still as still_hand

STEPS = ("across", "nearer", "turn", "fingers")
#: Frames after which a track has settled; before that, nothing is scored.
SETTLED = 75
#: (F, 21, 2) px and (F, 21, 3) mm of the frames of a clip; NaN where there is no hand.
Track = tuple[np.ndarray, np.ndarray]
Method = Callable[[Clip], Track]


def raw(clip: Clip) -> Track:
    """Nothing is smoothed."""
    return _gathered(clip, [pose and (pose.joints_px, pose.joints_mm) for pose in clip.poses])


def causal(clip: Clip) -> Track:
    """What ``knuckle track`` writes."""
    smoother, before_s = OneEuroSmoother(), -1 / 30
    out: list[Track | None] = []
    for time_s, pose in zip(clip.time_s, clip.poses, strict=True):
        out.append(None if pose is None else smoother(pose, float(time_s - before_s)))
        before_s = before_s if pose is None else time_s
    return _gathered(clip, out)


def offline(clip: Clip) -> Track:
    """What ``knuckle track --offline`` writes."""
    first, last = clip.seen[[0, -1]]
    used = slice(first, last + 1)
    joints_mm = np.full((len(clip.time_s), 21, 3), np.nan)
    joints_mm[used] = OfflineTrack(0, clip.poses[used], clip.time_s[used]).joints_mm
    return CAMERA.project(joints_mm), joints_mm


METHODS: dict[str, Method] = {"raw": raw, "causal": causal, "offline": offline}


def _gathered(clip: Clip, hands: Sequence[Track | None]) -> Track:
    frames = len(clip.time_s)
    points_px, joints_mm = np.full((frames, 21, 2), np.nan), np.full((frames, 21, 3), np.nan)
    for i, hand in enumerate(hands):
        if hand is not None:
            points_px[i], joints_mm[i] = hand
    return points_px, joints_mm


@dataclass(frozen=True)
class Scores:
    """Means over clips, mm; accelerations in mm / frame².

    Attributes:
        mpjpe, root, absolute: error of the joints from the wrist, of the wrist, of the joints.
        epe: of the keypoints, px.
        acceleration, root_acceleration: ``metrics.acceleration_error`` from the wrist, and of it.
        jitter, root_jitter: RMS of the second difference of a hand at rest, likewise.
        lag: frames by which a step arrives late, by its kind (the area between).
        spread: of bone lengths within a track, largest over smallest, less one.
        reprojection: between keypoints and projected joints, px.
    """

    mpjpe: float
    root: float
    absolute: float
    epe: float
    acceleration: float
    root_acceleration: float
    jitter: float
    root_jitter: float
    lag: dict[str, float]
    spread: float
    reprojection: float


def score(method: Method, first_seed: int, clips: int) -> Scores:
    """Run a method over moving, resting and stepping hands."""
    seeds = range(first_seed, first_seed + clips)
    rows = [_moving_scores(clip, method(clip)) for clip in map(moving, seeds)]
    rest = [_jitter(method(still_hand(seed))[1][SETTLED:]) for seed in seeds]
    lag = {kind: float(np.mean([_lag(method, seed, kind) for seed in seeds])) for kind in STEPS}
    mpjpe, root, absolute, epe, acceleration, root_acceleration, spread, gap = np.mean(rows, axis=0)
    jitter, root_jitter = np.sqrt(np.mean(np.square(rest), axis=0))
    return Scores(
        *(mpjpe, root, absolute, epe, acceleration, root_acceleration),
        *(float(jitter), float(root_jitter), lag, spread, gap),
    )


def _moving_scores(clip: Clip, track: Track) -> list[float]:
    points_px, joints_mm = track
    use = clip.seen[clip.seen >= SETTLED]
    truth = clip.joints_mm
    camera = next(pose.camera for pose in clip.poses if pose is not None)
    off = joints_mm - truth
    relative = off - off[:, :1]
    length = bone_lengths(joints_mm[use])
    return [
        _mean_norm(relative[use]),
        _mean_norm(off[use, 0]),
        _mean_norm(off[use]),
        _mean_norm(points_px[use] - camera.project(truth[use])),
        _mean_acceleration(relative[SETTLED:]),
        _mean_acceleration(off[SETTLED:, :1]),
        float((length.max(axis=0) / length.min(axis=0)).max() - 1),
        _mean_norm(camera.project(joints_mm[use]) - points_px[use]),
    ]


def _mean_norm(gap: np.ndarray) -> float:
    return float(np.linalg.norm(gap, axis=-1).mean())


def _mean_acceleration(off: np.ndarray) -> float:
    """``metrics.acceleration_error`` over all runs of three frames with a hand."""
    second = np.diff(off, n=2, axis=0)
    return float(np.nanmean(np.linalg.norm(second, axis=-1)))


def _jitter(joints_mm: np.ndarray) -> tuple[float, float]:
    relative = joints_mm - joints_mm[:, :1]
    return tuple(  # type: ignore[return-value]
        float(np.sqrt((np.diff(x, n=2, axis=0) ** 2).sum(axis=-1).mean()))
        for x in (relative[:, 1:], joints_mm[:, :1])
    )


def _lag(method: Method, seed: int, kind: str) -> float:
    """Frames between a step of the raw hand and its arrival: the area between, over its height."""
    clip = stepping(seed, kind)
    middle = len(clip.time_s) // 2
    given, arrived = raw(clip)[1], method(clip)[1]
    before, after = clip.joints_mm[0], clip.joints_mm[-1]
    way = after - before
    given_share, share = (((x - before) * way).sum(axis=(1, 2)) for x in (given, arrived))
    # What is still missing, or has come too early, against where each of them ends.
    behind = share[-8:].mean() - share[middle : middle + 15]
    raw_behind = given_share[-8:].mean() - given_share[middle : middle + 15]
    return float((behind - raw_behind).sum() / (way**2).sum())


def table(scores: dict[str, Scores]) -> str:
    """Markdown, one row a measure."""
    first = next(iter(scores.values()))
    rows = [
        ("MPJPE from the wrist, mm", lambda s: f"{s.mpjpe:.2f}"),
        ("wrist in the camera, mm", lambda s: f"{s.root:.1f}"),
        ("joints in the camera, mm", lambda s: f"{s.absolute:.1f}"),
        ("keypoints, px", lambda s: f"{s.epe:.2f}"),
        ("acceleration error, mm/frame²", lambda s: f"{s.acceleration:.2f}"),
        ("the same of the wrist", lambda s: f"{s.root_acceleration:.2f}"),
        ("jitter of a still hand, mm/frame²", lambda s: f"{s.jitter:.3f}"),
        ("the same of the wrist", lambda s: f"{s.root_jitter:.3f}"),
        *(
            (f"lag on a step: {kind}, frames", lambda s, k=kind: f"{s.lag[k]:.2f}")
            for kind in first.lag
        ),
        ("spread of bone lengths, %", lambda s: f"{100 * s.spread:.4g}"),
        ("joints off their keypoints, px", lambda s: f"{s.reprojection:.2f}"),
    ]
    lines = [f"| | {' | '.join(scores)} |", "|---" * (len(scores) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(show(s) for s in scores.values())} |" for name, show in rows]
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=24, help="clips of each kind")
    parser.add_argument("--first-seed", type=int, default=1000)
    options = parser.parse_args()
    scores = {name: score(do, options.first_seed, options.clips) for name, do in METHODS.items()}
    print(table(scores))


if __name__ == "__main__":
    main()
