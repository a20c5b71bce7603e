"""Lifters on equal terms: the same posed hands, losses and seconds of one thread.

    python benchmarks/lifters.py --seconds 30 --crops runs/data/crops --looks runs/data/looks.npz

Trains a plain residual network, a graph network and both together (the shipped design), and the
last one also from keypoints with independent noise, as lifters are usually trained. Each is
then measured on posed hands that none has seen, by how well their keypoints are seen, and on
rendered crops through the shipped keypoint network; none of them is given image features. The
shipped lifter stands beside them, with and without its features, and the depth that the keypoint
network itself gives at each joint, trained in the same run as the lifter and put at the hand's true
size and distance. ``--seconds 0`` only counts and times.

With ``--looks`` a second table gives the features to all: the same designs, and one that regresses
depth from the features directly, learn from what one keypoint network saw in rendered crops
(``knuckle.train.looks``) and are measured on the looks that were held back.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from equal_time import fit
from knuckle import metrics
from knuckle.crop import Crop, CropView
from knuckle.data import shards
from knuckle.data.shown import ShownHands
from knuckle.export import export
from knuckle.hand import N_JOINTS, Joint
from knuckle.models.lifter import UNIT_MM, Block, Lifter, LifterOutput, LifterSettings
from knuckle.pipeline import EstimatorSettings
from knuckle.pipeline.stages import Stages
from knuckle.render.hand_model import HandModel
from knuckle.runtime import Network, weights_folder
from knuckle.train import losses, poses
from knuckle.train.recipe import Recipe
from knuckle.train.weights import load_weights

#: How badly the joints of the held-out hands are seen, as a share of the hand's square.
LEVELS = (0.01, 0.03, 0.1, 0.3)
_SEEN = ("crops", "looks")
_BATCH, _RATE, _DECAY, _CLIP = 256, 1e-3, 0.5, 1.0
_HELD_OUT, _CROPS = 2048, 1000
#: Looks are turned by so many radians and shaken by so many sigmas, as ``train/streams.py`` does.
_TURN, _SHAKE = 0.1, 0.3

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


class DirectDepth(nn.Module):
    """Depth from the image alone: features of all joints to their depths, keypoints only to place.

    As wide and deep as the lifter's network over the whole hand. The hand's distance follows from
    its size, which is regressed as well, and from how large it is seen.
    """

    _SIZE_MM = 40.0  # root mean square of a hand's joints about their mean, along each axis

    def __init__(self, settings: LifterSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.whole_width
        self.first = nn.Linear(N_JOINTS * settings.feature_size, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(settings.whole_blocks)))
        self.out = nn.Linear(width, 2 * N_JOINTS + 1)

    def forward(self, rays: Tensor, sigma: Tensor, features: Tensor) -> LifterOutput:
        """As ``Lifter.forward``; every joint lies on its ray."""
        out = self.out(self.blocks(torch.relu(self.first(features.flatten(1)))))
        behind, log_sigma, log_size = out.split([N_JOINTS, N_JOINTS, 1], dim=-1)
        behind = (behind - behind[:, :1]) * UNIT_MM  # the wrist
        extent = (rays - rays.mean(dim=1, keepdim=True)).square().mean(dim=(1, 2)).sqrt()
        distance = self._SIZE_MM * log_size[:, 0].exp() / extent.clamp(min=1e-6)
        depth = (distance[:, None] + behind).clamp(min=1.0)[..., None]
        places = torch.cat([rays * depth, depth], dim=-1)
        return LifterOutput(places - places[:, :1], log_sigma + float(np.log(5.0)))


@dataclass(frozen=True)
class Seeing:
    """A design that learns from looks.

    Attributes:
        make: the network.
        features: whether it is given the image's features.
    """

    make: Callable[[], nn.Module]
    features: bool = True


SEEING = {
    "plain residual": Seeing(lambda: Lifter(CONTESTANTS["plain residual"].settings)),
    "graph": Seeing(lambda: Lifter(CONTESTANTS["graph"].settings)),
    "residual, then graph": Seeing(lambda: Lifter(LifterSettings())),
    "residual, then graph, points alone": Seeing(lambda: Lifter(LifterSettings()), features=False),
    "depth regressed from features": Seeing(lambda: DirectDepth(LifterSettings())),
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

    def __init__(self, seed: int = 0, shown: ShownHands | None = None) -> None:
        rng = np.random.default_rng(seed)
        self.model = HandModel.load()
        # Never renewed: nobody gets other poses than the others.
        self.bank = poses.PoseBank(rng, every=10**9, shown=shown)
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
    """Train on posed hands, without features; returns the lifter and the number of steps."""
    torch.manual_seed(0)
    lifter = Lifter(contestant.settings)
    unseen = _unseen(_BATCH, lifter).numpy()
    batches = ({**batch, "features": unseen} for batch in hands.batches(contestant.independent))
    return lifter, _fit(lifter, batches, seconds)


def train_seeing(contestant: Seeing, looks: Batch, seconds: float) -> tuple[nn.Module, int]:
    """Train on looks, each a little turned and shaken; as ``train``."""
    torch.manual_seed(0)
    network = contestant.make()
    return network, _fit(network, _varied_looks(looks, contestant.features), seconds)


def _fit(network: nn.Module, batches: Iterator[Batch], seconds: float) -> int:
    """Train for so many seconds of one thread; returns the number of steps."""

    def loss(batch: dict[str, Tensor]) -> Tensor:
        out = network(batch["rays"], batch["sigma"], batch["features"])
        return torch.stack(list(losses.lifter_losses(out, batch).values())).sum()

    steps, _ = fit(
        network,
        loss,
        batches,
        seconds,
        groups=[{"params": network.parameters(), "peak": _RATE}],
        schedule=lambda progress: min(1.0, (1 - progress) / _DECAY),
        clip=_CLIP,
    )
    return steps


def _varied_looks(looks: Batch, features: bool) -> Iterator[Batch]:
    """Batches of looks, turned about the line of sight and their keypoints shaken."""
    rng = np.random.default_rng(1)
    while True:
        drawn = rng.integers(0, len(looks["rays"]), _BATCH)
        batch = {name: values[drawn] for name, values in looks.items()}
        angle = rng.normal(0, _TURN, _BATCH)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turn = np.moveaxis(turn, -1, 0).astype(np.float32)  # (n, 2, 2)
        joints = batch["joints_mm"].copy()
        joints[..., :2] = joints[..., :2] @ turn
        moved = rng.laplace(0, _SHAKE, batch["rays"].shape) * batch["sigma"][..., None]
        yield batch | {
            "rays": (batch["rays"] @ turn + moved).astype(np.float32),
            "joints_mm": joints,
            "features": batch["features"] * np.float32(features),
        }


def _unseen(n: int, lifter: nn.Module) -> Tensor:
    return torch.zeros(n, N_JOINTS, lifter.settings.feature_size)


def rendered_crops(folder: Path) -> Batch:
    """Held-back crops as the shipped keypoint network sees them."""
    stages = Stages(EstimatorSettings(threads=1))
    estimator = stages.keypoint_estimator
    rng = np.random.default_rng(3)
    names = ("rays", "sigma", "features", "joints_mm", "wrist_mm")
    rows: dict[str, list[np.ndarray]] = {name: [] for name in names}
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
        rows["wrist_mm"].append(view.to_view(hand.joints_mm[0]))
        if len(rows["rays"]) == _CROPS:
            break
    return {name: np.stack(values).astype(np.float32) for name, values in rows.items()}


Lift = Callable[[Batch], np.ndarray]


def lift_with(lifter: nn.Module, *, features: bool = False) -> Lift:
    """Joints (n, 21, 3) by a lifter that is given the image's features or not."""

    def lift(batch: Batch) -> np.ndarray:
        rays, sigma = torch.from_numpy(batch["rays"]), torch.from_numpy(batch["sigma"])
        unseen = _unseen(len(rays), lifter)
        given = torch.from_numpy(batch["features"]) if features else unseen
        with torch.no_grad():
            return lifter(rays, sigma, given).joints_mm.numpy()

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


