r"""The Epipolar Transformer and other ways to use several views, on unseen rigs and people.

    knuckle data synth runs/train_capture --frames 2400 --cameras 8 --subjects 40 --seed 18 --vary
    knuckle data synth runs/capture --frames 640 --cameras 8 --subjects 8 --seed 77
    python benchmarks/epipolar.py runs/train_capture runs/capture

Every system sees the same crops through the same frozen keypoint network, and its output for each
view is triangulated by the same code (``views.triangulation.meet_gated``):

* shipped: the keypoint network as it is.
* maps trained alike: the fusion's own maps and spreads, trained like the fusion but without fusion.
  Any gain over this comes from views looking at each other.
* heatmap fusion: those maps, each multiplied by the largest value of the same joint's map in every
  other view along the epipolar line (Qiu et al. 2019), to a power fitted on the training capture.
* learnt confidences: each keypoint of those maps is weighted by a small network, trained through
  the triangulation (Iskakov et al. 2019, algebraic).
* Epipolar, whole line, K = 64, and in depth, K = 16.

Hidden: joints that at most one of the cameras sees.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

import knuckle
from knuckle.hand import N_JOINTS
from knuckle.models.epipolar import EpipolarSettings, cells_of, samples_on_line
from knuckle.models.keypoints import KeypointNetwork
from knuckle.models.several_views import Fusion, ViewsOutput
from knuckle.rigid import RigidTransform
from knuckle.train.hand_views import HandViews
from knuckle.train.kinds.epipolar import batch_of, fusion_losses, said, unit_of
from knuckle.train.losses import PointLosses, weighted_mean
from knuckle.train.weights import finished_keypoints
from knuckle.views.triangulation import Sight, meet, meet_gated

COUNTS = (2, 3, 4, 8)
_RATE = 5e-3
VARIANTS = {
    "none": EpipolarSettings(place="none"),
    "line": EpipolarSettings(samples=64, learn_match=True, keep_sum=False, cells=200),
    "depth": EpipolarSettings(
        samples=16, place="depth", learn_match=True, keep_sum=False, cells=200
    ),
}
#: A system: looks of one hand -> keypoints (V, 21, 2) and sigma (V, 21), both crop px.
System = Callable[[HandViews, np.ndarray], tuple[np.ndarray, np.ndarray]]


def stored(root: Path, splits: Sequence[str], network: KeypointNetwork, cache: Path) -> HandViews:
    """What the network says of a capture; asked once."""
    if cache.exists():
        with np.load(cache) as file:
            return HandViews(*(file[f.name] for f in fields(HandViews)))
    views = HandViews.joined([HandViews.gather(root, split, network) for split in splits])
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cache, **{f.name: getattr(views, f.name) for f in fields(views)})
    return views


def rays_of(views: HandViews, points_px: np.ndarray, sigma_px: np.ndarray) -> Sight:
    """The rays of looks (V) at one hand."""
    H = views.camera_from_crop
    rays = points_px @ np.swapaxes(H[:, :2, :2], 1, 2) + H[:, None, :2, 2]
    per_px = np.sqrt(np.abs(np.linalg.det(H[:, :2, :2])))
    transforms = [RigidTransform(R, t) for R, t in zip(views.R, views.t_mm, strict=True)]
    return Sight.of(transforms, rays, sigma_px * per_px[:, None])


def depths(views: HandViews) -> np.ndarray:
    """(V,) of the hand in each view, by plain triangulation."""
    sight = rays_of(views, views.keypoints_px, views.sigma_px)
    middle = np.median(meet(sight).mm, axis=0)
    return np.array((views.R @ middle)[:, 2] + views.t_mm[:, 2])


# --------------------------------------------------------------------------------------------
# Training
# --------------------------------------------------------------------------------------------
def trained(
    settings: EpipolarSettings, views: HandViews, network: KeypointNetwork, steps: int, batch: int
) -> Fusion:
    """A fusion after so many steps, hands in two views each, as in the paper."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    codec = network.settings.codec
    # Attention over samples does not care how dense they are: few, to learn from many hands.
    fusion = Fusion(replace(settings, samples=min(settings.samples, 16)), codec)
    fusion.start_from(network, unit_of(views))
    optimiser = torch.optim.AdamW(fusion.parameters(), lr=_RATE, weight_decay=0.01)
    of_hands = views.looks_of_hands(2)
    began, told = time.process_time(), []
    for step in range(steps):
        hands = rng.choice(len(of_hands), batch)
        looks = np.array([rng.choice(of_hands[hand], 2, replace=False) for hand in hands])
        examples = batch_of(views, looks, codec, rng.normal(0, 25.0, looks.shape))
        terms = fusion_losses(said(fusion, examples), examples, codec, PointLosses())
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min((step + 1) / 20, 1.0, (steps - step) / (0.5 * steps))
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        nn.utils.clip_grad_norm_(fusion.parameters(), 1.0)
        optimiser.step()
        told.append([float(x.detach()) for x in terms.values()])
        if (step + 1) % 50 == 0:
            mean = np.mean(told[-50:], axis=0)
            print(f"  {settings.place} {step + 1}: {mean.round(4)}, "
                  f"{time.process_time() - began:.0f} s of one core", flush=True)  # fmt: skip
    return fusion.eval()


