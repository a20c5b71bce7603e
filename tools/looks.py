r"""Caches looks: a keypoint network's outputs on crops, to train the lifter on its own.

End-to-end training pays for the whole keypoint network at every step of the lifter. A finished
network always gives the same output for a crop, so it runs once per crop; the lifter then learns
from many times as many looks in the same time, mixed with posed hands that cost nothing.

    python tools/looks.py recipes/continue.toml src/knuckle/weights/keypoints.onnx \
        runs/data/looks.npz --count 16000
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor

from knuckle.errors import InputError
from knuckle.models.keypoints import KeypointNetwork
from knuckle.train.kind import training_batches, validation_batches
from knuckle.train.kinds.keypoints import KeypointRecipe, rays_of
from knuckle.train.recipe import Recipe
from knuckle.train.weights import load_weights, part_of

#: What is known of the depth of a crop's hand: of renders the joints, of photographs less.
DEPTH = ("joints_mm", "joint_weight", "bone_depth", "bone_depth_weight")
#: What a look consists of; see ``poses.posed_batch``.
KEYS = ("rays", "sigma", "features", *DEPTH)


def gather(recipe: Recipe, weights: Path, count: int, out: Path) -> int:
    """Ask a keypoint network about the crops of a recipe and store what it says.

    Args:
        recipe: of kind ``keypoints``; its sources and how it varies them are used.
        weights: of the keypoint network, see ``load_weights``.
        count: crops to look at for training; those of validation come on top.
        out: ``.npz`` with the arrays ``train/<key>`` and ``validation/<key>``.

    Returns:
        Number of looks stored for training: those at hands of whose depth something is
        known.

    Raises:
        ValueError: the recipe is of another kind.
    """
    if not isinstance(recipe, KeypointRecipe):
        raise InputError(f"expected a keypoint recipe, got one of kind {recipe.kind!r}")
    network = KeypointNetwork(recipe.keypoints)
    network.load_state_dict(part_of(load_weights(weights), "keypoints"))
    network.eval()
    batches = islice(training_batches(recipe), -(-count // recipe.optimiser.batch))
    held_back = (batch for loader in validation_batches(recipe).values() for batch in loader)
    arrays: dict[str, Any] = {}
    for part, examples in (("train", batches), ("validation", held_back)):
        looks = list(_looks(network, examples))
        for key in KEYS:
            arrays[f"{part}/{key}"] = np.concatenate([look[key] for look in looks])
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(out, **arrays)
    return len(arrays["train/rays"])


@torch.no_grad()
def _looks(
    network: KeypointNetwork, batches: Iterable[dict[str, Tensor]]
) -> Iterator[dict[str, np.ndarray]]:
    """Looks at the hands of each batch of whose depth something is known."""
    for batch in batches:
        known = (batch["joint_weight"].sum(dim=1) > 0) | (batch["bone_depth_weight"].sum(dim=1) > 0)
        batch = {name: value[known] for name, value in batch.items()}
        found = network(batch["image"], batch["known_px"])
        rays, sigma = rays_of(found, batch)
        yield {
            "rays": rays.numpy(),
            "sigma": sigma.numpy(),
            "features": found.features.half().numpy(),
            **{name: batch[name].numpy() for name in DEPTH},
        }


@dataclass(frozen=True)
class _Arguments:
    """Store what a keypoint network says about a recipe's crops."""

    recipe: tyro.conf.Positional[Path]
    weights: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    count: int = 16000


def main() -> None:
    """The command line."""
    args = tyro.cli(_Arguments)
    stored = gather(Recipe.load(args.recipe), args.weights, args.count, args.out)
    print(f"{stored} looks in {args.out}: now knuckle train recipes/polish.toml")


if __name__ == "__main__":
    main()
