"""Keypoints of a hand that several calibrated cameras see at a time.

The keypoint network sees each view by itself, as it is. Before its maps, the features of the finest
level look at those of the other views (``epipolar``); what they become is read by maps of its own.
How far a keypoint may be off is what the network said of the view alone, corrected.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from knuckle.codec import HeatmapCodec
from knuckle.hand import N_JOINTS
from knuckle.models.epipolar import EpipolarSettings, EpipolarTransformer
from knuckle.models.keypoints import KeypointNetwork, KeypointSettings
from knuckle.models.pyramid import silent_at_first

#: Beside its features, what the spread of a joint is told from: the map's own, what the view alone
#: said, and how far other views agree.
_SIGNS = 3


class Glance(NamedTuple):
    """What one view after another shows, before they look at each other."""

    level: Tensor  # (N, V, C, M, M) features at stride 4
    log_sigma_px: Tensor  # (N, V, 21) as the view alone says


class Lines(NamedTuple):
    """Where each of N hands' V views finds its points in S others; see ``EpipolarTransformer``."""

    source: Tensor  # (N, V, S) int64
    turn: Tensor  # (N, V, S, 3, 3)
    shift: Tensor  # (N, V, S, 3)
    depth: Tensor  # (N, V) mm
    there: Tensor  # (N, V, S) 0 or 1


class ViewsOutput(NamedTuple):
    """What is said of N hands in V views."""

    keypoints_px: Tensor  # (N, V, 21, 2) crop px
    log_sigma_px: Tensor  # (N, V, 21) logarithm of the Laplace scale per axis, crop px
    log_maps: Tensor  # (N, V, 21, M, M) log-probabilities, each map with sum 1


class Fusion(nn.Module):
    """All that is learnt: what views add to each other, and how it is read."""

    cells: Tensor
    unit: Tensor

    def __init__(self, settings: EpipolarSettings, codec: HeatmapCodec) -> None:
        super().__init__()
        self.settings, self.codec = settings, codec
        width = settings.channels
        if settings.place != "none":
            self.epipolar = EpipolarTransformer(settings)
        self.maps = nn.Conv2d(width, N_JOINTS, 1)
        last = silent_at_first(nn.Linear(64, 1))
        self.spread = nn.Sequential(nn.Linear(width + _SIGNS, 64), nn.ReLU(), last)
        cells = torch.tensor(codec.cell_centres_px, dtype=torch.float32)
        self.register_buffer("cells", cells, persistent=False)
        #: What is one unit of each channel: features of a network that is finished have any size.
        self.register_buffer("unit", torch.ones(width))

    def start_from(self, network: KeypointNetwork, unit: Tensor) -> None:
        """Read the maps as the keypoint network does, whose channels have these units (C,)."""
        self.maps.load_state_dict(network.maps.state_dict())
        self.unit.copy_(unit)
        self.maps.weight.data *= unit[:, None, None]

    def forward(self, glance: Glance, lines: Lines) -> ViewsOutput:
        """Let the views look at each other, and read what they have become."""
        n, v, channels, height, width = glance.level.shape
        level = glance.level / self.unit[:, None, None]
        trust = level.new_zeros(n, v, height, width)
        if self.settings.place != "none":
            alone = self.maps(level.reshape(-1, channels, height, width))
            likely = alone.detach().flatten(2).softmax(dim=-1).sum(1).reshape(n, v, height, width)
            level, trust = self.epipolar(level, *lines, likely)
        flat = level.reshape(-1, channels, height, width)
        log_maps = self.maps(flat).flatten(2).log_softmax(dim=-1)  # (N V, 21, cells)
        weights = log_maps.exp()
        maps = weights.unflatten(-1, (height, width))
        along_x, along_y = maps.sum(2), maps.sum(3)
        points = torch.stack([along_x @ self.cells, along_y @ self.cells], dim=-1)
        square = along_x @ self.cells.square() + along_y @ self.cells.square()
        wide = (square - points.square().sum(-1)).clamp_min(0.01).log() / 2
        said = glance.log_sigma_px.reshape(-1, N_JOINTS)
        believed = (weights @ trust.reshape(-1, height * width, 1))[..., 0]
        signs = torch.stack([wide, said, believed], dim=-1)
        pooled = weights @ flat.flatten(2).transpose(1, 2)  # (N V, 21, C)
        spread = said + self.spread(torch.cat([pooled, signs], dim=-1))[..., 0]
        shape = (n, v, N_JOINTS)
        return ViewsOutput(
            points.reshape(*shape, 2),
            spread.reshape(shape),
            log_maps.reshape(*shape, height, width),
        )


class SeveralViews(nn.Module):
    """The whole stage: crops of a hand in several views become keypoints in each."""

    def __init__(self, settings: EpipolarSettings, keypoints: KeypointSettings) -> None:
        super().__init__()
        self.keypoints = KeypointNetwork(keypoints)
        self.fusion = Fusion(settings, keypoints.codec)

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """See as a finished keypoint network, given by its weights; it is never changed."""
        self.keypoints.load_state_dict(weights)
        self.keypoints.requires_grad_(False)

    def forward(self, crops: Tensor, lines: Lines) -> ViewsOutput:
        """(N, V, S, S, 3) RGB, 0..255, uint8 or float, of N hands -> what they show."""
        n, v = crops.shape[:2]
        levels = self.keypoints.levels(crops.reshape(-1, *crops.shape[2:]))
        alone = self.keypoints.read(*levels)
        level = levels[0].reshape(n, v, *levels[0].shape[1:])
        return self.fusion(Glance(level, alone.log_sigma_px.reshape(n, v, N_JOINTS)), lines)
