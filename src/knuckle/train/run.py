"""``knuckle train RECIPE``: the run, from the recipe to a checkpoint ready for export.

A run lives in ``runs/<name>``: ``last.ckpt`` (everything, to resume), ``weights.pt`` (the averaged
weights in half precision, to export or start from), ``curves/0/metrics.csv`` (every loss; a folder
a sitting), ``scores.jsonl`` (validation errors), ``samples/`` (pictures of what the network sees
and says). Starting it again goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import pickle
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from knuckle.errors import InputError, reading
from knuckle.train.kinds import BOTH_HANDS, SEVERAL_VIEWS, BothHandsModule, loaders_for
from knuckle.train.modules import MODULES, TrainedModule
from knuckle.train.recipe import Recipe
from knuckle.train.samples import SamplePictures
from knuckle.train.weights import differing, part_of, weights_named, what_fits

#: A run that is killed loses at most this much.
_CHECKPOINT_EVERY = timedelta(minutes=2)
#: So many steps are more than any run has.
_NEVER = 10**12
#: What Lightning warns of although it is meant so.
_EXPECTED = (
    "Checkpoint directory .* exists and is not empty",  # the run's own folder
    ".*does not have many workers",  # the recipe says how many
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # within Lightning
)


def train(recipe: Recipe, runs: Path = Path("runs"), *, fresh: bool = False) -> Path:
    """Train until the recipe's time is spent; resume if the run has begun before.

    Args:
        recipe: what to train.
        runs: folder of all runs.
        fresh: begin anew even if there is a checkpoint.

    Returns:
        Path of ``weights.pt``.

    Raises:
        KeyboardInterrupt: it was interrupted; the same recipe goes on from the last checkpoint.
    """
    folder = runs / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    module = module_of(recipe)
    training, loaders = loaders_for(recipe, module)
    checkpoint = folder / "last.ckpt"
    resume = checkpoint if checkpoint.exists() and not fresh else None
    if isinstance(module, BothHandsModule) and not resume:
        module.begin()
    _start_from(module, recipe)
    _train_only(module, recipe.optimiser.only)
    if resume:
        L.seed_everything(int(time.time()) % 2**31, workers=True, verbose=False)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # devices, tips of the day
    trainer = _trainer(recipe, folder)
    trainer.validation_names = list(loaders)  # type: ignore[attr-defined]
    if is_first_process():
        (folder / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe), indent=1))
    with warnings.catch_warnings():
        for said in _EXPECTED:
            warnings.filterwarnings("ignore", message=said)
        if resume:
            _check_checkpoint(resume)
        # The momentum of units that have died fades into denormal numbers, on which Muon's products
        # take ten times as long.
        torch.set_flush_denormal(True)
        try:
            trainer.fit(
                module.to(memory_format=torch.channels_last),
                training,
                list(loaders.values()),
                ckpt_path=resume,
                weights_only=True,
            )
        except SystemExit:  # Lightning's answer to Ctrl-C; ours is the command line's
            raise KeyboardInterrupt from None
        finally:
            torch.set_flush_denormal(False)
    trainer.save_checkpoint(checkpoint)
    return folder / "weights.pt"


def module_of(recipe: Recipe) -> TrainedModule:
    """The network of a recipe with its losses, at its first weights."""
    return (MODULES | BOTH_HANDS | SEVERAL_VIEWS)[recipe.kind](recipe)


def _check_checkpoint(path: Path) -> None:
    """Refuse a checkpoint that is damaged, or that would run a program when it is read."""
    advice = "begin anew with --fresh"
    broken = (pickle.UnpicklingError, RuntimeError)
    with reading(path, "the checkpoint of a run: numbers and weights", advice, also=broken):
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if "state_dict" not in state:
            raise InputError(f"{path} holds no weights: {advice}")


def is_first_process() -> bool:
    """Whether this is the first, or the only one, of the processes that train together."""
    rank: int = getattr(rank_zero_only, "rank", 0)
    return rank == 0


class SaveWeights(L.Callback):
    """Keep the averaged weights in half precision beside the full checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Validation runs on the averaged weights: save what was measured."""
        if not is_first_process() or not isinstance(module, TrainedModule):
            return
        scores = {k: round(float(v), 4) for k, v in trainer.callback_metrics.items()}
        if self._is_best(scores, module):
            self._save(module)
        line = {"step": trainer.global_step, "progress": round(module.progress, 3), **scores}
        with (self.folder / "scores.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        told = ", ".join(f"{name} {value:g}" for name, value in scores.items())
        print(f"{module.progress:4.0%} of the time, step {trainer.global_step}: {told}", flush=True)

    def _save(self, module: TrainedModule) -> None:
        half = {
            name: value.half() if value.is_floating_point() else value
            for name, value in module.state_dict().items()
        }
        partial = self.folder / "weights.partial"
        try:
            torch.save(half, partial)
        except RuntimeError as error:  # torch has no error of its own for a full disk
            raise OSError(
                f"cannot write {partial}: is the disk full? What was saved before is kept ({error})"
            ) from None
        partial.rename(self.folder / "weights.pt")

    def _is_best(self, scores: dict[str, float], module: TrainedModule) -> bool:
        """Whether to keep these weights: always, unless the kind says what decides."""
        key = next((key for key in scores if key.endswith("/" + module.decides)), "")
        if not module.decides or not key or not (self.folder / "weights.pt").exists():
            return True
        lines = self.folder / "scores.jsonl"
        before = lines.read_text().splitlines() if lines.exists() else []
        best = min((json.loads(line).get(key, math.inf) for line in before), default=math.inf)
        return bool(scores[key] <= best)


class ValidateByClock(L.Callback):
    """Validate every so often, all processes after the same step: the first one's clock decides.

    Lightning's own interval of time asks each process for itself. One that validates while another
    trains on would wait for it forever.
    """

    def __init__(self, every: timedelta) -> None:
        self.every_s = every.total_seconds()
        self._last = 0.0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock."""
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Tell the loop, which asks after each step, whether this is one to validate after."""
        due = trainer.strategy.broadcast(time.monotonic() - self._last >= self.every_s)
        trainer.val_check_batch = 1 if due else _NEVER

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock again."""
        self._last = time.monotonic()


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """An exponential average that is short while training is young, so that it forgets the start.

    The rule of TensorFlow's ``ExponentialMovingAverage``: min(decay, (1 + n) / (10 + n)).
    """

    def average(mean: Tensor, new: Tensor, n: Tensor) -> Tensor:
        weight = torch.clamp((1 + n) / (10 + n), max=decay)
        return mean.lerp(new, 1 - weight.to(mean)) if mean.is_floating_point() else new

    return average


