"""Endless streams of training examples from labelled pictures, and the finite ones of validation.

Each worker process draws from its own slice of the shards with its own random numbers, so a run
is reproducible for a given recipe and number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch import distributed
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from knuckle.data import shards
from knuckle.data.photographs import Part, PhotographStore
from knuckle.errors import InputError, NotFoundError
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.camera_faults import CameraFaults
from knuckle.sample import Sample
from knuckle.train.examples import Example, paint_over
from knuckle.train.mattes import Mattes, recomposed
from knuckle.train.recipe import AugmentSettings, PictureRecipe, Recipe, SourceSettings

#: Shards whose number is a multiple of this are kept for validation.
_VALIDATION_SHARD = 25
#: Examples of each source that validation looks at.
_VALIDATED = 512
#: Samples mixed with each other while shards are read.
_SHUFFLE = 500

#: Turns samples into examples; may yield several or none per sample.
Cut = Callable[[Sample, np.random.Generator], Iterator[Example]]
#: How the samples of a recipe become examples.
Cutter = Callable[[Any], Cut]
#: What comes along with each example, without end.
Beside = Callable[[np.random.Generator], Iterator[Example]]


def loader_of(dataset: IterableDataset, recipe: Recipe, batch: int | None = None) -> DataLoader:
    """Batches of a dataset, made by the recipe's workers; ``batch`` None: it makes them itself."""
    return DataLoader(
        dataset,
        batch_size=batch,
        num_workers=recipe.workers,
        persistent_workers=recipe.workers > 0,
        prefetch_factor=4 if recipe.workers else None,
        worker_init_fn=_one_thread,
    )


def alone(batch: Example) -> DataLoader:
    """A loader of one batch."""
    return DataLoader(cast("Dataset[Example]", [batch]), batch_size=None)


def picture_training(
    recipe: PictureRecipe, cutter: Cutter, beside: Beside = lambda rng: repeat({})
) -> DataLoader:
    """Batches without end of the sources of a recipe."""
    return loader_of(Mixed(recipe, cutter, beside), recipe, recipe.optimiser.batch)


def picture_validation(recipe: PictureRecipe, cutter: Cutter) -> dict[str, DataLoader]:
    """One loader per source, by name; the pictures are never trained on and never augmented."""
    loaders: dict[str, DataLoader] = {}
    for source in recipe.sources:
        examples = list(islice(_validation_examples(recipe, source, cutter), _VALIDATED))
        name = _name(source, loaders)
        dataset = cast("Dataset[Example]", examples)  # a list has all that a dataset needs
        loaders[name] = DataLoader(dataset, batch_size=recipe.optimiser.batch)
    return loaders


def _name(source: SourceSettings, taken: Container[str]) -> str:
    """The end of a source's path that is long enough to be no other's, and its data sets."""
    parts = Path(source.shards or source.photographs).parts
    ends = ["/".join(parts[-n:]) for n in range(1, len(parts) + 1)]
    names = ["+".join([end, *source.datasets]) for end in ends]
    return next((name for name in names if name not in taken), names[-1])


class Mixed(IterableDataset):
    """Examples of several sources, drawn by their shares."""

    def __init__(self, recipe: PictureRecipe, cutter: Cutter, beside: Beside) -> None:
        self.recipe, self.cutter, self.beside = recipe, cutter, beside

    def __iter__(self) -> Iterator[Example]:
        index, count = _which_worker()
        rng = chance(self.recipe)
        sources = self.recipe.sources
        cut = self.cutter(self.recipe)
        streams = [
            (each for sample in samples for each in cut(sample, rng))
            for samples in (_endless(self.recipe, s, rng, index, count) for s in sources)
        ]
        shares = np.array([source.share for source in sources])
        augment = self.recipe.augment
        faults = [augment.photograph_faults if s.photographs else augment.faults for s in sources]
        beside = self.beside(rng)
        while True:
            i = int(rng.choice(len(streams), p=shares / shares.sum()))
            yield _spoil(next(streams[i]), rng, augment, faults=faults[i]) | next(beside)


