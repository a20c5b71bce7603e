"""The detector: a whole frame becomes peaks at hands, their squares, and a mask per side.

One stage without anchors (CenterNet, Zhou et al. 2019) on a backbone (``efficientnet_lite``) cut
off at stride 16, with a top-down pyramid to stride 4. ``codec.DetectionCodec`` says what the maps
mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from knuckle.codec import DetectionCodec
from knuckle.models import efficientnet_lite as lite
from knuckle.models.pyramid import Residual, double

#: A hand's middle is one cell in a thousand: begin by saying "no" (focal loss, Lin et al. 2017).
_PRIOR = 0.01


@dataclass(frozen=True)
class DetectorSettings:
    """Size of the detector."""

    #: Whose features the network starts from, and so its backbone's shape.
    backbone: lite.Features = "imagenet"
    input_size: int = 192  # side of the letterboxed frame, px; a multiple of 32
    stages: int = 5  # backbone stages kept; 5 ends at stride 16, 7 at stride 32
    width: int = 64  # channels of the pyramid

    @classmethod
    def of_weights(cls, weights: dict[str, Tensor], input_size: int) -> DetectorSettings:
        """The size that a detector with these weights, by name, has."""
        backbone = lite.features_with_stem(len(weights["backbone.stem.weight"]))
        blocks = {int(name.split(".")[2]) for name in weights if name.startswith("backbone.blocks")}
        counts = [stage.blocks for stage in lite.ARCHITECTURES[backbone].stages]
        stages = next(n for n in range(len(counts) + 1) if sum(counts[:n]) == len(blocks))
        return cls(backbone, input_size, stages, width=len(weights["lateral.4.weight"]))

    @property
    def codec(self) -> DetectionCodec:
        """How the maps stand for hands."""
        return DetectionCodec(self.input_size, self.input_size // 8)


class DetectorOutput(NamedTuple):
    """Maps over N frames."""

    peak_logit: Tensor  # (N, 2, M, M) left, right
    geometry: Tensor  # (N, 10, M, M) offset x, y; log size; cos, sin: of left, then of right hands
    mask_logit: Tensor  # (N, 2, 2M, 2M) left, right


class Detector(nn.Module):
    """Frames to hands, see the module's text."""

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        self.backbone = lite.EfficientNetLite(settings.backbone, settings.stages)
        self.strides = sorted((s for s in self.backbone.channels if s >= 4), reverse=True)
        self.lateral = nn.ModuleDict(
            {str(s): nn.Conv2d(self.backbone.channels[s], width, 1) for s in self.strides}
        )
        self.merge = nn.ModuleDict({str(s): Residual(width) for s in self.strides if s != 4})
        self.wide = nn.Sequential(  # sees the arm that a hand hangs on
            nn.Conv2d(width, width, 3, padding=2, dilation=2), nn.ReLU()
        )
        self.peak = nn.Conv2d(width, 2, 3, padding=1)
        self.geometry = nn.Conv2d(width, 2 * DetectionCodec.N_GEOMETRY, 3, padding=1)
        self.fine = nn.Sequential(nn.Conv2d(width, 32, 3, padding=1), nn.ReLU())
        self.mask = nn.Conv2d(32, 2, 3, padding=1)
        assert self.peak.bias is not None
        nn.init.constant_(self.peak.bias, -math.log((1 - _PRIOR) / _PRIOR))
        self.normalise = lite.Normalise(settings.backbone)
        #: Convolutions up to the answers in bfloat16 while in training mode.
        self.half_in_training = False

    def forward(self, frames: Tensor) -> DetectorOutput:
        """(N, S, S, 3) RGB, 0..255, uint8 or float -> maps."""
        half = self.training and self.half_in_training
        with torch.autocast(frames.device.type, torch.bfloat16, enabled=half):
            x, fine = self._pyramid(frames)
        x, fine = x.float(), fine.float()
        return DetectorOutput(self.peak(x), self.geometry(x), self.mask(fine))

    def _pyramid(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames -> (N, width, S / 8, S / 8), (N, 32, S / 4, S / 4)."""
        levels = self.backbone(self.normalise(frames))
        top = self.strides[0]
        x = self.merge[str(top)](self.lateral[str(top)](levels[top]))
        for stride in self.strides[1:-1]:
            x = self.merge[str(stride)](self.lateral[str(stride)](levels[stride]) + double(x))
        x = x + self.wide(x)  # stride 8
        return x, self.fine(self.lateral["4"](levels[4]) + double(x))
