"""Kinds of training: what a recipe trains, on what, and what is exported of it.

Each is a file in ``train/kinds/``, named as recipes name it, whose ``KIND`` says all of this. A new
one is such a file; its network's stage has a line in ``stages/table.py``.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.utils.data import DataLoader

from knuckle.errors import InputError
from knuckle.modelcard import ModelCard
from knuckle.models import efficientnet_lite as lite
from knuckle.train import kinds

if TYPE_CHECKING:
    from knuckle.train.modules import TrainedModule
    from knuckle.train.recipe import Recipe


@dataclass(frozen=True)
class Exportable:
    """A trained network, and how it answers what its stage asks."""

    card: ModelCard  # its metadata
    network: nn.Module  # the network; its parameters keep their names in the file
    #: Takes the network and the stage's inputs by name, gives the outputs by name.
    answer: Callable[..., dict[str, Tensor]]
    inputs: dict[str, Tensor]  # one random example of each input, batch first


def picture_card(
    stage: str, recipe: Recipe, backbone: lite.Features, size: int, **more: Any
) -> ModelCard:
    """The card of a network that sees pictures of this size, px, through such a backbone."""
    shape = lite.ARCHITECTURES[backbone]
    return ModelCard(stage, recipe.version, size, shape.mean, shape.std, recipe=recipe.name, **more)


@dataclass(frozen=True)
class Kind:
    """One kind of training. Functions take a recipe of its type."""

    recipe: type[Recipe]  # what can be set
    #: The networks with their losses, as Lightning trains them, at their first weights.
    module: Callable[[Any], TrainedModule]
    training: Callable[[Any], DataLoader]  # batches without end
    #: Batches that are never trained on nor augmented, by the name of their source.
    validation: Callable[[Any], dict[str, DataLoader]]
    #: What is exported, by the kind of its stage: the module has it under this name.
    networks: Mapping[str, Callable[[Any], Exportable]]


def kind_names() -> list[str]:
    """What ``kind =`` may say in a recipe."""
    return sorted(module.name for module in pkgutil.iter_modules(kinds.__path__))


def kind_named(name: str) -> Kind:
    """A kind of training; ``ValueError`` if there is none of this name."""
    if name not in kind_names():
        raise InputError(f"kind must be one of {', '.join(kind_names())}, got {name!r}")
    kind: Kind = import_module(f"{kinds.__name__}.{name}").KIND
    return kind


def module_of(recipe: Recipe) -> TrainedModule:
    """The networks of a recipe with their losses, at their first weights."""
    return kind_named(recipe.kind).module(recipe)


def training_batches(recipe: Recipe) -> DataLoader:
    """Batches without end for a recipe."""
    return kind_named(recipe.kind).training(recipe)


def validation_batches(recipe: Recipe) -> dict[str, DataLoader]:
    """What a recipe is validated on, by name."""
    return kind_named(recipe.kind).validation(recipe)
