"""Heads and trunks that the keypoint network could have had, to compare with the one that it has.

All of them stand on the shipped network's backbone, or a longer one, and on as much of the pyramid
as they need, and answer with the same things, so that one loop trains and measures them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from knuckle.codec import HeatmapCodec
from knuckle.hand import N_JOINTS
from knuckle.models.efficientnet_lite import EfficientNetLite
from knuckle.models.keypoints import KeypointNetwork, KeypointSettings
from knuckle.models.pyramid import double
from knuckle.train.losses import weighted_mean

#: Of the shipped network, see ``Trunk``.
STAGES, COARSE_BLOCKS = 5, KeypointSettings.coarse_blocks
#: Weights of the losses, those of ``train/losses.py``, for crops of ``_REFERENCE_PX``.
_POINT, _MAP, _REFERENCE_PX = 0.25, 0.25, 128
_LARGEST_PX = 40.0


class Answer(NamedTuple):
    """What a head says about N crops."""

    points_px: Tensor  # (N, 21, 2) crop px
    log_maps: Tensor | None  # (N, 21, ...) log-probabilities in whatever form the head has them
    spread_px: Tensor | None  # (N, 21) standard deviation per axis of what it says, crop px


class Trunk(nn.Module):
    """A backbone and as much of its pyramid as a head asks for; the shipped one's by default.

    Args:
        size: side of the crop, px.
        stages: of the backbone, 5 to 7; beyond five there is a level of stride 32, and the pyramid
            begins there.
        coarse_blocks: see ``KeypointSettings``.
    """

    _WIDTH_32 = 160

    def __init__(self, size: int, stages: int = STAGES, coarse_blocks: int = COARSE_BLOCKS) -> None:
        super().__init__()
        settings = KeypointSettings("imagenet", size, (64, 96, 128), coarse_blocks)
        self.network = net = KeypointNetwork(settings)
        self.widths = dict(zip((4, 8, 16), settings.widths, strict=True))
        if stages > 5:
            net.backbone = EfficientNetLite("imagenet", stages)
            net.lateral["32"] = nn.Conv2d(net.backbone.channels[32], self._WIDTH_32, 1)
            net.down32 = nn.Conv2d(self._WIDTH_32, self.widths[16], 1)
            self.widths[32] = self._WIDTH_32

    @property
    def coarsest(self) -> int:
        """The stride at which the pyramid begins."""
        return max(self.widths)

    def forward(self, crops: Tensor, stride: int) -> Tensor:
        """(N, S, S, 3) RGB -> (N, C, S / stride, S / stride), C from ``widths``."""
        net = self.network
        levels = net.backbone(net.normalise(crops))
        level = None
        for at in (32, 16, 8, 4):
            if at not in self.widths:
                continue
            above, level = level, net.lateral[str(at)](levels[at])
            if above is not None:
                level = level + double(getattr(net, f"down{2 * at}")(above))
            if at < 32:
                level = getattr(net, f"merge{at}")(level)
            if at == 16:
                level = net.coarse16(level)
            if at == stride:
                return level
        raise ValueError(f"no level of stride {stride}; there are {sorted(self.widths)}")

    def keep_only(self, stride: int) -> None:
        """Drop the layers that a head at this stride does not need, so that they do not count."""
        net = self.network
        for name in ("maps", "mask", "context", "token", "whole", "beside"):
            delattr(net, name)
        for at in (at for at in self.widths if at < stride):
            del net.lateral[str(at)]
            delattr(net, f"merge{at}")
            delattr(net, f"down{2 * at}")
        if stride > 16:
            del net.coarse16


class IntegralHead(nn.Module):
    """A probability map per joint at stride 4, whose mean is the keypoint: the shipped head."""

    stride = 4

    def __init__(self, trunk: Trunk, size: int) -> None:
        super().__init__()
        self.codec = HeatmapCodec(size, size // self.stride)
        self.maps = nn.Conv2d(trunk.widths[self.stride], N_JOINTS, 1)
        cells = torch.tensor(self.codec.cell_centres_px, dtype=torch.float32)
        self.register_buffer("cells", cells, persistent=False)

    def forward(self, level: Tensor) -> Answer:
        """(N, C, S / 4, S / 4) -> maps (N, 21, S / 4, S / 4) [y, x] and their mean."""
        logits = self.maps(level)
        log_maps = logits.flatten(2).log_softmax(dim=-1).unflatten(-1, logits.shape[2:])
        maps = log_maps.exp()
        x, x_variance = _moments(maps.sum(dim=2), self.cells)
        y, y_variance = _moments(maps.sum(dim=3), self.cells)
        spread = ((x_variance + y_variance) / 2).clamp(min=0).sqrt()
        return Answer(torch.stack([x, y], dim=-1), log_maps, spread)

    def encode(self, points_px: Tensor) -> Tensor:
        """(N, 21, 2) -> the maps that would be right."""
        maps = self.codec.encode(points_px.numpy())
        return torch.from_numpy(maps).to(points_px)


class SimCCHead(nn.Module):
    """Each axis classified on its own, in bins of half a pixel (SimCC, Li et al. 2022).

    The pyramid stops at stride 8; a map per joint, laid flat, becomes the bins of both axes by
    linear layers that all joints share. The keypoint is the mean of its bins.
    """

    stride, bins_per_px = 8, 2

    def __init__(self, trunk: Trunk, size: int) -> None:
        super().__init__()
        self.codec = HeatmapCodec(size, size * self.bins_per_px)
        self.joints = nn.Conv2d(trunk.widths[self.stride], N_JOINTS, 1)
        cells = (size // self.stride) ** 2
        self.axes = nn.ModuleList(nn.Linear(cells, self.codec.map_size) for _ in range(2))
        centres = torch.tensor(self.codec.cell_centres_px, dtype=torch.float32)
        self.register_buffer("bins", centres, persistent=False)

    def forward(self, level: Tensor) -> Answer:
        """(N, C, S / 8, S / 8) -> bins (N, 21, 2, 2 S) of x and y, and their means."""
        flat = self.joints(level).flatten(2)
        logits = torch.stack([axis(flat) for axis in self.axes], dim=2)
        log_maps = logits.log_softmax(dim=-1)
        points, variance = _moments(log_maps.exp(), self.bins)
        return Answer(points, log_maps, variance.mean(dim=-1).clamp(min=0).sqrt())

    def encode(self, points_px: Tensor) -> Tensor:
        """(N, 21, 2) -> the bins (N, 21, 2, 2 S) that would be right, as smooth as a map's."""
        gap = points_px.clamp(self.bins[0], self.bins[-1])[..., None] - self.bins
        return (-0.5 * (gap / self.codec.sigma_px) ** 2).softmax(dim=-1)


