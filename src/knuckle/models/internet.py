"""InterNet (Moon et al., InterHand2.6M, ECCV 2020): one crop, 2.5D joints of both hands.

A backbone, and for each hand three transposed convolutions to a volume per joint: rows and columns
of the crop, and depth relative to the hand's own wrist. Beside them the depth of the left wrist
relative to the right one, by a 1-D soft-argmax, and whether each hand is there. With a smaller
backbone and smaller volumes (``backbone = "lite"``) it trains on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from knuckle.errors import InputError
from knuckle.hand import N_JOINTS, SIDES
from knuckle.models.efficientnet_lite import EfficientNetLite, Normalise
from knuckle.models.resnet import ResNet50


@dataclass(frozen=True)
class InterNetSettings:
    """Size of the network. The defaults are the paper's."""

    #: resnet50, or lite: five stages of EfficientNet-Lite0.
    backbone: Literal["resnet50", "lite"] = "resnet50"
    imagenet: str = ""  # file of ResNet-50's ImageNet weights; empty for torchvision's
    input_size: int = 256  # side of the crop, px
    map_size: int = 64  # cells along each side of a volume, and of the relative depth of the wrists
    sigma_cells: float = 2.5  # spread of a joint in its target volume
    #: Joints and the other wrist are looked for so far before and behind a wrist.
    range_mm: float = 200.0
    width: int = 256  # channels of the transposed convolutions
    hidden: int = 512  # channels between the pooled features and the two vectors

    def __post_init__(self) -> None:
        doublings = self.map_size * self.stride / self.input_size
        if doublings not in (1, 2, 4, 8, 16):
            raise InputError(
                f"map_size = {self.map_size} must be {self.input_size} / {self.stride} times a "
                "power of two: transposed convolutions double the features' size"
            )

    @property
    def stride(self) -> int:
        """Of the backbone's features."""
        return 32 if self.backbone == "resnet50" else 16

    @property
    def doublings(self) -> int:
        """How many transposed convolutions lie between the features and a volume."""
        return (self.map_size * self.stride // self.input_size).bit_length() - 1


class InterNetOutput(NamedTuple):
    """What the network says about N crops; hands in the order of ``SIDES``."""

    volumes: Tensor  # (N, 2, 21, D, D, D) [depth, row, column], 255 where a joint is
    root_cells: Tensor  # (N,) left wrist's depth from the right one's, 0..D stands for its range
    there_logit: Tensor  # (N, 2)


class InterNet(nn.Module):
    """See the module's text."""

    cells: Tensor

    def __init__(self, settings: InterNetSettings) -> None:
        super().__init__()
        self.settings = settings
        self.backbone: ResNet50 | EfficientNetLite
        if settings.backbone == "resnet50":
            self.backbone = ResNet50()
            channels = ResNet50.channels
        else:
            self.backbone = EfficientNetLite("imagenet", stages=5)
            channels = self.backbone.channels[settings.stride]
            self.normalise = Normalise("imagenet")
        cells = settings.map_size
        self.hands = nn.ModuleList(
            nn.Sequential(
                *_doublings(channels, settings.width, settings.doublings),
                _quiet(nn.Conv2d(settings.width, N_JOINTS * cells, 1), 0.001),
            )
            for _ in SIDES
        )
        self.root = _two_layers(channels, settings.hidden, cells)
        self.there = _two_layers(channels, settings.hidden, len(SIDES))
        self.register_buffer("cells", torch.arange(cells, dtype=torch.float32), persistent=False)
        #: Whether training computes the convolutions in bfloat16 (``OptimiserSettings.half``).
        self.half_in_training = False

    def forward(self, crops: Tensor) -> InterNetOutput:
        """(N, S, S, 3) RGB, 0..255, uint8 or float -> what they show."""
        cells = self.settings.map_size
        half = self.training and self.half_in_training
        with torch.autocast(crops.device.type, torch.bfloat16, enabled=half):
            features = self._features(crops)
            volumes = [
                hand(features).unflatten(1, (N_JOINTS, cells)).float() for hand in self.hands
            ]  # (N, 21, depth, row, column)
        pooled = features.float().mean(dim=(2, 3))
        root = self.root(pooled).softmax(dim=-1) @ self.cells
        return InterNetOutput(torch.stack(volumes, dim=1), root, self.there(pooled))

    def load_imagenet(self) -> None:
        """Start the backbone from ImageNet weights; see ``ResNet50.load_imagenet``."""
        if isinstance(self.backbone, ResNet50):
            self.backbone.load_imagenet(self.settings.imagenet)
        else:
            self.backbone.load_imagenet()

    def _features(self, crops: Tensor) -> Tensor:
        if isinstance(self.backbone, ResNet50):  # as published: 0..1, whatever ImageNet had
            x: Tensor = self.backbone(crops.permute(0, 3, 1, 2).float() / 255)
            return x
        levels: dict[int, Tensor] = self.backbone(self.normalise(crops))
        return levels[self.settings.stride]


def _doublings(inputs: int, width: int, count: int) -> list[nn.Module]:
    """Transposed convolutions, each to twice the size."""
    layers: list[nn.Module] = []
    for _ in range(count):
        deconvolution = nn.ConvTranspose2d(inputs, width, 4, 2, 1, bias=False)
        nn.init.normal_(deconvolution.weight, std=0.001)
        layers += [deconvolution, nn.BatchNorm2d(width), nn.ReLU()]
        inputs = width
    return layers


def _two_layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    first, second = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)
    return nn.Sequential(_quiet(first, 0.01), nn.ReLU(), _quiet(second, 0.01))


