"""Terms of losses that several kinds share; every one is a mean over what is labelled.

How much each term counts is a matter of the recipe (``[losses]``): the weights there bring all
terms of a kind to the same order once training is under way.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from knuckle.codec import HeatmapCodec
from knuckle.hand import BONES
from knuckle.models.both import BothOutput
from knuckle.models.keypoints import KeypointOutput
from knuckle.models.several_views import ViewsOutput


@dataclass(frozen=True)
class PointLosses:
    """How much each term of the loss counts."""

    point: float = 0.25  # the keypoints
    map: float = 0.25  # the probability maps that they are the means of
    spread: float = 0.2  # how sure it is of each keypoint


def point_losses(
    out: KeypointOutput | BothOutput | ViewsOutput,
    points: Tensor,
    weight: Tensor,
    within: Tensor,
    codec: HeatmapCodec,
    share: PointLosses,
    most_px: float = 40.0,
) -> dict[str, Tensor]:
    """Terms of keypoints (..., 21, 2), px, that are means of maps, by name, already weighted.

    ``weight`` and ``within``, whether it lies in the crop, are (..., 21); a larger error than
    ``most_px`` counts no more.
    """
    error = (out.keypoints_px - points).abs()
    maps = out.log_maps.reshape(*weight.shape, *out.log_maps.shape[-2:])
    spread = laplace(error.detach(), out.log_sigma_px)
    return {
        "point": share.point * weighted_mean(error.mean(-1).clamp(max=most_px), weight),
        "map": share.map * weighted_mean(map_loss(maps, points, codec), weight * within),
        "spread": share.spread * weighted_mean(spread, weight),
    }


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of ``values`` under ``weights`` of the same shape; 0 if nothing has weight."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def mask_loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy plus Dice over the pixels that are known."""
    cross = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
    p = logit.sigmoid() * weight
    overlap = 2 * (p * target).sum() + 1
    dice = 1 - overlap / (p.sum() + (target * weight).sum() + 1)
    return weighted_mean(cross, weight) + dice * (weight.sum() > 0)


def map_loss(log_maps: Tensor, points: Tensor, codec: HeatmapCodec) -> Tensor:
    """Cross-entropy of maps (..., M, M) with bells around points (..., 2), each of sum 1.

    A point outside the crop has the map of the nearest point on its border.
    """
    cells = torch.as_tensor(codec.cell_centres_px, dtype=points.dtype, device=points.device)
    gap = points.detach().clamp(cells[0], cells[-1])[..., None] - cells
    line = (-0.5 * (gap / codec.sigma_px).square()).softmax(dim=-1)  # (..., 2, M)
    target = line[..., 1, :, None] * line[..., 0, None, :]
    return -(target * log_maps).sum(dim=(-2, -1))


def inside(points: Tensor, size: int) -> Tensor:
    """1 where points (..., 2) lie in a crop of this side, px, else 0: (...)."""
    return ((points > -0.5) & (points < size - 0.5)).all(dim=-1).float()


def laplace(error: Tensor, log_scale: Tensor) -> Tensor:
    """Negative log-likelihood per joint: (..., D), (...) -> (...)."""
    log_scale = log_scale.clamp(-5.0, 5.0)
    return error.mean(-1) * torch.exp(-log_scale) + log_scale


def ray_sigma(log_sigma_px: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Expected errors (N, ...) of N crops' keypoints in ray units, as ``stages.lifter`` has them.

    The batch has ``rays_per_px`` (N,) of ``crop.CropView``.
    """
    per_px = batch["rays_per_px"]
    return log_sigma_px.exp() * per_px.view(-1, *[1] * (log_sigma_px.dim() - 1))


def bones_of(joints: Tensor) -> Tensor:
    """Bones of hands (..., 21, 3) -> (..., 20, 3)."""
    return joints[..., BONES[:, 1], :] - joints[..., BONES[:, 0], :]