class RegressionHead(nn.Module):
    """The coordinates themselves, from the coarsest level: no pyramid at all."""

    def __init__(self, trunk: Trunk, size: int) -> None:
        super().__init__()
        self.size, self.stride = size, trunk.coarsest
        inputs = trunk.widths[self.stride] * (size // self.stride) ** 2
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, 256), nn.ReLU(), nn.Linear(256, 2 * N_JOINTS)
        )

    def forward(self, level: Tensor) -> Answer:
        """(N, C, S / stride, S / stride) -> points."""
        shares = self.layers(level).unflatten(-1, (N_JOINTS, 2))  # of the crop, from its middle
        return Answer(shares * self.size + (self.size - 1) / 2, None, None)

    def encode(self, points_px: Tensor) -> Tensor:
        """Points are given as they are."""
        return points_px


Head = IntegralHead | SimCCHead | RegressionHead
HEADS: dict[str, Callable[[Trunk, int], Head]] = {
    "integral": IntegralHead,
    "SimCC": SimCCHead,
    "regression": RegressionHead,
}


class Contender(nn.Module):
    """A trunk and a head.

    Args:
        head: of ``HEADS``.
        size: side of the crop, px; a multiple of 32.
        stages, coarse_blocks: see ``Trunk``.
        imagenet: whether the backbone starts from ImageNet weights; its first ``frozen`` blocks
            then stay as they are.
        frozen: see ``imagenet``.
    """

    def __init__(
        self, head: str = "integral", size: int = 128,
        stages: int = STAGES, coarse_blocks: int = COARSE_BLOCKS, *,
        imagenet: bool = True, frozen: int = 3,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size, self.imagenet = size, imagenet
        self.trunk = Trunk(size, stages, coarse_blocks)
        self.head = HEADS[head](self.trunk, size)
        self.trunk.keep_only(self.head.stride)
        backbone = self.trunk.network.backbone
        if imagenet:
            backbone.load_imagenet()
            for module in (backbone.stem, *backbone.blocks[:frozen]):
                module.requires_grad_(False)
        else:
            _start_from_scratch(backbone)

    def forward(self, crops: Tensor) -> Answer:
        """(N, S, S, 3) RGB, 0..255 -> the head's answer."""
        return self.head(self.trunk(crops, self.head.stride))

    def groups(self, rate: float) -> list[dict]:
        """Parameters for an optimiser; what starts from ImageNet learns at a third of the rate."""
        old = [p for p in self.trunk.network.backbone.parameters() if p.requires_grad]
        known = {id(p) for p in old}
        new = [p for p in self.parameters() if p.requires_grad and id(p) not in known]
        scale = 0.33 if self.imagenet else 1.0
        return [{"params": new, "peak": rate}, {"params": old, "peak": scale * rate}]

    def loss(self, answer: Answer, batch: dict[str, Tensor]) -> Tensor:
        """Distance of the points and, where there are maps, their cross-entropy."""
        unit = _REFERENCE_PX / self.size
        error = unit * (answer.points_px - batch["points_px"]).abs().mean(dim=-1)
        weight = batch["point_weight"]
        loss = _POINT * weighted_mean(error.clamp(max=_LARGEST_PX), weight)
        if answer.log_maps is None:
            return loss
        cross = -(self.head.encode(batch["points_px"]) * answer.log_maps).flatten(2).sum(dim=-1)
        return loss + _MAP * weighted_mean(cross, weight * batch["inside"])


def _moments(weights: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of ``places`` (K,) under ``weights`` (..., K) with sum 1."""
    mean = weights @ places
    return mean, weights @ places.square() - mean.square()


def _start_from_scratch(backbone: EfficientNetLite) -> None:
    """Weights of He et al. 2015, which keep the size of what passes; there are no norms to."""
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Conv2d):
            after = "linear" if name.endswith("project") else "relu"
            nn.init.kaiming_normal_(module.weight, nonlinearity=after)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def parameters(contender: Contender) -> int:
    """How many numbers are learnt or kept."""
    return sum(parameter.numel() for parameter in contender.parameters())


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's, of two lists of N values."""
    ranks = [values.argsort().argsort().double() for values in (a, b)]
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])
