import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from knuckle.train.optimiser import OPTIMISERS, Muon, is_matrix, orthogonal

sides = st.integers(16, 48)


def matrix(rows: int, columns: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def step(network: nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> None:
    torch.manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimiser.step()


@given(sides, sides, st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_every_direction_of_a_step_counts_about_alike(rows, columns, seed):
    uneven = matrix(rows, columns, seed) * torch.logspace(0, -2, columns)
    before, after = (torch.linalg.svdvals(m) for m in (uneven, orthogonal(uneven)))
    assert after.max() < 1.4
    kept = before > 0.05 * before.max()  # five rounds lift a twentieth to about a half
    assert after[: int(kept.sum())].min() > 0.4


@given(sides, sides, st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_neither_size_nor_transposition_changes_the_direction(rows, columns, factor):
    m = matrix(rows, columns, 0)
    torch.testing.assert_close(orthogonal(factor * m), orthogonal(m), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(orthogonal(m.T), orthogonal(m).T, atol=1e-3, rtol=1e-3)


def test_what_is_no_matrix_is_stepped_as_by_adamw():
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.LayerNorm(8), nn.Linear(8, 2))
    assert not any(map(is_matrix, ours.parameters()))
    theirs = copy.deepcopy(ours)
    optimisers = [
        OPTIMISERS[kind](network.parameters(), lr=0.01, weight_decay=0.1)
        for kind, network in (("muon", ours), ("adamw", theirs))
    ]
    for seed in range(5):
        step(ours, optimisers[0], seed)
        step(theirs, optimisers[1], seed)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((64, 32, 3, 3), True),
        ((21, 64, 1, 1), True),
        ((480, 1, 5, 5), False),  # depthwise
        ((4, 576), False),
        ((640, 640), False),
        ((128,), False),
    ],
)
def test_which_weights_are_matrices(shape, expected):
    assert is_matrix(torch.zeros(shape)) is expected


def test_a_first_step_is_as_large_as_one_of_adamw():
    layer = nn.Conv2d(32, 64, 3, bias=False).to(memory_format=torch.channels_last)
    before = layer.weight.detach().clone()
    step(layer, Muon(layer.parameters(), lr=0.01, weight_decay=0.0), 0)
    moved = (layer.weight.detach() - before).flatten(1)
    assert moved.square().mean().sqrt() == pytest.approx(0.01 * 0.2, rel=0.3)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)


def test_it_goes_on_from_a_checkpoint():
    torch.manual_seed(0)
    through = nn.Sequential(nn.Linear(32, 32), nn.LayerNorm(32))
    stopped = copy.deepcopy(through)
    first = [Muon(network.parameters(), lr=0.01) for network in (through, stopped)]
    for network, optimiser in zip((through, stopped), first, strict=True):
        step(network, optimiser, 1)
    resumed = Muon(stopped.parameters(), lr=0.5)
    resumed.load_state_dict(first[1].state_dict())
    step(through, first[0], 2)
    step(stopped, resumed, 2)
    for a, b in zip(through.parameters(), stopped.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@given(sides, sides, st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_a_step_leaves_the_sum_of_a_units_weights(rows, columns, seed):
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Linear(columns, rows), nn.Conv2d(rows, 20, 3), nn.Linear(300, 280))
    sums = [layer.weight.flatten(1).sum(1).clone() for layer in layers]
    optimiser = Muon(layers.parameters(), lr=0.1, weight_decay=0.0)
    step(layers, optimiser, seed)
    for layer, before in zip(layers, sums, strict=True):
        torch.testing.assert_close(layer.weight.flatten(1).sum(1), before, atol=1e-3, rtol=1e-3)
