"""Dormant units: those that nothing excites say nothing and learn nothing. They begin anew.

Behind a ReLU a unit that is below 0 for all that is shown gets no gradient, and stays so. Whole
blocks can go out without a trace in the losses: where all inputs of a layer are above 0, one
direction that its units share decides over all of them. The answer is that
of Sokar et al. 2023 ("The Dormant Neuron Phenomenon in Deep Reinforcement Learning", ICML): what
makes such a unit is drawn again, and what reads it starts from 0, so that the network says at first
what it said before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from knuckle.models.efficientnet_lite import InvertedResidual
from knuckle.models.lifter import Block
from knuckle.models.pyramid import Residual

_Layer = nn.Conv2d | nn.Linear


@dataclass
class HiddenUnits:
    """Units behind a ReLU that a single layer reads.

    Attributes:
        name: of the module that they are in.
        makers: layers that make them, one behind the other, each with a row for every unit.
        reader: the layer that reads them.
        highest: (units,) the largest value of each so far.
    """

    name: str
    makers: Sequence[_Layer]
    reader: _Layer
    highest: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.highest = torch.full((self.reader.weight.shape[1],), -torch.inf)

    def watch(self) -> Callable[[], None]:
        """Note what the reader is given from now on, until what is returned is called."""

        def note(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            axis = 1 if isinstance(self.reader, nn.Conv2d) else -1
            values = given[0].detach().float().movedim(axis, 0).flatten(1)
            self.highest = torch.maximum(self.highest, values.amax(dim=1).cpu())

        return self.reader.register_forward_pre_hook(note).remove

    @property
    def dormant(self) -> Tensor:
        """(units,) which of them nothing has excited."""
        return self.highest <= 0

    @torch.no_grad()
    def renew(self) -> int:
        """Draw the dormant units anew; how many there were.

        The weights of each sum to 0: what all inputs share does not decide whether it is excited.
        """
        dormant = self.dormant.to(self.reader.weight.device)
        for layer in self.makers:
            fresh = torch.empty_like(layer.weight)
            nn.init.kaiming_normal_(fresh, nonlinearity="relu")
            fresh -= fresh.flatten(1).mean(dim=1).reshape(-1, *[1] * (fresh.ndim - 1))
            layer.weight[dormant] = fresh[dormant]
            if layer.bias is not None:
                layer.bias[dormant] = 0.0
        self.reader.weight[:, dormant] = 0.0
        return int(dormant.sum())


def hidden_units(network: nn.Module) -> list[HiddenUnits]:
    """The hidden units of a network that can be renewed: of layers that learn."""
    found = [HiddenUnits(*each) for each in _hidden(network)]
    return [each for each in found if all(layer.weight.requires_grad for layer in each.makers)]


def _hidden(network: nn.Module) -> Iterator[tuple[str, Sequence[_Layer], _Layer]]:
    """Names of modules, the layers that make hidden units in them, and the one that reads them."""
    for name, module in network.named_modules():
        if isinstance(module, Residual | Block):
            yield name, [module.first], module.second
        elif isinstance(module, InvertedResidual):
            expand: list[_Layer] = [] if module.expand is None else [module.expand]
            yield name, [*expand, module.depthwise], module.project
        elif isinstance(module, nn.Sequential):
            for i, (before, after) in enumerate(_around_relus(module)):
                yield f"{name}.{i}", [before], after


def _around_relus(row: nn.Sequential) -> Iterator[tuple[_Layer, _Layer]]:
    """The layers before and behind each ReLU."""
    layers = list(row)
    for before, between, after in zip(layers, layers[1:], layers[2:], strict=False):
        if not isinstance(between, nn.ReLU):
            continue
        if isinstance(before, _Layer) and isinstance(after, _Layer):
            yield before, after


def renew(network: nn.Module, look: Callable[[], Iterable[object]]) -> dict[str, tuple[int, int]]:
    """Let the dormant units of a network begin anew.

    Args:
        network: whose modules are known (``_hidden``); others are left alone.
        look: shows the network what it should be able to tell apart; what it gives is not used. A
            unit is dormant that nothing of it excites.

    Returns:
        By name of the module, how many units were dormant, of how many.
    """
    units = hidden_units(network)
    unwatch = [each.watch() for each in units]
    with torch.no_grad():
        for _ in look():
            pass
    for stop in unwatch:
        stop()
    return {each.name: (each.renew(), len(each.highest)) for each in units}