def own_depth(batch: Batch) -> np.ndarray:
    """Joints (n, 21, 3) by the depth that the keypoint network gives at each joint directly.

    Feature 0 is that depth behind the wrist in palm lengths (``train/losses.py: depth_losses``).
    The true palm and the true distance are given, which no lifter is.
    """
    palm_mm = np.linalg.norm(batch["joints_mm"][:, Joint.MIDDLE_MCP], axis=-1, keepdims=True)
    behind = batch["features"][..., 0] * palm_mm
    depth = batch["wrist_mm"][:, None, 2] + behind - behind[:, :1]
    places = np.concatenate([batch["rays"] * depth[..., None], depth[..., None]], axis=-1)
    return places - places[:, :1]


def errors(lift: Lift, sets: dict[str, Batch]) -> list[str]:
    """MPJPE from the wrist, mm, a cell per set; of those seen in pictures also PA and depth."""
    cells = []
    for name, batch in sets.items():
        found, truth = lift(batch), batch["joints_mm"]
        cell = f"{np.linalg.norm(found - truth, axis=-1).mean():.2f}"
        if name in _SEEN:
            depth = np.abs(found - truth)[..., 2].mean()
            cell += f" (PA {metrics.pa_mpjpe(found, truth).mean():.2f}, depth {depth:.2f})"
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


