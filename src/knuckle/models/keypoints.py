"""The keypoint network: a crop becomes 21 keypoints, their trust, the hand's mask, and features.

The first blocks of a backbone (``efficientnet_lite``), a small top-down pyramid (Lin et al. 2017)
of plain convolutions up to stride 4, one probability map per joint whose mean is the keypoint
(integral regression, Sun et al. 2018). The same maps pool image features at the joints for the
lifter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from knuckle.codec import HeatmapCodec, NeighbourCodec
from knuckle.hand import N_JOINTS
from knuckle.models import efficientnet_lite as lite
from knuckle.models.pyramid import Pyramid, silent_at_first, token_head

#: Width of the bell at a joint of a known hand, crop px: half a finger's. It is so high, ten times
#: the features to which it is added, that small weights count: they begin at 0 in a network that
#: has learnt all else, whose rate is low.
_BELL_PX, _BELL_HEIGHT = 6.0, 20.0


@dataclass(frozen=True)
class KeypointSettings:
    """Size of the keypoint network."""

    #: Whose features the network starts from, and so its backbone's shape.
    backbone: lite.Features = "landmark"
    input_size: int = 160  # side of the crop, px; a multiple of 16
    widths: tuple[int, int, int] = (48, 96, 128)  # channels of the pyramid at strides 4, 8 and 16
    #: Further convolutions at stride 16, where the whole hand is seen and a block costs a quarter
    #: of one at stride 8.
    coarse_blocks: int = 2
    feature_size: int = 32  # channels of the image features handed to the lifter, per joint
    #: Of the backbone: 11 end at stride 16, two more see the whole hand at stride 32.
    blocks: int = 13

    @classmethod
    def of_weights(cls, weights: dict[str, Tensor], input_size: int) -> KeypointSettings:
        """The size that a network with these weights, by name, has."""
        blocks = {name.split(".")[1] for name in weights if name.startswith("coarse16.")}
        w4, w8, w16 = (len(weights[f"lateral.{stride}.weight"]) for stride in (4, 8, 16))
        return cls(
            backbone=lite.features_with_stem(len(weights["backbone.stem.weight"])),
            input_size=input_size,
            widths=(w4, w8, w16),
            coarse_blocks=len(blocks),
            feature_size=len(weights["token.3.weight"]) - 2,
            blocks=len({name.split(".")[2] for name in weights if name.startswith("backbone.b")}),
        )

    @property
    def codec(self) -> HeatmapCodec:
        """How the probability maps stand for points."""
        return HeatmapCodec(self.input_size, self.input_size // 4)


class KeypointOutput(NamedTuple):
    """What the network says about N crops. Logits where training needs them."""

    keypoints_px: Tensor  # (N, 21, 2) crop px
    log_sigma_px: Tensor  # (N, 21) logarithm of the Laplace scale per axis, crop px
    visible_logit: Tensor  # (N, 21)
    presence_logit: Tensor  # (N,)
    right_logit: Tensor  # (N,)
    mask_logit: Tensor  # (N, S / 2, S / 2)
    features: Tensor  # (N, 21, F)
    neighbour_logit: Tensor  # (N,) another hand is in the crop
    neighbour: Tensor  # (N, 5) where, see ``NeighbourCodec``
    log_maps: Tensor  # (N, 21, S / 4, S / 4) log-probabilities, each map with sum 1


class KeypointNetwork(Pyramid):
    """Crops to keypoints, see the module's text."""

    cells: Tensor

    def __init__(self, settings: KeypointSettings) -> None:
        super().__init__(
            settings.backbone,
            settings.widths,
            settings.coarse_blocks,
            settings.blocks,
            settings.input_size,
        )
        self.settings = settings
        w4, w8, w16 = settings.widths
        self.maps = nn.Conv2d(w4, N_JOINTS, 1)
        self.mask = nn.Conv2d(w4, 4, 3, padding=1)
        self.context = nn.Linear(w16, 128)
        self.token = token_head(w4 + w8 + 128, settings.feature_size + 2)
        self.whole = nn.Linear(128, 2)
        self.beside = Beside(w16, settings.input_size // 16)
        self.known = Known(settings.widths, settings.codec)
        cells = torch.tensor(settings.codec.cell_centres_px, dtype=torch.float32)
        self.register_buffer("cells", cells, persistent=False)

    def forward(self, crops: Tensor, known_px: Tensor | None = None) -> KeypointOutput:
        """What crops (N, S, S, 3) RGB, 0..255, uint8 or float, show.

        ``known_px`` (N, 21, 2) crop px are the joints of a hand that is known, which is not the one
        asked for: of each crop one, or far outside of it. None for no crop.
        """
        more = () if known_px is None else self.known(known_px)
        return self.read(*self.levels(crops, more))

    def read(self, p4: Tensor, p8: Tensor, p16: Tensor) -> KeypointOutput:
        """What crops show, from their ``levels``."""
        side = self.settings.codec.map_size
        log_maps = _rows(self.maps(p4), side).log_softmax(dim=-1)  # (N, 21, cells)
        maps = log_maps.exp().reshape(-1, N_JOINTS, side, side)
        keypoints = torch.stack([maps.sum(2) @ self.cells, maps.sum(3) @ self.cells], dim=-1)

        context = torch.relu(self.context(p16.mean(dim=(2, 3))))  # (N, 128)
        everywhere = context[:, None].expand(-1, N_JOINTS, -1)
        halved = 4.0 * functional.avg_pool2d(maps, 2)
        at_joints = torch.cat([_pool(maps, p4), _pool(halved, p8), everywhere], dim=-1)
        token = self.token(at_joints)  # (N, 21, F + 2)
        whole = self.whole(context)
        beside = self.beside(p16)
        mask = functional.pixel_shuffle(self.mask(p4), 2)[:, 0]
        return KeypointOutput(
            keypoints_px=keypoints,
            log_sigma_px=token[..., 0],
            visible_logit=token[..., 1],
            presence_logit=whole[:, 0],
            right_logit=whole[:, 1],
            mask_logit=mask,
            features=token[..., 2:],
            neighbour_logit=beside[:, 0],
            neighbour=beside[:, 1:],
            log_maps=log_maps.reshape(maps.shape),
        )


class Known(nn.Module):
    """A hand that is known: a bell at each of its joints, mixed into the pyramid at every stride.

    With it the network knows which of two hands is not asked for. It begins without effect.
    """

    cells: Tensor

    def __init__(self, widths: tuple[int, int, int], codec: HeatmapCodec) -> None:
        super().__init__()
        self.mix = nn.ModuleList(
            silent_at_first(nn.Conv2d(N_JOINTS, width, 1, bias=False)) for width in widths
        )
        cells = torch.tensor(codec.cell_centres_px, dtype=torch.float32)
        self.register_buffer("cells", cells, persistent=False)

    def forward(self, joints_px: Tensor) -> list[Tensor]:
        """(N, 21, 2) crop px -> (N, width, S / stride, S / stride) at strides 4, 8 and 16."""
        gaps = (joints_px[..., None] - self.cells) / _BELL_PX  # (N, 21, 2, cells)
        across, down = torch.exp(-0.5 * gaps**2).unbind(dim=2)
        bells = _BELL_HEIGHT * down[..., :, None] * across[..., None, :]
        coarser = functional.avg_pool2d(bells, 2)
        levels = (bells, coarser, functional.avg_pool2d(coarser, 2))
        return [conv(level) for conv, level in zip(self.mix, levels, strict=True)]


class Beside(nn.Module):
    """Whether there is another hand, and where: cells vote, and say from where they speak.

    In its place, one dense layer over all cells learnt little, and nearly all of its units died.
    """

    middles: Tensor

    def __init__(self, channels: int, map_size: int) -> None:
        super().__init__()
        self.votes = nn.Sequential(
            nn.Conv2d(channels, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 2 + NeighbourCodec.N_VALUES, 1),
        )
        line = (torch.arange(map_size) + 0.5) / map_size - 0.5
        middles = torch.stack([line.repeat(map_size), line.repeat_interleave(map_size)])
        self.register_buffer("middles", middles, persistent=False)  # (x, y) in crops

    def forward(self, level: Tensor) -> Tensor:
        """(N, C, M, M) -> (N, 6): logit that there is one, and ``NeighbourCodec``'s values."""
        votes = _rows(self.votes(level), level.shape[-1])  # (N, 7, cells)
        trust = votes[:, 0].softmax(dim=-1)
        said = (votes[:, 1:] * trust[:, None]).sum(dim=-1)
        from_where = trust @ self.middles.T  # (N, 2)
        return said + functional.pad(from_where, (1, NeighbourCodec.N_VALUES - 2))


def _pool(maps: Tensor, level: Tensor) -> Tensor:
    """Mean of features under each joint's map: (N, 21, M, M), (N, C, M, M) -> (N, 21, C)."""
    side = level.shape[-1]
    return _rows(maps, side) @ _rows(level, side).transpose(1, 2)


def _rows(maps: Tensor, side: int) -> Tensor:
    """(N, C, M, M) -> (N, C, M * M): a size that is known needs no nodes in an exported file."""
    return maps.reshape(-1, maps.shape[1], side * side)
