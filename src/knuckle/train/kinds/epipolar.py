"""The Epipolar Transformer on what a finished keypoint network says about calibrated views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from knuckle.codec import HeatmapCodec
from knuckle.crop import MARGIN
from knuckle.errors import InputError
from knuckle.models.epipolar import EpipolarSettings, pair_geometry
from knuckle.models.keypoints import KeypointNetwork, KeypointSettings
from knuckle.models.several_views import Fusion, Glance, Lines, SeveralViews, ViewsOutput
from knuckle.train.hand_views import HandViews
from knuckle.train.kind import Exportable, Kind, picture_card
from knuckle.train.losses import PointLosses, inside, point_losses, weighted_mean
from knuckle.train.modules import Batch, TrainedModule
from knuckle.train.recipe import Recipe
from knuckle.train.streams import chance
from knuckle.train.weights import part_of, weights_named

#: How far the hand's distance is off when the views look at each other (standard deviation, mm).
_DEPTH_OFF_MM = 25.0
#: Views that look at each other while training, as in the paper; afterwards any number.
_VIEWS = 2
#: Hands that validation looks at.
_HELD_OUT = 96


@dataclass(frozen=True, kw_only=True)
class EpipolarRecipe(Recipe):
    """A run that trains the Epipolar Transformer on synthetic captures."""

    kind: str = "epipolar"
    #: ``epipolar``, ``keypoints``: the sizes of the stage, and of the keypoint network that it sees
    #: with.
    epipolar: EpipolarSettings = field(default_factory=EpipolarSettings)
    keypoints: KeypointSettings = field(default_factory=KeypointSettings)
    losses: PointLosses = field(default_factory=PointLosses)  # what its terms count
    #: The keypoint network that it sees with and leaves as it is: a checkpoint, or ``knuckle`` for
    #: the shipped one.
    start_keypoints: str = ""


def batch_of(views: HandViews, looks: np.ndarray, codec: HeatmapCodec, off_mm: np.ndarray) -> Batch:
    """N hands in V views each as a batch: the looks (N, V) at them.

    ``off_mm`` (N, V) is how far the hands' distances are off as they are given.
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
    known = np.repeat(some.known[..., None], 3, axis=-1)
    middle = np.average(some.joints_mm, axis=1, weights=known).reshape(n, v, 3)
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


