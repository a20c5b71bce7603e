"""Our own network for both hands in one crop: 42 keypoints, then all 42 joints in millimetres.

The keypoint network's parts (five stages of EfficientNet-Lite0, a pyramid up to stride 4, one
probability map per joint whose mean is the keypoint), and a lifter over the 42 joints: it sees
directions, not pixels, what the image shows at each joint, and both hands at once, and says every
joint from its own wrist and the depth of the left wrist from the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from knuckle.codec import HeatmapCodec
from knuckle.hand import N_JOINTS, SIDES
from knuckle.models import efficientnet_lite as lite
from knuckle.models.lifter import UNIT_MM, Block
from knuckle.models.pyramid import Pyramid, double, token_head

_BOTH = len(SIDES) * N_JOINTS
#: What is known of a joint: offset and perspective (x, y), the crop's own place (x, y), its trust.
_POINT_CHANNELS = 5


@dataclass(frozen=True)
class BothSettings:
    """Size of the network."""

    #: Whose features the network starts from, and so its backbone's shape.
    backbone: lite.Features = "imagenet"
    input_size: int = 256  # side of the crop, px; a multiple of 32
    widths: tuple[int, int, int] = (64, 96, 128)  # channels of the pyramid at strides 4, 8 and 16
    feature_size: int = 32  # channels of the image features per joint
    width: int = 768  # channels of the lifter
    blocks: int = 3  # residual blocks of the lifter

    @property
    def codec(self) -> HeatmapCodec:
        """How the probability maps stand for points."""
        return HeatmapCodec(self.input_size, self.input_size // 4)


class BothOutput(NamedTuple):
    """What the network says about N crops; hands in the order of ``SIDES``, axes of the view."""

    keypoints_px: Tensor  # (N, 2, 21, 2) crop px
    log_sigma_px: Tensor  # (N, 2, 21) logarithm of the Laplace scale per axis, crop px
    there_logit: Tensor  # (N, 2)
    joints_mm: Tensor  # (N, 2, 21, 3) from each hand's own wrist
    log_sigma_mm: Tensor  # (N, 2, 21)
    root_mm: Tensor  # (N,) depth of the left wrist from the right one's
    log_maps: Tensor  # (N, 42, S / 4, S / 4) log-probabilities, each map with sum 1
    rays: Tensor  # (N, 2, 21, 2) directions of the keypoints in the view


class BothHands(Pyramid):
    """See the module's text."""

    cells: Tensor

    def __init__(self, settings: BothSettings) -> None:
        super().__init__(settings.backbone, settings.widths)
        self.settings = settings
        w4, w8, w16 = settings.widths
        self.maps = nn.Conv2d(w4, _BOTH, 1)
        self.context = nn.Linear(w16, 128)
        self.token = token_head(w4 + w8 + 128, settings.feature_size + 1)
        self.there = nn.Linear(128, len(SIDES))
        seen = _BOTH * (_POINT_CHANNELS + settings.feature_size) + 128 + len(SIDES)
        self.lift_in = nn.Linear(seen, settings.width)
        self.lift = nn.Sequential(*(Block(settings.width) for _ in range(settings.blocks)))
        self.lift_out = nn.Linear(settings.width, _BOTH * 4 + 1)
        nn.init.normal_(self.lift_out.weight, std=1e-3)  # a first guess of all joints at a wrist
        cells = torch.tensor(settings.codec.cell_centres_px, dtype=torch.float32)
        self.register_buffer("cells", cells, persistent=False)

    def forward(self, crops: Tensor, view_from_crop: Tensor) -> BothOutput:
        """What crops (N, S, S, 3) RGB, 0..255, uint8 or float, show.

        ``view_from_crop`` (N, 3, 3) are those of ``crop.CropView``.
        """
        p4, p8, p16 = self.levels(crops)
        log_maps = self.maps(p4).float().flatten(2).log_softmax(dim=-1)  # (N, 42, cells)
        weights = log_maps.exp()
        side = self.settings.codec.map_size
        maps = weights.unflatten(-1, (side, side))
        points = torch.stack([maps.sum(2) @ self.cells, maps.sum(3) @ self.cells], dim=-1)
        context = torch.relu(self.context(p16.mean(dim=(2, 3))))
        at_joints = [
            weights @ level.float().flatten(2).transpose(1, 2) for level in (p4, double(p8))
        ]
        of_crop = context[:, None].expand(-1, _BOTH, -1)
        token = self.token(torch.cat([*at_joints, of_crop], dim=-1)).float()
        log_sigma = token[..., 0]
        there = self.there(context).float()
        rays, described = _seen(points, log_sigma, view_from_crop, self.settings.input_size)
        seen = torch.cat([described, token[..., 1:]], dim=-1).flatten(1)
        lifted = self.lift_in(torch.cat([seen, context, there.sigmoid()], dim=-1))
        lifted = self.lift_out(self.lift(lifted)).float()
        joints = lifted[:, :-1].unflatten(-1, (len(SIDES), N_JOINTS, 4))
        return BothOutput(
            keypoints_px=points.unflatten(1, (len(SIDES), N_JOINTS)),
            log_sigma_px=log_sigma.unflatten(1, (len(SIDES), N_JOINTS)),
            there_logit=there,
            joints_mm=(joints[..., :3] - joints[..., :1, :3]) * UNIT_MM,
            log_sigma_mm=joints[..., 3] + 2.5,
            root_mm=lifted[:, -1] * UNIT_MM,
            log_maps=log_maps.unflatten(-1, (side, side)),
            rays=rays.unflatten(1, (len(SIDES), N_JOINTS)),
        )


def _seen(
    points: Tensor, log_sigma: Tensor, view_from_crop: Tensor, input_size: int
) -> tuple[Tensor, Tensor]:
    """Directions of (N, 42, 2) crop px, and what the lifter is told: (N, 42, 2), (N, 42, 5)."""
    xyz = points @ view_from_crop[:, :, :2].transpose(1, 2) + view_from_crop[:, None, :, 2]
    rays = xyz[..., :2] / xyz[..., 2:]
    extent = (view_from_crop[:, :2, 0].norm(dim=-1) / view_from_crop[:, 2, 2].abs()) * input_size
    place = points / input_size * 2 - 1
    trust = (log_sigma - 1.0) / 2
    perspective = extent.log()[:, None, None].expand(-1, _BOTH, 1) + 1
    strong = torch.cat([perspective, rays.norm(dim=-1, keepdim=True)], dim=-1)
    return rays, torch.cat([place, strong, trust[..., None]], dim=-1)
