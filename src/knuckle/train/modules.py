"""What Lightning trains: one module per kind of network, each a few lines over a shared base."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from knuckle.models.detector import Detector
from knuckle.models.efficientnet_lite import EfficientNetLite
from knuckle.models.keypoints import KeypointNetwork, KeypointOutput
from knuckle.models.landmark_features import load_landmark_features
from knuckle.models.lifter import Lifter, LifterOutput
from knuckle.models.pair import Pair, PairOutput, place
from knuckle.train import losses
from knuckle.train.optimiser import OPTIMISERS
from knuckle.train.recipe import OptimiserSettings, Recipe

Batch = dict[str, Tensor]

#: Share of a keypoint batch whose lifter sees no image features, so that it keeps lifting points.
_BLIND = 0.25
#: What is known of hands without pictures, and how much they count beside crops.
_POSED_KEYS = ("rays", "sigma", "joints_mm", "joint_weight")
_POSED = 0.5


class TrainedModule(L.LightningModule):
    """Optimiser and schedule, the same for every network; the losses are the subclass's."""

    #: The validation error by which the best weights are kept; empty keeps the last.
    decides = ""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.minutes_before = 0.0  # spent by earlier runs of the same recipe
        self._started = time.monotonic()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of the loss by name."""
        raise NotImplementedError

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """What validation reports by name; lower is better for all of them."""
        raise NotImplementedError

    @property
    def progress(self) -> float:
        """Share of the time budget that is spent, 0..1."""
        minutes = self.minutes_before + (time.monotonic() - self._started) / 60
        return min(minutes / self.recipe.optimiser.minutes, 1.0)

    def rate(self, progress: float) -> float:
        """Learning rate after this share of the budget."""
        return rate_at(progress, self.recipe.optimiser)

    def on_train_start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """One step: the sum of the terms."""
        # The first process's clock is that of all: none stops while another goes on.
        progress = self.trainer.strategy.broadcast(self.progress)
        rate = self.rate(progress)
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = rate * group["scale"]
        terms = self.losses(batch)
        self.log_dict({f"train/{name}": value.detach() for name, value in terms.items()})
        self.log("train/rate", rate)
        if progress >= 1.0:
            self.trainer.should_stop = True
        return torch.stack(list(terms.values())).sum()

    def validation_step(self, batch: Batch, _: int, dataloader_idx: int = 0) -> None:
        """Scores of one batch; averaged by Lightning."""
        size = len(next(iter(batch.values())))
        name = self.trainer.validation_names[dataloader_idx]  # type: ignore[attr-defined]
        for key, value in self.scores(batch).items():
            self.log(f"{name}/{key}", value, batch_size=size, add_dataloader_idx=False)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """A pretrained backbone learns at a third of the rate of what is new."""
        settings = self.recipe.optimiser
        groups: dict[float, list[nn.Parameter]] = {1.0: [], 0.33: []}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                groups[0.33 if "backbone" in name else 1.0].append(parameter)
        kept = [{"params": params, "scale": scale} for scale, params in groups.items() if params]
        return OPTIMISERS[settings.kind](kept, lr=settings.rate, weight_decay=settings.weight_decay)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember the time spent."""
        checkpoint["minutes"] = self.progress * self.recipe.optimiser.minutes

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the time that is left."""
        self.minutes_before = float(checkpoint["minutes"])


class KeypointModule(TrainedModule):
    """The keypoint network and the lifter on its outputs, end to end."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.keypoints = KeypointNetwork(recipe.keypoints)
        start_features(self.keypoints.backbone, recipe, recipe.start_keypoints)
        self.keypoints.half_in_training = recipe.optimiser.half
        self.lifter = Lifter(recipe.lifter)
        freeze(self.keypoints.backbone, recipe.optimiser.frozen_blocks)

    def forward(self, batch: Batch) -> tuple[KeypointOutput, LifterOutput]:
        """Crops to keypoints and root-relative joints."""
        out = self.keypoints(batch["image"])
        features = out.features
        if self.training:
            seeing = torch.rand(len(features), 1, 1, device=features.device) >= _BLIND
            features = features * seeing
        rays, sigma = rays_of(out, batch["view_from_crop"])
        return out, self.lifter(rays, sigma.detach(), features)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """2D terms on all crops, 3D terms where the truth is known."""
        out, lifted = self(batch)
        terms = losses.keypoint_losses(out, batch, self.recipe.keypoints.codec)
        terms |= losses.lifter_losses(lifted, batch)
        terms |= losses.bone_depth_losses(lifted, batch)
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
        terms = losses.lifter_losses(self.lifter(rays, sigma, unseen), posed)
        return {f"posed_{name}": _POSED * value for name, value in terms.items()}

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Error in 2D as a share of the crop's content, in 3D in mm, and the wrong answers."""
        out, lifted = self(batch)
        error = (out.keypoints_px - batch["points_px"]).norm(dim=-1)
        extent = (batch["points_px"].amax(1) - batch["points_px"].amin(1)).amax(-1).clamp(min=1)
        weight = (batch["point_weight"] > 0).float()
        away = (lifted.joints_mm - batch["joints_mm"]).norm(dim=-1)
        wrong_presence = (out.presence_logit > 0).float() != batch["present"]
        wrong_side = ((out.right_logit > 0).float() != batch["right"]).float()
        inside = (out.mask_logit > 0).float()
        overlap = (inside * batch["mask"] * batch["mask_weight"]).sum()
        union = (torch.maximum(inside, batch["mask"]) * batch["mask_weight"]).sum()
        return {
            "share_2d": losses.weighted_mean(error / extent[:, None], weight),
            "mm": losses.weighted_mean(away, batch["joint_weight"]),
            "depth": losses.depth_losses(out.features, batch)["depth"],
            "wrong_presence": wrong_presence.float().mean(),
            "wrong_side": losses.weighted_mean(wrong_side, batch["side_weight"]),
            "mask_miss": 1 - overlap / union.clamp(min=1),
            **losses.neighbour_losses(out, batch),
            **losses.bone_depth_losses(lifted, batch),
        }


