"""The detector: whole frames to peaks at hands, their squares and masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from knuckle.models.detector import Detector, DetectorOutput, DetectorSettings
from knuckle.sample import Sample
from knuckle.train.examples import Example
from knuckle.train.frame_examples import frame_example
from knuckle.train.kind import Exportable, Kind, picture_card
from knuckle.train.losses import mask_loss, weighted_mean
from knuckle.train.modules import Batch, TrainedModule, freeze, start_features
from knuckle.train.recipe import PictureRecipe
from knuckle.train.streams import Cut, picture_training, picture_validation


@dataclass(frozen=True)
class DetectorLosses:
    """How much each term of the detector's loss counts."""

    peak: float = 1.0  # that peaks are where hands are, and nowhere else
    geometry: float = 1.0  # where in its cell a hand is, how large and which way up
    mask: float = 1.0  # which pixels show hands
    side: float = 0.7  # which map the peak of a lone hand is in


@dataclass(frozen=True, kw_only=True)
class DetectorRecipe(PictureRecipe):
    """A run that trains the detector."""

    CAN_BE_HALF: ClassVar[bool] = True
    CAN_FREEZE: ClassVar[bool] = True
    kind: str = "detector"
    detector: DetectorSettings = field(default_factory=DetectorSettings)  # its size
    losses: DetectorLosses = field(default_factory=DetectorLosses)  # what its terms count
    start_detector: str = ""  # a checkpoint to start from, or ``knuckle`` for the shipped network


class DetectorModule(TrainedModule):
    """The detector."""

    recipe: DetectorRecipe
    weighted_by: ClassVar = {"geometry": ("geometry_weight",), "mask": ("mask_weight",)}

    def __init__(self, recipe: DetectorRecipe) -> None:
        super().__init__(recipe)
        self.detector = Detector(recipe.detector)
        self.detector.half_in_training = self.half_convolutions
        start_features(self.detector.backbone, recipe.start_backbone, recipe.start_detector)
        freeze(self.detector.backbone, recipe.optimiser.frozen_blocks)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Peaks, geometry and masks."""
        return detector_losses(self.detector(batch["image"]), batch, self.recipe.losses)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """The terms, and the share of hands whose peak is missed."""
        out = self.detector(batch["image"])
        is_peak = (batch["peaks"] >= 1.0).float() * batch["peak_weight"]
        missed = (out.peak_logit.sigmoid() < 0.3).float()
        terms = detector_losses(out, batch, self.recipe.losses)
        return terms | {"missed": weighted_mean(missed, is_peak)}


def detector_losses(out: DetectorOutput, batch: Batch, share: DetectorLosses) -> Batch:
    """Terms of the detector, by name, already weighted."""
    geometry = functional.smooth_l1_loss(
        out.geometry, batch["geometry"], beta=0.1, reduction="none"
    )  # (N, 10, M, M) -> (N, 2, M, M), one sum a side
    geometry = geometry.unflatten(1, (2, -1)).sum(dim=2)
    return {
        "peak": share.peak * peak_loss(out.peak_logit, batch["peaks"], batch["peak_weight"]),
        "geometry": share.geometry * weighted_mean(geometry, batch["geometry_weight"]),
        "mask": share.mask * mask_loss(out.mask_logit, batch["mask"], batch["mask_weight"]),
        "side": share.side * side_loss(out.peak_logit, batch["peaks"], batch["peak_weight"]),
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


def frames(recipe: DetectorRecipe) -> Cut:
    """How samples become examples."""

    def cut(sample: Sample, rng: np.random.Generator) -> Iterator[Example]:
        yield frame_example(sample, rng, recipe.augment, recipe.detector.codec)

    return cut


def answer(network: Detector, image: Tensor) -> dict[str, Tensor]:
    """What ``stages.detector`` asks."""
    out = network(image)
    return {
        "maps": torch.cat([out.peak_logit.sigmoid(), out.geometry], dim=1),
        "mask": out.mask_logit.sigmoid(),
    }


def exported(recipe: DetectorRecipe) -> Exportable:
    """The detector of a recipe."""
    size = recipe.detector.input_size
    card = picture_card("detector", recipe, recipe.detector.backbone, size, units="px")
    image = torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8)
    return Exportable(card, Detector(recipe.detector), answer, {"image": image})


KIND = Kind(
    recipe=DetectorRecipe,
    module=DetectorModule,
    training=lambda recipe: picture_training(recipe, frames),
    validation=lambda recipe: picture_validation(recipe, frames),
    networks={"detector": exported},
)
