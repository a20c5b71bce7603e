"""The lifter: a graph network over the joints that turns keypoints into 3D.

It sees directions (``crop.CropView``), not pixels, so focal length and place in the frame are
already divided out. Each block mixes the joints along the skeleton and along learnt links
(semantic graph convolution, Zhao et al. 2019), then works on each joint alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.hand import BONES, N_JOINTS

#: Scale of the network's outputs: about the length of a palm.
UNIT_MM = 100.0


@dataclass(frozen=True)
class LifterSettings:
    """Size of the lifter.

    Attributes:
        feature_size: channels of the image features per joint.
        width: channels of a joint inside the network.
        blocks: number of graph blocks.
        heads: independent sets of learnt links in each block.
    """

    feature_size: int = 32
    width: int = 128
    blocks: int = 4
    heads: int = 4


class LifterOutput(NamedTuple):
    """What the lifter says about N hands, in the axes of the crop's view."""

    joints_mm: Tensor  # (N, 21, 3) relative to the wrist
    log_sigma_mm: Tensor  # (N, 21) logarithm of the Laplace scale per axis


class Lifter(nn.Module):
    """Keypoints and image features to root-relative 3D, see the module's text."""

    def __init__(self, settings: LifterSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        self.points = nn.Linear(5, width)
        self.image = nn.Linear(settings.feature_size, width, bias=False)
        self.joint = nn.Parameter(torch.randn(N_JOINTS, width) * 0.1)
        self.blocks = nn.ModuleList(
            _GraphBlock(width, settings.heads) for _ in range(settings.blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 4)
        nn.init.zeros_(self.image.weight)  # begins as a lifter of points alone

    def forward(self, rays: Tensor, sigma: Tensor, features: Tensor) -> LifterOutput:
        """Lift N hands.

        Args:
            rays: (N, 21, 2) directions (x/z, y/z) in the crop's view.
            sigma: (N, 21) expected error of the rays, same unit.
            features: (N, 21, F) image features at the joints; zeros where there is no image.
        """
        centre = rays.mean(dim=1, keepdim=True)
        offset = rays - centre
        extent = offset.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp(min=1e-6)
        tokens = torch.cat(
            [
                offset / extent,  # the shape, the same at every distance
                extent.log().expand(-1, N_JOINTS, 1),  # how strong the perspective is
                (sigma[..., None] / extent).clamp(min=1e-4).log(),
                rays.norm(dim=-1, keepdim=True),
            ],
            dim=-1,
        )
        x = self.points(tokens) + self.image(features) + self.joint
        for block in self.blocks:
            x = block(x)
        out = self.out(self.norm(x))
        joints = (out[..., :3] - out[:, :1, :3]) * UNIT_MM
        return LifterOutput(joints, out[..., 3] + float(np.log(5.0)))


class _GraphBlock(nn.Module):
    """Mix joints along links, then channels within a joint; a shortcut around each."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.links = nn.Parameter(_skeleton_logits().repeat(heads, 1, 1))
        self.norm_mix = nn.LayerNorm(width)
        self.value = nn.Linear(width, width)
        self.mix = nn.Linear(width, width)
        self.norm_own = nn.LayerNorm(width)
        self.own = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 21, C) -> (N, 21, C)."""
        n, joints, width = x.shape
        # One product per head over the whole batch: (heads, 21, 21) @ (heads, 21, N * C / heads).
        value = self.value(self.norm_mix(x)).view(n, joints, self.heads, -1).permute(2, 1, 0, 3)
        mixed = torch.bmm(self.links.softmax(dim=-1), value.flatten(2))
        mixed = mixed.view(self.heads, joints, n, -1).permute(2, 1, 0, 3)
        x = x + self.mix(mixed.reshape(n, joints, width))
        return x + self.own(self.norm_own(x))


def _skeleton_logits() -> Tensor:
    """(21, 21) links that begin strong between neighbours of the skeleton and weak elsewhere."""
    logits = torch.full((N_JOINTS, N_JOINTS), -2.0)
    logits.fill_diagonal_(1.0)
    for parent, child in BONES:
        logits[parent, child] = logits[child, parent] = 1.0
    return logits + 0.1 * torch.randn(N_JOINTS, N_JOINTS)
