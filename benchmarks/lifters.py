"""Lifters on equal terms: the same posed hands, losses and seconds of one thread.

    python benchmarks/lifters.py --seconds 60 --crops runs/data/crops

Trains a plain residual network, a graph network and both together (the shipped design), and the
last one also from keypoints with independent noise, as lifters are usually trained. Each is
then measured on posed hands that none has seen, by how well their keypoints are seen, and on
rendered crops through the shipped keypoint network; none of them is given image features. The
shipped lifter stands beside them, with and without its features. ``--seconds 0`` only counts and
times.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from knuckle import metrics
from knuckle.crop import Crop, CropView
from knuckle.data import shards
from knuckle.export import export
from knuckle.hand import N_JOINTS
from knuckle.models.lifter import Lifter, LifterSettings
from knuckle.pipeline import EstimatorSettings
from knuckle.pipeline.stages import Stages
from knuckle.render.hand_model import HandModel
from knuckle.runtime import Network, weights_folder
from knuckle.train import losses, poses
from knuckle.train.recipe import Recipe
from knuckle.train.weights import load_weights

#: How badly the joints of the held-out hands are seen, as a share of the hand's square.
LEVELS = (0.01, 0.03, 0.1, 0.3)
_BATCH, _RATE, _DECAY, _CLIP = 256, 1e-3, 0.5, 1.0
_HELD_OUT, _CROPS = 2048, 1000

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class Contestant:
    """A design and what it learns from."""

    settings: LifterSettings
    independent: bool = False


CONTESTANTS = {
    "plain residual": Contestant(LifterSettings(graph_blocks=0)),
    "graph": Contestant(LifterSettings(whole_width=0, width=128, graph_blocks=4)),
    "residual, then graph": Contestant(LifterSettings()),
    "the same, independent noise": Contestant(LifterSettings(), independent=True),
}


class IndependentNoise(poses.KeypointNoise):
    """Noise on the truth, each joint by itself."""

    def __call__(
        self, rng: np.random.Generator, points: np.ndarray, scatter: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Laplacian, of the size that the joint's sigma says."""
        sigma = scatter / np.sqrt(2) * np.ptp(points, axis=1).max(axis=-1, keepdims=True)
        return points + rng.laplace(size=points.shape) * sigma[..., None], sigma


class Hands:
    """Posed hands without end, and those that are held out."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.model = HandModel.load()
        self.bank = poses.PoseBank(rng, every=10**9)  # nobody gets other poses than the others
        self.noise = poses.upright_noise(rng, self.bank, self.model)

    def batches(self, independent: bool) -> Iterator[Batch]:
        """The same for every contestant, but for the noise."""
        rng = np.random.default_rng(1)
        kind = IndependentNoise if independent else poses.KeypointNoise
        noise = kind(self.noise.mean, self.noise.covariance)
        while True:
            yield poses.posed_batch(rng, _BATCH, self.bank, self.model, noise)

    def held_out(self) -> dict[str, Batch]:
        """Hands of poses of their own, by how badly they are seen."""
        rng = np.random.default_rng(2)
        bank = poses.PoseBank(rng, _HELD_OUT)
        return {
            f"{level:.0%}": poses.posed_batch(rng, _HELD_OUT, bank, self.model, self.noise, level)
            for level in LEVELS
        }


def train(contestant: Contestant, hands: Hands, seconds: float) -> tuple[Lifter, int]:
    """Train for so many seconds of one thread; making the hands is not counted.

    Returns the lifter and the number of steps.
    """
    torch.manual_seed(0)
    lifter = Lifter(contestant.settings)
    optimiser = torch.optim.AdamW(lifter.parameters(), lr=_RATE)
    spent, steps = 0.0, 0
    for batch in hands.batches(contestant.independent):
        if spent >= seconds:
            break
        start = time.process_time()
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (1 - spent / seconds) / _DECAY)
        tensors = {name: torch.from_numpy(value) for name, value in batch.items()}
        out = lifter(tensors["rays"], tensors["sigma"], _unseen(_BATCH, lifter))
        loss = torch.stack(list(losses.lifter_losses(out, tensors).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(lifter.parameters(), _CLIP)
        optimiser.step()
        spent += time.process_time() - start
        steps += 1
    return lifter.eval(), steps


def _unseen(n: int, lifter: Lifter) -> Tensor:
    return torch.zeros(n, N_JOINTS, lifter.settings.feature_size)


def rendered_crops(folder: Path) -> Batch:
    """Held-back crops as the shipped keypoint network sees them."""
    stages = Stages(EstimatorSettings(threads=1))
    estimator = stages.keypoint_estimator
    rng = np.random.default_rng(3)
    rows: dict[str, list[np.ndarray]] = {"rays": [], "sigma": [], "features": [], "joints_mm": []}
    for sample in shards.read(sorted(folder.glob("*-00000.tar"))[:1]):
        hand, camera = sample.hands[0], sample.camera
        if hand.joints_mm is None or camera is None or hand.visible is None:
            continue
        crop = Crop.from_joints(hand.joints_px, hand.side, out_size=estimator.crop_size)
        crop = crop.jittered(rng, shift=0.02, log_scale=0.05, angle=0.1)
        keypoints, view = estimator(sample.image, [crop]), CropView.of(crop, camera)
        rows["rays"].append(view.rays(keypoints.points_crop[0]))
        rows["sigma"].append(keypoints.sigma_crop[0] * view.rays_per_px)
        rows["features"].append(keypoints.features[0])
        rows["joints_mm"].append(view.to_view(hand.joints_mm - hand.joints_mm[0]))
        if len(rows["rays"]) == _CROPS:
            break
    return {name: np.stack(values).astype(np.float32) for name, values in rows.items()}


Lift = Callable[[Batch], np.ndarray]


def lift_with(lifter: Lifter) -> Lift:
    """Joints (n, 21, 3) by a lifter that is given no image features."""

    def lift(batch: Batch) -> np.ndarray:
        rays, sigma = torch.from_numpy(batch["rays"]), torch.from_numpy(batch["sigma"])
        with torch.no_grad():
            return lifter(rays, sigma, _unseen(len(rays), lifter)).joints_mm.numpy()

    return lift


def shipped(*, seeing: bool) -> Lift:
    """Joints by the shipped lifter, with the image's features or without."""
    with weights_folder(None) as folder:
        network = Network(folder / "lifter.onnx", "lifter", threads=1)

    def lift(batch: Batch) -> np.ndarray:
        shape = (len(batch["rays"]), N_JOINTS, network.card.feature_size)
        features = batch.get("features") if seeing else None
        features = np.zeros(shape, np.float32) if features is None else features
        return network(rays=batch["rays"], sigma=batch["sigma"], features=features)["joints_mm"]

    return lift


