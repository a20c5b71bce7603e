"""The networks' shapes, and what they must not care about."""

import numpy as np
import pytest
import torch

from knuckle.codec import HeatmapCodec
from knuckle.hand import N_JOINTS
from knuckle.models.detector import Detector, DetectorSettings
from knuckle.models.efficientnet_lite import ARCHITECTURES, EfficientNetLite, _fold
from knuckle.models.keypoints import KeypointNetwork, KeypointSettings
from knuckle.models.lifter import Lifter, LifterSettings


@pytest.fixture(scope="module", autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_folded_norm_equals_convolution_then_norm():
    conv = torch.nn.Conv2d(3, 8, 3, bias=False)
    norm = torch.nn.BatchNorm2d(8, eps=1e-3)
    torch.nn.init.uniform_(norm.weight, 0.5, 2)
    torch.nn.init.normal_(norm.bias)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    norm.eval()
    folded = torch.nn.Conv2d(3, 8, 3)
    state = {"c.weight": conv.weight, **{f"n.{k}": v for k, v in norm.state_dict().items()}}
    _fold(folded, state, "c", "n")
    x = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(folded(x), norm(conv(x)))


def test_imagenet_backbone_tells_pictures_apart():
    backbone = EfficientNetLite()
    backbone.load_imagenet()
    smooth = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    noise = torch.randn(1, 3, 64, 64)
    a, b = backbone(smooth)[32], backbone(noise)[32]
    assert a.shape == (1, 320, 2, 2)
    assert not torch.allclose(a, b, atol=0.1)


@pytest.mark.parametrize("size", [96, 128])
def test_keypoint_shapes_follow_the_input(size):
    network = KeypointNetwork(KeypointSettings("landmark", size, (16, 16, 16), feature_size=8))
    out = network(torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8))
    assert out.keypoints_px.shape == (2, N_JOINTS, 2)
    assert out.mask_logit.shape == (2, size // 2, size // 2)
    assert out.features.shape == (2, N_JOINTS, 8)
    torch.testing.assert_close(out.log_maps.exp().sum((2, 3)), torch.ones(2, N_JOINTS))


@pytest.mark.parametrize("size", [64, 144])
def test_what_is_seen_at_stride_32_says_nothing_before_it_has_learnt(size):
    """So that a trained network can be given more blocks."""
    shallow = KeypointNetwork(KeypointSettings("landmark", size, (16, 16, 16), blocks=11))
    deep = KeypointNetwork(KeypointSettings("landmark", size, (16, 16, 16), blocks=13))
    deep.load_state_dict(deep.state_dict() | shallow.state_dict())
    crop = torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8)
    torch.testing.assert_close(deep(crop).keypoints_px, shallow(crop).keypoints_px)
    torch.nn.init.normal_(deep.lateral32.weight)
    assert not torch.allclose(deep(crop).keypoints_px, shallow(crop).keypoints_px, atol=0.01)
    assert KeypointSettings.of_weights(deep.state_dict(), size).blocks == 13


def test_keypoints_are_the_means_of_their_maps():
    settings = KeypointSettings("landmark", 64, (16, 16, 16))
    out = KeypointNetwork(settings)(torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8))
    maps, cells = out.log_maps.exp().detach().numpy(), HeatmapCodec(64, 16).cell_centres_px
    points = np.stack([maps.sum(axis=-2) @ cells, maps.sum(axis=-1) @ cells], axis=-1)
    np.testing.assert_allclose(out.keypoints_px.detach().numpy(), points, atol=1e-3)


def test_uint8_and_float_pictures_are_the_same_picture():
    network = KeypointNetwork(KeypointSettings("landmark", 64, (16, 16, 16)))
    crop = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    torch.testing.assert_close(network(crop).keypoints_px, network(crop.float()).keypoints_px)


def test_normalisation_is_that_of_the_card():
    grey = torch.full((1, 4, 4, 3), 200, dtype=torch.uint8)
    for features, shape in ARCHITECTURES.items():
        detector = Detector(DetectorSettings(features, 64, width=16))
        expected = (200 - shape.mean[0]) / shape.std[0]
        assert detector.normalise(grey)[0, 0, 0, 0] == pytest.approx(expected)


def test_detector_shapes_match_its_codec():
    settings = DetectorSettings("imagenet", 96, width=16)
    out = Detector(settings)(torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8))
    cells = settings.codec.map_size
    assert out.peak_logit.shape == (2, 2, cells, cells)
    assert out.geometry.shape == (2, 10, cells, cells)
    assert out.mask_logit.shape == (2, 2, 2 * cells, 2 * cells)
    assert out.peak_logit.sigmoid().mean() < 0.1  # begins by saying "no hand"


def test_lifter_is_relative_to_the_wrist_and_blind_to_the_place_of_a_small_shift():
    lifter = Lifter(LifterSettings(feature_size=4, width=16, whole_width=64))
    rays = torch.randn(3, N_JOINTS, 2) * 0.1
    out = lifter(rays, torch.full((3, N_JOINTS), 0.01), torch.zeros(3, N_JOINTS, 4))
    assert out.joints_mm.shape == (3, N_JOINTS, 3)
    assert torch.all(out.joints_mm[:, 0] == 0)
    each = torch.cat(
        [
            lifter(
                rays[i : i + 1], torch.full((1, N_JOINTS), 0.01), torch.zeros(1, N_JOINTS, 4)
            ).joints_mm
            for i in range(3)
        ]
    )
    torch.testing.assert_close(each, out.joints_mm, atol=1e-3, rtol=1e-4)
