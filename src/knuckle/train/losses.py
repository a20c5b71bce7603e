"""Losses. Inputs are batches of torch tensors; every loss is a mean over what is labelled."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from knuckle.codec import HeatmapCodec
from knuckle.hand import BONES, Joint
from knuckle.models.detector import DetectorOutput
from knuckle.models.keypoints import KeypointOutput
from knuckle.models.lifter import UNIT_MM, LifterOutput
from knuckle.models.pair import PairOutput

#: Weights bring each term to the same order once training is under way.
_POINT, _MAP, _SPREAD = 0.25, 0.25, 0.2
_VISIBLE, _PRESENT, _SIDE, _MASK = 0.2, 0.3, 0.3, 0.5
_HAS_NEIGHBOUR, _NEIGHBOUR = 0.4, 0.6
_DEPTH, _DEPTH_SPREAD = 1.5, 0.1
_JOINT, _BONE, _DIRECTION, _JOINT_SPREAD = 6.0, 3.0, 1.0, 0.1
_BONE_DEPTH = 0.4
_GEOMETRY, _DETECTOR_MASK, _DETECTOR_SIDE = 1.0, 1.0, 0.7
_APART, _APART_SPREAD = 3.0, 0.1


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of ``values`` under ``weights`` of the same shape; 0 if nothing has weight."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def keypoint_losses(
    out: KeypointOutput, batch: dict[str, Tensor], codec: HeatmapCodec
) -> dict[str, Tensor]:
    """Terms of the keypoint network, by name, already weighted."""
    error = (out.keypoints_px - batch["points_px"]).abs()  # (N, 21, 2)
    weight = batch["point_weight"]
    log_target = _target_maps(batch["points_px"], codec)
    cross = -(log_target * out.log_maps).sum(dim=(2, 3))
    binary = functional.binary_cross_entropy_with_logits
    visible = binary(out.visible_logit, batch["visible"], reduction="none")
    present = binary(out.presence_logit, batch["present"])
    side = binary(out.right_logit, batch["right"], reduction="none")
    return (
        {
            "point": _POINT * weighted_mean(error.mean(-1).clamp(max=40.0), weight),
            "map": _MAP * weighted_mean(cross, weight * batch["inside"]),
            "spread": _SPREAD * weighted_mean(_laplace(error.detach(), out.log_sigma_px), weight),
            "visible": _VISIBLE * weighted_mean(visible, batch["visible_weight"]),
            "present": _PRESENT * present,
            "side": _SIDE * weighted_mean(side, batch["side_weight"]),
            "mask": _MASK * mask_loss(out.mask_logit, batch["mask"], batch["mask_weight"]),
        }
        | neighbour_losses(out, batch)
        | depth_losses(out.features, batch)
    )


def neighbour_losses(out: KeypointOutput, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Whether a crop shows a second hand, and where that is."""
    has = functional.binary_cross_entropy_with_logits(
        out.neighbour_logit, batch["has_neighbour"], reduction="none"
    )
    away = functional.smooth_l1_loss(
        out.neighbour, batch["neighbour"], beta=0.1, reduction="none"
    ).sum(dim=1)
    known = batch["neighbour_weight"]
    return {
        "has_neighbour": _HAS_NEIGHBOUR * weighted_mean(has, known),
        "neighbour": _NEIGHBOUR * weighted_mean(away, known * batch["has_neighbour"]),
    }


