"""Our own network for both hands against the small InterNet, at equal processor time.

    knuckle data synth runs/capture --frames 20000
    python benchmarks/both_hands.py runs/capture --seconds 1800 --resnet-steps 50

Both are trained on the train split of a capture, starting from ImageNet, in crops of 128 px, with
the settings of ``recipes/internet_small.toml`` and ``recipes/interhand_small.toml``, and measured
on its test split, whose people they never saw, by Moon's protocol. InterNet as published
(ResNet-50, 256 px) only makes a few steps, all on one small batch, whose loss must fall: between
small batches it varies by more than a few steps gain, above all in the wrists' depth.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from equal_time import fit
from knuckle.train.answers import Decoding, RootDepth, Tally
from knuckle.train.both_hands import BothHandsModule, BothHandsRecipe
from knuckle.train.captures import Still, open_part, training_batches, with_data
from knuckle.train.kind import module_of
from knuckle.train.modules import rate_at
from knuckle.train.recipe import Recipe

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
SMALL = ("internet_small", "interhand_small")
#: How answers are asked for: decoding (InterNet's alone) and root depth.
ASKED: dict[str, tuple[tuple[Decoding, RootDepth], ...]] = {
    "internet": (("argmax", "true"), ("soft", "true"), ("soft", "own")),
    "interhand": (("soft", "true"), ("soft", "own")),
}


#: Reading is timed over so many batches.
_BATCHES_READ = 16
#: The loss of training is told as the mean of each of so many parts of the time.
PARTS = 8


@dataclass
class Trained:
    """A network after so many seconds of one thread."""

    module: BothHandsModule
    steps: int
    seconds: float
    curve: list[float]  # mean loss of each part of the time


def trained(recipe: BothHandsRecipe, seconds: float) -> Trained:
    """Train a recipe's network for so many seconds of one thread."""
    torch.manual_seed(recipe.seed)
    module = module_of(recipe)
    module.begin()
    groups = module.configure_optimizers().param_groups
    rate = recipe.optimiser.rate
    parts: list[list[float]] = [[] for _ in range(PARTS)]
    steps, spent = fit(
        module,
        lambda batch: torch.stack(list(module.losses(batch).values())).sum(),
        batches_of(recipe),
        seconds,
        groups=[{"params": g["params"], "peak": rate * g["scale"]} for g in groups],
        optimiser=recipe.optimiser.kind,
        schedule=lambda progress: rate_at(progress, recipe.optimiser) / rate,
        clip=recipe.optimiser.clip or 1e9,
        on_step=lambda done, loss: parts[min(int(done * PARTS), PARTS - 1)].append(loss),
    )
    return Trained(module, steps, spent, [float(np.mean(part)) for part in parts if part])


def keep(module: BothHandsModule, run: Path) -> None:
    """Leave a trained network as ``knuckle train`` does."""
    run.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in module.state_dict().items()
    }
    torch.save(state, run / "weights.pt")
    (run / "recipe.json").write_text(json.dumps(asdict(module.recipe), indent=1))


def batches_of(recipe: BothHandsRecipe) -> Iterator[dict[str, np.ndarray]]:
    """Training batches as arrays, without end."""
    for batch in training_batches(recipe):
        yield {name: values.numpy() for name, values in batch.items()}


@torch.inference_mode()
def measured(
    module: BothHandsModule, still: Still, asked: tuple[tuple[Decoding, RootDepth], ...]
) -> list[dict[str, float]]:
    """The numbers of every way of asking."""
    tallies = [Tally() for _ in asked]
    for batch in DataLoader(still, batch_size=16):
        for tally, (decoding, root_depth) in zip(tallies, asked, strict=True):
            tally.add(module.answers(batch, decoding, root_depth), batch)
    return [tally.numbers() for tally in tallies]


def standing_still(still: Still) -> float:
    """MPJPE of an answer that puts every joint where it is on average, mm: what knows nothing."""
    examples = [still[index] for index in range(len(still))]
    true = np.stack([example["true_mm"] for example in examples])
    weight = np.stack([example["valid_3d"] for example in examples])
    mean = (true * weight[..., None]).sum(0) / np.maximum(weight.sum(0), 1)[..., None]
    away = np.linalg.norm(true - mean, axis=-1)
    return float(((away * weight).sum(0) / np.maximum(weight.sum(0), 1)).mean())


