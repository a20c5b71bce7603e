"""Kinds of training beside those of ``modules``: networks that see both hands in one crop, and the
one that sees a hand in several views.

A new one is a module, and one line in ``BOTH_HANDS``.
"""

from __future__ import annotations

from torch.utils.data import DataLoader

from knuckle.train.kinds import epipolar
from knuckle.train.kinds.captures import training_batches, validation_batches
from knuckle.train.kinds.internet import BOTH_HANDS, BothHandsModule
from knuckle.train.modules import TrainedModule
from knuckle.train.recipe import Recipe
from knuckle.train.streams import training_loader, validation_loaders

__all__ = ["BOTH_HANDS", "SEVERAL_VIEWS", "BothHandsModule", "loaders_for"]

#: Kinds of recipes whose network sees a hand in several views.
SEVERAL_VIEWS: dict[str, type[TrainedModule]] = {"epipolar": epipolar.EpipolarModule}


def loaders_for(recipe: Recipe, module: TrainedModule) -> tuple[DataLoader, dict[str, DataLoader]]:
    """What a recipe trains on, and what it is validated on, by name."""
    if isinstance(module, epipolar.EpipolarModule):
        return epipolar.loaders(recipe, module)
    if not isinstance(module, BothHandsModule):
        return training_loader(recipe), validation_loaders(recipe)
    training = training_batches(recipe, module.input_size)
    module.pictures = training.dataset.pictures  # type: ignore[attr-defined]
    return training, validation_batches(recipe, module.input_size)
