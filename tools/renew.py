r"""Reinitialises the dormant units of trained networks (``train/dormant.py``).

    python tools/renew.py recipes/continue.toml runs/renewed
    knuckle train recipes/continue.toml   # with start_keypoints = "runs/renewed/weights.pt"

The networks' outputs stay the same until they are trained further. The folder is like that of a
run: it can be exported, and averaged with the weights trained from it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
import tyro

from knuckle.train.dormant import renew
from knuckle.train.kind import module_of, training_batches
from knuckle.train.recipe import Recipe
from knuckle.train.run import start_from


@dataclass(frozen=True)
class _Arguments:
    """Let the dormant units of a recipe's networks begin anew.

    Attributes:
        recipe: what it starts from, and what that is shown.
        out: folder to write.
        batches: of the recipe's training data, so many are shown.
    """

    recipe: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    batches: int = 40


def main() -> None:
    """The command line."""
    args = tyro.cli(_Arguments)
    recipe = Recipe.load(args.recipe)
    torch.manual_seed(recipe.seed)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    module = module_of(recipe)
    start_from(module, recipe)
    shown = islice(training_batches(recipe), args.batches)
    renewed = renew(module, lambda: map(module.losses, shown))
    args.out.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half() for name, value in module.state_dict().items()}
    torch.save(weights, args.out / "weights.pt")
    (args.out / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe), indent=1))
    for name, (dormant, of) in renewed.items():
        if dormant:
            print(f"{name}: {dormant} of {of}")


if __name__ == "__main__":
    main()
