"""Training for a given number of seconds of one thread, to compare designs on equal terms."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.train.optimiser import OPTIMISERS

#: Name -> (N, ...) tensor.
Batch = dict[str, Tensor]


def fit(
    network: nn.Module,
    loss: Callable[[Batch], Tensor],
    batches: Iterable[dict[str, np.ndarray]],
    seconds: float,
    *,
    groups: list[dict],
    optimiser: str = "adamw",
    schedule: Callable[[float], float],
    clip: float,
    on_step: Callable[[float, float], None] = lambda progress, loss: None,
) -> tuple[int, float]:
    """Train a network in place until its time is up; it is then in evaluation mode.

    Processor time counts, so that a busy machine is no harm, and making the batches does not.

    Args:
        network: whose parameters the groups hold.
        loss: what a batch costs.
        batches: as many as it takes.
        seconds: of one thread.
        groups: parameters, as an optimiser takes them, and the ``peak`` of each group's rate.
        optimiser: of ``knuckle/train/optimiser.py``.
        schedule: progress 0..1 to the share of the peak.
        clip: largest norm of the gradient.
        on_step: told of each step's progress and loss.

    Returns:
        The steps made and the seconds spent.
    """
    network.train()
    stepper = OPTIMISERS[optimiser](groups, lr=0.0, weight_decay=0.01)
    spent, steps = 0.0, 0
    for arrays in batches:
        if spent >= seconds:
            break
        batch = {name: torch.from_numpy(values) for name, values in arrays.items()}
        start = time.process_time()
        share = schedule(spent / seconds)
        for group in stepper.param_groups:
            group["lr"] = group["peak"] * share
        stepper.zero_grad()
        cost = loss(batch)
        cost.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        stepper.step()
        spent += time.process_time() - start
        steps += 1
        on_step(spent / seconds, float(cost.detach()))
    network.eval()
    return steps, spent
