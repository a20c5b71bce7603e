"""InterNet and our own network of both hands, as Lightning trains them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.nn import functional

from knuckle.codec import HeatmapCodec
from knuckle.hand import BONES
from knuckle.models.both import BothHands, BothOutput
from knuckle.models.internet import InterNet, cells_of, volumes_of
from knuckle.models.lifter import UNIT_MM
from knuckle.train.kinds.answers import (
    Answers,
    Decoding,
    RootDepth,
    Tally,
    both_answers,
    internet_answers,
)
from knuckle.train.losses import weighted_mean
from knuckle.train.modules import Batch, TrainedModule, freeze, start_features
from knuckle.train.optimiser import OPTIMISERS

if TYPE_CHECKING:
    from knuckle.train.recipe import Recipe

#: Weights of our own losses bring each term to the same order once training is under way.
_POINT, _MAP, _SPREAD, _JOINT, _BONE, _JOINT_SPREAD, _ROOT, _THERE = (
    0.15, 0.25, 0.1, 6.0, 3.0, 0.1, 2.0, 0.5,
)  # fmt: skip


class BothHandsModule(TrainedModule):
    """What the two have in common: schedule by epochs, and validation by Moon's protocol."""

    #: The validation error that says which weights are kept: of the first source.
    decides = "mpjpe_mm"
    input_size: int

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.pictures = 0  # of an epoch; the run sets it
        self._tallies: dict[str, Tally] = {}

    def begin(self) -> None:
        """Take over what a new run starts from."""
        raise NotImplementedError

    def answers(self, batch: Batch, decoding: Decoding, root_depth: RootDepth) -> Answers:
        """What the network says about a batch, in the camera frame."""
        raise NotImplementedError

    @property
    def progress(self) -> float:
        """Share of the epochs that are done, where the recipe counts them; else of the time."""
        epochs = self.recipe.both_hands.epochs
        if not epochs:
            return super().progress
        return min(self.epochs_done / epochs, 1.0)

    @property
    def epochs_done(self) -> float:
        """Passes over the data so far."""
        if not self.pictures or self._trainer is None:
            return 0.0
        batch = self.recipe.optimiser.batch * self.trainer.world_size
        return self.trainer.global_step * batch / self.pictures

    def rate(self, progress: float) -> float:
        """Constant with drops to a tenth, where the recipe counts epochs; else the usual one."""
        settings = self.recipe.both_hands
        if not settings.epochs:
            return super().rate(progress)
        passed = sum(progress * settings.epochs >= drop for drop in settings.drops)
        return self.recipe.optimiser.rate * 0.1**passed

    def validation_step(self, batch: Batch, _: int, dataloader_idx: int = 0) -> None:
        """Add a batch to its source's tally."""
        name = self.trainer.validation_names[dataloader_idx]  # type: ignore[attr-defined]
        answers = self.answers(batch, "soft", "true")
        self._tallies.setdefault(name, Tally()).add(answers, batch)

    def on_validation_epoch_end(self) -> None:
        """Say every source's numbers, one below the other."""
        for name, tally in self._tallies.items():
            numbers = tally.numbers()
            _say(said(name, numbers, self.progress))
            for key, value in numbers.items():
                if value == value:  # nothing of the kind was seen otherwise
                    self.log(f"{name}/{key}", value)
        self._tallies = {}


@rank_zero_only
def _say(line: str) -> None:
    print(line, flush=True)


def said(name: str, numbers: dict[str, float], progress: float) -> str:
    """A source's validation in a line; what it has none of is left out."""
    labels = {
        "mpjpe_mm": "MPJPE {:.1f} mm",
        "mpjpe_single_mm": "single {:.1f}",
        "mpjpe_two_mm": "two {:.1f}",
        "mrrpe_mm": "MRRPE {:.1f} mm",
        "wrong_sides": "wrong sides {:.1%}",
    }
    known = [label.format(numbers[key]) for key, label in labels.items() if numbers[key] >= 0]
    return f"{progress:4.0%}  {name}: {', '.join(known)}"


class InterNetModule(BothHandsModule):
    """InterNet with the paper's losses."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.internet = InterNet(recipe.internet)
        self.input_size = recipe.internet.input_size

    def begin(self) -> None:
        """ImageNet weights for the backbone."""
        self.internet.load_imagenet()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """As published: one rate for all; the small twin's backbone learns as ours does."""
        settings = self.recipe.optimiser
        if self.recipe.internet.backbone != "resnet50":
            return super().configure_optimizers()
        groups = [{"params": list(self.parameters()), "scale": 1.0}]
        return OPTIMISERS[settings.kind](
            groups, lr=settings.rate, weight_decay=settings.weight_decay
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error of the volumes, absolute error of the relative depth, cross-entropy."""
        settings = self.recipe.internet
        out = self.internet(batch["crop"])
        cells = cells_of(batch["points_px"], batch["depth_mm"], settings)
        inside = ((cells >= 0) & (cells <= settings.map_size - 1)).all(dim=-1)
        valid = batch["valid_3d"] * inside
        square = (out.volumes - volumes_of(cells, settings)).square().mean(dim=(-3, -2, -1))
        root = (batch["root_mm"] / settings.range_mm + 1) / 2 * settings.map_size
        near = batch["root_known"] * (batch["root_mm"].abs() < settings.range_mm)
        binary = functional.binary_cross_entropy_with_logits
        there = binary(out.there_logit, batch["there"], reduction="none").mean(dim=1)
        return {
            "volume": (square * valid).mean(),
            "root": ((out.root_cells - root).abs() * near).mean(),
            "there": (there * batch["there_known"]).mean(),
        }

    def answers(self, batch: Batch, decoding: Decoding, root_depth: RootDepth) -> Answers:
        """See the base."""
        out = self.internet(batch["crop"])
        return internet_answers(out, batch, self.recipe.internet, decoding, root_depth)


class InterHandModule(BothHandsModule):
    """Our own keypoints and joints of both hands, end to end."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.both = BothHands(recipe.both)
        self.both.half_in_training = recipe.optimiser.half
        self.input_size = recipe.both.input_size
        freeze(self.both.backbone, recipe.optimiser.frozen_blocks)

    def begin(self) -> None:
        """Features that have seen pictures for the backbone."""
        start_features(self.both.backbone, self.recipe, self.recipe.start_both)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """2D terms, 3D terms, the relative depth of the wrists, and which hands are there."""
        out = self.both(batch["crop"], batch["view_from_crop"])
        return {
            **_point_losses(out, batch, self.recipe.both.codec),
            **_joint_losses(out, batch),
            "there": _THERE
            * weighted_mean(
                functional.binary_cross_entropy_with_logits(
                    out.there_logit, batch["there"], reduction="none"
                ),
                batch["there_known"][:, None].expand(-1, 2),
            ),
        }

    def answers(self, batch: Batch, decoding: Decoding, root_depth: RootDepth) -> Answers:
        """See the base; the mean of a map is the only decoding."""
        del decoding
        return both_answers(self.both(batch["crop"], batch["view_from_crop"]), batch, root_depth)


def _point_losses(out: BothOutput, batch: Batch, codec: HeatmapCodec) -> dict[str, Tensor]:
    points, weight = batch["points_px"], batch["valid"]
    inside = ((points > -0.5) & (points < codec.input_size - 0.5)).all(dim=-1).float()
    error = (out.keypoints_px - points).abs()
    gap = points.flatten(1, 2)[..., None] - torch.as_tensor(
        codec.cell_centres_px, dtype=points.dtype, device=points.device
    )
    line = (-0.5 * (gap / codec.sigma_px).square()).softmax(dim=-1)  # (N, 42, 2, S / 4)
    marginal = (line[:, :, 1, :, None] * line[:, :, 0, None, :]).detach()
    cross = -(marginal * out.log_maps).sum(dim=(2, 3)).unflatten(1, weight.shape[1:])
    spread = (error.detach() / out.log_sigma_px.exp()[..., None]).mean(-1) + out.log_sigma_px
    return {
        "point": _POINT * weighted_mean(error.mean(-1).clamp(max=60.0), weight * inside),
        "map": _MAP * weighted_mean(cross, weight * inside),
        "spread": _SPREAD * weighted_mean(spread, weight * inside),
    }


def _joint_losses(out: BothOutput, batch: Batch) -> dict[str, Tensor]:
    weight = batch["valid_3d"]
    error = (out.joints_mm - batch["joints_mm"]).abs() / UNIT_MM
    said, true = (
        joints[..., BONES[:, 1], :] - joints[..., BONES[:, 0], :]
        for joints in (out.joints_mm, batch["joints_mm"])
    )
    bone_weight = weight[..., BONES[:, 0]] * weight[..., BONES[:, 1]]
    off = error.detach() * UNIT_MM
    spread = (off / out.log_sigma_mm.exp()[..., None]).mean(-1) + out.log_sigma_mm
    root = (out.root_mm - batch["root_view_mm"]).abs() / UNIT_MM
    return {
        "joint": _JOINT * weighted_mean(error.mean(-1), weight),
        "bone": _BONE * weighted_mean((said - true).abs().mean(-1) / UNIT_MM, bone_weight),
        "joint_spread": _JOINT_SPREAD * weighted_mean(spread, weight),
        "root": _ROOT * weighted_mean(root, batch["root_known"]),
    }


#: Kinds of recipes whose network sees both hands in one crop.
BOTH_HANDS: dict[str, type[BothHandsModule]] = {
    "internet": InterNetModule,
    "interhand": InterHandModule,
}
