"""Recipes: everything that decides a training run, as one frozen dataclass read from TOML.

A recipe only sets values; the reason for each stands beside it in the file. Options that nothing
would read are refused. ``recipes/`` holds those of the shipped weights.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from knuckle.address import at_home
from knuckle.errors import InputError, NotFoundError, reading

#: Between licences that all hold.
_AND = " AND "
#: What all recipes once had in common: runs of that time keep settings that are not of their kind.
_ONCE_COMMON = frozenset(
    ("keypoints", "detector", "lifter", "temporal", "pair", "internet", "both", "both_hands",
     "augment", "posed", "shown", "start_keypoints", "start_lifter", "start_detector",
     "start_backbone", "start_internet", "start_both")
)  # fmt: skip


@dataclass(frozen=True)
class SourceSettings:
    """One source of training examples: exactly one of shards, photographs, looks and capture."""

    shards: str = ""  # folder of tar shards (``data/shards.py``)
    photographs: str = ""  # store of labelled photographs (``data/photographs.py``)
    looks: str = ""  # what a keypoint network said (``tools/looks.py``); for the lifter
    #: Of a store of crops (``train/mattes.py``), or empty: some of its hands are then put before
    #: other backgrounds, see ``AugmentSettings.recomposed``.
    mattes: str = ""
    #: Of a store of photographs only those of these data sets; empty: all. So that some are drawn
    #: more often than others.
    datasets: tuple[str, ...] = ()
    #: How often to draw from it, relative to the other sources; of looks, their share of a batch,
    #: whose rest are posed hands.
    share: float = 1.0
    #: Folder of a data set with 3D joints and cameras, as it is unpacked; for networks that see
    #: both hands.
    capture: str = ""
    #: How a capture is divided: as its makers did, or whole people dealt out anew.
    split: Literal["official", "70/15/15"] = "official"
    license: str = ""  # of weights that learn from this source, if not Knuckle's own
    #: How much its 2D labels of the wrist and the base of the thumb count beside those of other
    #: joints. Forearms are rendered without the creases by which a real wrist is known: what is
    #: learnt there is where a wrist usually is, not where it is seen.
    wrist: float = 1.0

    def __post_init__(self) -> None:
        if sum(map(bool, (self.shards, self.photographs, self.looks, self.capture))) != 1:
            raise InputError(
                "a source needs exactly one of shards =, photographs =, looks = and capture ="
            )
        if self.mattes and not self.photographs:
            raise InputError("mattes = belong to photographs =")
        if self.datasets and not self.photographs:
            raise InputError("datasets = belong to photographs =")
        check_numbers(self, ("share",), above=0)
        check_numbers(self, ("wrist",), least=0)


@dataclass(frozen=True)
class AugmentSettings:
    """How pictures are varied. Angles in radians, shifts and scales as shares of the crop."""

    #: ``shift``, ``log_scale``, ``angle``: standard deviations of the crop's jitter.
    shift: float = 0.05
    log_scale: float = 0.12
    angle: float = 0.25
    turned: float = 0.05  # share of crops with any angle at all, as a mistaken detector gives them
    #: Share of crops cut as if one finger were folded, which they may cut off: so a tracker does
    #: that had not seen it stretched.
    cut_off: float = 0.0
    #: Share of crops with two hands in which the other one is given, as where it is known already.
    known: float = 0.0
    #: Share of crops of a lone hand in which that hand is given and one of the other side is looked
    #: for: there is none.
    nothing_else: float = 0.0
    other_side: float = 0.06  # share of crops shown with the wrong side, to learn the side
    no_hand: float = 0.06  # share of crops or frames in which there is no hand
    faults: float = 0.5  # strength of the camera's faults added to renders, which have some already
    photograph_faults: float = 0.5  # the same for photographs, whose rooms and cameras are few
    #: Share of pictures smeared as by a hand in quick motion (``train/moving.py``).
    moving: float = 0.0
    #: Standard deviation of the logarithm by which half of the photographs are stretched along some
    #: direction, as if the hand were turned; their 2D labels follow.
    stretch: float = 0.0
    #: Share of the photographs that have a matte that are put before another background, their skin
    #: in another light.
    recomposed: float = 0.0
    #: Folder of photographs without hands, for that; beside the few that ship.
    backgrounds: str = ""
    #: Side of the part of its input that the detector is shown, px, mostly with a hand in it; 0 for
    #: all of it. A quarter of the input costs a quarter of the time.
    window: int = 0
    cutout: float = 0.15  # share of pictures with a patch painted over

    def __post_init__(self) -> None:
        shares = ("turned", "cut_off", "known", "nothing_else", "other_side", "no_hand")
        check_numbers(self, (*shares, "moving", "recomposed", "cutout"), 0, 1)
        strengths = ("shift", "log_scale", "angle", "faults", "photograph_faults", "stretch")
        check_numbers(self, (*strengths, "window"), 0)


@dataclass(frozen=True)
class OptimiserSettings:
    """AdamW or Muon, a warm-up, a long plateau and a linear decay to nothing.

    The schedule follows the time budget, not a number of steps: the same recipe then ends well
    on any machine, and an interrupted run goes on with the budget it has left.
    """

    #: Muon (``train/optimiser.py``) is for convolutions above all.
    kind: Literal["adamw", "muon"] = "adamw"
    minutes: float = 60.0  # training time, interruptions not counted
    rate: float = 5e-4  # of the plateau
    weight_decay: float = 0.01  # share of the rate by which weights shrink each step
    #: ``warmup``, ``decay``: shares of the budget.
    warmup: float = 0.02
    decay: float = 0.4
    batch: int = 64  # samples per step
    clip: float = 5.0  # largest norm of the gradient
    average: float = 0.998  # decay of the moving average of the weights that is exported
    frozen_blocks: int = 0  # first backbone blocks left as they were at the start
    #: Convolutions of the networks that see pictures in bfloat16 while they train, which processors
    #: with AMX do several times faster; those that cannot compute in it train in single precision.
    #: On a GPU they always are.
    half: bool = False
    #: Train only the weights whose names begin so (``keypoints.beside``), or empty: all.
    only: str = ""

    def __post_init__(self) -> None:
        check_numbers(self, ("minutes",), above=0)
        check_numbers(self, ("batch",), 1)
        check_numbers(self, ("rate", "weight_decay", "clip", "frozen_blocks"), 0)
        check_numbers(self, ("warmup", "decay", "average"), 0, 1)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run: what all kinds have in common; each adds its own (``train/kinds/``)."""

    #: Whether convolutions can be trained in bfloat16 (``optimiser.half``).
    CAN_BE_HALF: ClassVar[bool] = False
    #: Whether blocks of a backbone can be left as they are (``optimiser.frozen_blocks``).
    CAN_FREEZE: ClassVar[bool] = False

    kind: str  # which networks; the name of a file in ``train/kinds/``
    name: str  # of the run; its files are in ``runs/<name>``
    seed: int = 0  # of everything random
    version: str = "0"  # written into the exported file
    sources: tuple[SourceSettings, ...] = ()  # of examples; some kinds make their own
    #: How it learns, and for how long.
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    workers: int = 1  # processes that prepare batches
    threads: int = 0  # of the training itself, 0 for all
    #: GPUs to train on, 0 for all there are; where there is none, processes on the CPU, 0 for one.
    #: Each takes batches of its own.
    devices: int = 0
    #: Take over only what has the same name and shape, after a change of a network; the rest begins
    #: anew.
    start_partly: bool = False
    #: Of the weights that it starts from, if not Knuckle's own; ``knuckle train`` finds it out.
    inherited_license: str = ""
    validate_minutes: float = 10.0  # time between validations and checkpoints

    def __post_init__(self) -> None:
        check_numbers(self, ("seed", "workers", "threads", "devices"), 0)
        check_numbers(self, ("validate_minutes",), above=0)
        folder = Path(self.name)
        if not folder.parts or folder.is_absolute() or ".." in folder.parts:
            raise InputError(f"name must be that of a folder in runs/, got {self.name!r:.80}")

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Read a recipe.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not TOML, an option is unknown, or a value has the wrong type.
        """
        path = at_home(path)
        if path.is_dir():
            raise InputError(f"{path} is a folder: give one of the recipes in it, a .toml file")
        with reading(path, "a recipe", "see docs/training.md and those in recipes/"):
            try:
                values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
            except FileNotFoundError:
                raise NotFoundError(f"recipe {path} does not exist; see recipes/") from None
            except tomllib.TOMLDecodeError as error:
                raise InputError(f"recipe {path} is not TOML: {error}; mend it there") from None
            recipe: Recipe = _build(_type_of(values, str(path)), values, str(path))
            for unread in recipe.unread():
                raise InputError(f"{path}: {unread}")
            return recipe

    @classmethod
    def load_json(cls, path: Path) -> Recipe:
        """Read the copy of the recipe that a run keeps.

        Raises:
            FileNotFoundError: there is no such run.
        """
        if not path.exists():
            raise NotFoundError(f"{path.parent} is no training run: it has no {path.name}")
        with reading(path, "the recipe of a run", "give the folder of another run"):
            values = json.loads(path.read_text(encoding="utf-8-sig"))
            kind = _type_of(values, str(path))
            foreign = _ONCE_COMMON - {item.name for item in dataclasses.fields(kind)}
            own = {name: value for name, value in values.items() if name not in foreign}
            recipe: Recipe = _build(kind, own, str(path))
            return recipe

    @property
    def license(self) -> str:
        """Of the weights: all that its data and its start ask for; empty for Knuckle's own."""
        return joined_licences(self.inherited_license, *(each.license for each in self.sources))

    @property
    def starts(self) -> dict[str, str]:
        """The weights that each network starts from or follows, by its name; empty for none."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {
            name.removeprefix("start_"): value
            for name, value in values.items()
            if name.startswith("start_") and isinstance(value, str)
        }

    def unread(self) -> Iterator[str]:
        """What is set although nothing would read it, a sentence each."""
        if self.optimiser.half and not self.CAN_BE_HALF:
            yield f"half = is for networks that see pictures, not {self.kind!r}"
        if self.optimiser.frozen_blocks and not self.CAN_FREEZE:
            yield f"frozen_blocks = is for keypoints, detector and interhand, not {self.kind!r}"


@dataclass(frozen=True, kw_only=True)
class PictureRecipe(Recipe):
    """A run that learns from labelled pictures, which are varied."""

    augment: AugmentSettings = field(default_factory=AugmentSettings)  # how
    #: ``hand_landmark_full.tflite``, where the backbone's shape is "landmark" and nothing else says
    #: from what it starts (``models/landmark_features.py``).
    start_backbone: str = ""

    def unread(self) -> Iterator[str]:
        """See the base."""
        yield from super().unread()
        if self.augment.recomposed and not any(source.mattes for source in self.sources):
            yield "recomposed = needs a source with mattes ="


def joined_licences(*licences: str) -> str:
    """All of them as one, each once; empty ones ask for nothing."""
    named = {name for licence in licences for name in licence.split(_AND)}
    return _AND.join(sorted(named - {""}))


def check_numbers(
    settings: object,
    names: tuple[str, ...],
    least: float = -math.inf,
    most: float = math.inf,
    *,
    above: float = -math.inf,
) -> None:
    """Refuse what is below ``least``, beyond ``most`` or not ``above``; infinite ones, and NaN.

    Raises:
        ValueError: one is.
    """
    for name in names:
        value = getattr(settings, name)
        if not (least <= value <= most and above < value < math.inf):
            lowest = f"{least:g} or more" if least > above else f"more than {above:g}"
            limits = lowest if most == math.inf else f"in {least:g}..{most:g}"
            raise InputError(f"{name} must be {limits}, got {value:g}")


def _type_of(values: dict[str, Any], where: str) -> type[Recipe]:
    """The type of the recipe that holds these values."""
    from knuckle.train.kind import kind_named  # which knows of recipes

    try:
        return kind_named(str(values.get("kind", ""))).recipe
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _build(kind: type, values: dict[str, Any], where: str) -> Any:
    """A (nested) dataclass from a dictionary that may only hold its fields."""
    if not isinstance(values, dict):
        raise InputError(f"{where} must be a table of options, got {values!r:.40}")
    types_of = typing.get_type_hints(kind)
    known = {item.name for item in dataclasses.fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(f"{where}: unknown option {unknown[0]!r}; known are {sorted(known)}")
    try:
        return kind(**{k: _value(types_of[k], v, f"{where}: {k}") for k, v in values.items()})
    except TypeError as error:
        raise InputError(f"{where}: {error}") from None


def _value(expected: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(expected) and isinstance(expected, type):
        return _build(expected, value, where)
    if typing.get_origin(expected) is tuple:
        inner = typing.get_args(expected)[0]
        if not isinstance(value, list):
            tables = ", of tables [[...]]" * dataclasses.is_dataclass(inner)
            raise InputError(f"{where} must be a list{tables}, got {value!r:.60}")
        return tuple(_value(inner, item, where) for item in value)
    if typing.get_origin(expected) in (Literal, types.UnionType):
        if value not in typing.get_args(expected):
            raise InputError(f"{where} must be one of {typing.get_args(expected)}, got {value!r}")
        return value
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if expected is str and isinstance(value, str) and value.startswith("~"):
        return str(at_home(value))
    if not isinstance(value, expected):
        raise InputError(f"{where} must be {expected.__name__}, got {value!r}")
    return value
