"""Units that nothing excites begin anew, and at first nothing is said that was not said before."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from knuckle.models.efficientnet_lite import InvertedResidual, Stage
from knuckle.models.lifter import Block
from knuckle.models.pyramid import Residual
from knuckle.train.dormant import hidden_units, renew

WIDTH = 16


def networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    """A network of every kind that is known, and what it is shown: above 0, as behind a ReLU."""
    maps, rows = torch.rand(8, WIDTH, 6, 6), torch.rand(64, WIDTH)
    stage = Stage(3, 1, 2, WIDTH, 1)
    head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 24), nn.ReLU(), nn.Linear(24, 3))
    return {
        "residual": (nn.Sequential(Residual(WIDTH)), maps),
        "block": (nn.Sequential(Block(WIDTH)), rows),
        "inverted": (nn.Sequential(InvertedResidual(WIDTH, stage, 1, 2, pad_after=False)), maps),
        "head": (head, rows),
    }


def drawn(network: nn.Module, seed: int) -> nn.Module:
    """The network with weights of any kind, none of them 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def put_out(network: nn.Module, which: torch.Tensor) -> None:
    """Let units be below 0 whatever is shown."""
    (units,) = hidden_units(network)
    with torch.no_grad():
        units.makers[-1].weight[which] = 0.0
        units.makers[-1].bias[which] = -1.0


@pytest.mark.parametrize("kind", networks())
@given(seed=st.integers(0, 99), out=st.lists(st.integers(0, WIDTH - 1), min_size=1, unique=True))
@settings(max_examples=10, deadline=None)
def test_the_network_says_what_it_said_and_its_units_are_awake(kind, seed, out):
    torch.manual_seed(seed)
    network, shown = networks()[kind]
    drawn(network, seed)
    put_out(network, torch.tensor(out))
    with torch.no_grad():
        before = network(shown)
        ((dormant, of),) = renew(network, lambda: [network(shown)]).values()
        after = network(shown)
    assert len(out) <= dormant <= of
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
    ((left, _),) = renew(network, lambda: [network(shown)]).values()
    assert left < max(dormant / 2, 2)  # most of those that were drawn are excited by something


@pytest.mark.parametrize("kind", networks())
def test_what_is_awake_is_left_alone(kind):
    network, shown = networks()[kind]
    drawn(network, 3)
    put_out(network, torch.tensor([2, 5]))
    (units,) = hidden_units(network)
    rows = [copy.deepcopy(layer.weight.data) for layer in units.makers]
    unwatch = units.watch()
    network(shown)
    unwatch()
    awake = ~units.dormant
    assert awake.any()
    units.renew()
    for layer, before in zip(units.makers, rows, strict=True):
        torch.testing.assert_close(layer.weight[awake], before[awake])


def test_layers_that_do_not_learn_are_left_alone():
    network = nn.Sequential(Residual(WIDTH), Residual(WIDTH))
    network[0].requires_grad_(False)
    assert [units.name for units in hidden_units(network)] == ["1"]


def test_a_second_look_watches_no_more():
    network, shown = networks()["block"]
    renew(network, lambda: [network(shown)])
    assert not network[0].second._forward_pre_hooks
