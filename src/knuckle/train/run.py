"""``knuckle train RECIPE``: the run, from the recipe to a checkpoint ready for export.

A run lives in ``runs/<name>``: ``last.ckpt`` (everything, to resume), ``weights.pt`` (the averaged
weights in half precision, to export or start from), ``curves/0/metrics.csv`` (every loss; a folder
a sitting), ``scores.jsonl`` (validation errors), ``samples/`` (pictures of what the network sees
and says). Starting it again goes on where it was; what a fresh one finds there it moves to
``earlier/``.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import pickle
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from knuckle.data.labelled import OnProgress
from knuckle.errors import InputError, KnuckleError, hearing, reading
from knuckle.train.captures import check_same_division
from knuckle.train.kind import module_of, training_batches, validation_batches
from knuckle.train.licences import marked
from knuckle.train.modules import TrainedModule
from knuckle.train.recipe import Recipe
from knuckle.train.samples import SamplePictures
from knuckle.train.sitting import (
    NEVER,
    CountDormant,
    MeanWeights,
    PauseAfter,
    SaveAtEnd,
    SaveWeights,
    SayProgress,
    StopBySignal,
    ValidateByClock,
    WholeFiles,
    is_first_process,
)
from knuckle.train.streams import plain_errors
from knuckle.train.weights import differing, part_of, weights_named, what_fits

#: A run that is killed loses at most this much.
_CHECKPOINT_EVERY = timedelta(minutes=2)
#: What a run leaves behind.
_LEFT = ("weights.pt", "scores.jsonl", "last.ckpt", "recipe.json", "curves", "samples")
#: What Lightning warns of although it is meant so.
_EXPECTED = (
    "Checkpoint directory .* exists and is not empty",  # the run's own folder
    ".*does not have many workers",  # the recipe says how many
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # within Lightning
    r"Found \d+ module\(s\) in eval mode",  # what does not learn keeps what it knows of pictures
)


def train(
    recipe: Recipe,
    runs: Path = Path("runs"),
    *,
    fresh: bool = False,
    pause_minutes: float = math.inf,
    on_progress: OnProgress = lambda done, of: None,
) -> Path:
    """Train until the recipe's time is spent; resume if the run has begun before.

    A ``fresh`` run puts aside what is there. After ``pause_minutes`` it stops, measured and saved;
    the same recipe goes on from there.

    Returns:
        Path of ``weights.pt``.

    Raises:
        ValueError: it began by another split of its data.
        Stopped: a signal came (SIGINT, SIGTERM); the same recipe goes on from there.
    """
    folder = runs / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    checkpoint = folder / "last.ckpt"
    resume = checkpoint if checkpoint.exists() and not fresh else None
    # Another seed in each sitting, or the pictures of the first would come again; from the step
    # and not from the clock, so that all processes have the same.
    steps = _steps_of(resume) if resume else 0
    L.seed_everything((recipe.seed + steps) % 2**31, workers=True, verbose=False)
    if resume and is_first_process() and (folder / "recipe.json").exists():
        check_same_division(recipe, Recipe.load_json(folder / "recipe.json"))
    recipe = marked(recipe, resume)
    module = module_of(recipe)
    training, loaders = training_batches(recipe), validation_batches(recipe)
    if not resume:
        module.begin()
    start_from(module, recipe)
    _train_only(module, recipe.optimiser.only)
    if resume:
        _check_same_network(resume, module)
    if not resume and is_first_process():  # what it started from may be the run itself
        put_aside(folder)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # devices, tips of the day
    stop = StopBySignal(checkpoint)
    others = [stop, PauseAfter(pause_minutes), SayProgress(on_progress)]
    trainer = _trainer(recipe, folder, others)
    trainer.validation_names = list(loaders)  # type: ignore[attr-defined]
    if is_first_process():
        (folder / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe), indent=1))
    with _errors_as_ours(stop):
        trainer.fit(
            module.to(memory_format=torch.channels_last),
            training,
            list(loaders.values()),
            ckpt_path=resume,
            weights_only=True,
        )
    return folder / "weights.pt"


@contextmanager
def _errors_as_ours(stop: StopBySignal) -> Iterator[None]:
    """Lightning runs: without warnings that are expected, and its errors become Knuckle's."""
    with warnings.catch_warnings():
        for said in _EXPECTED:
            warnings.filterwarnings("ignore", message=said)
        # The momentum of units that have died fades into denormal numbers, on which Muon's products
        # take ten times as long.
        torch.set_flush_denormal(True)
        try:
            with hearing((signal.SIGINT, signal.SIGTERM), stop.hear), plain_errors():
                yield
        except SystemExit:  # Lightning's answer to every KeyboardInterrupt
            raise stop.told() from None
        except RuntimeError as error:
            if stop.number:  # which reached a worker too
                raise stop.told() from None
            if str(error).startswith("DataLoader worker"):
                raise _loader_gone(error) from None
            raise
        finally:
            torch.set_flush_denormal(False)


def _loader_gone(error: RuntimeError) -> KnuckleError:
    """What torch says when a process that loads data has died; mostly the system has killed it."""
    said = str(error).partition(". ")[0].rstrip(".")
    return KnuckleError(
        f"a process that loads pictures ended before its time ({said}), mostly for want of memory: "
        "set fewer workers in the recipe; the same command goes on from the last checkpoint"
    )


