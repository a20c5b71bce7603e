"""Verbs that train networks and measure them on data sets."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from knuckle.cli.verb import Dataset, Number, Output, SplitName, Switch, optional
from knuckle.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from knuckle.data.interhand26m import Selection
    from knuckle.data.labelled import LabelledSet
    from knuckle.evaluate.predictions import Predictions
    from knuckle.train.recipe import Recipe

#: Files of a training run that stand for the run.
CHECKPOINTS = (".ckpt", ".pt")

#: Options of ``knuckle evaluate`` that choose and score pictures.
_SCORING = ("protocol", "no_pictures", "annotation", "hands", "clean")
#: ... and those that each kind of model heeds, beside its data set, split and output.
_HEEDED = {
    "several cameras": ("views",),
    "a file of predictions": _SCORING,
    "a network of both hands": (*_SCORING, "root_depth", "decoding"),
    "networks of one hand": (*_SCORING, "boxes", "intrinsics"),
}


@dataclass(frozen=True)
class Train:
    """Train a network from a recipe; run it again to resume an interrupted training."""

    recipe: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """A TOML file; those of the shipped networks are in recipes/."""
    runs: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("runs")
    """Folder of all runs."""
    fresh: Switch = False
    """Start over, even if the run has begun before."""
    data: Annotated[Path | None, optional("DATASET")] = None
    """Folder of a data set, such as InterHand2.6M, instead of the recipe's first capture."""
    split: Annotated[Literal["official", "70/15/15"] | None, optional("{official,70/15/15}")] = None
    """Train on its own train split, or on 70 % of its people; by default what the recipe says."""
    minutes: Number = None
    """Train for this many minutes, instead of the recipe's time or epochs."""
    pause_after: Annotated[float, optional("MINUTES")] = math.inf
    """Pause after this many minutes; the same command then resumes."""

    def run(self) -> int:
        """Train until the recipe's time is spent."""
        from knuckle.output import make_folder
        from knuckle.progress import bar
        from knuckle.train.recipe import Recipe
        from knuckle.train.run import train
        from knuckle.train.sitting import is_first_process

        if not self.pause_after > 0:
            raise InputError(f"--pause-after must be more than 0 minutes, got {self.pause_after:g}")
        recipe = self._changed(Recipe.load(self.recipe))
        runs = make_folder(self.runs)
        with bar("trained") if is_first_process() else nullcontext(lambda done, of: None) as told:
            weights = train(
                recipe, runs, fresh=self.fresh, pause_minutes=self.pause_after, on_progress=told
            )
        if is_first_process():
            print(f"{weights}\nnext: knuckle export {quote(str(weights.parent))} --output FOLDER")
        return 0

    def _changed(self, recipe: Recipe) -> Recipe:
        """The recipe with what the command line says."""
        from knuckle.train.both_hands import BothHandsRecipe
        from knuckle.train.captures import with_data
        from knuckle.train.licences import marked

        if self.data or self.split or any(source.capture for source in recipe.sources):
            recipe = with_data(recipe, self.data, self.split)
        recipe = marked(recipe)
        if recipe.license:
            print(f"weights trained on this are under {recipe.license}")
        if self.minutes is None:
            return recipe
        if isinstance(recipe, BothHandsRecipe):
            clock = replace(recipe.both_hands, epochs=0, drops=())
            recipe = replace(recipe, both_hands=clock)
        return replace(recipe, optimiser=replace(recipe.optimiser, minutes=self.minutes))


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a system on a data set with a named protocol."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A file of predictions, or networks: a folder, an ONNX file, a training run or its checkpoint.
    "knuckle": the networks in the package, which also replace those missing in a folder.
    "rig": several cameras together (see --views)."""
    dataset: Dataset
    """Folder of a data set as unpacked; its kind is recognised by its files."""
    split: SplitName = "all"
    """One of its splits, all, or 70/15/15:train, :val, :test (a new division without leaks).
    "both": its test split and 70/15/15:test, one after the other."""
    protocol: Annotated[str, tyro.conf.arg(metavar="NAME")] = "knuckle"
    """How to score: knuckle, moon, mmpose or intaghand (docs/predictions.md)."""
    boxes: Literal["own", "true"] = "own"
    """Detect the hands, or use the true boxes."""
    intrinsics: Literal["given", "assumed"] = "given"
    """Use the true camera, or assume a field of view."""
    root_depth: Literal["true", "own"] = "true"
    """Networks of both hands (internet, interhand): use the wrist's true depth, or estimate it."""
    decoding: Literal["soft", "argmax"] = "soft"
    """InterNet: the mean around the highest cell, or that cell, as published."""
    output: Output = None
    """Folder for predictions, numbers, plots and the worst hands.
    By default one in evaluation/, named after model, data set, split, boxes and intrinsics.
    Other protocols and subsets of hands get a subfolder for their numbers, such as moon."""
    no_pictures: Switch = False
    """Skip everything that needs reading the pictures again."""
    annotation: Literal["all", "human", "machine"] = "all"
    """InterHand2.6M: labels made by people, by a network, or all (H, M, H+M in the papers)."""
    hands: Literal["all", "single", "two"] = "all"
    """InterHand2.6M: only pictures of one hand, or of two."""
    clean: Switch = False
    """InterHand2.6M: leave out pictures and labels with known flaws. The papers keep them."""
    views: Annotated[str, optional("NAME,NAME")] = ""
    """Rig: names of InterHand2.6M's cameras, separated by commas; the first n make a rig of n."""

    def run(self) -> int:
        """Predict, unless predictions were given; score, print and write."""
        from knuckle.data.datasets import leak_report, open_dataset
        from knuckle.evaluate.predictions import read_predictions
        from knuckle.evaluate.report import print_report, publish
        from knuckle.evaluate.run import evaluate, protocol_named
        from knuckle.output import kept_if_used

        if self.output is None:
            return replace(self, output=self._default_folder()).run()
        kind = self._kind()
        self._refuse_all_but(_HEEDED[kind], kind)
        if kind == "several cameras":
            return self._run_rig(self.output)
        protocol_named(self.protocol)  # before hours of predicting, not after
        if self.split == "both":
            for split in ("test", "70/15/15:test"):
                folder = self.output / split.replace("/", "_").replace(":", "_")
                print(f"\nsplit {split}")
                replace(self, split=split, output=folder).run()
            return 0
        dataset = open_dataset(self.dataset, self.split, selection=self._selection())
        print(dataset.report)
        print(leak_report(self.dataset, self.split, selection=self._selection()))
        if said := self._not_held_out():
            print(said)
        with kept_if_used(self.output):
            if kind == "a file of predictions":
                predictions = read_predictions(Path(self.model))
            else:
                predictions = self._predict(dataset, self.output)
            evaluation = evaluate(dataset, predictions, self.protocol)
        print_report(evaluation)
        for path in publish(evaluation, self._reports(), pictures=not self.no_pictures):
            print(f"  {path}")
        return 0

    def _not_held_out(self) -> str:
        """A sentence if a run of both hands may have been trained on what is scored, else empty."""
        from knuckle.train.captures import not_held_out
        from knuckle.train.recipe import Recipe

        run = network_of_both_hands(Path(self.model))
        if run is None or not run.is_dir():
            return ""
        return not_held_out(Recipe.load_json(run / "recipe.json"), self.dataset, self.split)

    def _kind(self) -> str:
        """Of the model, a key of ``_HEEDED``."""
        given = Path(self.model)
        if self.model == "rig":
            return "several cameras"
        if given.is_file() and given.suffix not in (".onnx", *CHECKPOINTS):
            return "a file of predictions"
        return "a network of both hands" if network_of_both_hands(given) else "networks of one hand"

    def _refuse_all_but(self, heeded: Sequence[str], kind: str) -> None:
        """Refuse options that would change nothing."""
        for item in fields(self):
            of_others = item.name in chain(*_HEEDED.values()) and item.name not in heeded
            if of_others and getattr(self, item.name) != item.default:
                raise InputError(
                    f"--{item.name.replace('_', '-')} changes nothing for {kind} ({self.model}): "
                    "leave it out"
                )

    def _run_rig(self, output: Path) -> int:
        """Track with several cameras together; print and write the table."""
        from knuckle.data.interhand_release import SPLITS, find_release
        from knuckle.data.json_stream import MissingDataError
        from knuckle.evaluate.rig import evaluate_rig
        from knuckle.output import kept_if_used
        from knuckle.progress import bar

        def is_there(split: str) -> bool:
            try:
                return bool(find_release(self.dataset, split))
            except MissingDataError:
                return False

        wished = SPLITS if self.split == "all" else (self.split,)
        splits = [split for split in wished if is_there(split)] or list(wished)
        names = [name.strip() for name in self.views.split(",") if name.strip()]
        with kept_if_used(output), bar("time steps") as advance:
            evaluation = evaluate_rig(self.dataset, splits, names, on_progress=advance)
        print(evaluation.table())
        print(f"  {evaluation.save(output)}")
        return 0

    def _default_folder(self) -> Path:
        """One for each system, what it is told, data set and split, so that no answers meet."""
        said = [Path(self.model).stem, self.dataset.resolve().name, self.split]
        said += [f"{self.boxes}_boxes"] * (self.boxes != "own")
        said += [f"{self.intrinsics}_intrinsics"] * (self.intrinsics != "given")
        return Path("evaluation", re.sub(r"[^\w.-]+", "_", "-".join(said)))

    def _reports(self) -> Path:
        """Where the numbers go: answers are shared between ways to score them, numbers are not."""
        scored = [self.protocol, self.annotation, self.hands, "clean" if self.clean else "all"]
        other = [name for name in scored if name not in ("knuckle", "all")]
        return Path(self.output or ".", "-".join(other))

    def _selection(self) -> Selection | None:
        """Which records count; a data set that has none to select from refuses any wish."""
        from knuckle.data.datasets import recognise
        from knuckle.data.interhand26m import InterHand26M, Selection

        wished = (self.annotation, self.hands, self.clean) != ("all", "all", False)
        if recognise(self.dataset) != InterHand26M.name and not wished:
            return None
        base = Selection() if self.clean else Selection.official()
        return replace(base, annotation=self.annotation, hands=self.hands)

    def _predict(self, dataset: LabelledSet, output: Path) -> Predictions:
        from knuckle.progress import bar

        if network := network_of_both_hands(Path(self.model)):
            from knuckle.cli.both_hands import predict_both

            path = output / "predictions.jsonl"
            with bar("pictures") as advance:
                return predict_both(
                    network, dataset, path, self.decoding, self.root_depth, on_progress=advance
                )
        from knuckle.evaluate.predictions import System
        from knuckle.evaluate.run import predict
        from knuckle.pipeline import HandEstimator

        # A folder of that name, as a clone has, is ./knuckle.
        weights = (
            None
            if self.model == "knuckle"
            else complete_networks(Path(self.model), output / "weights")
        )
        estimator = HandEstimator(weights_dir=weights)
        versions = " ".join(f"{kind} {number}" for kind, number in estimator.versions.items())
        name = f"{self.model} ({versions}, files {_digest(weights)})"
        system = System(name, self.boxes, self.intrinsics)
        path = output / "predictions.jsonl"
        with bar("pictures") as advance:
            return predict(dataset, estimator, system, path, on_progress=advance)


