"""What Lightning trains, and what all kinds of it have in common: clock, rate and start."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import lightning as L
import torch
from torch import Tensor, nn

from knuckle.errors import InputError
from knuckle.models.efficientnet_lite import EfficientNetLite
from knuckle.models.landmark_features import load_landmark_features
from knuckle.train.optimiser import OPTIMISERS
from knuckle.train.recipe import OptimiserSettings, Recipe

Batch = dict[str, Tensor]


class TrainedModule(L.LightningModule):
    """Optimiser and schedule, the same for every network; the losses are the subclass's."""

    #: The validation error by which the best weights are kept; empty keeps the last.
    decides = ""
    #: Scores that only some labels tell, and what in a batch says, all together, how much they do.
    weighted_by: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.minutes_before = 0.0  # spent by earlier runs of the same recipe
        self._started = time.monotonic()

    def train(self, mode: bool = True) -> Self:
        """Norms whose weights do not learn keep what they know of pictures, too."""
        super().train(mode)
        for module in self.modules():
            still = not any(weight.requires_grad for weight in module.parameters())
            if isinstance(module, nn.BatchNorm2d) and still:
                module.eval()
        return self

    @property
    def half_convolutions(self) -> bool:
        """Whether convolutions train in bfloat16: on a GPU, or where recipe and processor agree."""
        return torch.cuda.is_available() or (self.recipe.optimiser.half and _computes_in_bfloat16())

    def begin(self) -> None:
        """Take over what a new run starts from, if weights of its own are not enough."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of the loss by name."""
        raise NotImplementedError

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """What validation reports by name; lower is better for all of them."""
        raise NotImplementedError

    def known_scores(self, batch: Batch) -> dict[str, Tensor]:
        """The scores that the labels of a batch can tell: without masks, say, none of masks."""

        def told(score: str) -> bool:
            weights = [batch[key] > 0 for key in self.weighted_by.get(score, ())]
            return not weights or bool(torch.stack(weights).all(dim=0).any())

        return {name: value for name, value in self.scores(batch).items() if told(name)}

    @property
    def progress(self) -> float:
        """Share of the time budget that is spent, 0..1."""
        minutes = self.minutes_before + (time.monotonic() - self._started) / 60
        return min(minutes / self.recipe.optimiser.minutes, 1.0)

    def rate(self, progress: float) -> float:
        """Learning rate after this share of the budget."""
        return rate_at(progress, self.recipe.optimiser)

    def on_train_start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """One step: the sum of the terms."""
        # The first process's clock is that of all: none stops while another goes on.
        progress = self.trainer.strategy.broadcast(self.progress)
        rate = self.rate(progress)
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = rate * group["scale"]
        terms = self.losses(batch)
        self.log_dict({f"train/{name}": value.detach() for name, value in terms.items()})
        self.log("train/rate", rate)
        if progress >= 1.0:
            self.trainer.should_stop = True
        loss = torch.stack(list(terms.values())).sum()
        self._check(loss)
        return loss

    def _check(self, loss: Tensor) -> None:
        """``InputError`` in all processes before weights learn from a loss that is not finite."""
        # Gradients are averaged over the processes: what one of them lost, all would have lost.
        if not self.trainer.strategy.reduce_boolean_decision(bool(loss.isfinite()), all=True):
            raise InputError(
                f"the loss is {loss.item():g} after step {self.trainer.global_step}, from which "
                "nothing can be learnt: lower rate = or clip = of the recipe, or raise warmup =, "
                "and begin anew with --fresh; what was saved before stays"
            )

    def validation_step(self, batch: Batch, _: int, dataloader_idx: int = 0) -> None:
        """Scores of one batch; averaged by Lightning."""
        size = len(next(iter(batch.values())))
        name = self.trainer.validation_names[dataloader_idx]  # type: ignore[attr-defined]
        for key, value in self.known_scores(batch).items():
            self.log(f"{name}/{key}", value, batch_size=size, add_dataloader_idx=False)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """A pretrained backbone learns at a third of the rate of what is new."""
        settings = self.recipe.optimiser
        groups: dict[float, list[nn.Parameter]] = {1.0: [], 0.33: []}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                groups[0.33 if "backbone" in name else 1.0].append(parameter)
        kept = [{"params": params, "scale": scale} for scale, params in groups.items() if params]
        return OPTIMISERS[settings.kind](kept, lr=settings.rate, weight_decay=settings.weight_decay)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember the time spent."""
        checkpoint["minutes"] = self.progress * self.recipe.optimiser.minutes

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the time that is left."""
        self.minutes_before = float(checkpoint["minutes"])


def rate_at(progress: float, settings: OptimiserSettings) -> float:
    """Learning rate after this share of the budget."""
    warm = min(progress / settings.warmup, 1.0) if settings.warmup > 0 else 1.0
    cool = min((1.0 - progress) / settings.decay, 1.0) if settings.decay > 0 else 1.0
    return settings.rate * max(min(warm, cool), 0.01)


def start_features(backbone: EfficientNetLite, features: str, start: str) -> None:
    """Give a backbone features that have seen pictures, unless whole networks are taken over.

    ``features`` is ``start_backbone`` of the recipe, ``start`` the weights that the whole network
    starts from, or empty.

    Raises:
        ValueError: the recipe does not say from what it starts.
    """
    if backbone.features == "imagenet":
        backbone.load_imagenet()
    elif features:
        load_landmark_features(backbone, features)
    elif not start:
        raise InputError(
            f"a backbone of {backbone.features!r} features starts from "
            "hand_landmark_full.tflite of mediapipe 0.10.21: name it as start_backbone, or name "
            "trained weights as start_keypoints, start_detector or start_both"
        )


def freeze(backbone: EfficientNetLite, blocks: int) -> None:
    """Leave the stem and the first blocks as they are: no gradient reaches them."""
    if blocks == 0:
        return
    for module in (backbone.stem, *backbone.blocks[:blocks]):
        module.requires_grad_(False)


def _computes_in_bfloat16() -> bool:
    """Whether the processor has instructions for it: emulated, it is many times slower."""
    can = torch.cpu.get_capabilities()
    return any(can.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