def read_looks(path: Path, part: str) -> Batch:
    """Looks of one part, those of hands of which all joints are known."""
    with np.load(path) as stored:
        names = ("rays", "sigma", "features", "joints_mm", "joint_weight")
        looks = {name: stored[f"{part}/{name}"].astype(np.float32) for name in names}
    whole = (looks["joint_weight"] > 0).all(axis=1)
    return {name: values[whole] for name, values in looks.items()}


def table_of_looks(path: Path, seconds: float) -> None:
    """Print what each design makes of the image's features."""
    training, sets = read_looks(path, "train"), {"looks": read_looks(path, "validation")}
    print(f"\n{len(training['rays']):,} looks, {len(sets['looks']['rays'])} held back\n")
    print("| with features | parameters | steps | looks |\n|---|---|---|---|", flush=True)
    for name, contestant in SEEING.items():
        network, steps = train_seeing(contestant, training, seconds)
        cells = [_millions(network.state_dict()), str(steps)]
        cells += errors(lift_with(network, features=contestant.features), sets)
        _print_row(name, *cells)


def _millions(state: dict[str, Tensor]) -> str:
    return f"{sum(values.numel() for values in state.values()) / 1e6:.2f} M"


def table_of_lifters(names: Iterable[str], seconds: float, crops: Path | None) -> None:
    """Print what each design makes of points alone; with 0 seconds, only its size and time."""
    hands = Hands() if seconds else None
    sets: dict[str, Batch] = hands.held_out() if hands else {}
    if hands and crops:
        sets["crops"] = rendered_crops(crops)
    print("| lifter | parameters | steps | ms | " + " | ".join(sets) + " |", flush=True)
    print("|---" * (4 + len(sets)) + "|")
    for name in names:
        contestant = CONTESTANTS[name]
        lifter, steps = Lifter(contestant.settings), 0
        if hands:
            lifter, steps = train(contestant, hands, seconds)
        state = lifter.state_dict()
        speed = f"{milliseconds(contestant.settings, state):.2f}"
        _print_row(name, _millions(state), str(steps), speed, *errors(lift_with(lifter), sets))
    if hands:
        size = _millions(load_weights(Path("src/knuckle/weights/lifter.onnx")))
        for seeing, name in ((False, "shipped, points alone"), (True, "shipped")):
            _print_row(name, size, "", "", *errors(shipped(seeing=seeing), sets))
    if "crops" in sets:
        own = errors(own_depth, {"crops": sets["crops"]})
        _print_row("keypoint network's own depth", *[""] * (3 + len(LEVELS)), *own)


def _print_row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of one thread, each")
    parser.add_argument("--crops", type=Path, help="folder of rendered crops (shards)")
    parser.add_argument("--looks", type=Path, help="what a network saw (knuckle.train.looks)")
    parser.add_argument("--only", choices=CONTESTANTS, action="append", help="these, not all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table_of_lifters(options.only or CONTESTANTS, options.seconds, options.crops)
    if options.looks and options.seconds:
        table_of_looks(options.looks, options.seconds)


if __name__ == "__main__":
    main()
