"""Features taken over from another network: the right numbers in the right places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from knuckle.models import landmark_features
from knuckle.models.efficientnet_lite import EfficientNetLite, PaddedConv
from knuckle.models.landmark_features import load_landmark_features


def convolutions_of(backbone: EfficientNetLite) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [
        (
            rng.normal(size=tuple(conv.weight.shape)).astype(np.float32),
            rng.normal(size=len(conv.weight)).astype(np.float32),
        )
        for conv in backbone.convolutions()
    ]


@pytest.mark.parametrize("stages", [2, 5, 6])
def test_convolutions_are_taken_over_in_the_order_of_the_graph(monkeypatch, stages):
    theirs = convolutions_of(EfficientNetLite("landmark", 6))
    monkeypatch.setattr(landmark_features, "read_convolutions", lambda _: theirs)
    backbone = EfficientNetLite("landmark", stages)
    load_landmark_features(backbone, "some.tflite")
    for conv, (weight, bias) in zip(backbone.convolutions(), theirs, strict=False):
        np.testing.assert_array_equal(conv.weight.detach().numpy(), weight)
        np.testing.assert_array_equal(conv.bias.detach().numpy(), bias)


def test_another_network_is_refused(monkeypatch):
    theirs = convolutions_of(EfficientNetLite("imagenet", 5))
    monkeypatch.setattr(landmark_features, "read_convolutions", lambda _: theirs)
    with pytest.raises(ValueError, match="expected a convolution of"):
        load_landmark_features(EfficientNetLite("landmark", 5), "lite0.tflite")
    monkeypatch.setattr(landmark_features, "read_convolutions", lambda _: [])
    with pytest.raises(ValueError, match="convolutions, found 0"):
        load_landmark_features(EfficientNetLite("landmark", 5), "empty.tflite")


def test_a_file_that_is_not_there_says_where_it_is_to_be_had(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"wheel of mediapipe 0\.10\.21"):
        landmark_features.read_convolutions(tmp_path / "hand_landmark_full.tflite")


def test_no_backbone_has_more_stages_than_its_shape():
    with pytest.raises(ValueError, match="2 to 6 stages, got 7"):
        EfficientNetLite("landmark", 7)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(12, 16), (9, 13)])
def test_padding_is_tensorflows(kernel: int, stride: int, size: tuple[int, int]):
    """Of what has to be added, the smaller half comes before the picture."""
    torch.manual_seed(0)
    conv = PaddedConv(2, 4, kernel, stride, 2, pad_after=size[0] % 2 == 0)
    x = torch.randn(1, 2, *size)
    lacking = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:]]
    (top, left), (bottom, right) = zip(*((n // 2, n - n // 2) for n in lacking), strict=True)
    padded = functional.pad(x, (left, right, top, bottom))
    expected = functional.conv2d(padded, conv.weight, conv.bias, stride, groups=2)
    assert expected.shape == (1, 4, -(-size[0] // stride), -(-size[1] // stride))
    torch.testing.assert_close(conv(x), expected)