class Confidence(nn.Module):
    """How much a keypoint is to be believed, from what the network says about it."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(features + 1 + N_JOINTS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
            nn.Linear(64, 1),
        )  # fmt: skip
        nn.init.zeros_(self.net[4].weight)
        nn.init.zeros_(self.net[4].bias)

    def forward(self, features: Tensor, log_sigma: Tensor) -> Tensor:
        """(..., 21, F) and (..., 21) -> (..., 21) logarithm of the factor on sigma."""
        joints = torch.eye(N_JOINTS).expand(*features.shape[:-1], N_JOINTS)
        return cast(
            Tensor, self.net(torch.cat([features, log_sigma[..., None], joints], -1))[..., 0]
        )


def trained_confidence(views: HandViews, fusion: Fusion, steps: int, batch: int = 32) -> Confidence:
    """Confidences of the keypoints of a fusion without fusion, trained through triangulation."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    points, sigma = alone(fusion, views)
    H = views.camera_from_crop
    rays = points @ np.swapaxes(H[:, :2, :2], 1, 2) + H[:, None, :2, 2]
    per_px = np.sqrt(np.abs(np.linalg.det(H[:, :2, :2])))[:, None]
    true_depth = (views.joints_mm @ np.swapaxes(views.R, 1, 2))[..., 2] + views.t_mm[:, None, 2]
    R, t = views.R, views.t_mm
    rows = R[:, None, :2] - rays[..., None] * R[:, None, 2:]  # (L, 21, 2, 3)
    right = rays * t[:, None, 2:] - t[:, None, :2]
    scale = 1 / (sigma * per_px * true_depth)

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    rows, right, scale, features, log_sigma, truth, known = map(
        tensor, (rows, right, scale, views.features, np.log(sigma), views.joints_mm, views.known)
    )
    net = Confidence(views.features.shape[-1])
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    of_hands = {v: views.looks_of_hands(v) for v in (2, 3, 4)}
    for step in range(steps):
        v = 2 + step % 3
        hands = rng.choice(len(of_hands[v]), batch)
        looks = torch.tensor(
            np.array([rng.choice(of_hands[v][hand], v, replace=False) for hand in hands])
        )
        weight = (scale[looks] * torch.exp(-net(features[looks], log_sigma[looks]))) ** 2
        A, b = rows[looks], right[looks]
        N = (weight[..., None, None] * (A.transpose(-1, -2) @ A)).sum(1)
        c = (weight[..., None] * (A.transpose(-1, -2) @ b[..., None])[..., 0]).sum(1)
        lift = 1e-6 * torch.diagonal(N, dim1=-2, dim2=-1).sum(-1)[..., None, None]
        met = torch.linalg.solve(N + lift * torch.eye(3), c[..., None])[..., 0]
        off = (met - truth[looks[:, 0]]).norm(dim=-1)
        loss = weighted_mean(torch.log1p(off / 10), known[looks[:, 0]])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


# --------------------------------------------------------------------------------------------
# Systems
# --------------------------------------------------------------------------------------------
@torch.no_grad()
def output(fusion: Fusion, views: HandViews, depth_mm: np.ndarray) -> tuple[ViewsOutput, dict]:
    """What a fusion says of one hand's looks."""
    looks = np.arange(len(views))[None]
    batch = batch_of(views, looks, fusion.codec, np.zeros(looks.shape))
    batch["depth"] = torch.from_numpy(depth_mm[None].astype(np.float32))
    return said(fusion, batch), batch


