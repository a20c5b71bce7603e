"""Callbacks of a training session: saving, stopping, progress, validation by the clock."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from knuckle.data.labelled import OnProgress
from knuckle.errors import KnuckleError, Stopped
from knuckle.train.dormant import HiddenUnits, hidden_units
from knuckle.train.modules import TrainedModule
from knuckle.train.weights import check_finite

_PARTS = 10_000
#: So many steps are more than any run has.
NEVER = 10**12


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
        write_whole(checkpoint, Path(path))


def write_whole(state: dict[str, Any], path: Path) -> None:
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
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.number = 0  # of the signal; 0 while none came
        self._saved_step = 0
        self._told = False
        self._own = os.getpid()

    def hear(self, number: int, _: object) -> None:
        """The handler of both signals. A step may last a minute: that it was heard is told at once.

        Past Python's streams, which may be amid a line of their own.
        """
        if not self.number and os.getpid() == self._own and is_first_process():
            with suppress(OSError):  # whoever read it may have gone
                os.write(2, b"\nknuckle: saves and stops after this step; Ctrl-C again: at once\n")
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


class SaveAtEnd(L.Callback):
    """Save at the end of a sitting what training goes on from: weights, and their mean beside."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Save, before the mean takes the place of the weights."""
        trainer.save_checkpoint(self.checkpoint)


class MeanWeights(WeightAveraging):
    """A validation judges the mean of the weights, and callbacks before this one keep it.

    Lightning's own takes the weights that learn back before ``on_validation_end``, where what was
    judged is saved and drawn.
    """

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Not yet."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Train on from the weights that learn."""
        super().on_validation_epoch_end(trainer, pl_module)


class SayProgress(L.Callback):
    """Tell after each step how much of the recipe's time or epochs is done."""

    def __init__(self, on_progress: OnProgress) -> None:
        self.on_progress = on_progress

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: object) -> None:
        """One more step is done."""
        if is_first_process() and isinstance(module, TrainedModule):
            self.on_progress(round(module.progress * _PARTS), _PARTS)


class CountDormant(L.Callback):
    """Say which share of the hidden units nothing excites (``train/dormant.py``).

    Losses do not show that a layer is out.
    """

    def __init__(self) -> None:
        self._units: list[HiddenUnits] = []
        self._unwatch: list[Callable[[], None]] = []

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Watch what layers are given while the network is judged."""
        self._units = hidden_units(module)
        self._unwatch = [units.watch() for units in self._units]

    def on_validation_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Count."""
        for stop in self._unwatch:
            stop()
        if self._units:
            out = torch.cat([units.dormant for units in self._units])
            module.log("dormant", out.float().mean())


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
        check_finite(half)
        write_whole(half, self.folder / "weights.pt")

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
        trainer.val_check_batch = 1 if due else NEVER

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
