"""ResNet-50 (He et al. 2016; stride in the 3 x 3 convolution), without its classifier.

Weights go by torchvision's names, so that its ImageNet files fit as they are.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from knuckle.errors import InputError, NotFoundError

#: (channels inside a block, blocks, stride) of the four layers; a block gives four times as many.
LAYERS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
_EXPANSION = 4
_STEM = 64


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up, around a shortcut."""

    def __init__(self, inputs: int, inside: int, stride: int) -> None:
        super().__init__()
        outputs = inside * _EXPANSION
        self.conv1 = nn.Conv2d(inputs, inside, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv2 = nn.Conv2d(inside, inside, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inside)
        self.conv3 = nn.Conv2d(inside, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """Pictures to features at stride 32, ``channels`` of them."""

    channels = LAYERS[-1][0] * _EXPANSION
    stride = 32

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _STEM, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = _STEM
        for number, (inside, blocks, stride) in enumerate(LAYERS, start=1):
            layer = []
            for block in range(blocks):
                layer.append(Bottleneck(inputs, inside, stride if block == 0 else 1))
                inputs = inside * _EXPANSION
            self.add_module(f"layer{number}", nn.Sequential(*layer))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 2048, H / 32, W / 32)."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for number in range(1, len(LAYERS) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x

    def load_imagenet(self, path: str = "") -> None:
        """Start from ImageNet: the file that is named, else torchvision's, else a warning.

        The file is one of torchvision's ``resnet50``; its classifier may be missing.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds other weights.
        """
        state = _read(Path(path)) if path else _from_torchvision()
        if state is None:
            warnings.warn(
                "ResNet-50 starts from nothing: ImageNet weights need torchvision "
                "(pip install torchvision), or a file named in the recipe (internet.imagenet)",
                stacklevel=2,
            )
            return
        own = self.state_dict()
        missing = [n for n, v in own.items() if n not in state or state[n].shape != v.shape]
        if missing:
            raise InputError(
                f"{path or 'torchvision'} does not hold a ResNet-50: {len(missing)} of "
                f"{len(own)} weights are missing or of another shape, {missing[0]} for example"
            )
        self.load_state_dict({name: state[name] for name in own})


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise NotFoundError(
            f"no ImageNet weights at {path}; name torchvision's file of resnet50, or none"
        )
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has many ways of saying so
        raise InputError(f"{path} is no file of torch weights ({error})") from None
    return state


def _from_torchvision() -> dict[str, Tensor] | None:
    """The published weights; torchvision fetches them once. None where it is not installed."""
    try:
        from torchvision.models import ResNet50_Weights
    except ModuleNotFoundError:
        return None
    weights: Any = ResNet50_Weights.IMAGENET1K_V1
    state: dict[str, Tensor] = weights.get_state_dict(progress=False)
    return state