def errors(lift: Lift, sets: dict[str, Batch]) -> list[str]:
    """MPJPE from the wrist, and PA-MPJPE for crops, in mm, a cell per set."""
    cells = []
    for name, batch in sets.items():
        found, truth = lift(batch), batch["joints_mm"]
        cell = f"{np.linalg.norm(found - truth, axis=-1).mean():.2f}"
        if name == "crops":
            cell += f" (PA {metrics.pa_mpjpe(found, truth).mean():.2f})"
        cells.append(cell)
    return cells


def milliseconds(settings: LifterSettings, state: dict[str, Tensor]) -> float:
    """Median time for one hand on one thread in ONNX Runtime."""
    recipe = Recipe(kind="lifter", name="contestant", lifter=settings)
    with tempfile.TemporaryDirectory() as name:
        run = Path(name)
        (run / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe)))
        torch.save({f"lifter.{k}": v.half() for k, v in state.items()}, run / "weights.pt")
        (path,) = export(run, run)
        network = Network(path, "lifter", threads=1)
    inputs = {
        "rays": np.random.default_rng(0).normal(0, 0.1, (1, N_JOINTS, 2)).astype(np.float32),
        "sigma": np.full((1, N_JOINTS), 0.01, np.float32),
        "features": np.zeros((1, N_JOINTS, settings.feature_size), np.float32),
    }
    times = []
    for _ in range(500):
        start = time.perf_counter()
        network(**inputs)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of one thread, each")
    parser.add_argument("--crops", type=Path, help="folder of rendered crops (shards)")
    parser.add_argument("--only", choices=CONTESTANTS, action="append", help="these, not all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets: dict[str, Batch] = {}
    if options.seconds:
        hands = Hands()
        sets = hands.held_out()
        if options.crops:
            sets["crops"] = rendered_crops(options.crops)
    print("| lifter | parameters | steps | ms | " + " | ".join(sets) + " |", flush=True)
    print("|---" * (4 + len(sets)) + "|")
    for name in options.only or CONTESTANTS:
        contestant = CONTESTANTS[name]
        lifter, steps = Lifter(contestant.settings), 0
        if options.seconds:
            lifter, steps = train(contestant, hands, options.seconds)
        size = sum(p.numel() for p in lifter.parameters()) / 1e6
        speed = milliseconds(contestant.settings, lifter.state_dict())
        cells = [f"{size:.2f} M", str(steps), f"{speed:.2f}", *errors(lift_with(lifter), sets)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    if sets:
        for seeing, name in ((False, "shipped, points alone"), (True, "shipped")):
            state = load_weights(Path("src/knuckle/weights/lifter.onnx"))
            size = sum(v.numel() for v in state.values()) / 1e6
            cells = [f"{size:.2f} M", "", "", *errors(shipped(seeing=seeing), sets)]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
