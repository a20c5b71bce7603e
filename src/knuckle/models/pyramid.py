"""A backbone and a small top-down pyramid of plain convolutions to stride 4 (Lin et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from knuckle.models import efficientnet_lite as lite


class Pyramid(nn.Module):
    """What networks that look at a crop have in common; they add their heads to it.

    Its parts are attributes of the network itself, so that networks with different heads share the
    names of their weights, and one can start from another.
    """

    def __init__(
        self,
        backbone: lite.Features,
        widths: tuple[int, int, int],
        coarse_blocks: int = 2,
        blocks: int = 11,
        input_size: int = 64,
    ) -> None:
        """Build it, with so many channels (``widths``) at strides 4, 8 and 16.

        Of the backbone's ``blocks``, 11 end at stride 16; what more of them see at stride 32 is
        added to the map at 16. There, where the whole hand is seen and a block costs a quarter of
        one at stride 8, are ``coarse_blocks`` more. ``input_size`` is the side of the crop, px.
        """
        super().__init__()
        w4, w8, w16 = widths
        self.backbone = lite.EfficientNetLite(backbone, 6, blocks, input_size)
        channels = self.backbone.channels
        self.lateral = nn.ModuleDict(
            {
                str(stride): nn.Conv2d(channels[stride], width, 1)
                for stride, width in zip((4, 8, 16), widths, strict=True)
            }
        )
        self.lateral32 = None
        if 32 in channels:
            self.lateral32 = silent_at_first(nn.Conv2d(channels[32], w16, 1))
        self.merge16 = Residual(w16)
        self.coarse16 = nn.Sequential(*(Residual(w16) for _ in range(coarse_blocks)))
        self.down16 = nn.Conv2d(w16, w8, 1)
        self.merge8 = Residual(w8)
        self.down8 = nn.Conv2d(w8, w4, 1)
        self.merge4 = Residual(w4)
        self.normalise = lite.Normalise(backbone)
        #: Whether training computes the convolutions in bfloat16 (``OptimiserSettings.half``).
        self.half_in_training = False

    def levels(self, crops: Tensor, more: Sequence[Tensor] = ()) -> tuple[Tensor, Tensor, Tensor]:
        """Features (N, C, S / stride, S / stride) at strides 4, 8 and 16, in single precision.

        Crops are (N, S, S, 3) RGB, 0..255, uint8 or float. What ``more`` is known at these strides
        is added to what the backbone saw there.
        """
        half = self.training and self.half_in_training
        with torch.autocast(crops.device.type, torch.bfloat16, enabled=half):
            levels = self.backbone(self.normalise(crops))
            seen4, seen8, seen16 = (self.lateral[str(s)](levels[s]) for s in (4, 8, 16))
            if self.lateral32 is not None:
                # Where stride 16 has an odd size, this is a row and a column larger.
                coarser = double(self.lateral32(levels[32]))
                seen16 = seen16 + coarser[..., : seen16.shape[2], : seen16.shape[3]]
            if more:
                seen4, seen8, seen16 = seen4 + more[0], seen8 + more[1], seen16 + more[2]
            p16 = self.coarse16(self.merge16(seen16))
            p8 = self.merge8(seen8 + double(self.down16(p16)))
            p4 = self.merge4(seen4 + double(self.down8(p8)))
        # Means of maps need more digits than bfloat16 has.
        return p4.float(), p8.float(), p16.float()


def token_head(inputs: int, outputs: int) -> nn.Sequential:
    """What is said of each joint by the features pooled there."""
    return nn.Sequential(
        nn.LayerNorm(inputs), nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, outputs)
    )


class Residual(nn.Module):
    """Two plain 3 x 3 convolutions around a shortcut: the fastest layers a CPU has."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)  # starts as the identity: no norm is needed

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return torch.relu(x + self.second(torch.relu(self.first(x))))


Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def silent_at_first(layer: Layer) -> Layer:
    """A layer that at first says 0: the network begins as the one without it."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def double(x: Tensor) -> Tensor:
    """Twice the resolution, (N, C, H, W) -> (N, C, 2H, 2W)."""
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
