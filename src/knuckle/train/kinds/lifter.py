"""The lifter alone, on posed hands without pictures and on what a network saw in pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from knuckle.data.photographs import Part
from knuckle.data.shown import ShownHands
from knuckle.errors import NotFoundError
from knuckle.hand import BONES, N_JOINTS
from knuckle.limits import open_npz
from knuckle.modelcard import ModelCard
from knuckle.models.lifter import UNIT_MM, Lifter, LifterOutput, LifterSettings
from knuckle.render.hand_model import HandModel
from knuckle.train import poses
from knuckle.train.examples import Example
from knuckle.train.kind import Exportable, Kind
from knuckle.train.losses import bones_of, laplace, weighted_mean
from knuckle.train.modules import Batch, TrainedModule
from knuckle.train.recipe import Recipe
from knuckle.train.streams import alone, chance, loader_of

#: Posed hands that validation looks at, and what its seed has over that of training.
_HELD_OUT, _OTHER_SEED = 4096, 1_000_003
#: How looks are varied: by so many radians, so many sigmas; share without features.
_LOOK_TURN, _LOOK_SHAKE, _LOOK_BLIND = 0.1, 0.3, 0.4


@dataclass(frozen=True)
class LifterLosses:
    """How much each term of the lifter's loss counts."""

    joint: float = 6.0  # the joints' places from the wrist
    bone: float = 3.0  # the lengths of bones
    direction: float = 1.0  # where bones point
    bone_depth: float = 0.4  # how far bones lead away, of photographs, of which no more is known
    joint_spread: float = 0.1  # how sure it is of each joint


@dataclass(frozen=True, kw_only=True)
class PosedRecipe(Recipe):
    """A run whose lifter learns from posed hands, among others."""

    lifter: LifterSettings = field(default_factory=LifterSettings)  # its size
    #: Hands as people show them (``data/shown.py``), or empty: some of the posed hands are such.
    shown: str = ""
    start_lifter: str = ""  # a checkpoint to start from, or ``knuckle`` for the shipped network


@dataclass(frozen=True, kw_only=True)
class LifterRecipe(PosedRecipe):
    """A run that trains the lifter. Sources with looks are mixed with posed hands."""

    kind: str = "lifter"
    losses: LifterLosses = field(default_factory=LifterLosses)  # what its terms count


class LifterModule(TrainedModule):
    """The lifter alone, on posed hands without pictures and on what a network saw in pictures."""

    recipe: LifterRecipe
    weighted_by: ClassVar = {"mm": ("joint_weight",), "bone_depth": ("bone_depth_weight",)}

    def __init__(self, recipe: LifterRecipe) -> None:
        super().__init__(recipe)
        self.lifter = Lifter(recipe.lifter)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """3D terms."""
        out = self.lifter(batch["rays"], batch["sigma"], batch["features"])
        return lifter_losses(out, batch, self.recipe.losses)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Wrist-relative error in mm of the joints that are known, and that of bones' depth."""
        out = self.lifter(batch["rays"], batch["sigma"], batch["features"])
        away = (out.joints_mm - batch["joints_mm"]).norm(dim=-1)
        return {
            "mm": weighted_mean(away, batch["joint_weight"]),
            "bone_depth": weighted_mean(*bone_depth_errors(out, batch)),
        }


def lifter_losses(out: LifterOutput, batch: Batch, share: LifterLosses) -> Batch:
    """Terms of the lifter, by name, already weighted.

    Lengths and directions of bones are asked for beside the joints themselves, so that anatomy is
    held softly (Spurr et al. 2020) and errors do not add up along a finger.
    """
    truth, weight = batch["joints_mm"], batch["joint_weight"]
    error = (out.joints_mm - truth).abs()
    bones, true_bones = bones_of(out.joints_mm), bones_of(truth)
    bone_weight = weight[:, BONES[:, 0]] * weight[:, BONES[:, 1]]
    length = (bones.norm(dim=-1) - true_bones.norm(dim=-1)).abs() / UNIT_MM
    away = 1 - functional.cosine_similarity(bones, true_bones, dim=-1)
    return {
        "joint": share.joint * weighted_mean(error.mean(-1) / UNIT_MM, weight),
        "bone": share.bone * weighted_mean(length, bone_weight),
        "direction": share.direction * weighted_mean(away, bone_weight),
        "joint_spread": share.joint_spread
        * weighted_mean(laplace(error.detach(), out.log_sigma_mm), weight),
        "bone_depth": share.bone_depth * weighted_mean(*bone_depth_errors(out, batch)),
    }


def bone_depth_errors(out: LifterOutput, batch: Batch) -> tuple[Tensor, Tensor]:
    """How far bones point away from the camera, where that is all that is known of the depth.

    Returns:
        (N, 20) absolute errors of the share of each bone's length, and their weights.
    """
    bones = functional.normalize(bones_of(out.joints_mm), dim=-1)
    return (bones[..., 2] - batch["bone_depth"]).abs(), batch["bone_depth_weight"]