@torch.no_grad()
def alone(fusion: Fusion, views: HandViews, at_once: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints and sigma of all looks by maps without fusion."""
    found = []
    for start in range(0, len(views), at_once):
        some = views.take(np.arange(start, min(start + at_once, len(views))))
        out, _ = output(fusion, some, np.full(len(some), 1000.0))
        found.append((out.keypoints_px[0].numpy(), out.log_sigma_px[0].exp().numpy()))
    points, sigma = (np.concatenate(each) for each in zip(*found, strict=True))
    return points, sigma


def fused(fusion: Fusion) -> System:
    """A fusion as a system."""

    def system(views: HandViews, depth_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out, _ = output(fusion, views, depth_mm)
        return out.keypoints_px[0].numpy(), out.log_sigma_px[0].exp().numpy()

    return system


def shipped(views: HandViews, depth_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each view by itself."""
    del depth_mm
    return views.keypoints_px, views.sigma_px


def heatmaps(fusion: Fusion, power: float, least: float = 1e-3, count: int = 64) -> System:
    """Maps times what lies on their cells' lines in the other views' maps of the same joint."""

    @torch.no_grad()
    def system(views: HandViews, depth_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out, batch = output(fusion, views, depth_mm)
        log_maps = out.log_maps[0]  # (V, 21, M, M)
        size = (log_maps.shape[2], log_maps.shape[3])
        together, cells = log_maps.clone(), cells_of(size, log_maps)
        for i in range(len(views)):
            sources = batch["source"][0, i]
            at, crosses = samples_on_line(
                batch["turn"][0, i], batch["shift"][0, i], cells, size, count
            )
            grid = 2 * at / torch.tensor([size[1] - 1, size[0] - 1]) - 1
            seen = nn.functional.grid_sample(
                log_maps[sources].exp(), grid, mode="bilinear", align_corners=True
            ).amax(-1)  # (S, 21, cells)
            say = torch.log(least + seen * crosses[:, None]).sum(0).reshape(N_JOINTS, *size)
            together[i] += power * say
        weights = together.flatten(2).softmax(-1).unflatten(-1, size)
        points = torch.stack([weights.sum(2) @ fusion.cells, weights.sum(3) @ fusion.cells], -1)
        return points.numpy(), out.log_sigma_px[0].exp().numpy()

    return system


def confident(fusion: Fusion, net: Confidence) -> System:
    """Keypoints without fusion, weighed by learnt confidences."""
    plain = fused(fusion)

    @torch.no_grad()
    def system(views: HandViews, depth_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points, sigma = plain(views, depth_mm)
        features = torch.from_numpy(views.features.astype(np.float32))
        factor = net(features, torch.from_numpy(np.log(sigma).astype(np.float32))).exp()
        return points, sigma * factor.numpy()

    return system


# --------------------------------------------------------------------------------------------
# Measuring
# --------------------------------------------------------------------------------------------
def measure(views: HandViews, system: System, count: int, hands: int) -> dict[str, float]:
    """Errors in mm over so many of the hands that the first cameras see."""
    wrist, absolute, hidden, px = [], [], [], []
    of_hands = views.looks_of_hands(count)
    for looks in of_hands[:: max(len(of_hands) // hands, 1)]:
        some = views.take(looks[:count])
        points, sigma = system(some, depths(some))
        met = meet_gated(rays_of(some, points, sigma)).mm
        true = some.joints_mm[0]
        apart = np.linalg.norm((met - met[0]) - (true - true[0]), axis=1)
        known = some.known[0]
        if not known[0]:
            continue
        absolute.append(np.linalg.norm(met - true, axis=1)[known].mean())
        wrist.append(apart[known].mean())
        hidden += apart[known & (some.seen.sum(axis=0) <= 1)].tolist()
        off = np.linalg.norm(points - some.points_px, axis=-1)
        px.append(off[some.valid].mean())
    return {
        "hands": len(wrist),
        "absolute": float(np.mean(absolute)),
        "wrist": float(np.mean(wrist)),
        "hidden": float(np.mean(hidden)) if hidden else float("nan"),
        "px": float(np.mean(px)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--hands", type=int, default=110, help="to measure on")
    parser.add_argument("--views", type=int, nargs="*", help="numbers of views")
    parser.add_argument("--only", default="", help="systems whose name has this in it")
    parser.add_argument("--fit", choices=sorted(VARIANTS), help="only train this one")
    parser.add_argument("--cache", type=Path, default=Path("runs/epipolar"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = finished_keypoints(Path(knuckle.__file__).parent / "weights" / "keypoints.onnx")
    splits = ("train", "val", "test")
    train = stored(options.train, splits, network, options.cache / "train.npz")
    test = stored(options.test, splits, network, options.cache / "test.npz")

    def fit(place: str) -> Fusion:
        path = options.cache / f"{place}.pt"
        if not path.exists():
            fusion = trained(VARIANTS[place], train, network, options.steps, options.batch)
            torch.save(fusion.state_dict(), path)
        fusion = Fusion(VARIANTS[place], network.settings.codec)
        fusion.load_state_dict(torch.load(path))
        return fusion.eval()

    if options.fit:
        fit(options.fit)
        return

    def with_heatmaps() -> System:
        errors = {
            power: measure(train, heatmaps(fit("none"), power), 2, hands=20)["wrist"]
            for power in (0.25, 0.5, 1.0)
        }
        print(f"heatmap fusion on the training capture, error by power: {errors}")
        return heatmaps(fit("none"), min(errors, key=lambda power: errors[power]))

    def with_confidences() -> System:
        return confident(fit("none"), trained_confidence(train, fit("none"), 800))

    builders: dict[str, Callable[[], System]] = {
        "shipped": lambda: shipped,
        "maps trained alike, no fusion": lambda: fused(fit("none")),
        "heatmap fusion": with_heatmaps,
        "learnt confidences": with_confidences,
        "Epipolar, in depth, K = 16": lambda: fused(fit("depth")),
        "Epipolar, whole line, K = 64": lambda: fused(fit("line")),
    }
    systems = {name: build() for name, build in builders.items() if options.only in name}
    print("| system | views | hands | absolute | from the wrist | hidden, from the wrist | 2D |")
    print("|---|---|---|---|---|---|---|")
    for count in options.views or COUNTS:
        for name, system in systems.items():
            n = measure(test, system, count, options.hands)
            errors = " | ".join(f"{n[key]:.1f} mm" for key in ("absolute", "wrist", "hidden"))
            print(f"| {name} | {count} | {n['hands']} | {errors} | {n['px']:.2f} px |", flush=True)


if __name__ == "__main__":
    main()
