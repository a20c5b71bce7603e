"""Our own network of both hands against the small InterNet, at equal processor time.

    knuckle data synth runs/capture --frames 20000
    python benchmarks/both_hands.py runs/capture --seconds 1800 --resnet-steps 50

Both learn the train split of a capture from ImageNet, in crops of 128 px, with the settings of
``recipes/internet_small.toml`` and ``recipes/interhand_small.toml``, and are measured on its test
split, whose people they never saw, by Moon's protocol. InterNet as published (ResNet-50, 256 px)
only makes a few steps, to show that its loss falls.
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


def trained(recipe: BothHandsRecipe, seconds: float) -> tuple[BothHandsModule, int, float]:
    """A module after so many seconds of one thread; the steps made and the seconds spent."""
    torch.manual_seed(recipe.seed)
    module = module_of(recipe)
    module.begin()
    groups = module.configure_optimizers().param_groups
    rate = recipe.optimiser.rate
    steps, spent = fit(
        module,
        lambda batch: torch.stack(list(module.losses(batch).values())).sum(),
        batches_of(recipe),
        seconds,
        groups=[{"params": g["params"], "peak": rate * g["scale"]} for g in groups],
        optimiser=recipe.optimiser.kind,
        schedule=lambda progress: rate_at(progress, recipe.optimiser) / rate,
        clip=recipe.optimiser.clip or 1e9,
    )
    return module, steps, spent


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
    for batch in training_batches(replace(recipe, workers=0)):
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
    """What the first steps of InterNet as published cost."""

    losses: list[float]
    read_s: float  # processor time: to read, cut, vary and label a crop
    step_s: float  # ... to learn from it
    flops: float  # of a crop, forwards and backwards


def first_steps(capture: Path, steps: int, batch: int) -> FirstSteps:
    """InterNet as published, on one batch after another."""
    recipe = with_data(Recipe.load(RECIPES / "internet.toml"), capture, None)
    recipe = replace(recipe, workers=0, optimiser=replace(recipe.optimiser, batch=batch))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no torchvision: from nothing, as the table says
        module = module_of(recipe).train()
        module.begin()
    optimiser = module.configure_optimizers()
    batches = iter(training_batches(recipe))
    counter = FlopCounterMode(display=False)
    losses, read_s, step_s = [], 0.0, 0.0
    for step in range(steps):
        start = time.process_time()
        example = next(batches)
        read = time.process_time()
        with counter if step == 0 else nullcontext():
            loss = torch.stack(list(module.losses(example).values())).sum()
            optimiser.zero_grad()
            loss.backward()
        optimiser.step()
        read_s, step_s = read_s + read - start, step_s + time.process_time() - read
        losses.append(float(loss.detach()))
        print(f"  step {len(losses)}: {losses[-1]:.2f}", flush=True)
    crops = steps * batch
    return FirstSteps(losses, read_s / crops, step_s / crops, counter.get_total_flops() / batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--networks", nargs="*", default=SMALL, help="train only these recipes")
    parser.add_argument("--keep", type=Path, help="folder of runs, for knuckle export and evaluate")
    parser.add_argument("--pictures", type=int, default=0, help="of the test split; 0 for all")
    parser.add_argument("--resnet-steps", type=int, default=0)
    parser.add_argument("--resnet-batch", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| network | decoding | root depth | steps | seconds | MPJPE single | two | all | MRRPE |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    still = None
    for name in options.networks:
        recipe = with_data(Recipe.load(RECIPES / f"{name}.toml"), options.capture, None)
        module, steps, spent = trained(recipe, options.seconds)
        if options.keep:
            keep(module, options.keep / name)
        dataset = open_part(recipe.sources[0], "test", clean=False)
        count = min(options.pictures or len(dataset), len(dataset))
        rows = np.unique(np.linspace(0, len(dataset) - 1, count).astype(int))
        still = Still(dataset, recipe.crop_size, rows)
        asked = ASKED[recipe.kind]
        for (decoding, root_depth), numbers in zip(
            asked, measured(module, still, asked), strict=True
        ):
            print(
                f"| {name} | {decoding} | {root_depth} | {steps} | {spent:.0f} "
                f"| {numbers['mpjpe_single_mm']:.1f} | {numbers['mpjpe_two_mm']:.1f} "
                f"| {numbers['mpjpe_mm']:.1f} mm | {numbers['mrrpe_mm']:.1f} mm |",
                flush=True,
            )
    if still is not None:
        print(f"every joint where it is on average: {standing_still(still):.1f} mm")
    if options.resnet_steps:
        done = first_steps(options.capture, options.resnet_steps, options.resnet_batch)
        early, late = (np.mean(part) for part in (done.losses[:10], done.losses[-10:]))
        print(f"ResNet-50: loss of the first ten steps {early:.2f}, of the last {late:.2f}.")
        print(
            f"A crop: {1000 * done.read_s:.1f} ms of one processor to read, {done.step_s:.2f} s to"
        )
        print(f"learn from, {done.flops / 1e9:.0f} GFLOP forwards and backwards.")


if __name__ == "__main__":
    main()