def _quiet(layer: nn.Conv2d | nn.Linear, spread: float) -> nn.Conv2d | nn.Linear:
    """A layer that says next to nothing at first, as the authors begin."""
    nn.init.normal_(layer.weight, std=spread)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


# --------------------------------------------------------------------------------------------
# Volumes and joints
# --------------------------------------------------------------------------------------------
def cells_of(points_px: Tensor, depth_mm: Tensor, settings: InterNetSettings) -> Tensor:
    """Joints as places in a volume: (..., 2) crop px and (...) mm -> (..., 3) x, y, depth.

    As in the paper's code, whole cells stand for the pixels ``input_size / map_size`` apart that
    begin at pixel 0, and for depths that begin at ``-range_mm``.
    """
    across = points_px * (settings.map_size / settings.input_size)
    deep = (depth_mm / settings.range_mm + 1) / 2 * settings.map_size
    return torch.cat([across, deep[..., None]], dim=-1)


def joints_of(cells: Tensor, settings: InterNetSettings) -> tuple[Tensor, Tensor]:
    """The inverse of ``cells_of``: (..., 3) -> (..., 2) crop px and (...) mm."""
    return cells[..., :2] * (settings.input_size / settings.map_size), depth_of(
        cells[..., 2], settings
    )


def depth_of(cells: Tensor, settings: InterNetSettings) -> Tensor:
    """Depth in mm of places along the third axis of a volume."""
    return (cells / settings.map_size * 2 - 1) * settings.range_mm


def volumes_of(cells: Tensor, settings: InterNetSettings) -> Tensor:
    """Target volumes of joints: (..., 3) x, y, depth -> (..., D, D, D), 255 at the joint."""
    x, y, z = _bells(cells, settings)
    return 255 * z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :]


def squared_error(volumes: Tensor, cells: Tensor, settings: InterNetSettings) -> Tensor:
    """Mean squared difference of volumes (..., D, D, D) from those that joints (..., 3) aim at.

    A target is the product of three lines, so its own squares and its product with a volume need
    no volume of their own: several times that much memory would have to be written otherwise.

    Returns:
        (...), as ``(volumes - volumes_of(cells)).square().mean`` over each volume.
    """
    x, y, z = _bells(cells, settings)
    said = volumes.square().sum(dim=(-3, -2, -1))
    across = (volumes @ x[..., None, :, None])[..., 0] @ y[..., None]  # (..., D, 1)
    common = 255 * (across[..., 0] * z).sum(dim=-1)
    aimed = 255**2 * torch.stack([x, y, z]).square().sum(dim=-1).prod(dim=0)
    return (said - 2 * common + aimed) / settings.map_size**3


def _bells(cells: Tensor, settings: InterNetSettings) -> tuple[Tensor, Tensor, Tensor]:
    """How near each cell along x, y and depth is to joints: (..., 3) -> (..., D) each, 0..1."""
    line = torch.arange(settings.map_size, device=cells.device, dtype=torch.float32)
    bells = torch.exp(-0.5 * ((line - cells[..., None]) / settings.sigma_cells).square())
    x, y, z = bells.unbind(dim=-2)
    return x, y, z


def decoded(
    volumes: Tensor, settings: InterNetSettings, decoding: Literal["argmax", "soft"]
) -> Tensor:
    """Where each volume is highest: (..., D, D, D) -> (..., 3) x, y, depth in cells.

    ``argmax`` is the paper's: a whole cell. ``soft`` is the mean place around that cell, by what
    the volume says there. Three spreads to every side leave out nothing of a joint, and the noise
    far away counts nothing.
    """
    size = settings.map_size
    flat = volumes.flatten(-3)
    peak = flat.argmax(dim=-1)
    whole = torch.stack([peak % size, peak // size % size, peak // size**2], dim=-1)  # x, y, depth
    if decoding == "argmax":
        return whole.float()
    line = torch.arange(size, device=volumes.device)
    reach = 3 * settings.sigma_cells
    near = ((line - whole[..., None]).abs() <= reach).float()  # (..., 3, D)
    x, y, z = near.unbind(dim=-2)
    window = z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :]
    weight = volumes.clamp(min=0) * window
    weight = weight / weight.sum(dim=(-3, -2, -1), keepdim=True).clamp(min=1e-9)
    values = line.float()
    along_x, along_y = weight.sum(dim=(-3, -2)) @ values, weight.sum(dim=(-3, -1)) @ values
    return torch.stack([along_x, along_y, weight.sum(dim=(-2, -1)) @ values], dim=-1)