def no_bone_depth(n: int) -> Example:
    """Of hands whose joints are known in 3D, or not at all."""
    nothing = np.zeros((n, len(BONES)), np.float32)
    return {"bone_depth": nothing, "bone_depth_weight": nothing}


class PosedHands(IterableDataset):
    """Batches of posed hands for the lifter, no pictures."""

    def __init__(self, recipe: PosedRecipe, batch: int, seed: int | None = None) -> None:
        self.recipe, self.batch, self.seed = recipe, batch, seed

    def __iter__(self) -> Iterator[Example]:
        rng = chance(self.recipe, self.seed)
        model = HandModel.load()
        shown = ShownHands.load(self.recipe.shown) if self.recipe.shown else None
        bank = poses.PoseBank(rng, shown=shown)
        noise = poses.upright_noise(rng, bank, model)
        unseen = np.zeros((self.batch, N_JOINTS, self.recipe.lifter.feature_size), np.float32)
        while True:
            batch = poses.posed_batch(rng, self.batch, bank, model, noise)
            yield batch | no_bone_depth(self.batch) | {"features": unseen}


class _PosedAndSeen(IterableDataset):
    """Batches for the lifter: posed hands, and looks of a keypoint network, by their shares."""

    def __init__(self, recipe: LifterRecipe) -> None:
        self.recipe = recipe

    def __iter__(self) -> Iterator[Example]:
        size = self.recipe.optimiser.batch
        counts = [round(source.share * size) for source in self.recipe.sources]
        stores = [_read_looks(source.looks, "train") for source in self.recipe.sources]
        rng = chance(self.recipe)
        for posed in PosedHands(self.recipe, max(size - sum(counts), 1)):
            parts = [posed]
            for looks, count in zip(stores, counts, strict=True):
                drawn = rng.integers(0, len(looks["rays"]), count)
                parts.append(_varied({key: looks[key][drawn] for key in posed}, rng))
            yield {key: np.concatenate([part[key] for part in parts]) for key in posed}


def _varied(looks: Example, rng: np.random.Generator) -> Example:
    """The same looks, each a little different, so that they are not learnt by heart.

    Turned about the line of sight, which turns keypoints and joints alike; keypoints moved by a
    part of their sigma; some without image features.
    """
    n = len(looks["rays"])
    angle = rng.normal(0, _LOOK_TURN, n)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.moveaxis(np.array([[cos, -sin], [sin, cos]]), -1, 0).astype(np.float32)
    joints = looks["joints_mm"].copy()
    joints[..., :2] = joints[..., :2] @ turn
    moved = rng.laplace(0, _LOOK_SHAKE, looks["rays"].shape) * looks["sigma"][..., None]
    seeing = rng.random((n, 1, 1)) >= _LOOK_BLIND
    return looks | {
        "rays": (looks["rays"] @ turn + moved).astype(np.float32),
        "joints_mm": joints,
        "features": looks["features"] * seeing.astype(np.float32),
    }


def _read_looks(path: str, part: Part) -> Example:
    """Looks of one part, axis 0 throughout, as ``tools/looks.py`` has gathered them."""
    if not Path(path).exists():
        raise NotFoundError(f"no looks at {path}; gather them with tools/looks.py")
    with open_npz(Path(path), "looks", "gather them again") as stored:
        keys = [name for name in stored.files if name.startswith(part + "/")]
        return {key.removeprefix(part + "/"): stored[key].astype(np.float32) for key in keys}


def _validation(recipe: LifterRecipe) -> dict[str, DataLoader]:
    """Posed hands, and the looks that were held back."""
    posed = PosedHands(recipe, _HELD_OUT, recipe.seed + _OTHER_SEED)
    batches = {"posed": next(iter(posed))}
    for source in recipe.sources:
        batches[Path(source.looks).stem] = _read_looks(source.looks, "validation")
    return {name: alone(batch) for name, batch in batches.items()}


def answer(network: Lifter, rays: Tensor, sigma: Tensor, features: Tensor) -> dict[str, Tensor]:
    """What ``stages.lifter`` asks."""
    out = network(rays, sigma, features)
    return {"joints_mm": out.joints_mm, "sigma_mm": out.log_sigma_mm.exp()}


def exported(recipe: LifterRecipe) -> Exportable:
    """The lifter of a recipe, of this kind or another."""
    features = recipe.lifter.feature_size
    card = ModelCard("lifter", recipe.version, feature_size=features, recipe=recipe.name)
    inputs = {
        "rays": torch.randn(1, N_JOINTS, 2) * 0.1,
        "sigma": torch.rand(1, N_JOINTS) * 0.01 + 0.001,
        "features": torch.randn(1, N_JOINTS, features),
    }
    return Exportable(card, Lifter(recipe.lifter), answer, inputs)


KIND = Kind(
    recipe=LifterRecipe,
    module=LifterModule,
    training=lambda recipe: loader_of(_PosedAndSeen(recipe), recipe),
    validation=_validation,
    networks={"lifter": exported},
)
