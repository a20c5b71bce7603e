"""Our own network of both hands: keypoints and joints, end to end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from knuckle.hand import BONES
from knuckle.models.both import BothHands, BothOutput, BothSettings
from knuckle.models.lifter import UNIT_MM
from knuckle.train.answers import Answers, Decoding, RootDepth, both_answers
from knuckle.train.both_hands import BothHandsModule, BothHandsRecipe
from knuckle.train.captures import training_batches, validation_batches
from knuckle.train.kind import Exportable, Kind, picture_card
from knuckle.train.losses import PointLosses, bones_of, inside, laplace, point_losses, weighted_mean
from knuckle.train.modules import Batch, freeze, start_features


@dataclass(frozen=True)
class InterHandLosses(PointLosses):
    """How much each term of the loss counts, beside those of ``PointLosses``."""

    point: float = 0.15
    map: float = 0.25
    spread: float = 0.1
    joint: float = 6.0  # the joints' places from the own wrist
    bone: float = 3.0  # the bones, as vectors
    joint_spread: float = 0.1  # how sure it is of each joint
    root: float = 2.0  # the depth of the left wrist from the right one
    there: float = 0.5  # which hands are there


@dataclass(frozen=True, kw_only=True)
class InterHandRecipe(BothHandsRecipe):
    """A run that trains our network of both hands."""

    CAN_BE_HALF: ClassVar[bool] = True
    CAN_FREEZE: ClassVar[bool] = True

    kind: str = "interhand"
    both: BothSettings = field(default_factory=BothSettings)  # its size
    losses: InterHandLosses = field(default_factory=InterHandLosses)  # what its terms count
    #: A checkpoint to start from, or ``knuckle`` for the shipped keypoint network.
    start_both: str = ""
    start_backbone: str = ""  # see ``PictureRecipe``

    @property
    def crop_size(self) -> int:
        """Side of a crop, px."""
        return self.both.input_size


class InterHandModule(BothHandsModule):
    """Our own keypoints and joints of both hands, end to end."""

    recipe: InterHandRecipe

    def __init__(self, recipe: InterHandRecipe) -> None:
        super().__init__(recipe)
        self.both = BothHands(recipe.both)
        self.both.half_in_training = self.half_convolutions
        freeze(self.both.backbone, recipe.optimiser.frozen_blocks)

    def begin(self) -> None:
        """Features that have seen pictures for the backbone."""
        start_features(self.both.backbone, self.recipe.start_backbone, self.recipe.start_both)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """2D terms, 3D terms, the relative depth of the wrists, and which hands are there."""
        out = self.both(batch["crop"], batch["view_from_crop"])
        share, codec, points = self.recipe.losses, self.recipe.both.codec, batch["points_px"]
        within = inside(points, codec.input_size)
        weight = batch["valid"] * within
        there = functional.binary_cross_entropy_with_logits(
            out.there_logit, batch["there"], reduction="none"
        )
        there_known = batch["there_known"][:, None].expand(-1, 2)
        return {
            **point_losses(out, points, weight, within, codec, share, most_px=60.0),
            **_joint_losses(out, batch, share),
            "there": share.there * weighted_mean(there, there_known),
        }

    def answers(self, batch: Batch, decoding: Decoding, root_depth: RootDepth) -> Answers:
        """See the base; the mean of a map is the only decoding."""
        del decoding
        return both_answers(self.both(batch["crop"], batch["view_from_crop"]), batch, root_depth)


def _joint_losses(out: BothOutput, batch: Batch, share: InterHandLosses) -> Batch:
    weight = batch["valid_3d"]
    error = (out.joints_mm - batch["joints_mm"]).abs() / UNIT_MM
    off_bones = bones_of(out.joints_mm) - bones_of(batch["joints_mm"])
    bone_weight = weight[..., BONES[:, 0]] * weight[..., BONES[:, 1]]
    spread = laplace(error.detach() * UNIT_MM, out.log_sigma_mm)
    root = (out.root_mm - batch["root_view_mm"]).abs() / UNIT_MM
    return {
        "joint": share.joint * weighted_mean(error.mean(-1), weight),
        "bone": share.bone * weighted_mean(off_bones.abs().mean(-1) / UNIT_MM, bone_weight),
        "joint_spread": share.joint_spread * weighted_mean(spread, weight),
        "root": share.root * weighted_mean(root, batch["root_known"]),
    }


def answer(network: BothHands, crop: Tensor, view_from_crop: Tensor) -> dict[str, Tensor]:
    """What ``stages.both_hands.BothHands`` asks."""
    out = network(crop, view_from_crop)
    return {
        "keypoints_px": out.keypoints_px,
        "sigma_px": out.log_sigma_px.exp(),
        "joints_mm": out.joints_mm,
        "sigma_mm": out.log_sigma_mm.exp(),
        "root_mm": out.root_mm,
        "there": out.there_logit.sigmoid(),
    }


def exported(recipe: InterHandRecipe) -> Exportable:
    """The network of a recipe."""
    size = recipe.both.input_size
    card = picture_card("both", recipe, recipe.both.backbone, size)
    # The comparison rolls the rows of examples: whichever is last must not divide by nothing.
    view = torch.tensor([[1e-4, 0.0, 1.0], [0.0, 1e-4, 1.0], [5e-5, 5e-5, 1.0]])
    inputs = {
        "crop": torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8),
        "view_from_crop": view[None],
    }
    return Exportable(card, BothHands(recipe.both), answer, inputs)


KIND = Kind(
    recipe=InterHandRecipe,
    module=InterHandModule,
    training=training_batches,
    validation=validation_batches,
    networks={"both": exported},
)
