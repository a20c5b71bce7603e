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
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from knuckle.errors import InputError, KnuckleError, Stopped, reading
from knuckle.train.kind import module_of, training_batches, validation_batches
from knuckle.train.modules import TrainedModule
from knuckle.train.recipe import Recipe
from knuckle.train.samples import SamplePictures
from knuckle.train.weights import differing, part_of, weights_named, what_fits

#: A run that is killed loses at most this much.
_CHECKPOINT_EVERY = timedelta(minutes=2)
#: Called with how many parts of a run are done, and of how many.
OnProgress = Callable[[int, int], None]
_PARTS = 10_000
#: So many steps are more than any run has.
_NEVER = 10**12
#: What Lightning warns of although it is meant so.
_EXPECTED = (
    "Checkpoint directory .* exists and is not empty",  # the run's own folder
    ".*does not have many workers",  # the recipe says how many
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # within Lightning
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

    Args:
        recipe: what to train.
        runs: folder of all runs.
        fresh: begin anew even if there is a checkpoint.
        pause_minutes: stop after so long, measured and saved; the same recipe goes on from there.
        on_progress: see ``OnProgress``.

    Returns:
        Path of ``weights.pt``.

    Raises:
        Stopped: a signal came (SIGINT, SIGTERM); the same recipe goes on from there.
    """
    folder = runs / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    module = module_of(recipe)
    training, loaders = training_batches(recipe), validation_batches(recipe)
    checkpoint = folder / "last.ckpt"
    resume = checkpoint if checkpoint.exists() and not fresh else None
    if not resume:
        module.begin()
    _start_from(module, recipe)
    _train_only(module, recipe.optimiser.only)
    if resume:
        L.seed_everything(int(time.time()) % 2**31, workers=True, verbose=False)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # devices, tips of the day
    stop = StopBySignal(checkpoint)
    others = [stop, PauseAfter(pause_minutes), SayProgress(on_progress)]
    trainer = _trainer(recipe, folder, others)
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
            with stop.listening():
                trainer.fit(
                    module.to(memory_format=torch.channels_last),
                    training,
                    list(loaders.values()),
                    ckpt_path=resume,
                    weights_only=True,
                )
        except SystemExit:  # Lightning's answer to every KeyboardInterrupt
            raise stop.told() from None
        except RuntimeError:  # a worker that the signal reached too
            if stop.number:
                raise stop.told() from None
            raise
        except KnuckleError as error:
            raise _plain(error) from None
        finally:
            torch.set_flush_denormal(False)
    trainer.save_checkpoint(checkpoint)
    return folder / "weights.pt"


def _plain(error: KnuckleError) -> KnuckleError:
    """An error of a process that loads data, without the traceback that torch puts before it."""
    text, name = str(error), f"{type(error).__name__}: "
    if text.startswith("Caught ") and name in text:
        text = text.rpartition(name)[2].strip()
    return type(error)(text)


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


class WholeFiles(TorchCheckpointIO):
    """A checkpoint takes the place of the last one when it is complete, whatever happens before.

    Lightning's own writing goes through the folder of temporary files, which may lie on another
    disk: then it is a copy, which a kill leaves half done.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        """Write it beside the last one, then put it in its place."""
        _write(checkpoint, Path(path))


def _write(state: dict[str, Any], path: Path) -> None:
    """A file of torch that is there whole or not at all.

    Raises:
        KnuckleError: there is no room for it.
    """
    partial = path.with_suffix(".partial")
    try:
        torch.save(state, partial)
    except RuntimeError as error:  # torch has no error of its own for a full disk
        raise KnuckleError(
            f"cannot write {partial}: is the disk full? What was saved before is kept; make "
            "room and start the run again"
        ) from error
    partial.replace(path)


class StopBySignal(L.Callback):
    """The first SIGINT or SIGTERM saves and stops after this step, a second SIGINT at once.

    Processes that load data inherit the handler, and go on until the first process has stopped.

    Args:
        checkpoint: where to save.

    Attributes:
        number: of the signal, 0 while none came.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.number = 0
        self._saved_step = 0
        self._told = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear signals inside; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {n: signal.signal(n, self._hear) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _: object) -> None:
        self.number = number
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second one is meant

    def on_train_batch_start(
        self, trainer: L.Trainer, module: L.LightningModule, *_: object
    ) -> None:
        """Say once where a run goes on: an epoch that is gone on with has no start of its own."""
        if self._told or not isinstance(module, TrainedModule):
            return
        self._told = True
        if trainer.global_step and is_first_process():
            folder, done = self.checkpoint.parent, module.progress
            print(f"{folder} goes on after step {trainer.global_step}, {done:.0%} done", flush=True)

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Stop all processes after the same step: what the first one heard decides."""
        self.number = trainer.strategy.broadcast(self.number)
        if self.number:
            trainer.save_checkpoint(self.checkpoint)
            self._saved_step = trainer.global_step
            raise KeyboardInterrupt

    def on_validation_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Stop amid a validation. Its weights are the averaged ones: none to train on from."""
        if trainer.strategy.broadcast(self.number):
            raise KeyboardInterrupt

    def told(self) -> Stopped:
        """What is left, in a sentence."""
        folder = self.checkpoint.parent
        if self._saved_step:
            left = f"stopped and saved after step {self._saved_step}; the same line goes on there"
        elif self.checkpoint.exists():
            left = "stopped; the same line goes on from its last checkpoint, at most 2 minutes old"
        else:
            left = "stopped before anything was saved; the same line begins anew"
        return Stopped(self.number or signal.SIGINT, f"{folder}: {left}")


class SayProgress(L.Callback):
    """Tell after each step how much of the recipe's time or epochs is done."""

    def __init__(self, on_progress: OnProgress) -> None:
        self.on_progress = on_progress

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: object) -> None:
        """One more step is done."""
        if is_first_process() and isinstance(module, TrainedModule):
            self.on_progress(round(module.progress * _PARTS), _PARTS)


