"""The keypoint network and the lifter on its outputs, end to end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from knuckle.codec import HeatmapCodec
from knuckle.crop import MARGIN, knows_up
from knuckle.hand import N_JOINTS, Joint
from knuckle.models.keypoints import KeypointNetwork, KeypointOutput, KeypointSettings
from knuckle.models.lifter import Lifter, LifterOutput
from knuckle.sample import Sample
from knuckle.train.examples import (
    LEAST_SHARE,
    Example,
    crop_example,
    empty_crop_example,
    nothing_else_example,
)
from knuckle.train.kind import Exportable, Kind, picture_card
from knuckle.train.kinds import lifter
from knuckle.train.kinds.lifter import (
    LifterLosses,
    PosedHands,
    PosedRecipe,
    bone_depth_errors,
    lifter_losses,
)
from knuckle.train.losses import (
    PointLosses,
    laplace,
    mask_loss,
    point_losses,
    ray_sigma,
    weighted_mean,
)
from knuckle.train.modules import Batch, TrainedModule, freeze, start_features
from knuckle.train.recipe import PictureRecipe
from knuckle.train.streams import Cut, picture_training, picture_validation

#: Share of a batch whose lifter sees no image features, so that it keeps lifting points.
_BLIND = 0.25
#: What is known of hands without pictures.
_POSED_KEYS = ("rays", "sigma", "joints_mm", "joint_weight", "bone_depth", "bone_depth_weight")
#: Crops whose posed hands are made in one go.
_POSED_BATCH = 64


@dataclass(frozen=True)
class KeypointLosses(PointLosses):
    """How much each term counts, of the keypoint network and of the lifter behind it."""

    visible: float = 0.2  # which joints are seen
    present: float = 0.3  # whether there is a hand
    side: float = 0.3  # whether it is the right hand that it should be
    mask: float = 0.5  # which pixels are the hand's
    has_neighbour: float = 0.4  # whether there is another hand beside it
    neighbour: float = 0.6  # where that is
    depth: float = 1.5  # the depth that the features say, see ``depth_losses``
    depth_spread: float = 0.1  # how sure it is of that
    posed: float = 0.5  # hands without pictures, beside crops
    lifter: LifterLosses = field(default_factory=LifterLosses)  # the lifter's own terms


@dataclass(frozen=True, kw_only=True)
class KeypointRecipe(PictureRecipe, PosedRecipe):
    """A run that trains the keypoint network and the lifter."""

    CAN_BE_HALF: ClassVar[bool] = True
    CAN_FREEZE: ClassVar[bool] = True

    kind: str = "keypoints"
    #: The size of the keypoint network.
    keypoints: KeypointSettings = field(default_factory=KeypointSettings)
    losses: KeypointLosses = field(default_factory=KeypointLosses)  # what the terms of both count
    #: Hands without pictures (``train/poses.py``) that the lifter learns from beside each crop.
    posed: int = 0
    start_keypoints: str = ""  # a checkpoint to start from, or ``knuckle`` for the shipped network

    def unread(self) -> Iterator[str]:
        """See the base."""
        yield from super().unread()
        if self.augment.window:
            yield "window = is for the detector"
        if self.shown and not self.posed:
            yield "shown = needs posed hands, of which there are none"


class KeypointModule(TrainedModule):
    """The keypoint network and the lifter on its outputs, end to end."""

    recipe: KeypointRecipe
    weighted_by: ClassVar = {
        "share_2d": ("point_weight",),
        "mm": ("joint_weight",),
        "depth": ("joint_weight",),
        "wrong_side": ("side_weight",),
        "mask_miss": ("mask_weight",),
        "has_neighbour": ("neighbour_weight",),
        "neighbour": ("neighbour_weight", "has_neighbour"),
        "bone_depth": ("bone_depth_weight",),
    }

    def __init__(self, recipe: KeypointRecipe) -> None:
        super().__init__(recipe)
        self.keypoints = KeypointNetwork(recipe.keypoints)
        start_features(self.keypoints.backbone, recipe.start_backbone, recipe.start_keypoints)
        self.keypoints.half_in_training = self.half_convolutions
        self.lifter = Lifter(recipe.lifter)
        freeze(self.keypoints.backbone, recipe.optimiser.frozen_blocks)

    def forward(self, batch: Batch) -> tuple[KeypointOutput, LifterOutput]:
        """Crops to keypoints and root-relative joints."""
        out = self.keypoints(batch["image"], batch["known_px"])
        features = out.features
        if self.training:
            seeing = torch.rand(len(features), 1, 1, device=features.device) >= _BLIND
            features = features * seeing
        rays, sigma = rays_of(out, batch)
        return out, self.lifter(rays, sigma.detach(), features)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """2D terms on all crops, 3D terms where the truth is known."""
        out, lifted = self(batch)
        share = self.recipe.losses
        terms = keypoint_losses(out, batch, self.recipe.keypoints.codec, share)
        terms |= lifter_losses(lifted, batch, share.lifter)
        return terms | self._posed_losses(batch)

    def _posed_losses(self, batch: Batch) -> dict[str, Tensor]:
        """3D terms on hands without pictures, if any came along: what the lifter had learnt of
        sharp keypoints it forgets over those of crops.
        """
        if "posed_rays" not in batch:
            return {}
        posed = {key: batch[f"posed_{key}"].flatten(0, 1) for key in _POSED_KEYS}
        rays, sigma = posed["rays"], posed["sigma"]
        unseen = rays.new_zeros(*sigma.shape, self.recipe.lifter.feature_size)
        share = self.recipe.losses
        terms = lifter_losses(self.lifter(rays, sigma, unseen), posed, share.lifter)
        return {f"posed_{name}": share.posed * value for name, value in terms.items()}

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Error in 2D as a share of the crop's content, in 3D in mm, and the wrong answers."""
        out, lifted = self(batch)
        error = (out.keypoints_px - batch["points_px"]).norm(dim=-1)
        weight = (batch["point_weight"] > 0).float()
        extent = _extent(batch["points_px"], weight)
        away = (lifted.joints_mm - batch["joints_mm"]).norm(dim=-1)
        wrong_presence = (out.presence_logit > 0).float() != batch["present"]
        wrong_side = ((out.right_logit > 0).float() != batch["right"]).float()
        inside = (out.mask_logit > 0).float()
        overlap = (inside * batch["mask"] * batch["mask_weight"]).sum()
        union = (torch.maximum(inside, batch["mask"]) * batch["mask_weight"]).sum()
        return {
            "share_2d": weighted_mean(error / extent[:, None], weight),
            "mm": weighted_mean(away, batch["joint_weight"]),
            "depth": depth_losses(out.features, batch, self.recipe.losses)["depth"],
            "wrong_presence": wrong_presence.float().mean(),
            "wrong_side": weighted_mean(wrong_side, batch["side_weight"]),
            "mask_miss": 1 - overlap / union.clamp(min=1),
            **neighbour_losses(out, batch, self.recipe.losses),
            "bone_depth": weighted_mean(*bone_depth_errors(lifted, batch)),
        }


