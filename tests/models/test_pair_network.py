"""The pair network: before training it says what each hand alone says."""

import numpy as np
import pytest
import torch

from dot_world import right_hand_mm, turn
from knuckle.hand import N_JOINTS
from knuckle.models.pair import Pair, PairSettings, place
from knuckle.pose import placement

N = 6


@pytest.fixture(scope="module")
def pairs():
    """joints, sigma_mm, rays, sigma of N pairs, and their wrists (N, 2, 3)."""
    rng = np.random.default_rng(0)
    joints = np.stack(
        [
            right_hand_mm(rng.uniform(-10, 80, (5, 3))) @ turn(*rng.uniform(-180, 180, 3)).T
            for _ in range(2 * N)
        ]
    ).reshape(N, 2, N_JOINTS, 3)
    roots = rng.normal(np.array([0, 0, 500]), 60, (N, 2, 3))
    placed = joints + roots[:, :, None]
    values = (
        joints,
        rng.uniform(2, 15, (N, 2, N_JOINTS)),
        placed[..., :2] / placed[..., 2:],
        rng.uniform(0.001, 0.01, (N, 2, N_JOINTS)),
    )
    return tuple(torch.from_numpy(value).float() for value in values), roots


def test_before_training_it_changes_nothing(pairs):
    inputs, _ = pairs
    said = Pair(PairSettings(32))(*inputs)
    roots = place(*inputs)
    torch.testing.assert_close(said.apart_mm, roots[:, 1] - roots[:, 0])


def test_exact_hands_are_placed_exactly(pairs):
    inputs, roots = pairs
    np.testing.assert_allclose(place(*inputs).numpy(), roots, atol=0.1)


def test_hands_are_placed_about_as_the_pipeline_places_them(pairs):
    (joints, sigma_mm, rays, sigma), _ = pairs
    torch.manual_seed(0)
    rays = rays + torch.randn_like(rays) * sigma[..., None]
    found = place(joints, sigma_mm, rays, sigma).numpy()
    evidence = placement.Evidence(
        *(a.flatten(0, 1).double().numpy() for a in (joints, sigma_mm, rays, sigma))
    )
    expected = placement.place(evidence).reshape(N, 2, 3)
    assert np.median(np.abs(found - expected)) < 2.0


def test_training_reaches_every_output(pairs):
    inputs, _ = pairs
    torch.manual_seed(0)
    network = Pair(PairSettings(32))
    said = network(*inputs)
    sum((value - 1).square().mean() for value in said).backward()
    assert (network.out.weight.grad.abs().sum(dim=1) > 0).all()
