"""InterNet as published, and its small twin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from knuckle.hand import Joint
from knuckle.modelcard import ModelCard
from knuckle.models.internet import (
    InterNet,
    InterNetSettings,
    cells_of,
    decoded,
    depth_of,
    joints_of,
    squared_error,
)
from knuckle.train.answers import Answers, Decoding, RootDepth, internet_answers
from knuckle.train.both_hands import BothHandsModule, BothHandsRecipe
from knuckle.train.captures import training_batches, validation_batches
from knuckle.train.kind import Exportable, Kind
from knuckle.train.modules import Batch
from knuckle.train.optimiser import OPTIMISERS


@dataclass(frozen=True, kw_only=True)
class InterNetRecipe(BothHandsRecipe):
    """A run that trains InterNet, with the paper's losses."""

    CAN_BE_HALF: ClassVar[bool] = True

    kind: str = "internet"
    internet: InterNetSettings = field(default_factory=InterNetSettings)  # its size
    start_internet: str = ""  # a checkpoint to start from

    @property
    def crop_size(self) -> int:
        """Side of a crop, px."""
        return self.internet.input_size


class InterNetModule(BothHandsModule):
    """InterNet with the paper's losses."""

    recipe: InterNetRecipe

    def __init__(self, recipe: InterNetRecipe) -> None:
        super().__init__(recipe)
        self.internet = InterNet(recipe.internet)
        self.internet.half_in_training = self.half_convolutions

    def begin(self) -> None:
        """ImageNet weights for the backbone."""
        self.internet.load_imagenet()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """As published: one rate for all; the small twin's backbone learns as ours does."""
        settings = self.recipe.optimiser
        if self.recipe.internet.backbone != "resnet50":
            return super().configure_optimizers()
        groups = [{"params": list(self.parameters()), "scale": 1.0}]
        return OPTIMISERS[settings.kind](
            groups, lr=settings.rate, weight_decay=settings.weight_decay
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error of the volumes, absolute error of the relative depth, cross-entropy."""
        settings = self.recipe.internet
        out = self.internet(batch["crop"])
        cells = cells_of(batch["points_px"], batch["depth_mm"], settings)
        inside = ((cells >= 0) & (cells < settings.map_size)).all(dim=-1)
        valid = batch["valid_3d"] * inside
        square = squared_error(out.volumes, cells, settings)
        root = (batch["root_mm"] / settings.range_mm + 1) / 2 * settings.map_size
        near = batch["root_known"] * (batch["root_mm"].abs() < settings.range_mm)
        near = near * inside[..., Joint.WRIST].all(dim=1)  # as published: both wrists in the crop
        binary = functional.binary_cross_entropy_with_logits
        there = binary(out.there_logit, batch["there"], reduction="none").mean(dim=1)
        return {
            "volume": (square * valid).mean(),
            "root": ((out.root_cells - root).abs() * near).mean(),
            "there": (there * batch["there_known"]).mean(),
        }

    def answers(self, batch: Batch, decoding: Decoding, root_depth: RootDepth) -> Answers:
        """See the base."""
        out = self.internet(batch["crop"])
        return internet_answers(out, batch, self.recipe.internet, decoding, root_depth)


def answer(network: InterNet, crop: Tensor) -> dict[str, Tensor]:
    """What ``stages.both_hands.InterNet`` asks."""
    settings, out = network.settings, network(crop)
    points, depth = joints_of(decoded(out.volumes, settings, "soft"), settings)
    return {
        "keypoints_px": points,
        "depth_mm": depth - depth[..., :1],
        "root_mm": depth_of(out.root_cells, settings),
        "there": out.there_logit.sigmoid(),
    }


def exported(recipe: InterNetRecipe) -> Exportable:
    """InterNet of a recipe."""
    size = recipe.internet.input_size
    crop = torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8)
    card = ModelCard("internet", recipe.version, size, recipe=recipe.name)
    return Exportable(card, InterNet(recipe.internet), answer, {"crop": crop})


KIND = Kind(
    recipe=InterNetRecipe,
    module=InterNetModule,
    training=training_batches,
    validation=validation_batches,
    networks={"internet": exported},
)