@dataclass
class FirstSteps:
    """What the first steps of InterNet as published bring and cost."""

    losses: dict[int, dict[str, float]]  # by steps made and by term
    read_s: float  # processor time: to read, cut, vary and label a crop
    step_s: float  # ... to learn from it
    flops: float  # of a crop, forwards and backwards


def first_steps(recipe: BothHandsRecipe, steps: int) -> FirstSteps:
    """InterNet as published, on the same batch again and again."""
    torch.manual_seed(recipe.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no torchvision: from nothing, as the table says
        module = module_of(recipe).train()
        module.begin()
    optimiser = module.configure_optimizers()
    batches = iter(training_batches(recipe))
    example = next(batches)
    start = time.process_time()
    for _ in range(_BATCHES_READ):
        next(batches)
    read_s, step_s = (time.process_time() - start) / _BATCHES_READ, 0.0
    counter = FlopCounterMode(display=False)
    losses = {}
    for step in range(steps + 1):
        start = time.process_time()
        with counter if step == 0 else nullcontext():
            terms = module.losses(example)
            optimiser.zero_grad()
            torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
        step_s += time.process_time() - start
        if step % 10 == 0:
            losses[step] = {name: float(value.detach()) for name, value in terms.items()}
            print(f"  step {step}: {losses[step]}", flush=True)
    batch = recipe.optimiser.batch
    cost = step_s / (steps + 1) / batch
    return FirstSteps(losses, read_s / batch, cost, counter.get_total_flops() / batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--networks", nargs="*", default=SMALL, help="train only these recipes")
    parser.add_argument("--keep", type=Path, help="folder of runs, for knuckle export and evaluate")
    parser.add_argument("--pictures", type=int, default=0, help="of the test split; 0 for all")
    parser.add_argument("--half", action="store_true", help="bfloat16, on a processor with AMX")
    parser.add_argument("--resnet-steps", type=int, default=0)
    parser.add_argument("--resnet-batch", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| network | decoding | root depth | steps | seconds | MPJPE single | two | all | MRRPE |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    still, curves = None, {}
    for name in options.networks:
        recipe = recipe_of(name, options.capture, half=options.half)
        done = trained(recipe, options.seconds)
        curves[name] = done.curve
        if options.keep:
            keep(done.module, options.keep / name)
        dataset = open_part(recipe.sources[0], "test", clean=False)
        count = min(options.pictures or len(dataset), len(dataset))
        rows = np.unique(np.linspace(0, len(dataset) - 1, count).astype(int))
        still = Still(dataset, recipe.crop_size, rows)
        asked = ASKED[recipe.kind]
        for (decoding, root_depth), numbers in zip(
            asked, measured(done.module, still, asked), strict=True
        ):
            print(
                f"| {name} | {decoding} | {root_depth} | {done.steps} | {done.seconds:.0f} "
                f"| {numbers['mpjpe_single_mm']:.1f} | {numbers['mpjpe_two_mm']:.1f} "
                f"| {numbers['mpjpe_mm']:.1f} mm | {numbers['mrrpe_mm']:.1f} mm |",
                flush=True,
            )
    if still is not None:
        print(f"every joint where it is on average: {standing_still(still):.1f} mm")
    for name, curve in curves.items():
        print(f"{name}: loss by eighths of the time {', '.join(f'{part:.2f}' for part in curve)}")
    if options.resnet_steps:
        recipe = recipe_of("internet", options.capture, half=options.half)
        optimiser = replace(recipe.optimiser, batch=options.resnet_batch)
        said(first_steps(replace(recipe, optimiser=optimiser), options.resnet_steps))


def recipe_of(name: str, capture: Path, *, half: bool) -> BothHandsRecipe:
    """A recipe as it stands, on a capture, read by this process."""
    recipe = with_data(Recipe.load(RECIPES / f"{name}.toml"), capture, None)
    return replace(recipe, workers=0, optimiser=replace(recipe.optimiser, half=half))


def said(first: FirstSteps) -> None:
    """Print what the first steps brought."""
    names = list(first.losses[0])
    print(f"| steps of ResNet-50 | {' | '.join(names)} | sum |")
    print("|---|" + "---|" * (len(names) + 1))
    for step, by_term in first.losses.items():
        row = " | ".join(f"{by_term[name]:.3f}" for name in names)
        print(f"| {step} | {row} | {sum(by_term.values()):.3f} |")
    print(f"A crop: {1000 * first.read_s:.1f} ms of one processor to read, {first.step_s:.2f} s to")
    print(f"learn from, {first.flops / 1e9:.0f} GFLOP forwards and backwards.")


if __name__ == "__main__":
    main()
