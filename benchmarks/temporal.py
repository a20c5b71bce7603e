"""The temporal stage against the lifter alone, each raw and smoothed: one run, one table.

    python benchmarks/temporal.py --run runs/temporal [--clip]

Right hands that move between poses are seen with a keypoint network's errors (``train/motion.py``),
lifted frame by frame by the shipped lifter (without image features, of which there are none), and
placed by ``pose/placement.py``; the filter is the tracker's own. None of the hands was trained on.
Errors are relative to the wrist. The lag is the delay at which the estimate fits the truth best.
With ``--clip`` the stage stands in the tracker instead, on the clip of ``knuckle demo``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import knuckle
from knuckle import HandTracker, metrics, open_source, pose
from knuckle.camera import Camera
from knuckle.export import export
from knuckle.hand import N_JOINTS, Side, extent_px
from knuckle.models.lifter import Lifter, LifterSettings
from knuckle.pose import confidence, placement
from knuckle.render.hand_model import HandModel
from knuckle.results import HandPose
from knuckle.runtime import Network
from knuckle.track.smoothing import OneEuroSmoother
from knuckle.track.temporal import Past, TemporalStage
from knuckle.train import poses
from knuckle.train.modules import TemporalModule
from knuckle.train.motion import Motions, sample_motions
from knuckle.train.recipe import Recipe
from knuckle.train.streams import lifted
from knuckle.train.weights import load_weights, part_of

DEMO = Path(knuckle.__file__).parent / "demo"
CAMERA = Camera.from_fov(1280, 720, 65.0)
FPS = 30.0
#: Frames after which a track has settled; before that, nothing is scored.
SETTLED = 15
_LAGS = np.arange(-2, 7)


@dataclass(frozen=True, eq=False)
class Lifted:
    """What one way of lifting says about N hands over T frames, in the axes of the views."""

    joints_mm: np.ndarray  # (N, T, 21, 3)
    sigma_mm: np.ndarray  # (N, T, 21)


def in_camera(motions: Motions, said: Lifted) -> list[list[HandPose]]:
    """Each frame placed in the camera, as ``pipeline.Stages.poses`` does."""
    turns = motions.R_camera_from_view
    shapes = said.joints_mm @ turns.swapaxes(-1, -2)
    rays = np.concatenate([motions.rays, np.ones_like(motions.rays[..., :1])], axis=-1)
    rays = rays @ turns.swapaxes(-1, -2)
    rays = (rays[..., :2] / rays[..., 2:]).astype(np.float64)
    clips = []
    for n in range(len(shapes)):
        evidence = placement.Evidence(
            shapes[n].astype(np.float64), said.sigma_mm[n], rays[n], motions.sigma[n]
        )
        joints_mm = placement.fuse(evidence, placement.place(evidence))
        points_px = CAMERA.pixels_from_rays(rays[n].reshape(-1, 2)).reshape(-1, N_JOINTS, 2)
        extent = np.maximum(extent_px(points_px), 1.0)[:, None]
        score = confidence.score_of(motions.sigma[n] * CAMERA.fx / extent)
        clips.append(
            [
                HandPose(
                    side="right",
                    side_score=1.0,
                    score=0.95,
                    joints_px=points_px[t],
                    joints_mm=joints_mm[t],
                    joint_score=score[t],
                    visible=np.ones(N_JOINTS, bool),
                    joint_sigma_mm=said.sigma_mm[n, t],
                    camera=CAMERA,
                )
                for t in range(len(joints_mm))
            ]
        )
    return clips


def raw(clips: list[list[HandPose]]) -> np.ndarray:
    """(N, T, 21, 3) mm relative to the wrist, nothing smoothed."""
    return np.array([[hand.joints_mm - hand.joints_mm[0] for hand in clip] for clip in clips])


def smoothed(clips: list[list[HandPose]]) -> np.ndarray:
    """(N, T, 21, 3) mm relative to the wrist, as ``knuckle track`` writes it."""
    tracks = []
    for clip in clips:
        smoother = OneEuroSmoother()
        joints = np.array([smoother(hand, 1 / FPS)[1] for hand in clip])
        tracks.append(joints - joints[:, :1])
    return np.array(tracks)


def lag(found: np.ndarray, truth: np.ndarray) -> float:
    """Frames by which the estimate follows the truth: (N, T, 21, 3) each."""
    frames = slice(-int(_LAGS.min()) + SETTLED, truth.shape[1] - int(_LAGS.max()))
    moved = np.arange(truth.shape[1])[frames]
    errors = [np.square(found[:, moved + k] - truth[:, moved]).mean() for k in _LAGS]
    return _least(errors)


def _least(errors: list[float]) -> float:
    """The lag at which the errors at ``_LAGS`` are least, by a parabola through three of them."""
    best = int(np.clip(np.argmin(errors), 1, len(_LAGS) - 2))
    before, least, after = errors[best - 1 : best + 2]
    return float(_LAGS[best] + (before - after) / (2 * (before - 2 * least + after)))


def row(name: str, found: np.ndarray, truth: np.ndarray) -> str:
    """A line of the table."""
    found, true = found[:, SETTLED:], truth[:, SETTLED:]
    per_clip = [metrics.acceleration_error(f, t) for f, t in zip(found, true, strict=True)]
    cells = [
        f"{np.linalg.norm(found - true, axis=-1).mean():.2f}",
        f"{metrics.pa_mpjpe(found, true).mean():.2f}",
        f"{np.mean(per_clip):.2f}",
        f"{lag(np.concatenate([truth[:, :SETTLED], found], axis=1), truth):.2f}",
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def refined(run: Path, batch: dict[str, np.ndarray]) -> Lifted:
    """What the temporal stage of a run makes of lifted clips."""
    module = TemporalModule(Recipe.load_json(run / "recipe.json"))
    module.temporal.load_state_dict(part_of(load_weights(run / "weights.pt"), "temporal"))
    with torch.no_grad():
        out, _ = module({key: torch.from_numpy(value) for key, value in batch.items()})
    return Lifted(out.joints_mm.numpy(), out.log_sigma_mm.exp().numpy())


class FollowedLifter:
    """A lifter with the temporal stage behind it, for clips with one hand of each side."""

    def __init__(self, lifter: pose.Lifter, stage: TemporalStage) -> None:
        self.time_s = 0.0
        self._lifter, self._stage = lifter, stage
        self._pasts: dict[Side, Past] = {}

    def __call__(self, keypoints: pose.Keypoints, camera: Camera) -> pose.LiftedJoints:
        """Lift all hands of the frame at ``time_s``."""
        sides = [keypoints.side(i) for i in range(len(keypoints))]
        pasts = [self._pasts.get(side) for side in sides]
        lifted = self._lifter(keypoints, camera)
        refined, now = self._stage(keypoints, lifted, camera, pasts, self.time_s)
        self._pasts.update(zip(sides, now, strict=True))
        return refined


def tracked(stage: TemporalStage | None, smooth: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Hands of the shipped clip, found and true: (2, T, 21, 3) mm from the wrist, NaN if missed."""
    with np.load(DEMO / "hands_truth.npz") as truth:
        sides, true_mm = truth["side"].tolist(), truth["joints_mm"].swapaxes(0, 1)
        camera = Camera(*truth["camera"].tolist())
        shown = truth["shown"].T > 0.5
    tracker = HandTracker(max_hands=2, smooth=smooth)
    follower = FollowedLifter(tracker._stages.lifter, stage) if stage else None
    if follower is not None:
        tracker._stages.__dict__["lifter"] = follower
    found = np.full(true_mm.shape, np.nan)
    for frame in open_source(DEMO / "hands.mp4"):
        if follower is not None:
            follower.time_s = frame.time_s
        for hand in tracker(frame, camera):
            found[sides.index(hand.side), frame.index] = hand.joints_root_mm
    found[~shown] = np.nan
    return found, true_mm - true_mm[:, :, :1]