def _endless(
    recipe: PictureRecipe, source: SourceSettings, rng: np.random.Generator, index: int, count: int
) -> Iterator[Sample]:
    """The training samples of one source, over and over, this worker's share of them."""
    if source.photographs:
        yield from endless_photographs(source, recipe.augment, rng)
    while True:
        # Looked up again each time round: a folder that is still being rendered grows.
        paths = shard_paths(source.shards, "train")[index::count]
        yield from shards.read(paths, rng, shuffle=_SHUFFLE)


def endless_photographs(
    source: SourceSettings, augment: AugmentSettings, rng: np.random.Generator
) -> Iterator[Sample]:
    """Photographs over and over, some of those with a matte before other backgrounds.

    Raises:
        FileNotFoundError: there is no such store, or no mattes.
        ValueError: the mattes are those of another store.
    """
    store = PhotographStore.load(source.photographs)
    pictures = store.part("train", source.datasets)
    mattes = Mattes.load(source.mattes) if source.mattes else None
    folders = [Path(augment.backgrounds)] if augment.backgrounds else []
    backgrounds = Backgrounds.load(*folders) if mattes else Backgrounds()
    if mattes and len(mattes) != len(store):
        raise InputError(
            f"{source.mattes} has {len(mattes)} mattes for {len(store)} photographs in "
            f"{source.photographs}; make them anew with tools/mattes.py"
        )
    while True:
        for i in rng.permutation(pictures):
            sample = store.decode(int(i))
            alpha = mattes.alpha(int(i)) if mattes and rng.random() < augment.recomposed else None
            if alpha is not None:
                background = backgrounds.sample(rng, *alpha.shape)
                sample = recomposed(sample, alpha, background, rng)
            yield sample


def shard_paths(folder: str | Path, part: Part) -> list[Path]:
    """Shards of a folder that belong to a part.

    Raises:
        FileNotFoundError: there are none.
    """
    paths = sorted(Path(folder).glob("*.tar"))
    if not paths:
        raise NotFoundError(f"no shards (*.tar) in {folder}; make them with `knuckle data`")
    if len(paths) == 1:
        return paths
    # The number at the end of a shard's name: its part stays the same while the folder grows.
    held_back = [int(path.stem.rpartition("-")[2]) % _VALIDATION_SHARD == 0 for path in paths]
    wanted = part == "validation"
    return [path for path, held in zip(paths, held_back, strict=True) if held == wanted]


def _validation_examples(
    recipe: PictureRecipe, source: SourceSettings, cutter: Cutter
) -> Iterator[Example]:
    rng = np.random.default_rng(recipe.seed)
    samples: Iterator[Sample]
    if source.photographs:
        store = PhotographStore.load(source.photographs)
        samples = (store.decode(int(i)) for i in store.part("validation", source.datasets))
    else:
        samples = shards.read(shard_paths(source.shards, "validation"))
    still = AugmentSettings(
        shift=0.02, log_scale=0.05, angle=0.1, turned=0, other_side=0, no_hand=0
    )
    cut = cutter(replace(recipe, augment=still))
    return chain.from_iterable(cut(sample, rng) for sample in samples)


def _spoil(
    example: Example, rng: np.random.Generator, augment: AugmentSettings, faults: float
) -> Example:
    """Give the picture a camera's faults and now and then a patch in front of it."""
    image = example["image"]
    if rng.random() < augment.cutout:
        image = paint_over(image, rng)
    if rng.random() < 0.8:
        image = CameraFaults(strength=faults * float(rng.random()))(image, rng)
    return example | {"image": np.ascontiguousarray(image)}


def chance(recipe: Recipe, seed: int | None = None) -> np.random.Generator:
    """Random numbers that are a worker's own and, as torch's seed, new in each sitting.

    Args:
        recipe: its seed goes into them.
        seed: for validation, the same numbers everywhere and always.
    """
    if seed is not None:
        return np.random.default_rng(seed)
    salt = torch.initial_seed() % 2**31
    return np.random.default_rng([recipe.seed, _which_worker()[0], salt])


def _which_worker() -> tuple[int, int]:
    """Number of this worker among those of all training processes, and how many there are."""
    worker = get_worker_info()
    index, count = (worker.id, worker.num_workers) if worker else (0, 1)
    # Workers are forked, so that they know of the other processes too.
    if distributed.is_available() and distributed.is_initialized():
        index += distributed.get_rank() * count
        count *= distributed.get_world_size()
    return index, count


def _one_thread(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