class LifterModule(TrainedModule):
    """The lifter alone, on posed hands without pictures and on what a network saw in pictures."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.lifter = Lifter(recipe.lifter)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """3D terms."""
        out = self.lifter(batch["rays"], batch["sigma"], batch["features"])
        return losses.lifter_losses(out, batch)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Wrist-relative error in mm."""
        out = self.lifter(batch["rays"], batch["sigma"], batch["features"])
        return {"mm": (out.joints_mm - batch["joints_mm"]).norm(dim=-1).mean()}


class PairModule(TrainedModule):
    """The pair stage on what a finished lifter says about hands that are near each other."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.pair = Pair(recipe.pair)

    def forward(self, batch: Batch) -> PairOutput:
        """Pairs, each seen from one of its hands."""
        return self.pair(
            batch["lifted_mm"], batch["lifted_sigma_mm"], batch["rays"], batch["sigma"]
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The place of the other hand."""
        return losses.pair_losses(self(batch), batch)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Error of the other wrist in mm, by this stage and with each hand placed alone."""
        roots = place(batch["lifted_mm"], batch["lifted_sigma_mm"], batch["rays"], batch["sigma"])
        alone_mm = roots[:, 1] - roots[:, 0]
        return {
            "mm": (self(batch).apart_mm - batch["apart_mm"]).norm(dim=-1).mean(),
            "alone_mm": (alone_mm - batch["apart_mm"]).norm(dim=-1).mean(),
        }


class DetectorModule(TrainedModule):
    """The detector."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.detector = Detector(recipe.detector)
        start_features(self.detector.backbone, recipe, recipe.start_detector)
        freeze(self.detector.backbone, recipe.optimiser.frozen_blocks)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Peaks, geometry and masks."""
        return losses.detector_losses(self.detector(batch["image"]), batch)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """The terms, and the share of hands whose peak is missed."""
        out = self.detector(batch["image"])
        is_peak = (batch["peaks"] >= 1.0).float() * batch["peak_weight"]
        missed = (out.peak_logit.sigmoid() < 0.3).float()
        terms = losses.detector_losses(out, batch)
        return terms | {"missed": losses.weighted_mean(missed, is_peak)}


MODULES: dict[str, type[TrainedModule]] = {
    "detector": DetectorModule,
    "keypoints": KeypointModule,
    "lifter": LifterModule,
    "pair": PairModule,
}


def rays_of(out: KeypointOutput, view_from_crop: Tensor) -> tuple[Tensor, Tensor]:
    """Keypoints as directions in the crop's view: (N, 21, 2), and their sigma: (N, 21).

    The same map as ``CropView.rays``, in torch so that gradients pass.
    """
    xyz = (
        out.keypoints_px @ view_from_crop[:, :, :2].transpose(1, 2) + view_from_crop[:, None, :, 2]
    )
    per_px = view_from_crop[:, :2, 0].norm(dim=-1) / view_from_crop[:, 2, 2].abs()
    return xyz[..., :2] / xyz[..., 2:], out.log_sigma_px.exp() * per_px[:, None]


def rate_at(progress: float, settings: OptimiserSettings) -> float:
    """Learning rate after this share of the budget."""
    warm = min(progress / settings.warmup, 1.0) if settings.warmup > 0 else 1.0
    cool = min((1.0 - progress) / settings.decay, 1.0) if settings.decay > 0 else 1.0
    return settings.rate * max(min(warm, cool), 0.01)


def start_features(backbone: EfficientNetLite, recipe: Recipe, start: str) -> None:
    """Give a backbone features that have seen pictures, unless whole networks are taken over.

    Raises:
        ValueError: the recipe does not say from what it starts.
    """
    if backbone.features == "imagenet":
        backbone.load_imagenet()
    elif recipe.start_backbone:
        load_landmark_features(backbone, recipe.start_backbone)
    elif not start:
        raise ValueError(
            f"recipe {recipe.name!r}: a backbone of {backbone.features!r} features starts from "
            "hand_landmark_full.tflite of mediapipe 0.10.21: name it as start_backbone, or name "
            "trained weights as start_keypoints or start_detector"
        )


def freeze(backbone: EfficientNetLite, blocks: int) -> None:
    """Leave the stem and the first blocks as they are: no gradient reaches them."""
    if blocks == 0:
        return
    for module in (backbone.stem, *backbone.blocks[:blocks]):
        module.requires_grad_(False)