def _digest(weights: Path | None) -> str:
    """Of a folder's networks: trained on, they keep the version that their recipe says."""
    from knuckle.stages import weights_folder

    files = {path.name: path for path in weights_folder(weights).iterdir()}
    digest = hashlib.sha256()
    for name in sorted(name for name in files if name.endswith(".onnx")):
        digest.update(files[name].read_bytes())
    return digest.hexdigest()[:8]


def network_of_both_hands(given: Path) -> Path | None:
    """The training run or the exported file of a network that sees both hands, or None.

    ``given``: a run, a checkpoint in it, an ONNX file, or a folder that holds one of these files.

    Raises:
        ValueError: a folder holds several.
    """
    folder = given.parent if given.suffix in CHECKPOINTS else given
    if (folder / "recipe.json").is_file():
        from knuckle.train.both_hands import BothHandsRecipe
        from knuckle.train.recipe import Recipe

        recipe = Recipe.load_json(folder / "recipe.json")
        return folder if isinstance(recipe, BothHandsRecipe) else None
    from knuckle.stages import STAGES, read_card
    from knuckle.stages.both_hands import SEE_BOTH

    if given.is_file() and given.suffix == ".onnx":
        return given if STAGES.get(read_card(given).kind) in SEE_BOTH else None
    there = {kind for kind in STAGES if (given / f"{kind}.onnx").is_file()}
    if not there or not all(STAGES[kind] in SEE_BOTH for kind in there):
        return None
    if len(there) > 1:
        raise InputError(f"{given} holds several networks of both hands; give one of the files")
    return given / f"{there.pop()}.onnx"