class SaveWeights(L.Callback):
    """Keep the averaged weights in half precision beside the full checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Validation runs on the averaged weights: save what was measured."""
        if not is_first_process() or not isinstance(module, TrainedModule):
            return
        scores = {k: round(float(v), 4) for k, v in trainer.callback_metrics.items()}
        if kept := self._is_best(scores, module):
            self._save(module)
        line = {"step": trainer.global_step, "progress": round(module.progress, 3), **scores}
        with (self.folder / "scores.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        told = ", ".join(f"{name} {value:g}" for name, value in scores.items())
        if module.decides:  # such a module has said its scores itself
            told = "the best so far, kept" if kept else "earlier weights were better and are kept"
        print(f"{module.progress:4.0%} done, step {trainer.global_step}: {told}", flush=True)

    def _save(self, module: TrainedModule) -> None:
        half = {
            name: value.half() if value.is_floating_point() else value
            for name, value in module.state_dict().items()
        }
        _write(half, self.folder / "weights.pt")

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


class PauseAfter(L.Callback):
    """End a sitting after so many minutes, as a machine that is lent for a while asks for."""

    def __init__(self, minutes: float) -> None:
        self.minutes = minutes
        self._until = math.inf

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock."""
        self._until = time.monotonic() + 60 * self.minutes

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Stop all processes after the same step: the first one's clock decides."""
        if trainer.strategy.broadcast(time.monotonic() >= self._until):
            trainer.should_stop = True


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """An exponential average that is short while training is young, so that it forgets the start.

    The rule of TensorFlow's ``ExponentialMovingAverage``: min(decay, (1 + n) / (10 + n)).
    """

    def average(mean: Tensor, new: Tensor, n: Tensor) -> Tensor:
        weight = torch.clamp((1 + n) / (10 + n), max=decay)
        return mean.lerp(new, 1 - weight.to(mean)) if mean.is_floating_point() else new

    return average


def _trainer(recipe: Recipe, folder: Path, others: list[L.Callback]) -> L.Trainer:
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
        precision="32-true",  # networks say where bfloat16 is enough: never where places come out
        gradient_clip_val=recipe.optimiser.clip,
        logger=CSVLogger(folder, name="curves", version=str(_sittings(folder / "curves"))),
        callbacks=[
            WeightAveraging(avg_fn=moving_average(recipe.optimiser.average)),
            *others,
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
        plugins=[WholeFiles()],
        val_check_interval=_NEVER,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=50,
        enable_model_summary=False,
        enable_progress_bar=False,  # the command line has one, over all epochs
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
    for part, path in recipe.starts.items():
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
