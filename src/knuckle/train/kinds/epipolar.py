"""The Epipolar Transformer on what a finished keypoint network says about calibrated views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from knuckle.codec import HeatmapCodec
from knuckle.models.epipolar import pair_geometry
from knuckle.models.keypoints import KeypointSettings
from knuckle.models.several_views import Fusion, Glance, Lines, SeveralViews, ViewsOutput
from knuckle.train.hand_views import HandViews
from knuckle.train.losses import weighted_mean
from knuckle.train.modules import Batch, TrainedModule
from knuckle.train.recipe import Recipe
from knuckle.train.weights import part_of, weights_named

#: How far the hand's distance is off when the views look at each other (standard deviation, mm).
_DEPTH_OFF_MM = 25.0
#: Views that look at each other while training, as in the paper; afterwards any number.
_VIEWS = 2
#: Hands that validation looks at.
_HELD_OUT = 96
#: Weights bring each term to the same order once training is under way.
_POINT, _MAP, _SPREAD = 0.25, 0.25, 0.2


def batch_of(views: HandViews, looks: np.ndarray, codec: HeatmapCodec, off_mm: np.ndarray) -> Batch:
    """N hands in V views each as a batch.

    Args:
        views: all looks.
        looks: (N, V) which of them.
        codec: of the maps.
        off_mm: (N, V) how far the hands' distances are off as they are given.
    """
    n, v = looks.shape
    some = views.take(looks.ravel())
    source = np.array([[k for k in range(v) if k != i] for i in range(v)])
    source = np.broadcast_to(source, (n, v, v - 1))
    crop_from_cells = np.diag([codec.stride, codec.stride, 1.0])
    crop_from_cells[:2, 2] = codec.cell_centres_px[0]
    R, t = some.R.reshape(n, v, 3, 3), some.t_mm.reshape(n, v, 3)
    rays_from_cells = some.camera_from_crop.reshape(n, v, 3, 3) @ crop_from_cells
    turn, shift = pair_geometry(rays_from_cells, R, t, source)
    middle = np.average(some.joints_mm, axis=1, weights=_thrice(some.known)).reshape(n, v, 3)
    depth = (R @ middle[..., None])[..., 2, 0] + t[..., 2] + off_mm

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    return {
        "level": tensor(some.level).unflatten(0, (n, v)),
        "log_sigma_px": tensor(np.log(some.sigma_px)).unflatten(0, (n, v)),
        "source": torch.from_numpy(source.copy()),
        "turn": tensor(turn),
        "shift": tensor(shift),
        "depth": tensor(depth),
        "there": torch.ones(n, v, v - 1),
        "points_px": tensor(some.points_px).unflatten(0, (n, v)),
        "point_weight": tensor(some.valid).unflatten(0, (n, v)),
        "seen": tensor(some.seen).unflatten(0, (n, v)),
    }


def _thrice(known: np.ndarray) -> np.ndarray:
    """(L, 21) -> (L, 21, 3)."""
    return np.repeat(known[..., None], 3, axis=-1)


def unit_of(views: HandViews) -> Tensor:
    """(C,) how much each channel of the finest level varies: one unit of it."""
    some = views.level[:: max(len(views) // 200, 1)].astype(np.float32)
    return torch.from_numpy(some.std(axis=(0, 2, 3)) + 1e-3)


def said(fusion: Fusion, batch: Batch) -> ViewsOutput:
    """What the stage says about a batch."""
    lines = Lines(*(batch[name] for name in Lines._fields))
    return fusion(Glance(batch["level"], batch["log_sigma_px"]), lines)


def fusion_losses(out: ViewsOutput, batch: Batch, codec: HeatmapCodec) -> dict[str, Tensor]:
    """The terms of the keypoint network that concern its maps."""
    points, weight = batch["points_px"], batch["point_weight"]
    error = (out.keypoints_px - points).abs()
    cells = torch.as_tensor(codec.cell_centres_px, dtype=points.dtype)
    gap = points[..., None] - cells
    line = (-0.5 * (gap / codec.sigma_px).square()).softmax(dim=-1)  # (N, V, 21, 2, M)
    target = line[..., 1, :, None] * line[..., 0, None, :]
    cross = -(target * out.log_maps).sum(dim=(-2, -1))
    inside = ((points > -0.5) & (points < codec.input_size - 0.5)).all(dim=-1).float()
    spread = (error.detach() / out.log_sigma_px.exp()[..., None]).mean(-1) + out.log_sigma_px
    return {
        "point": _POINT * weighted_mean(error.mean(-1).clamp(max=40.0), weight),
        "map": _MAP * weighted_mean(cross, weight * inside),
        "spread": _SPREAD * weighted_mean(spread, weight),
    }


class EpipolarModule(TrainedModule):
    """The fusion alone: the keypoint network stays as it is, and is asked before."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        weights = _finished(recipe)
        settings = KeypointSettings.of_weights(weights, recipe.keypoints.input_size)
        self.epipolar = SeveralViews(recipe.epipolar, settings)
        self.epipolar.start_from(weights)
        self.codec = settings.codec

    def train(self, mode: bool = True) -> EpipolarModule:
        """The keypoint network is never in training."""
        super().train(mode)
        self.epipolar.keypoints.eval()
        return self

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """2D terms of all views."""
        return fusion_losses(said(self.epipolar.fusion, batch), batch, self.codec)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Error in crop px of all joints, and of those that a view does not see."""
        out = said(self.epipolar.fusion, batch)
        error = (out.keypoints_px - batch["points_px"]).norm(dim=-1)
        weight = batch["point_weight"]
        return {
            "px": weighted_mean(error, weight),
            "hidden_px": weighted_mean(error, weight * (1 - batch["seen"])),
        }


def _finished(recipe: Recipe) -> dict[str, Tensor]:
    """Weights of the keypoint network that a recipe starts from.

    Raises:
        ValueError: the recipe names none.
    """
    if not recipe.start_keypoints:
        raise ValueError(
            f"recipe {recipe.name!r}: the views are seen by a keypoint network that is finished: "
            'name it as start_keypoints, "knuckle" for the shipped one'
        )
    return part_of(weights_named(recipe.start_keypoints, "keypoints"), "keypoints")


@dataclass(frozen=True, eq=False)
class _Stock(IterableDataset):
    """Batches without end: some hands, each in two of the views that see it."""

    views: HandViews
    codec: HeatmapCodec
    batch: int
    seed: int

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng(self.seed)
        of_hands = self.views.looks_of_hands(_VIEWS)
        while True:
            hands = rng.choice(len(of_hands), self.batch)
            looks = np.array([rng.choice(of_hands[i], _VIEWS, replace=False) for i in hands])
            yield batch_of(self.views, looks, self.codec, rng.normal(0, _DEPTH_OFF_MM, looks.shape))


def loaders(recipe: Recipe, module: EpipolarModule) -> tuple[DataLoader, dict[str, DataLoader]]:
    """Batches of the recipe's captures, and those of people and rigs that are held back.

    Raises:
        ValueError: there is nothing to train on.
    """
    captures = [Path(source.capture) for source in recipe.sources if source.capture]
    if not captures:
        raise ValueError("epipolar learns from synthetic captures: sources with capture = FOLDER")
    parts = {
        split: HandViews.joined(
            [
                HandViews.gather(root, split, module.epipolar.keypoints, seed=recipe.seed)
                for root in captures
            ]
        )
        for split in ("train", "val")
    }
    module.epipolar.fusion.start_from(module.epipolar.keypoints, unit_of(parts["train"]))
    stock = _Stock(parts["train"], module.codec, recipe.optimiser.batch, recipe.seed)
    return (
        DataLoader(stock, batch_size=None),
        {"views": DataLoader(held_out(parts["val"], module.codec), batch_size=None)},  # type: ignore[arg-type]
    )


def held_out(views: HandViews, codec: HeatmapCodec, batch: int = 16) -> list[Batch]:
    """Batches of the first hands, each in its first and its last view."""
    looks = np.array([each[[0, -1]] for each in views.looks_of_hands(_VIEWS)[:_HELD_OUT]])
    return [
        batch_of(views, part, codec, np.zeros(part.shape))
        for part in np.split(looks, range(batch, len(looks), batch))
    ]