def unit_of(views: HandViews) -> Tensor:
    """(C,) how much each channel of the finest level varies: one unit of it."""
    some = views.level[:: max(len(views) // 200, 1)].astype(np.float32)
    return torch.from_numpy(some.std(axis=(0, 2, 3)) + 1e-3)


def said(fusion: Fusion, batch: Batch) -> ViewsOutput:
    """What the stage says about a batch."""
    lines = Lines(*(batch[name] for name in Lines._fields))
    return fusion(Glance(batch["level"], batch["log_sigma_px"]), lines)


def fusion_losses(
    out: ViewsOutput, batch: Batch, codec: HeatmapCodec, share: PointLosses
) -> dict[str, Tensor]:
    """The terms of the keypoint network that concern its maps."""
    points = batch["points_px"]
    within = inside(points, codec.input_size)
    return point_losses(out, points, batch["point_weight"], within, codec, share)


class EpipolarModule(TrainedModule):
    """The fusion alone: the keypoint network stays as it is, and is asked before."""

    recipe: EpipolarRecipe

    def __init__(self, recipe: EpipolarRecipe) -> None:
        super().__init__(recipe)
        self.epipolar = SeveralViews(recipe.epipolar, recipe.keypoints)
        self.epipolar.start_from(_finished(recipe))
        self.codec = recipe.keypoints.codec

    def begin(self) -> None:
        """Read the maps as the keypoint network does, in units of its features."""
        unit = unit_of(_asked(self.recipe, "train"))
        self.epipolar.fusion.start_from(self.epipolar.keypoints, unit)

    def train(self, mode: bool = True) -> Self:
        """The keypoint network is never in training."""
        super().train(mode)
        self.epipolar.keypoints.eval()
        return self

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """2D terms of all views."""
        out = said(self.epipolar.fusion, batch)
        return fusion_losses(out, batch, self.codec, self.recipe.losses)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Error in crop px of all joints, and of those that a view does not see."""
        out = said(self.epipolar.fusion, batch)
        error = (out.keypoints_px - batch["points_px"]).norm(dim=-1)
        weight = batch["point_weight"]
        return {
            "px": weighted_mean(error, weight),
            "hidden_px": weighted_mean(error, weight * (1 - batch["seen"])),
        }


def _finished(recipe: EpipolarRecipe) -> dict[str, Tensor]:
    """Weights of the keypoint network that a recipe starts from; it must name one."""
    if not recipe.start_keypoints:
        raise InputError(
            f"recipe {recipe.name!r}: the views are seen by a keypoint network that is finished: "
            'name it as start_keypoints, "knuckle" for the shipped one'
        )
    return part_of(weights_named(recipe.start_keypoints, "keypoints"), "keypoints")


@dataclass(frozen=True, eq=False)
class _Stock(IterableDataset):
    """Batches without end: some hands, each in two of the views that see it."""

    views: HandViews
    recipe: EpipolarRecipe

    def __iter__(self) -> Iterator[Batch]:
        rng, codec = chance(self.recipe), self.recipe.keypoints.codec
        of_hands = self.views.looks_of_hands(_VIEWS)
        while True:
            hands = rng.choice(len(of_hands), self.recipe.optimiser.batch)
            looks = np.array([rng.choice(of_hands[i], _VIEWS, replace=False) for i in hands])
            yield batch_of(self.views, looks, codec, rng.normal(0, _DEPTH_OFF_MM, looks.shape))


@lru_cache(maxsize=2)  # both splits: asking about all crops takes minutes
def _asked(recipe: EpipolarRecipe, split: str) -> HandViews:
    """What the keypoint network says of a part of a recipe's captures, one or more."""
    captures = [Path(source.capture) for source in recipe.sources if source.capture]
    if not captures:
        raise InputError("epipolar learns from synthetic captures: sources with capture = FOLDER")
    network = KeypointNetwork(recipe.keypoints)
    network.load_state_dict(_finished(recipe))
    network.eval()
    return HandViews.joined(
        [HandViews.gather(root, split, network, seed=recipe.seed) for root in captures]
    )


def _training(recipe: EpipolarRecipe) -> DataLoader:
    """Batches of the recipe's captures, without end."""
    return DataLoader(_Stock(_asked(recipe, "train"), recipe), batch_size=None)


def _validation(recipe: EpipolarRecipe) -> dict[str, DataLoader]:
    """People and rigs that are held back."""
    batches = held_out(_asked(recipe, "val"), recipe.keypoints.codec)
    return {"views": DataLoader(batches, batch_size=None)}  # type: ignore[arg-type]


def held_out(views: HandViews, codec: HeatmapCodec, batch: int = 16) -> list[Batch]:
    """Batches of the first hands, each in its first and its last view."""
    looks = np.array([each[[0, -1]] for each in views.looks_of_hands(_VIEWS)[:_HELD_OUT]])
    return [
        batch_of(views, part, codec, np.zeros(part.shape))
        for part in np.split(looks, range(batch, len(looks), batch))
    ]


def answer(network: SeveralViews, crop: Tensor, **lines: Tensor) -> dict[str, Tensor]:
    """What ``stages.several_views`` asks."""
    out = network(crop, Lines(**lines))
    return {"keypoints_px": out.keypoints_px, "sigma_px": out.log_sigma_px.exp()}


def exported(recipe: EpipolarRecipe) -> Exportable:
    """The keypoint network of a recipe and what lets its views look at each other."""
    settings, size = recipe.keypoints, recipe.keypoints.input_size
    extra = {"margin": MARGIN, "stride": settings.codec.stride}
    card = picture_card("epipolar", recipe, settings.backbone, size, units="px", extra=extra)
    # Three views about a hand, each of which looks at the two others.
    inputs = {
        "crop": torch.randint(0, 256, (1, 3, size, size, 3), dtype=torch.uint8),
        "source": torch.tensor([[[1, 2], [0, 2], [0, 1]]]),
        "turn": torch.eye(3) + 0.02 * torch.randn(1, 3, 2, 3, 3),
        "shift": 10 * torch.randn(1, 3, 2, 3),
        "depth": torch.full((1, 3), 600.0),
        "there": torch.ones(1, 3, 2),
    }
    return Exportable(card, SeveralViews(recipe.epipolar, settings), answer, inputs)


KIND = Kind(
    recipe=EpipolarRecipe,
    module=EpipolarModule,
    training=_training,
    validation=_validation,
    networks={"epipolar": exported},
)