def rays_of(out: KeypointOutput, batch: Batch) -> tuple[Tensor, Tensor]:
    """Keypoints as directions in the crop's view: (N, 21, 2), and their sigma: (N, 21).

    The same map as ``CropView.rays``, in torch so that gradients pass.
    """
    view_from_crop = batch["view_from_crop"]
    xyz = (
        out.keypoints_px @ view_from_crop[:, :, :2].transpose(1, 2) + view_from_crop[:, None, :, 2]
    )
    return xyz[..., :2] / xyz[..., 2:], ray_sigma(out.log_sigma_px, batch)


def _extent(points: Tensor, weight: Tensor) -> Tensor:
    """(N,) longer side of the box around the points (N, 21, 2) that have weight, at least 1."""
    known = weight[..., None] > 0
    low = points.masked_fill(~known, torch.inf).amin(1)
    high = points.masked_fill(~known, -torch.inf).amax(1)
    return (high - low).amax(-1).clamp(min=1)


def keypoint_losses(
    out: KeypointOutput, batch: Batch, codec: HeatmapCodec, share: KeypointLosses
) -> Batch:
    """Terms of the keypoint network, by name, already weighted."""
    points, weight = batch["points_px"], batch["point_weight"]
    binary = functional.binary_cross_entropy_with_logits
    visible = binary(out.visible_logit, batch["visible"], reduction="none")
    present = binary(out.presence_logit, batch["present"])
    side = binary(out.right_logit, batch["right"], reduction="none")
    return (
        point_losses(out, points, weight, batch["inside"], codec, share)
        | {
            "visible": share.visible * weighted_mean(visible, batch["visible_weight"]),
            "present": share.present * present,
            "side": share.side * weighted_mean(side, batch["side_weight"]),
            "mask": share.mask * mask_loss(out.mask_logit, batch["mask"], batch["mask_weight"]),
        }
        | neighbour_losses(out, batch, share)
        | depth_losses(out.features, batch, share)
    )


def neighbour_losses(out: KeypointOutput, batch: Batch, share: KeypointLosses) -> Batch:
    """Whether a crop shows a second hand, and where that is."""
    has = functional.binary_cross_entropy_with_logits(
        out.neighbour_logit, batch["has_neighbour"], reduction="none"
    )
    away = functional.smooth_l1_loss(
        out.neighbour, batch["neighbour"], beta=0.1, reduction="none"
    ).sum(dim=1)
    known = batch["neighbour_weight"]
    return {
        "has_neighbour": share.has_neighbour * weighted_mean(has, known),
        "neighbour": share.neighbour * weighted_mean(away, known * batch["has_neighbour"]),
    }


