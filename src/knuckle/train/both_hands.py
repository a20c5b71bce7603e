"""How networks that see both hands in one crop are trained: schedule, variation, validation."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from knuckle.errors import InputError
from knuckle.train.answers import Answers, Decoding, RootDepth, Tally
from knuckle.train.modules import Batch, TrainedModule
from knuckle.train.recipe import Recipe, check_numbers


@dataclass(frozen=True)
class BothHandsTraining:
    """The defaults are those of InterNet's paper, but for the schedule, which follows the clock."""

    epochs: int = 0  # passes over the data; 0 trains by the clock (``optimiser.minutes``)
    #: After so many epochs the rate falls to a tenth, once each; needs ``epochs``.
    drops: tuple[int, ...] = ()
    shift: float = 0.15  # largest shift of the box, as a share of its side
    #: ``scale``, ``turn``: standard deviations of the change of the box's side, as a share, which
    #: is cut off at one of them, and of the turn, degrees, cut off at two (the official code).
    scale: float = 0.25
    turn: float = 45.0
    turned: float = 0.6  # share of the crops that are turned
    #: Share of the crops that are mirrored; left and right hands then change places.
    flip: float = 0.5
    colour: float = 0.2  # largest change of each colour channel, as a share
    #: How many pictures of each source are held to judge by, spread evenly; 0 for all.
    validate_pictures: int = 1000
    #: Leave out the data set's known flaws in training. Validation leaves them in, as the papers
    #: do.
    clean: bool = True

    def __post_init__(self) -> None:
        if self.drops and not self.epochs:
            raise InputError("drops = count epochs: say how many there are, epochs = 20")
        check_numbers(self, ("epochs", "shift", "scale", "turn", "colour", "validate_pictures"), 0)
        check_numbers(self, ("turned", "flip"), 0, 1)


@dataclass(frozen=True, kw_only=True)
class BothHandsRecipe(Recipe):
    """A run whose network sees both hands in one crop; it learns from captures."""

    both_hands: BothHandsTraining = field(default_factory=BothHandsTraining)  # how it is trained

    @property
    @abstractmethod
    def crop_size(self) -> int:
        """Side of a crop, px."""


class BothHandsModule(TrainedModule):
    """What the two have in common: schedule by epochs, and validation by Moon's protocol."""

    #: The validation error that says which weights are kept: of the first source.
    decides = "mpjpe_mm"
    recipe: BothHandsRecipe

    def __init__(self, recipe: BothHandsRecipe) -> None:
        super().__init__(recipe)
        self.pictures = 0  # of an epoch
        self._epochs_before, self._steps_before = 0.0, 0  # of earlier sittings
        self._tallies: dict[str, Tally] = {}

    def answers(self, batch: Batch, decoding: Decoding, root_depth: RootDepth) -> Answers:
        """What the network says about a batch, in the camera frame."""
        raise NotImplementedError

    def on_train_start(self) -> None:
        """Start the clock, and learn how many pictures an epoch has."""
        super().on_train_start()
        self.pictures = self.trainer.train_dataloader.dataset.pictures  # type: ignore[union-attr]

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
            return self._epochs_before
        batch = self.recipe.optimiser.batch * self.trainer.world_size
        steps = self.trainer.global_step - self._steps_before
        return self._epochs_before + steps * batch / self.pictures

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember the epochs too: another sitting may have other batches, or more GPUs."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["epochs"] = self.epochs_done

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the epochs that are left."""
        super().on_load_checkpoint(checkpoint)
        if "epochs" in checkpoint:
            self._epochs_before = float(checkpoint["epochs"])
            self._steps_before = int(checkpoint["global_step"])

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
        """Say every source's numbers, a column each."""
        columns = {name: tally.numbers() for name, tally in self._tallies.items()}
        _say(table(columns))
        for name, numbers in columns.items():
            for key, value in numbers.items():
                if value == value:  # nothing of the kind was seen otherwise
                    self.log(f"{name}/{key}", value)
        self._tallies = {}


@rank_zero_only
def _say(text: str) -> None:
    print(text, flush=True)


#: What validation says: Moon's numbers by name, and how they are written.
_ROWS = {
    "mpjpe_mm": ("MPJPE, mm", "{:.1f}"),
    "mpjpe_single_mm": ("  single hands", "{:.1f}"),
    "mpjpe_two_mm": ("  two hands", "{:.1f}"),
    "mrrpe_mm": ("MRRPE, mm", "{:.1f}"),
    "wrong_sides": ("wrong sides", "{:.1%}"),
}


def table(columns: dict[str, dict[str, float]]) -> str:
    """Validation as text: the numbers of a ``Tally``, a column a source, as far as any has them."""
    rows = [("", *columns)]
    for key, (label, form) in _ROWS.items():
        values = [numbers[key] for numbers in columns.values()]
        if any(value >= 0 for value in values):  # NaN is not
            rows.append((label, *(form.format(v) if v >= 0 else "-" for v in values)))
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )
