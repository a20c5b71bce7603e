"""A trained network as it is exported: its stage's question, answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from knuckle.modelcard import ModelCard


@dataclass(frozen=True)
class Exportable:
    """A network, and how it answers what its stage asks.

    Attributes:
        card: its metadata.
        network: the network; its parameters keep their names in the file.
        answer: takes the network and the stage's inputs by name, gives the outputs by name.
        inputs: one random example of each input, batch first.
    """

    card: ModelCard
    network: nn.Module
    answer: Callable[..., dict[str, Tensor]]
    inputs: dict[str, Tensor]