def complete_networks(given: Path, folder: Path) -> Path:
    """A folder with a network of every kind: the given ones, and the package's for the rest.

    ``given``: a folder of networks, one ONNX file, or a training run or a checkpoint in it, whose
    averaged weights are exported. They are put together in ``folder``.

    Returns:
        ``given`` if nothing is missing in it, else ``folder``.
    """
    from knuckle.stages import needed, read_card, weights_folder

    if given.is_dir() and all((given / f"{kind}.onnx").is_file() for kind in needed()):
        return given
    if given.is_file() and given.suffix in CHECKPOINTS:
        given = given.parent
    if (given / "recipe.json").is_file():
        from knuckle.export import export

        networks = export(given, folder)
    else:
        networks = sorted(given.glob("*.onnx")) if given.is_dir() else [given]
    if not networks or not all(path.is_file() for path in networks):
        raise NotFoundError(
            f"{given} is no file of predictions, no network, no folder of networks and no training "
            "run; give one of them, or knuckle for the networks in the package"
        )
    folder.mkdir(parents=True, exist_ok=True)
    package = weights_folder(None)
    of_kind = {kind: package / f"{kind}.onnx" for kind in needed()}
    of_kind |= {read_card(path).kind: path for path in networks}
    for kind, path in of_kind.items():
        if path != folder / f"{kind}.onnx":
            (folder / f"{kind}.onnx").write_bytes(path.read_bytes())
    return folder
