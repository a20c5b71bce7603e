"""The pair stage: two hands that are near each other, seen as one thing of 42 joints.

Lifted alone, each hand is off by a few per cent in size and by some degrees in orientation, and so
its distance by some centimetres: two hands that touch come out with a gap between them, or in each
other. What is known about two hands together (one person's hands are of one size, they touch or
lie one before the other, they do not pass through each other) is learnt by a residual network
over both, which says where one wrist is from the other. The hands themselves stay as they were
lifted: corrections of joints, or of turn and size, were learnt as well, but did not hold on
rendered hands (``docs/lifting.md``).

It is asked twice about a pair, once by each hand: the *own* hand is seen as the lifter sees it,
upright and as a right hand, and the *other* hand in the same axes, as a left one. So the answer
cannot depend on which hand comes first, and the mirrored pair gets the mirrored answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.hand import N_JOINTS
from knuckle.models.lifter import UNIT_MM, Block
from knuckle.models.pyramid import silent_at_first

#: Per joint: lifted 3, where it is seen 2, sigmas 2. Of the pair: apart 3, depths 2.
_JOINT_CHANNELS, _PAIR_CHANNELS = 7, 5
#: Corrections are of this order, mm.
_APART_MM = 50.0
_NEAREST_MM, _FARTHEST_MM = 60.0, 5000.0
#: Of the lifter's error most lies along the line of sight: its share across it, as in
#: ``pose.placement``, and after so many standard deviations a joint has half its weight.
_ACROSS, _HALF_TRUST = 0.5, 3.0


@dataclass(frozen=True)
class PairSettings:
    """Size of the pair stage, and what it learns from."""

    width: int = 192  # of the residual network
    blocks: int = 2  # residual blocks
    stock: int = 6144  # pairs of touching hands in stock; making one takes 13 ms


class PairOutput(NamedTuple):
    """What N hands say about the other ones, in the axes of their views."""

    apart_mm: Tensor  # (N, 3) the other wrist, from the own one
    log_sigma_mm: Tensor  # (N, 3) logarithm of the Laplace scale of each axis


class Pair(nn.Module):
    """Two lifted hands to the place of one from the other, see the module's text."""

    def __init__(self, settings: PairSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        self.look = nn.Linear(2 * N_JOINTS * _JOINT_CHANNELS + _PAIR_CHANNELS, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(settings.blocks))
        # Of each axis: share that is not believed, correction, sigma.
        self.out = silent_at_first(nn.Linear(width, 9))

    def forward(
        self, joints_mm: Tensor, sigma_mm: Tensor, rays: Tensor, sigma: Tensor
    ) -> PairOutput:
        """Where the other hands of N pairs are, seen from the own ones.

        ``joints_mm`` (N, 2, 21, 3) are the own and the other hand as lifted, each relative to its
        wrist, in the axes of the own hand's view, and ``sigma_mm`` their expected error; ``rays``
        (N, 2, 21, 2) directions (x/z, y/z) in that view, and ``sigma`` theirs.
        """
        roots = place(joints_mm, sigma_mm, rays, sigma)  # (N, 2, 3)
        apart = roots[:, 1] - roots[:, 0]
        seen = torch.relu(self.look(_describe(joints_mm, sigma_mm, rays, sigma, roots)))
        for block in self.blocks:
            seen = block(seen)
        out = self.out(seen)
        doubted, change, spread = out[:, :3], out[:, 3:6], out[:, 6:]
        believed = (1 - doubted).clamp(0.0, 1.0)
        return PairOutput(apart * believed + change * _APART_MM, spread + float(np.log(20.0)))


def place(joints_mm: Tensor, sigma_mm: Tensor, rays: Tensor, sigma: Tensor) -> Tensor:
    """The wrists of hands (..., 21, 3) that are seen along rays (..., 21, 2): (..., 3).

    Weighted least squares with Cauchy's weights in two repetitions; the equations are those of
    ``pose.placement.place``.
    """
    offsets = rays * joints_mm[..., 2:] - joints_mm[..., :2]  # (..., 21, 2)
    across2 = (_ACROSS * sigma_mm).square()
    weight = 1 / sigma.clamp(min=1e-6).square()
    root = _solve(offsets, rays, weight)
    for _ in range(2):
        depth = (root[..., 2:] + joints_mm[..., 2]).clamp(min=_NEAREST_MM)  # (..., 21)
        variance = (depth * sigma).square() + across2
        off = root[..., None, :2] - rays * root[..., None, 2:] - offsets
        trust = 1 / (1 + off.square().sum(dim=-1) / (_HALF_TRUST**2 * variance))
        root = _solve(offsets, rays, trust / variance)
    return root


def _solve(offsets: Tensor, rays: Tensor, weight: Tensor) -> Tensor:
    """Least squares over the joints: (..., 21, 2), (..., 21, 2), (..., 21) -> (..., 3)."""
    share = (weight / weight.sum(dim=-1, keepdim=True))[..., None]
    ray, offset = (share * rays).sum(dim=-2), (share * offsets).sum(dim=-2)  # (..., 2)
    rest = rays - ray[..., None, :]
    spread = (share * rest.square()).sum(dim=(-2, -1)).clamp(min=1e-9)
    depth = -(share * rest * (offsets - offset[..., None, :])).sum(dim=(-2, -1)) / spread
    depth = depth.clamp(_NEAREST_MM, _FARTHEST_MM)[..., None]
    return torch.cat([offset + ray * depth, depth], dim=-1)


def _describe(
    joints_mm: Tensor, sigma_mm: Tensor, rays: Tensor, sigma: Tensor, roots: Tensor
) -> Tensor:
    """(N, C): both hands as lifted and as seen, and how they stand as placed by themselves.

    All 42 joints are seen at the depth of the own wrist, and from it: what lies on what.
    """
    depth = roots[:, :1, None, 2:]  # (N, 1, 1, 1) of the own wrist
    beside = rays * depth - roots[:, :1, None, :2]
    joints = torch.cat(
        [
            joints_mm / UNIT_MM,
            torch.tanh(beside / (3 * UNIT_MM)) * 3,
            sigma_mm.clamp(min=1e-2).log()[..., None] / 2 - 1,
            (sigma[..., None] * depth).clamp(min=1e-2).log() / 2 - 1,
        ],
        dim=-1,
    )
    apart = (roots[:, 1] - roots[:, 0]) / _APART_MM
    apart = apart.sign() * (1 + apart.abs()).log()  # far is not much more than not near
    depths = roots[..., 2].log() - float(np.log(500.0))
    return torch.cat([joints.flatten(1), apart, depths], dim=-1)