def depth_losses(features: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the image says about depth, asked of the first two features at each joint directly.

    Feature 0 is the joint's depth behind the wrist in palm lengths (wrist to middle knuckle),
    feature 1 the logarithm of its expected error. Through the lifter alone the image learns depth
    so slowly that, after 137,000 crops, the lifter did as well without the features.
    """
    joints, weight = batch["joints_mm"], batch["joint_weight"]
    palm = joints[:, Joint.MIDDLE_MCP].norm(dim=-1)[:, None]  # the wrist is the origin
    known = weight * weight[:, [Joint.MIDDLE_MCP]] * (palm > 0)
    error = (features[..., 0] - joints[..., 2] / palm.clamp(min=1.0)).abs()
    spread = _laplace(error.detach()[..., None], features[..., 1])
    return {
        "depth": _DEPTH * weighted_mean(error, known),
        "depth_spread": _DEPTH_SPREAD * weighted_mean(spread, known),
    }


def lifter_losses(out: LifterOutput, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Terms of the lifter, by name, already weighted.

    Lengths and directions of bones are asked for beside the joints themselves, so that anatomy is
    held softly (Spurr et al. 2020) and errors do not add up along a finger.
    """
    truth, weight = batch["joints_mm"], batch["joint_weight"]
    error = (out.joints_mm - truth).abs()
    bones, true_bones = _bones(out.joints_mm), _bones(truth)
    bone_weight = weight[:, BONES[:, 0]] * weight[:, BONES[:, 1]]
    length = (bones.norm(dim=-1) - true_bones.norm(dim=-1)).abs() / UNIT_MM
    away = 1 - functional.cosine_similarity(bones, true_bones, dim=-1)
    return {
        "joint": _JOINT * weighted_mean(error.mean(-1) / UNIT_MM, weight),
        "bone": _BONE * weighted_mean(length, bone_weight),
        "direction": _DIRECTION * weighted_mean(away, bone_weight),
        "joint_spread": _JOINT_SPREAD
        * weighted_mean(_laplace(error.detach(), out.log_sigma_mm), weight),
    }


def bone_depth_losses(out: LifterOutput, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """How far bones point away from the camera, where that is all that is known of the depth."""
    bones = functional.normalize(_bones(out.joints_mm), dim=-1)
    error = (bones[..., 2] - batch["bone_depth"]).abs()  # (N, 20)
    return {"bone_depth": _BONE_DEPTH * weighted_mean(error, batch["bone_depth_weight"])}


def pair_losses(out: PairOutput, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Terms of the pair stage, by name: where the other wrist is, and how sure that is."""
    error = (out.apart_mm - batch["apart_mm"]).abs()  # (N, 3)
    spread = _laplace(error.detach()[..., None], out.log_sigma_mm)
    return {
        "apart": _APART * error.mean() / UNIT_MM,
        "apart_spread": _APART_SPREAD * spread.mean(),
    }


def detector_losses(out: DetectorOutput, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Terms of the detector, by name, already weighted."""
    geometry = functional.smooth_l1_loss(
        out.geometry, batch["geometry"], beta=0.1, reduction="none"
    )  # (N, 10, M, M) -> (N, 2, M, M), one sum a side
    geometry = geometry.unflatten(1, (2, -1)).sum(dim=2)
    return {
        "peak": peak_loss(out.peak_logit, batch["peaks"], batch["peak_weight"]),
        "geometry": _GEOMETRY * weighted_mean(geometry, batch["geometry_weight"]),
        "mask": _DETECTOR_MASK * mask_loss(out.mask_logit, batch["mask"], batch["mask_weight"]),
        "side": _DETECTOR_SIDE * side_loss(out.peak_logit, batch["peaks"], batch["peak_weight"]),
    }


def side_loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy between the two peak maps where there is a hand of one side only.

    The focal loss is content with half a peak for either side: on renders, whose rooms and people
    do not give the side away, a network trained with it alone told sides no better than a coin.
    """
    peak, rival = target.amax(dim=1), target.amin(dim=1)  # (N, M, M)
    counts = peak * ((peak > 0.3) & (rival < 0.05)) * weight.amin(dim=1)
    is_right = (target[:, 1] > target[:, 0]).float()
    wrong = functional.binary_cross_entropy_with_logits(
        logit[:, 1] - logit[:, 0], is_right, reduction="none"
    )
    return weighted_mean(wrong, counts)


def peak_loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Focal loss with soft negatives near a peak (CornerNet, Law & Deng 2018), per peak."""
    p = logit.sigmoid().clamp(1e-5, 1 - 1e-5)
    is_peak = (target >= 1.0).float()
    hit = (1 - p) ** 2 * p.log() * is_peak
    miss = (1 - target) ** 4 * p**2 * (1 - p).log() * (1 - is_peak)
    return -((hit + miss) * weight).sum() / (is_peak * weight).sum().clamp(min=1.0)


def mask_loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy plus Dice over the pixels that are known."""
    cross = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
    p = logit.sigmoid() * weight
    overlap = 2 * (p * target).sum() + 1
    dice = 1 - overlap / (p.sum() + (target * weight).sum() + 1)
    return weighted_mean(cross, weight) + dice * (weight.sum() > 0)


def _laplace(error: Tensor, log_scale: Tensor) -> Tensor:
    """Negative log-likelihood per joint: (..., D), (...) -> (...)."""
    log_scale = log_scale.clamp(-5.0, 5.0)
    return error.mean(-1) * torch.exp(-log_scale) + log_scale


def _bones(joints: Tensor) -> Tensor:
    return joints[:, BONES[:, 1]] - joints[:, BONES[:, 0]]


def _target_maps(points_px: Tensor, codec: HeatmapCodec) -> Tensor:
    """``HeatmapCodec.encode`` for a batch on the device of the batch."""
    maps = codec.encode(points_px.detach().cpu().numpy())
    return torch.from_numpy(maps).to(points_px)