def depth_losses(features: Tensor, batch: Batch, share: KeypointLosses) -> Batch:
    """What the image says about depth, asked of the first two features at each joint directly.

    Feature 0 is the joint's depth behind the wrist in palm lengths (wrist to middle knuckle),
    feature 1 the logarithm of its expected error. Through the lifter alone the image learns depth
    too slowly (docs/lifting.md).
    """
    joints, weight = batch["joints_mm"], batch["joint_weight"]
    palm = joints[:, Joint.MIDDLE_MCP].norm(dim=-1)[:, None]  # the wrist is the origin
    known = weight * weight[:, [Joint.MIDDLE_MCP]] * (palm > 0)
    error = (features[..., 0] - joints[..., 2] / palm.clamp(min=1.0)).abs()
    spread = laplace(error.detach()[..., None], features[..., 1])
    return {
        "depth": share.depth * weighted_mean(error, known),
        "depth_spread": share.depth_spread * weighted_mean(spread, known),
    }


def crops(recipe: KeypointRecipe) -> Cut:
    """How samples become examples."""
    augment, codec = recipe.augment, recipe.keypoints.codec

    def cut(sample: Sample, rng: np.random.Generator) -> Iterator[Example]:
        if not sample.hands or rng.random() < augment.no_hand:
            empty = empty_crop_example(sample, rng, codec)
            if empty is not None:
                yield empty
                return
        # A crop store centres the first hand; of a frame any hand will do.
        for target in range(min(len(sample.hands), 2)):
            if not _is_usable(sample, target):
                continue
            none = None
            if augment.nothing_else > 0 and rng.random() < augment.nothing_else:
                none = nothing_else_example(sample, target, rng, codec)
            yield none or crop_example(sample, target, rng, augment, codec)

    return cut


def _is_usable(sample: Sample, target: int) -> bool:
    """Whether enough of the hand is labelled and in the picture to learn from its crop.

    A hand of unknown direction is left out: its crop would be another one than
    inference cuts.
    """
    hand = sample.hands[target]
    if not knows_up(hand.valid):
        return False
    height, width = sample.image.shape[:2]
    inside = np.all((hand.joints_px > -0.5) & (hand.joints_px < (width, height)), axis=-1)
    seen = hand.visible is None or hand.visible[hand.valid].mean() > 0.2
    return bool((hand.valid & inside).mean() > LEAST_SHARE and seen)


def _endless_posed(recipe: KeypointRecipe, rng: np.random.Generator) -> Iterator[Example]:
    """What each crop brings along for the lifter: ``recipe.posed`` hands, keys with "posed_"."""
    if not recipe.posed:
        yield from repeat({})
    hands = PosedHands(recipe, _POSED_BATCH * recipe.posed, int(rng.integers(2**31)))
    for batch in hands:
        del batch["features"]  # zeros
        dealt = {f"posed_{key}": np.split(value, _POSED_BATCH) for key, value in batch.items()}
        yield from ({key: value[i] for key, value in dealt.items()} for i in range(_POSED_BATCH))


def answer(network: KeypointNetwork, crop: Tensor, known_px: Tensor) -> dict[str, Tensor]:
    """What ``stages.keypoints`` asks."""
    out = network(crop, known_px)
    return {
        "keypoints_px": out.keypoints_px,
        "sigma_px": out.log_sigma_px.exp(),
        "visible": out.visible_logit.sigmoid(),
        "presence": out.presence_logit.sigmoid(),
        "right": out.right_logit.sigmoid(),
        "mask": out.mask_logit.sigmoid(),
        "features": out.features,
        "neighbour": torch.cat([out.neighbour_logit.sigmoid()[:, None], out.neighbour], dim=1),
    }


def exported(recipe: KeypointRecipe) -> Exportable:
    """The keypoint network of a recipe."""
    settings, size = recipe.keypoints, recipe.keypoints.input_size
    more = {"feature_size": settings.feature_size, "extra": {"margin": MARGIN}}
    card = picture_card("keypoints", recipe, settings.backbone, size, units="px", **more)
    crop = torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8)
    known_px = size * torch.rand(1, N_JOINTS, 2)
    inputs = {"crop": crop, "known_px": known_px}
    return Exportable(card, KeypointNetwork(settings), answer, inputs)


KIND = Kind(
    recipe=KeypointRecipe,
    module=KeypointModule,
    training=lambda recipe: picture_training(
        recipe, crops, beside=lambda rng: _endless_posed(recipe, rng)
    ),
    validation=lambda recipe: picture_validation(recipe, crops),
    networks={"keypoints": exported, "lifter": lifter.exported},
)
