"""The pair stage on what a finished lifter says about hands that are near each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from knuckle.errors import InputError
from knuckle.hand import N_JOINTS
from knuckle.modelcard import ModelCard
from knuckle.models.lifter import UNIT_MM, Lifter, LifterSettings
from knuckle.models.pair import Pair, PairOutput, PairSettings, place
from knuckle.render.hand_model import HandModel
from knuckle.train import poses
from knuckle.train.examples import Example
from knuckle.train.kind import Exportable, Kind
from knuckle.train.losses import laplace
from knuckle.train.modules import Batch, TrainedModule
from knuckle.train.pairs import PairBank, lifted_pairs, sample_pairs
from knuckle.train.recipe import Recipe
from knuckle.train.streams import alone, chance, loader_of
from knuckle.train.weights import part_of, weights_named

#: How often a pair is drawn before another takes its place: errors of pairs that were drawn 16
#: times were learnt by heart.
_PAIR_USES = 4
#: Pairs that validation looks at, and what its seed has over that of training.
_HELD_OUT, _OTHER_SEED = 512, 1_000_003


@dataclass(frozen=True)
class PairLosses:
    """How much each term of the pair stage's loss counts."""

    apart: float = 3.0  # where the other wrist is
    apart_spread: float = 0.1  # how sure it is of that


@dataclass(frozen=True, kw_only=True)
class PairRecipe(Recipe):
    """A run that trains the pair stage; it makes its pairs itself."""

    kind: str = "pair"
    #: ``pair``, ``lifter``: the sizes of the stage, and of the lifter that it follows.
    pair: PairSettings = field(default_factory=PairSettings)
    lifter: LifterSettings = field(default_factory=LifterSettings)
    losses: PairLosses = field(default_factory=PairLosses)  # what its terms count
    #: The lifter that it follows: a checkpoint, or ``knuckle`` for the shipped one.
    start_lifter: str = ""


class PairModule(TrainedModule):
    """The pair stage on what a finished lifter says about hands that are near each other."""

    recipe: PairRecipe

    def __init__(self, recipe: PairRecipe) -> None:
        super().__init__(recipe)
        self.pair = Pair(recipe.pair)

    def forward(self, batch: Batch) -> PairOutput:
        """Pairs, each seen from one of its hands."""
        return self.pair(
            batch["lifted_mm"], batch["lifted_sigma_mm"], batch["rays"], batch["sigma"]
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The place of the other hand."""
        return pair_losses(self(batch), batch, self.recipe.losses)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Error of the other wrist in mm, by this stage and with each hand placed alone."""
        roots = place(batch["lifted_mm"], batch["lifted_sigma_mm"], batch["rays"], batch["sigma"])
        alone_mm = roots[:, 1] - roots[:, 0]
        return {
            "mm": (self(batch).apart_mm - batch["apart_mm"]).norm(dim=-1).mean(),
            "alone_mm": (alone_mm - batch["apart_mm"]).norm(dim=-1).mean(),
        }


def pair_losses(out: PairOutput, batch: Batch, share: PairLosses) -> Batch:
    """Terms of the pair stage, by name: where the other wrist is, and how sure that is."""
    error = (out.apart_mm - batch["apart_mm"]).abs()  # (N, 3)
    spread = laplace(error.detach()[..., None], out.log_sigma_mm)
    return {
        "apart": share.apart * error.mean() / UNIT_MM,
        "apart_spread": share.apart_spread * spread.mean(),
    }


class _NearHands(IterableDataset):
    """Batches of lifted pairs for the pair stage.

    Lifting costs most, so there is a stock of pairs; each is drawn some times before another takes
    its place.
    """

    def __init__(
        self, recipe: PairRecipe, seed: int | None = None, stock: int | None = None
    ) -> None:
        self.recipe, self.seed = recipe, seed
        self.stock = stock or recipe.pair.stock

    def fresh_batch(self) -> Example:
        """The whole stock, each pair once."""
        _, fresh = self._source()
        return fresh(self.stock)

    def __iter__(self) -> Iterator[Example]:
        size = self.recipe.optimiser.batch
        rng, fresh = self._source()
        stock = fresh(size * _PAIR_USES // 2)  # two examples a pair
        while True:
            drawn = rng.permutation(len(stock["sigma"]))[:size]
            yield {key: value[drawn] for key, value in stock.items()}
            for key, value in fresh(size // _PAIR_USES // 2).items():
                stock[key][drawn[: len(value)]] = value

    def _source(self) -> tuple[np.random.Generator, Callable[[int], Example]]:
        """Randomness, and what makes new examples of so many pairs."""
        rng = chance(self.recipe, self.seed)
        lifter, bank = _finished_lifter(self.recipe), PairBank(rng, self.stock)
        noise = poses.upright_noise(rng, poses.PoseBank(rng), HandModel.load())
        return rng, lambda n: lifted_pairs(lifter, sample_pairs(rng, n, bank, noise))


def _finished_lifter(recipe: PairRecipe) -> Lifter:
    """The lifter that the pair stage follows; ``ValueError`` if the recipe names none."""
    if not recipe.start_lifter:
        raise InputError(
            f"the {recipe.kind} stage follows a lifter: name its weights as start_lifter"
        )
    lifter = Lifter(recipe.lifter)
    lifter.load_state_dict(part_of(weights_named(recipe.start_lifter, "lifter"), "lifter"))
    return lifter.eval()


def _validation(recipe: PairRecipe) -> dict[str, DataLoader]:
    """Pairs of their own, each once."""
    held_out = _NearHands(recipe, recipe.seed + _OTHER_SEED, _HELD_OUT)
    return {"near": alone(held_out.fresh_batch())}


def answer(
    network: Pair, joints_mm: Tensor, sigma_mm: Tensor, rays: Tensor, sigma: Tensor
) -> dict[str, Tensor]:
    """What ``stages.pair`` asks."""
    out = network(joints_mm, sigma_mm, rays, sigma)
    return {"apart_mm": out.apart_mm, "apart_sigma_mm": out.log_sigma_mm.exp()}


def exported(recipe: PairRecipe) -> Exportable:
    """The pair stage of a recipe."""
    joints = torch.randn(1, 2, N_JOINTS, 3) * 50
    ahead = joints + torch.tensor([[[0.0, 0.0, 600.0]], [[80.0, 0.0, 640.0]]])
    inputs = {
        "joints_mm": joints,
        "sigma_mm": torch.rand(1, 2, N_JOINTS) * 10 + 1,
        "rays": ahead[..., :2] / ahead[..., 2:],
        "sigma": torch.rand(1, 2, N_JOINTS) * 0.01 + 0.001,
    }
    card = ModelCard("pair", recipe.version, recipe=recipe.name)
    return Exportable(card, Pair(recipe.pair), answer, inputs)


KIND = Kind(
    recipe=PairRecipe,
    module=PairModule,
    training=lambda recipe: loader_of(_NearHands(recipe), recipe),
    validation=_validation,
    networks={"pair": exported},
)
