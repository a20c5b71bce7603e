"""One run of a comparison: a contender trained for so much time of one thread, then measured."""

from __future__ import annotations

import io
import json
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch

from choices_sets import CropSet, Cutter, batch_of
from equal_time import fit
from heads import COARSE_BLOCKS, STAGES, Contender, parameters, rank_correlation
from knuckle.train.losses import weighted_mean

_CLIP = 5.0
#: Crops measured at a time.
_MEASURED = 16
_WARM_UP, _DECAY = 0.05, 0.6
#: Of the random numbers of validation, the same in every run.
_STILL_SEED = 7
#: Crops whose time is taken.
_TIMED_CROPS = 200


@dataclass(frozen=True, eq=False)
class Variant:
    """What is trained, on what, and what it is measured on.

    Attributes:
        head, size, stages, coarse_blocks, imagenet: see ``heads.Contender``.
        upright: whether crops are turned upright and shown as right hands.
        sources: set -> how often to draw from it, relative to the others.
        tests: set -> the name of its column.
        faults: set -> strength of the camera's faults that training adds to it.
        cutout: share of training crops with a patch painted over.
        optimiser: of ``train/optimiser.py``.
        batch: crops a step.
        rate: the highest.
        seed: of the weights and of what is drawn.
    """

    head: str = "integral"
    size: int = 128
    stages: int = STAGES
    coarse_blocks: int = COARSE_BLOCKS
    imagenet: bool = True
    upright: bool = True
    sources: Mapping[str, float] = field(default_factory=dict)
    tests: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, float] = field(default_factory=dict)
    cutout: float = 0.0
    optimiser: str = "adamw"
    batch: int = 16
    rate: float = 1e-3
    seed: int = 0

    def contender(self) -> Contender:
        """The network at its start."""
        torch.manual_seed(self.seed)
        return Contender(
            self.head, self.size, self.stages, self.coarse_blocks, imagenet=self.imagenet
        )


def batches(variant: Variant, folder: Path) -> Iterator[dict]:
    """Training batches without end."""
    rng = np.random.default_rng(variant.seed)
    sets = [CropSet.load(folder, name) for name in variant.sources]
    cutter = Cutter(variant.size, cutout=variant.cutout, upright=variant.upright)
    cutters = [replace(cutter, faults=variant.faults.get(name, 0.0)) for name in variant.sources]
    shares = np.array(list(variant.sources.values()), float)
    orders = [_endless_order(len(pictures), rng) for pictures in sets]
    while True:
        drawn = rng.choice(len(sets), variant.batch, p=shares / shares.sum())
        yield batch_of(cutters[k](sets[k], next(orders[k]), rng) for k in drawn)


def _endless_order(n: int, rng: np.random.Generator) -> Iterator[int]:
    """Every number below n once, then all of them again in another order."""
    while True:
        yield from map(int, rng.permutation(n))


def train(
    variant: Variant, examples: Iterator[dict], seconds: float
) -> tuple[Contender, int, float]:
    """Train a variant for so many seconds of one thread.

    Returns the contender, the number of crops that it saw, and the seconds spent.
    """
    contender = variant.contender().to(memory_format=torch.channels_last)
    steps, spent = fit(
        contender,
        lambda batch: contender.loss(contender(batch["image"]), batch),
        examples,
        seconds,
        optimiser=variant.optimiser,
        groups=contender.groups(variant.rate),
        schedule=_schedule,
        clip=_CLIP,
    )
    return contender, steps * variant.batch, spent


def _schedule(progress: float) -> float:
    """Share of the rate: a warm-up, a plateau, a linear decay."""
    return max(min(progress / _WARM_UP, 1.0, (1 - progress) / _DECAY), 0.01)


@torch.no_grad()
def measure(
    contender: Contender, pictures: CropSet, cutter: Cutter
) -> tuple[np.ndarray, float | None]:
    """Error of each picture as a share of its hand's square, and whether the spread foretold it.

    Returns:
        (N,) means over the joints that are labelled, and the rank correlation of spread and
        error over all joints, None for a head without spread.
    """
    rng = np.random.default_rng(_STILL_SEED)
    shares, spreads, errors = [], [], []
    for first in range(0, len(pictures), _MEASURED):
        chosen = range(first, min(first + _MEASURED, len(pictures)))
        batch = batch_of(cutter(pictures, i, rng) for i in chosen)
        points, known = (torch.from_numpy(batch[k]) for k in ("points_px", "point_weight"))
        known = (known > 0).float()
        answer = contender(torch.from_numpy(batch["image"]))
        error = (answer.points_px - points).norm(dim=-1)  # (n, 21)
        extent = (points.amax(1) - points.amin(1)).amax(-1)
        share = error / extent[:, None]
        shares += [float(weighted_mean(*row)) for row in zip(share, known, strict=True)]
        if answer.spread_px is not None:
            spreads.append(answer.spread_px[known > 0])
            errors.append(error[known > 0])
    foretold = rank_correlation(torch.cat(spreads), torch.cat(errors)) if spreads else None
    return np.array(shares), foretold


class _Points(torch.nn.Module):
    """Only what the table times: crops to keypoints."""

    def __init__(self, contender: Contender) -> None:
        super().__init__()
        self.contender = contender

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """(N, S, S, 3) -> (N, 21, 2)."""
        return self.contender(crops).points_px


def onnx_ms(contender: Contender) -> float:
    """Median processor time for one crop in ONNX Runtime, one thread."""
    crop = torch.randint(0, 256, (1, contender.size, contender.size, 3), dtype=torch.uint8)
    file = io.BytesIO()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(_Points(contender).eval(), (crop,), file, opset_version=17, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        file.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    inputs = {session.get_inputs()[0].name: crop.numpy()}
    times = []
    for _ in range(_TIMED_CROPS):
        start = time.process_time()
        session.run(None, inputs)
        times.append(time.process_time() - start)
    return 1e3 * float(np.median(times))


def run(variant: Variant, folder: Path, seconds: float, path: Path) -> None:
    """Train, measure, and write everything that the tables need to ``path``."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    contender, crops, spent = train(variant, batches(variant, folder), seconds)
    errors, foretold = {}, {}
    still = Cutter(variant.size, upright=variant.upright).still()
    for name in variant.tests:
        found, known = measure(contender, CropSet.load(folder, name), still)
        errors[name], foretold[name] = found.round(5).tolist(), known
    result = {
        "seconds": seconds,
        "crops": crops,
        "step_ms": 1e3 * spent * variant.batch / crops,
        "parameters": parameters(contender),
        "onnx_ms": onnx_ms(contender),
        "errors": errors,
        "foretold": foretold,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result))
    partial.replace(path)
