"""The lifter: keypoints and image features of 21 joints become 3D.

It sees directions (``crop.CropView``), not pixels, so focal length and place in the frame are
already divided out. The hand is first read as a whole by a residual network over all joints at once
(Martinez et al. 2017), which learns what a pose is many times faster than messages that travel
along the skeleton; graph blocks on the joints (semantic graph convolution, Zhao et al. 2019) then
refine each joint by its neighbours and by what the image shows there.
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
_POINT_CHANNELS = 5


@dataclass(frozen=True)
class LifterSettings:
    """Size of the lifter."""

    feature_size: int = 32  # channels of the image features per joint
    width: int = 32  # channels of a joint in the graph
    whole_width: int = 640  # channels of the network over the whole hand; 0 leaves a graph network
    whole_blocks: int = 2  # residual blocks over the whole hand
    whole_hidden: int = 128  # units between the two layers of each; more of them learn nothing
    graph_blocks: int = 2  # graph blocks over the joints; 0 leaves a plain residual network


class LifterOutput(NamedTuple):
    """What the lifter says about N hands, in the axes of the crop's view."""

    joints_mm: Tensor  # (N, 21, 3) relative to the wrist
    log_sigma_mm: Tensor  # (N, 21) logarithm of the Laplace scale per axis


class Lifter(nn.Module):
    """Keypoints and image features to root-relative 3D, see the module's text."""

    def __init__(self, settings: LifterSettings) -> None:
        super().__init__()
        self.settings = settings
        width, whole = settings.width, settings.whole_width
        self.image = nn.Linear(settings.feature_size, width)
        if whole:
            self.whole_in = nn.Linear(N_JOINTS * (_POINT_CHANNELS + width), whole)
            blocks = (Block(whole, settings.whole_hidden) for _ in range(settings.whole_blocks))
            self.whole = nn.ModuleList(blocks)
            self.whole_out = nn.Linear(whole, N_JOINTS * width)
        self.joint_in = nn.Linear(_POINT_CHANNELS + 2 * width, width)
        self.graph = nn.ModuleList(_GraphBlock(width) for _ in range(settings.graph_blocks))
        self.out = nn.Linear(width, 4)

    def forward(self, rays: Tensor, sigma: Tensor, features: Tensor) -> LifterOutput:
        """Lift N hands by rays (N, 21, 2), x/z, y/z in the crop's view, and their error (N, 21).

        Features (N, 21, F) are those of the image at the joints; zeros where there is no image.
        """
        points = describe(rays, sigma)  # (N, 21, 5)
        local = torch.cat([points, torch.relu(self.image(features))], dim=-1)
        seen = self._whole(local)  # (N, 21, width)
        x = seen + torch.relu(self.joint_in(torch.cat([local, seen], dim=-1)))
        for block in self.graph:
            x = block(x)
        out = self.out(x)
        joints = (out[..., :3] - out[:, :1, :3]) * UNIT_MM
        return LifterOutput(joints, out[..., 3] + float(np.log(5.0)))

    def _whole(self, local: Tensor) -> Tensor:
        """What the hand as a whole says about each joint: (N, 21, C) -> (N, 21, width)."""
        if not self.settings.whole_width:
            return torch.zeros_like(local[..., : self.settings.width])
        hand = torch.relu(self.whole_in(local.flatten(1)))  # (N, whole)
        for block in self.whole:
            hand = block(hand)
        return self.whole_out(hand).unflatten(1, (N_JOINTS, -1))


class Block(nn.Module):
    """Two layers over the whole hand around a shortcut."""

    def __init__(self, width: int, hidden: int = 0) -> None:
        """Build it, with so many units between the layers (0: as many as channels)."""
        super().__init__()
        hidden = hidden or width
        self.first = nn.Linear(width, hidden)
        self.second = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C) -> (N, C)."""
        return x + self.second(torch.relu(self.first(torch.relu(x))))


class _GraphBlock(nn.Module):
    """Each joint hears its neighbours, along links that start as the skeleton and are learnt."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.links = nn.Parameter(_skeleton_links())
        self.own = nn.Linear(width, width)
        self.heard = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 21, C) -> (N, 21, C)."""
        heard = torch.matmul(self.links, self.heard(x))
        return x + self.out(torch.relu(self.own(x) + heard))


def _skeleton_links() -> Tensor:
    """(21, 21) normalised adjacency of the skeleton."""
    links = torch.eye(N_JOINTS)
    for parent, child in BONES:
        links[parent, child] = links[child, parent] = 1.0
    return links / links.sum(dim=1, keepdim=True)


def describe(rays: Tensor, sigma: Tensor) -> Tensor:
    """(N, 21, 5) of each joint: its place in the hand's extent, the perspective, the trust."""
    offset = rays - rays.mean(dim=1, keepdim=True)
    extent = offset.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp(min=1e-6)
    return torch.cat(
        [
            offset / extent,  # the shape, the same at every distance
            extent.log().expand(-1, N_JOINTS, 1) + 2,  # how strong the perspective is
            (sigma[..., None] / extent).clamp(min=1e-4).log() / 3 + 1,
            rays.norm(dim=-1, keepdim=True),
        ],
        dim=-1,
    )