def clip_row(name: str, found: np.ndarray, truth: np.ndarray) -> str:
    """A line of the clip's table; frames without a hand do not count."""
    seen = np.isfinite(found).all(axis=(2, 3))
    off = np.diff(found - truth, n=2, axis=1)
    turn = slice(SETTLED, -int(_LAGS.max()))
    moved = np.arange(truth.shape[1])[turn]
    lags = [np.nanmean(np.square(found[:, moved + k] - truth[:, moved])) for k in _LAGS]
    cells = [
        f"{np.linalg.norm(found - truth, axis=-1)[seen].mean():.2f}",
        f"{metrics.pa_mpjpe(found[seen], truth[seen]).mean():.2f}",
        f"{np.nanmean(np.linalg.norm(off, axis=-1)):.2f}",
        f"{_least(lags):.2f}",
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def print_clip(run: Path) -> None:
    """The table of ``--clip``."""
    with tempfile.TemporaryDirectory() as folder:
        (path,) = export(run, Path(folder))
        stage = TemporalStage(Network(path, "temporal", threads=1))
    for name, with_stage in (("lifter", None), ("temporal stage", stage)):
        for smooth, label in ((None, name), ("one_euro", f"{name}, one-euro")):
            print(clip_row(label, *tracked(with_stage, smooth)), flush=True)


def milliseconds(run: Path) -> tuple[float, float]:
    """Median time of one hand's frame on one thread in ONNX Runtime, and the file's size in MB."""
    with tempfile.TemporaryDirectory() as folder:
        (path,) = export(run, Path(folder))
        size = path.stat().st_size / 1e6
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options)
    shapes = {item.name: [1, *item.shape[1:]] for item in session.get_inputs()}
    inputs = {name: np.full(shape, 0.1, np.float32) for name, shape in shapes.items()}
    times = []
    for _ in range(500):
        start = time.perf_counter()
        session.run(None, inputs)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times)), size


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("runs/temporal"), help="a trained stage")
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--frames", type=int, default=75)
    parser.add_argument("--clip", action="store_true", help="in the tracker, on the shipped clip")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| | MPJPE, mm | PA-MPJPE, mm | acceleration error, mm/frame² | lag, frames |")
    print("|---|---|---|---|---|", flush=True)
    if options.clip:
        print_clip(options.run)
        return
    rng = np.random.default_rng(77)
    model, bank = HandModel.load(), poses.PoseBank(rng, 4096)
    noise = poses.upright_noise(rng, bank, model)
    motions = sample_motions(rng, options.clips, options.frames, bank, model, noise, FPS)
    lifter = Lifter(LifterSettings())
    recipe = Recipe.load_json(options.run / "recipe.json")
    lifter.load_state_dict(part_of(load_weights(Path(recipe.start_lifter)), "lifter"))
    batch = lifted(lifter.eval(), motions)
    truth = motions.joints_mm @ motions.R_camera_from_view.swapaxes(-1, -2)
    alone = Lifted(batch["lifted_mm"], batch["lifted_sigma_mm"])
    for name, said in (("lifter", alone), ("temporal stage", refined(options.run, batch))):
        clips = in_camera(motions, said)
        ways: dict[str, Callable[[list[list[HandPose]]], np.ndarray]]
        ways = {name: raw, f"{name}, one-euro": smoothed}
        for label, way in ways.items():
            print(row(label, way(clips), truth), flush=True)
    speed, size = milliseconds(options.run)
    print(f"\n{speed:.2f} ms a frame on one thread, {size:.2f} MB")


if __name__ == "__main__":
    main()
