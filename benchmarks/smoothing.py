"""Raw, causal and two-sided smoothing on hands with known truth: one run, one table.

    python benchmarks/smoothing.py            # kinematic hands with imitated errors
    python benchmarks/smoothing.py --demo     # the shipped networks on the shipped clip
    python benchmarks/smoothing.py --noise    # how well their errors are imitated

The kinematic hands and their errors are those of ``noisy_motion.py``. Seeds below 1000 were used to
choose settings, the table is made with others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import knuckle.demo
from board import Table
from knuckle import Camera, HandPose, HandTracker, open_source
from knuckle.hand import bone_lengths
from knuckle.track.offline import OfflineTrack
from knuckle.track.skeleton import BoneLengths
from knuckle.track.smoothing import OneEuroSmoother
from noisy_motion import Clip, Noise, moving, stepping
from noisy_motion import still as still_hand

DEMO = Path(knuckle.demo.__path__[0])
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
    smoother, bones, before_s = OneEuroSmoother(), BoneLengths(), -1 / 30
    out: list[Track | None] = []
    for time_s, pose in zip(clip.time_s, clip.poses, strict=True):
        if pose is None:
            out.append(None)
            continue
        bones.learn(pose.bone_lengths_mm)
        out.append(smoother(pose, bones.mm, float(time_s - before_s)))
        before_s = time_s
    return _gathered(clip, out)


def offline(clip: Clip) -> Track:
    """What ``knuckle track --offline`` writes."""
    first, last = clip.seen[[0, -1]]
    used = slice(first, last + 1)
    track = OfflineTrack(0, clip.poses[used], clip.time_s[used])
    hands = [track[i] for i in range(len(track))]
    return _gathered(clip, [hand and (hand.joints_px, hand.joints_mm) for hand in hands], first)


METHODS: dict[str, Method] = {"raw": raw, "causal": causal, "offline": offline}


def _gathered(clip: Clip, hands: Sequence[Track | None], first: int = 0) -> Track:
    frames = len(clip.time_s)
    points_px, joints_mm = np.full((frames, 21, 2), np.nan), np.full((frames, 21, 3), np.nan)
    for i, hand in enumerate(hands, first):
        if hand is not None:
            points_px[i], joints_mm[i] = hand
    return points_px, joints_mm


@dataclass(frozen=True)
class Scores:
    """Means over clips, mm; accelerations in mm / frame².

    Attributes:
        mpjpe, root, absolute: error of the joints from the wrist, of the wrist, of the joints.
        epe, projected: of the keypoints, and of the joints in the picture, px.
        acceleration, root_acceleration: mean norm of the second difference of the error, from the
            wrist, and of it.
        spread: of bone lengths within a track, largest over smallest, less one.
        jitter, root_jitter: RMS of the second difference of a hand at rest, likewise.
        lag: frames by which a step arrives late, by its kind (the area between).
    """

    mpjpe: float
    root: float
    absolute: float
    epe: float
    projected: float
    acceleration: float
    root_acceleration: float
    spread: float
    jitter: float | None = None
    root_jitter: float | None = None
    lag: dict[str, float] = field(default_factory=dict)


def score(method: Method, first_seed: int, clips: int) -> Scores:
    """Run a method over moving, resting and stepping hands."""
    seeds = range(first_seed, first_seed + clips)
    rows = [_moving_scores(clip, method(clip)) for clip in map(moving, seeds)]
    rest = [_jitter(method(still_hand(seed))[1][SETTLED:]) for seed in seeds]
    jitter, root_jitter = np.sqrt(np.mean(np.square(rest), axis=0))
    lag = {kind: float(np.mean([_lag(method, seed, kind) for seed in seeds])) for kind in STEPS}
    return _scores(rows, jitter=float(jitter), root_jitter=float(root_jitter), lag=lag)


def score_clips(method: Method, clips: Sequence[Clip], settled: int) -> Scores:
    """Run a method over given clips of moving hands."""
    rows = [_moving_scores(clip, method(clip), settled) for clip in clips]
    return _scores(rows, frames=[len(clip.scored) for clip in clips])


def _scores(
    rows: Sequence[list[float]], frames: Sequence[int] | None = None, **others: Any
) -> Scores:
    names = ("mpjpe", "root", "absolute", "epe", "projected", "acceleration", "root_acceleration")
    means = np.average(rows, axis=0, weights=frames).tolist()
    return Scores(**dict(zip((*names, "spread"), means, strict=True)), **others)


def _moving_scores(clip: Clip, track: Track, settled: int = SETTLED) -> list[float]:
    points_px, joints_mm = track
    use = clip.scored[clip.scored >= settled]
    truth = clip.joints_mm
    camera = next(pose.camera for pose in clip.poses if pose is not None)
    true_px = camera.project(truth[use])
    off = np.full_like(joints_mm, np.nan)
    off[use] = joints_mm[use] - truth[use]
    relative = off - off[:, :1]
    length = bone_lengths(joints_mm[use])
    return [
        _mean_norm(relative[use]),
        _mean_norm(off[use, 0]),
        _mean_norm(off[use]),
        _mean_norm(points_px[use] - true_px),
        _mean_norm(camera.project(joints_mm[use]) - true_px),
        _mean_acceleration(relative),
        _mean_acceleration(off[:, :1]),
        float((length.max(axis=0) / length.min(axis=0)).max() - 1),
    ]


def _mean_norm(gap: np.ndarray) -> float:
    return float(np.linalg.norm(gap, axis=-1).mean())


def _mean_acceleration(off: np.ndarray) -> float:
    """As ``metrics.acceleration_error``, over all runs of three frames with a hand."""
    return float(np.nanmean(np.linalg.norm(np.diff(off, n=2, axis=0), axis=-1)))


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


def demo_clips() -> list[Clip]:
    """What the shipped networks make of the shipped clip: a clip for each track."""
    truth = np.load(DEMO / "hands_truth.npz")
    sides, camera = truth["side"].tolist(), Camera(*truth["camera"])
    tracker = HandTracker(smooth=None)
    looks: dict[int, dict[int, HandPose]] = {}
    times_s = []
    for frame in open_source(DEMO / "hands.mp4", camera=camera):
        times_s.append(frame.time_s)
        for hand in tracker(frame):
            looks.setdefault(hand.track_id, {})[frame.index] = hand.raw
    clips = []
    for of_frame in looks.values():
        first, last = min(of_frame), max(of_frame)
        which = sides.index(of_frame[first].side)
        clips.append(
            Clip(
                np.array(times_s[first : last + 1]),
                truth["joints_mm"][first : last + 1, which].astype(np.float64),
                [of_frame.get(i) for i in range(first, last + 1)],
                shown=truth["shown"][first : last + 1, which] == 1,
            )
        )
    return [clip for clip in clips if len(clip.scored) > 20]


def noise_of(clips: Sequence[Clip]) -> dict[str, float]:
    """Sizes of the errors of raw estimates; grossly wrong looks are left out."""
    rows = []
    for clip in clips:
        poses = [clip.poses[i] for i in clip.scored]
        px, mm = (
            np.stack([getattr(pose, name) for pose in poses]) for name in ("joints_px", "joints_mm")
        )
        truth, camera = clip.joints_mm[clip.scored], poses[0].camera
        true_px = camera.project(truth)
        side = np.ptp(true_px, axis=1).max(axis=-1)[:, None, None]
        good = (np.abs(px - true_px) < 0.3 * side).all(axis=(1, 2))
        off = (mm - mm[:, :1]) - (truth - truth[:, :1])
        errors = {
            "keypoints, share of the hand's side": (px - true_px) / side,
            "joints off their keypoints, likewise": (camera.project(mm) - px) / side,
            "depth from the wrist, mm": off[:, 1:, 2],
            "logarithm of bone lengths": np.log(bone_lengths(mm) / bone_lengths(truth)),
            "logarithm of the wrist's depth": np.log(mm[:, 0, 2] / truth[:, 0, 2]),
        }
        row = {"MPJPE, mm": _mean_norm(off[good])}
        for name, error in errors.items():
            row[name] = float(np.sqrt(np.mean(error[good] ** 2)))
            fresh = np.diff(error, n=2, axis=0)[good[:-2] & good[1:-1] & good[2:]]
            row[f"{name}: from frame to frame"] = float(np.sqrt(np.mean(fresh**2) / 6))
        rows.append(row)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def table(scores: dict[str, Scores]) -> str:
    """Markdown, one row a measure."""
    first = next(iter(scores.values()))
    rows: list[tuple[str, Callable[[Scores], str]]] = [
        ("MPJPE from the wrist, mm", lambda s: f"{s.mpjpe:.2f}"),
        ("wrist in the camera, mm", lambda s: f"{s.root:.1f}"),
        ("joints in the camera, mm", lambda s: f"{s.absolute:.1f}"),
        ("keypoints, px", lambda s: f"{s.epe:.2f}"),
        ("joints in the picture, px", lambda s: f"{s.projected:.2f}"),
        ("acceleration error, mm/frame²", lambda s: f"{s.acceleration:.2f}"),
        ("the same of the wrist", lambda s: f"{s.root_acceleration:.2f}"),
        ("spread of bone lengths, %", lambda s: f"{100 * s.spread:.2g}"),
    ]
    if first.jitter is not None:
        rows += [
            ("jitter of a still hand, mm/frame²", lambda s: f"{s.jitter:.3f}"),
            ("the same of the wrist", lambda s: f"{s.root_jitter:.3f}"),
        ]
    for kind in first.lag:
        rows.append((f"lag on a step: {kind}, frames", lambda s, kind=kind: f"{s.lag[kind]:.2f}"))
    columns = dict.fromkeys(("", *scores), "")
    return Table(columns).text((name, *map(show, scores.values())) for name, show in rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=16, help="clips of each kind")
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--noise", action="store_true")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.clips)
    if options.noise:
        imitated = noise_of([moving(seed, noise=Noise(bad=0.0, missed=0.0)) for seed in seeds])
        shipped = noise_of(demo_clips())
        columns = {"error": "", "shipped networks": "{:.3g}", "imitated": "{:.3g}"}
        print(Table(columns).text((name, shipped[name], imitated[name]) for name in shipped))
    elif options.demo:
        clips = demo_clips()
        print(table({name: score_clips(do, clips, settled=0) for name, do in METHODS.items()}))
    else:
        seeds_of = options.first_seed, options.clips
        print(table({name: score(do, *seeds_of) for name, do in METHODS.items()}))


if __name__ == "__main__":
    main()
