"""InterNet is the paper's in size and shape, and its volumes give back what went in."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.models.both import BothHands, BothSettings
from knuckle.models.internet import (
    InterNet,
    InterNetSettings,
    cells_of,
    decoded,
    joints_of,
    squared_error,
    volumes_of,
)
from knuckle.models.resnet import ResNet50

SMALL = InterNetSettings("lite", input_size=64, map_size=16, sigma_cells=1.25, width=8, hidden=8)


def test_internet_has_the_published_size_and_shapes():
    network = InterNet(InterNetSettings()).eval()
    parameters = sum(p.numel() for p in network.parameters())
    assert round(parameters / 1e6) == 47
    backbone = sum(p.numel() for p in network.backbone.parameters())
    assert backbone == 25_557_032 - 2_049_000  # ResNet-50 without its classifier
    with torch.inference_mode():
        out = network(torch.zeros(1, 256, 256, 3, dtype=torch.uint8))
    assert out.volumes.shape == (1, 2, 21, 64, 64, 64)
    assert out.root_cells.shape == (1,) and 0 <= float(out.root_cells) <= 63
    assert out.there_logit.shape == (1, 2)


def test_the_small_twin_and_our_own_answer_in_the_same_terms():
    crops = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    out = InterNet(SMALL).eval()(crops)
    assert out.volumes.shape == (2, 2, 21, 16, 16, 16)
    view = torch.tensor([[1e-3, 0, -0.03], [0, 1e-3, -0.03], [0, 0, 1]]).expand(2, 3, 3)
    settings = BothSettings("imagenet", 64, (8, 8, 8), feature_size=4, width=16, blocks=1)
    own = BothHands(settings)(crops, view)
    assert own.joints_mm.shape == (2, 2, 21, 3)
    assert torch.all(own.joints_mm[:, :, 0] == 0)
    assert own.keypoints_px.shape == (2, 2, 21, 2) and own.root_mm.shape == (2,)


def test_convolutions_alone_are_in_half_precision():
    torch.manual_seed(0)
    network = InterNet(SMALL).train()
    crops = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    full = network(crops)
    network.half_in_training = True
    half = network(crops)
    assert all(each.dtype == torch.float32 for each in half)
    assert 0 < (half.volumes - full.volumes).abs().max() < 0.1 * full.volumes.abs().max()
    torch.testing.assert_close(half.root_cells, full.root_cells, rtol=0.02, atol=0)


def test_a_map_that_no_doubling_reaches_is_refused():
    with pytest.raises(ValueError, match="power of two"):
        InterNetSettings(map_size=48)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_volumes_give_back_joints_but_for_the_grid(seed):
    rng = np.random.default_rng(seed)
    size = InterNetSettings(input_size=128, map_size=32, sigma_cells=2.0)
    points = torch.tensor(rng.uniform(30, 96, (2, 2)), dtype=torch.float32)
    depth = torch.tensor(rng.uniform(-90, 90, 2), dtype=torch.float32)
    cells = cells_of(points, depth, size)
    volumes = volumes_of(cells, size)
    # The round trip of the cells themselves loses nothing.
    back, deep = joints_of(cells, size)
    torch.testing.assert_close(back, points)
    torch.testing.assert_close(deep, depth, rtol=1e-4, atol=1e-3)
    assert (decoded(volumes, size, "argmax") - cells).abs().max() <= 0.5 + 1e-3
    assert (decoded(volumes, size, "soft") - cells).abs().max() < 0.02


@given(seed=st.integers(0, 999))
@settings(max_examples=10, deadline=None)
def test_the_squared_error_is_that_of_whole_volumes(seed):
    generator = torch.Generator().manual_seed(seed)
    cells = torch.rand(2, 3, 3, generator=generator) * 24 - 4  # some of them outside
    said = (50 * torch.randn(2, 3, 16, 16, 16, generator=generator)).requires_grad_()
    both = (
        (said - volumes_of(cells, SMALL)).square().mean(dim=(-3, -2, -1)),
        squared_error(said, cells, SMALL),
    )
    torch.testing.assert_close(*both, rtol=1e-5, atol=1e-3)
    slopes = (torch.autograd.grad(each.sum(), said)[0] for each in both)
    torch.testing.assert_close(*slopes, rtol=1e-5, atol=1e-5)
    exact = squared_error(volumes_of(cells, SMALL), cells, SMALL)
    assert exact.abs().max() < 1e-3


def test_noise_far_from_the_peak_moves_nothing():
    size = InterNetSettings(input_size=128, map_size=32, sigma_cells=1.25)
    cells = torch.tensor([[10.3, 20.7, 15.5]])
    volume = volumes_of(cells, size)
    noisy = volume.clone()
    noisy[0, 28:, 28:, 28:] += 100.0
    torch.testing.assert_close(decoded(noisy, size, "soft"), decoded(volume, size, "soft"))


def test_resnet_takes_a_file_by_torchvisions_names_or_says_what_is_wrong(tmp_path):
    path, network = tmp_path / "resnet50.pth", ResNet50()
    torch.save(network.state_dict() | {"fc.weight": torch.zeros(1000, 2048)}, path)
    other = ResNet50()
    other.load_imagenet(str(path))
    assert torch.equal(other.conv1.weight, network.conv1.weight)
    assert "layer3.5.bn2.running_var" in network.state_dict()
    with pytest.raises(FileNotFoundError, match="no ImageNet weights"):
        other.load_imagenet(str(tmp_path / "none.pth"))
    torch.save({"conv1.weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="does not hold a ResNet-50"):
        other.load_imagenet(str(path))


def test_without_torchvision_resnet_warns_that_it_starts_from_nothing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchvision.models", None)
    with pytest.warns(UserWarning, match="starts from nothing"):
        ResNet50().load_imagenet()