def put_aside(folder: Path) -> None:
    """Move what an earlier run left into ``earlier/N``: its scores must not judge the new one.

    It is whole there, with its recipe, and can be exported or started from.
    """
    left = [folder / name for name in _LEFT if (folder / name).exists()]
    if not left:
        return
    aside = folder / "earlier" / str(len(list(folder.glob("earlier/*"))))
    aside.mkdir(parents=True)
    for path in left:
        path.rename(aside / path.name)
    print(f"{folder} begins anew; what was there is in {aside}", flush=True)


def _steps_of(path: Path) -> int:
    """Steps of a checkpoint; ``ValueError`` if it is damaged, or would run a program when read."""
    advice = "begin anew with --fresh"
    broken = (pickle.UnpicklingError, RuntimeError)
    with reading(path, "the checkpoint of a run: numbers and weights", advice, also=broken):
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if "state_dict" not in state:
            raise InputError(f"{path} holds no weights: {advice}")
        return int(state["global_step"])


def _check_same_network(path: Path, module: TrainedModule) -> None:
    """``ValueError`` if the recipe now describes another network than that of its checkpoint."""
    before = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    if differ := differing(before, module.state_dict()):
        raise InputError(
            f"the recipe describes another network than {path.parent} began with: {len(differ)} "
            f"weights differ in shape or are missing, {differ[0]} for example; undo the change, "
            "begin anew with --fresh, or give the recipe another name ="
        )


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """An exponential average that is short while training is young, so that it forgets the start.

    The rule of TensorFlow's ``ExponentialMovingAverage``: min(decay, (1 + n) / (10 + n)).
    """

    def average(mean: Tensor, new: Tensor, n: Tensor) -> Tensor:
        weight = torch.clamp((1 + n) / (10 + n), max=decay)
        return mean.lerp(new, 1 - weight.to(mean)) if mean.is_floating_point() else new

    return average


def _devices(asked: int) -> int:
    """How many processes train; ``InputError`` if more than this machine has devices for."""
    gpus, processors = torch.cuda.device_count(), os.cpu_count() or 1
    if asked > (gpus or processors):
        found = f"{gpus} GPUs" if gpus else f"no GPU, and {processors} processors"
        raise InputError(
            f"devices = {asked} in the recipe: this machine has {found}; leave it out for all the "
            "GPUs there are, or for one process without any"
        )
    return asked or max(gpus, 1)


def _trainer(recipe: Recipe, folder: Path, others: list[L.Callback]) -> L.Trainer:
    """Lightning, validating and checkpointing by the clock, on all GPUs or on the CPU."""
    sittings = len(list(folder.glob("curves/*")))  # each keeps its own curves
    every = timedelta(minutes=recipe.validate_minutes)
    gpus, devices = torch.cuda.device_count(), _devices(recipe.devices)
    return L.Trainer(
        max_epochs=-1,
        accelerator="gpu" if gpus else "cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        use_distributed_sampler=False,  # each process draws its own examples
        precision="32-true",  # networks say where bfloat16 is enough: never where places come out
        gradient_clip_val=recipe.optimiser.clip,
        logger=CSVLogger(folder, name="curves", version=str(sittings)),
        callbacks=[
            SaveAtEnd(folder / "last.ckpt"),  # first: averaging ends with its mean in the network
            # These see the mean, and what comes behind it the weights that learn.
            CountDormant(),
            SaveWeights(folder),
            SamplePictures(folder / "samples"),
            MeanWeights(avg_fn=moving_average(recipe.optimiser.average)),
            *others,
            ValidateByClock(every),
            ModelCheckpoint(
                folder,
                filename="last",
                train_time_interval=min(every, _CHECKPOINT_EVERY),
                save_top_k=1,
                enable_version_counter=False,
            ),
        ],
        plugins=[WholeFiles()],
        val_check_interval=NEVER,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=50,
        enable_model_summary=False,
        enable_progress_bar=False,  # the command line has one, over all epochs
    )


def _train_only(module: TrainedModule, prefix: str) -> None:
    """Leave all weights as they are whose names do not begin with ``prefix``; some must do so."""
    weights = dict(module.named_parameters())
    if not any(name.startswith(prefix) for name in weights):
        there_are = ", ".join(sorted({".".join(name.split(".")[:2]) for name in weights}))
        raise InputError(f"only = {prefix!r}: no weight is named so; there are {there_are}")
    for name, parameter in weights.items():
        if not name.startswith(prefix):
            parameter.requires_grad_(False)
    module.train()


def start_from(module: TrainedModule, recipe: Recipe) -> None:
    """Take over the weights of earlier runs, each into its part of the module.

    Raises:
        ValueError: they are of another network, and the recipe does not take what fits.
    """
    for part, path in recipe.starts.items():
        if not path or not hasattr(module, part):
            continue
        named = "keypoints" if part == "both" and path == "knuckle" else part
        loaded, network = weights_named(path, named), getattr(module, part)
        weights = part_of(loaded, part)
        if part == "both" and not weights:  # the shipped keypoint network has the same pyramid
            weights = part_of(loaded, "keypoints")
        if not weights:
            held = " and ".join(sorted({name.partition(".")[0] for name in loaded})) or "nothing"
            raise InputError(
                f"start_{part} = {path!r}: expected weights of {part}, found those of {held}: name "
                "a run or an exported file of the same kind of network"
            )
        if recipe.start_partly:
            weights = what_fits(weights, network.state_dict())
        if differ := differing(weights, network.state_dict()):
            raise InputError(
                f"start_{part} = {path!r}: expected the weights of this recipe's network, but "
                f"{len(differ)} differ in shape or are missing, {differ[0]} for example; "
                f"start_partly = true takes over the others"
            )
        network.load_state_dict(weights)