def _trainer(recipe: Recipe, folder: Path) -> L.Trainer:
    """Lightning, validating and checkpointing by the clock, on all GPUs or on the CPU."""
    every = timedelta(minutes=recipe.validate_minutes)
    gpus = torch.cuda.device_count()
    devices = recipe.devices or max(gpus, 1)
    return L.Trainer(
        max_epochs=-1,
        accelerator="gpu" if gpus else "cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        use_distributed_sampler=False,  # each process draws its own examples
        precision="bf16-mixed" if gpus else "32-true",
        gradient_clip_val=recipe.optimiser.clip,
        logger=CSVLogger(folder, name="curves", version=str(_sittings(folder / "curves"))),
        callbacks=[
            WeightAveraging(avg_fn=moving_average(recipe.optimiser.average)),
            ValidateByClock(every),
            SaveWeights(folder),
            SamplePictures(folder / "samples"),
            ModelCheckpoint(
                folder,
                filename="last",
                train_time_interval=min(every, _CHECKPOINT_EVERY),
                save_top_k=1,
                enable_version_counter=False,
            ),
        ],
        val_check_interval=_NEVER,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=50,
        enable_model_summary=False,
        enable_progress_bar=False,  # a run has no epochs to count: a line a validation says more
    )


def _sittings(curves: Path) -> int:
    """How often the run was started before: each sitting keeps its own curves."""
    return len(list(curves.iterdir())) if curves.is_dir() else 0


def _train_only(module: TrainedModule, prefix: str) -> None:
    """Leave all weights as they are whose names do not begin with ``prefix``.

    Raises:
        ValueError: no name does.
    """
    chosen = [name for name, _ in module.named_parameters() if name.startswith(prefix)]
    if not chosen:
        parts = sorted({".".join(name.split(".")[:2]) for name, _ in module.named_parameters()})
        there_are = ", ".join(parts)
        raise InputError(f"only = {prefix!r}: no weight is named so; there are {there_are}")
    for name, parameter in module.named_parameters():
        if not name.startswith(prefix):
            parameter.requires_grad_(False)


def _start_from(module: TrainedModule, recipe: Recipe) -> None:
    """Take over the weights of earlier runs, each into its part of the module.

    Raises:
        ValueError: they are of another network, and the recipe does not take what fits.
    """
    for part in ("keypoints", "lifter", "detector", "internet", "both"):
        path = getattr(recipe, f"start_{part}")
        if not path or not hasattr(module, part):
            continue
        named = "keypoints" if part == "both" and path == "knuckle" else part
        loaded, network = weights_named(path, named), getattr(module, part)
        weights = part_of(loaded, part)
        if part == "both" and not weights:  # the shipped keypoint network has the same pyramid
            weights = part_of(loaded, "keypoints")
        if recipe.start_partly:
            weights = what_fits(weights, network.state_dict())
        if differ := differing(weights, network.state_dict()):
            raise InputError(
                f"start_{part} = {path!r}: expected the weights of this recipe's network, but "
                f"{len(differ)} differ in shape or are missing, {differ[0]} for example; "
                f"start_partly = true takes over the others"
            )
        network.load_state_dict(weights)
