"""Recipes: everything that decides a training run, as one frozen dataclass read from TOML.

A recipe only sets values; the reason for each stands beside it in the file. Options that nothing
would read are refused. ``recipes/`` holds those of the shipped weights.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from knuckle.errors import InputError, NotFoundError, reading
from knuckle.models.both import BothSettings
from knuckle.models.detector import DetectorSettings
from knuckle.models.epipolar import EpipolarSettings
from knuckle.models.internet import InterNetSettings
from knuckle.models.keypoints import KeypointSettings
from knuckle.models.lifter import LifterSettings
from knuckle.models.pair import PairSettings
from knuckle.models.temporal import TemporalSettings
from knuckle.train.both_hands import BothHandsTraining

Kind = Literal[
    "detector", "keypoints", "lifter", "temporal", "pair", "internet", "interhand", "epipolar"
]


@dataclass(frozen=True)
class SourceSettings:
    """One source of training examples: exactly one of shards, photographs, looks and capture.

    Attributes:
        shards: folder of tar shards (``data/shards.py``), or empty.
        photographs: store of labelled photographs (``data/photographs.py``), or empty.
        looks: what a keypoint network said (``train/looks.py``), or empty; for the lifter.
        mattes: of a store of crops (``train/mattes.py``), or empty: some of its hands are then put
            before other backgrounds, see ``AugmentSettings.recomposed``.
        datasets: of a store of photographs only those of these data sets; empty: all. So that some
            are drawn more often than others.
        share: how often to draw from it, relative to the other sources; of looks, their share of
            a batch, whose rest are posed hands.
        capture: folder of a data set with 3D joints and cameras, as it is unpacked, or empty; for
            networks that see both hands.
        split: how a capture is divided: as its makers did, or whole people dealt out anew.
        license: of weights that learn from this source, if not Knuckle's own.
    """

    shards: str = ""
    photographs: str = ""
    looks: str = ""
    mattes: str = ""
    datasets: tuple[str, ...] = ()
    share: float = 1.0
    capture: str = ""
    split: Literal["official", "70/15/15"] = "official"
    license: str = ""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.shards, self.photographs, self.looks, self.capture))) != 1:
            raise InputError(
                "a source needs exactly one of shards =, photographs =, looks = and capture ="
            )
        if self.mattes and not self.photographs:
            raise InputError("mattes = belong to photographs =")
        if self.datasets and not self.photographs:
            raise InputError("datasets = belong to photographs =")


@dataclass(frozen=True)
class AugmentSettings:
    """How pictures are varied. Angles in radians, shifts and scales as shares of the crop.

    Attributes:
        shift, log_scale, angle: standard deviations of the crop's jitter.
        turned: share of crops with any angle at all, as a mistaken detector gives them.
        other_side: share of crops shown with the wrong side, to learn the side.
        no_hand: share of crops or frames in which there is no hand.
        faults: strength of the camera's faults added to renders, which have some already.
        photograph_faults: the same for photographs, whose rooms and cameras are few.
        stretch: standard deviation of the logarithm by which half of the photographs are stretched
            along some direction, as if the hand were turned; their 2D labels follow.
        recomposed: share of the photographs that have a matte that are put before another
            background, their skin in another light.
        backgrounds: folder of photographs without hands, for that; beside the few that ship.
        window: side of the part of its input that the detector is shown, px, mostly with a hand in
            it; 0 for all of it. A quarter of the input costs a quarter of the time.
        cutout: share of pictures with a patch painted over.
    """

    shift: float = 0.05
    log_scale: float = 0.12
    angle: float = 0.25
    turned: float = 0.05
    other_side: float = 0.06
    no_hand: float = 0.06
    faults: float = 0.5
    photograph_faults: float = 0.5
    stretch: float = 0.0
    recomposed: float = 0.0
    backgrounds: str = ""
    window: int = 0
    cutout: float = 0.15


@dataclass(frozen=True)
class OptimiserSettings:
    """AdamW or Muon, a warm-up, a long plateau and a linear decay to nothing.

    The schedule follows the time budget, not a number of steps: the same recipe then ends well
    on any machine, and an interrupted run goes on with the budget it has left.

    Attributes:
        kind: adamw, or muon (``train/optimiser.py``), which is for convolutions above all.
        minutes: training time, interruptions not counted.
        rate: of the plateau.
        weight_decay: share of the rate by which weights shrink each step.
        warmup, decay: shares of the budget.
        batch: samples per step.
        clip: largest norm of the gradient.
        average: decay of the moving average of the weights that is exported.
        frozen_blocks: first backbone blocks left as they were at the start.
        half: convolutions of the keypoint network, or of that of both hands, in bfloat16 while they
            train; processors with AMX do them several times faster. GPUs always do.
        only: train only the weights whose names begin so (``keypoints.beside``), or empty: all.
    """

    kind: Literal["adamw", "muon"] = "adamw"
    minutes: float = 60.0
    rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.02
    decay: float = 0.4
    batch: int = 64
    clip: float = 5.0
    average: float = 0.998
    frozen_blocks: int = 0
    half: bool = False
    only: str = ""


@dataclass(frozen=True)
class Recipe:
    """One training run.

    Attributes:
        kind: which network.
        name: of the run; its files are in ``runs/<name>``.
        seed: of everything random.
        version: written into the exported file.
        sources: where training pictures come from (none are needed for the lifter, which poses
            hands, for the temporal stage, which moves them, and for the pair stage).
        posed: hands without pictures (``train/poses.py``) that the lifter learns from beside each
            crop; for keypoints.
        shown: hands as people show them (``data/shown.py``), or empty: some of the posed hands are
            such.
        workers: processes that prepare batches.
        threads: of the training itself, 0 for all.
        devices: GPUs to train on, 0 for all there are; where there is none, processes on the CPU, 0
            for one. Each takes batches of its own.
        both_hands: how networks that see both hands in one crop are trained.
        start_keypoints, start_lifter, start_detector, start_internet, start_both: checkpoints to
            start from, or ``knuckle`` for the shipped networks; the temporal stage and the pair
            stage follow the lifter named here, the epipolar stage sees as the keypoint network.
        start_backbone: ``hand_landmark_full.tflite``, where the backbone's shape is "landmark" and
            nothing else says from what it starts (``models/landmark_features.py``).
        start_partly: take over only what has the same name and shape, after a change of a network;
            the rest begins anew.
        validate_minutes: time between validations and checkpoints.
    """

    kind: Kind
    name: str
    seed: int = 0
    version: str = "0"
    sources: tuple[SourceSettings, ...] = ()
    keypoints: KeypointSettings = field(default_factory=KeypointSettings)
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    lifter: LifterSettings = field(default_factory=LifterSettings)
    temporal: TemporalSettings = field(default_factory=TemporalSettings)
    pair: PairSettings = field(default_factory=PairSettings)
    internet: InterNetSettings = field(default_factory=InterNetSettings)
    both: BothSettings = field(default_factory=BothSettings)
    epipolar: EpipolarSettings = field(default_factory=EpipolarSettings)
    both_hands: BothHandsTraining = field(default_factory=BothHandsTraining)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    posed: int = 0
    shown: str = ""
    workers: int = 1
    threads: int = 0
    devices: int = 0
    start_keypoints: str = ""
    start_lifter: str = ""
    start_detector: str = ""
    start_backbone: str = ""
    start_internet: str = ""
    start_both: str = ""
    start_partly: bool = False
    validate_minutes: float = 10.0

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Read a recipe.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not TOML, an option is unknown, or a value has the wrong type.
        """
        path = Path(path)
        with reading(path, "a recipe", "see docs/training.md and those in recipes/"):
            try:
                values = tomllib.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                raise NotFoundError(f"recipe {path} does not exist; see recipes/") from None
            except tomllib.TOMLDecodeError as error:
                raise InputError(f"recipe {path} is not TOML: {error}; mend it there") from None
            recipe: Recipe = _build(cls, values, str(path))
            recipe._refuse_what_nothing_reads(str(path))
            return recipe

    @property
    def license(self) -> str:
        """Of the weights: the strictest that a source names; empty for Knuckle's own."""
        return " AND ".join(sorted({source.license for source in self.sources} - {""}))

    def _refuse_what_nothing_reads(self, where: str) -> None:
        if self.augment.recomposed and not any(source.mattes for source in self.sources):
            raise InputError(f"{where}: recomposed = needs a source with mattes =")
        if self.augment.window and self.kind != "detector":
            raise InputError(f"{where}: window = is for the detector, this trains {self.kind!r}")
        if self.optimiser.half and self.kind not in ("keypoints", "interhand"):
            raise InputError(f"{where}: half = is for networks that see crops, not {self.kind!r}")
        if self.posed and self.kind != "keypoints":
            raise InputError(f"{where}: posed = is for keypoints, this trains {self.kind!r}")
        if self.shown and self.kind != "lifter" and not self.posed:
            raise InputError(f"{where}: shown = needs posed hands, of which there are none")

    @classmethod
    def load_json(cls, path: Path) -> Recipe:
        """Read the copy of the recipe that a run keeps.

        Raises:
            FileNotFoundError: there is no such run.
        """
        if not path.exists():
            raise NotFoundError(f"{path.parent} is no training run: it has no {path.name}")
        with reading(path, "the recipe of a run", "give the folder of another run"):
            recipe: Recipe = _build(cls, json.loads(path.read_text(encoding="utf-8")), str(path))
            return recipe


def _build(kind: type, values: dict[str, Any], where: str) -> Any:
    """A (nested) dataclass from a dictionary that may only hold its fields."""
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
        return tuple(_value(inner, item, where) for item in value)
    if typing.get_origin(expected) in (Literal, types.UnionType):
        if value not in typing.get_args(expected):
            raise InputError(f"{where} must be one of {typing.get_args(expected)}, got {value!r}")
        return value
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, expected):
        raise InputError(f"{where} must be {expected.__name__}, got {value!r}")
    return value
