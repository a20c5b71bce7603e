"""Endless streams of training examples from labelled pictures, and the finite ones of validation.

Each worker process draws from its own slice of the shards with its own random numbers, so a run
is reproducible for a given recipe and number of workers. Where there are fewer shards than workers,
all read all of them.

A twentieth is never trained on. Samples of real data sets are held back by their group (person,
sequence, moment: ``Sample.group``), which is never on both sides; samples without a group, or which
are a group of their own as rendered ones are, by the number of their shard.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, count, islice, repeat
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch import distributed
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from knuckle.data import shards
from knuckle.data.convention import TEACHERS_OWN
from knuckle.data.photographs import Part, PhotographStore, is_validation
from knuckle.errors import InputError, KnuckleError, NotFoundError
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.camera_faults import CameraFaults
from knuckle.sample import Sample
from knuckle.train.examples import Example, paint_over
from knuckle.train.mattes import Mattes, recomposed
from knuckle.train.moving import moving, smear
from knuckle.train.recipe import AugmentSettings, PictureRecipe, Recipe, SourceSettings

#: Shards whose number is a multiple of this are kept for validation.
_VALIDATION_SHARD = 25
#: Examples of each source that validation looks at.
_VALIDATED = 512
#: Samples mixed with each other while shards are read.
_SHUFFLE = 500
#: So many samples in a row that give no example are no accident.
_FRUITLESS = 20_000

#: Turns samples into examples; may yield several or none per sample.
Cut = Callable[[Sample, np.random.Generator], Iterator[Example]]
#: How the samples of a recipe become examples.
Cutter = Callable[[Any], Cut]
#: What comes along with each example, without end.
Beside = Callable[[np.random.Generator], Iterator[Example]]


def loader_of(dataset: IterableDataset, recipe: Recipe, batch: int | None = None) -> DataLoader:
    """Batches of a dataset, made by the recipe's workers; ``batch`` None: it makes them itself."""
    # Workers are seeded from it: all training processes must agree, whatever else they have drawn.
    seed = torch.Generator().manual_seed(torch.initial_seed())
    return DataLoader(
        dataset,
        batch_size=batch,
        num_workers=recipe.workers,
        generator=seed,
        persistent_workers=recipe.workers > 0,
        prefetch_factor=4 if recipe.workers else None,
        worker_init_fn=_one_thread,
    )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Errors of processes that load data, without the traceback that torch puts before them."""
    try:
        yield
    except KnuckleError as error:
        text, name = str(error), f"{type(error).__name__}: "
        if text.startswith("Caught ") and name in text:
            text = text.rpartition(name)[2].strip()
        raise type(error)(text) from None


def alone(batch: Example) -> DataLoader:
    """A loader of one batch."""
    return DataLoader(cast("Dataset[Example]", [batch]), batch_size=None)


def picture_training(
    recipe: PictureRecipe, cutter: Cutter, beside: Beside = lambda rng: repeat({})
) -> DataLoader:
    """Batches without end of the sources of a recipe."""
    return loader_of(Mixed(recipe, cutter, beside), recipe, recipe.optimiser.batch)


def picture_validation(recipe: PictureRecipe, cutter: Cutter) -> dict[str, DataLoader]:
    """One loader per source, by name; the pictures are never trained on and never augmented.

    A source of which nothing is held back, as a few recordings of one's own, has none.

    Raises:
        ValueError: nothing is held back of any source.
    """
    loaders: dict[str, DataLoader] = {}
    lacking: list[str] = []
    for source in recipe.sources:
        examples = list(islice(_validation_examples(recipe, source, cutter), _VALIDATED))
        if not examples:
            lacking.append(str(source.shards or source.photographs))
            continue
        name = _name(source, loaders)
        dataset = cast("Dataset[Example]", examples)  # a list has all that a dataset needs
        loaders[name] = DataLoader(dataset, batch_size=recipe.optimiser.batch)
    if lacking and not loaders:
        raise InputError(_nothing_in(" and ".join(lacking), "validation"))
    if lacking:
        warnings.warn(
            f"nothing of {' and '.join(lacking)} is held back for validation, all of it is trained "
            f"on: the scores are those of {' and '.join(loaders)}; judge it by pictures of another "
            "split with knuckle evaluate",
            stacklevel=2,
        )
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
        sources, augment = self.recipe.sources, self.recipe.augment
        cut = self.cutter(self.recipe)
        streams = []
        for source in sources:
            samples = _endless(self.recipe, source, rng, index, count)
            streams.append(_examples(_some_moving(samples, rng, augment), cut, rng, source))
        shares = np.array([source.share for source in sources])
        faults = [augment.photograph_faults if s.photographs else augment.faults for s in sources]
        beside = self.beside(rng)
        while True:
            i = int(rng.choice(len(streams), p=shares / shares.sum()))
            yield _spoil(next(streams[i]), rng, augment, faults=faults[i]) | next(beside)


def _examples(
    samples: Iterator[Sample], cut: Cut, rng: np.random.Generator, source: SourceSettings
) -> Iterator[Example]:
    """The examples of a source; ``ValueError`` if very many samples in a row give none."""
    fruitless = 0
    for sample in samples:
        fruitless += 1
        for example in cut(sample, rng):
            fruitless = 0
            if source.wrist != 1 and "point_weight" in example:
                example["point_weight"][TEACHERS_OWN] *= source.wrist
            yield example
        if fruitless >= _FRUITLESS:
            raise InputError(
                f"{fruitless} samples of {source.shards or source.photographs} in a row gave "
                "nothing to learn from: are its hands labelled, most of their joints in the "
                "picture? See `knuckle data show`"
            )


def _endless(
    recipe: PictureRecipe, source: SourceSettings, rng: np.random.Generator, index: int, count: int
) -> Iterator[Sample]:
    """The training samples of one source, over and over, this worker's share of them."""
    if source.photographs:
        yield from endless_photographs(source, recipe.augment, rng)
    while True:
        # Looked up again each time round: a folder that is still being rendered grows.
        paths = all_shards(source.shards)
        given = False
        # Its own slice; where that is empty or all held back, whatever there is.
        for slice_ in (paths[index::count], paths):
            wanted = partial(is_of, "train", alone=len(paths) == 1)
            for sample in shards.read(slice_, rng, shuffle=_SHUFFLE, wanted=wanted):
                given = True
                yield sample
            if given:
                break
        if not given:
            raise InputError(_nothing_in(source.shards, "train"))


def _some_moving(
    samples: Iterator[Sample], rng: np.random.Generator, augment: AugmentSettings
) -> Iterator[Sample]:
    """The same samples, some of them in quick motion."""
    for sample in samples:
        yield moving(sample, rng) if rng.random() < augment.moving else sample


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
                motion = smear(sample, rng) if rng.random() < augment.moving else None
                sample = recomposed(sample, alpha, background, rng, motion)
            yield sample


def all_shards(folder: str | Path) -> list[Path]:
    """Shards of a folder, in order.

    Raises:
        FileNotFoundError: there are none.
    """
    paths = sorted(Path(folder).glob("*.tar"))
    if not paths:
        raise NotFoundError(f"no shards (*.tar) in {folder}; make them with `knuckle data`")
    return paths


def held_out(folder: str | Path) -> Iterator[Sample]:
    """The samples of a folder's shards that are never trained on, in order.

    Raises:
        FileNotFoundError: there are no shards.
        ValueError: nothing in them is held back.
    """
    samples = _held_back_of(folder)
    first = next(samples, None)
    if first is None:
        raise InputError(_nothing_in(folder, "validation"))
    yield from chain([first], samples)


def _held_back_of(folder: str | Path) -> Iterator[Sample]:
    # Those that are held back whole come first: mostly no more are read.
    paths = sorted(all_shards(folder), key=lambda path: not is_held_back(path))
    return shards.read(paths, wanted=partial(is_of, "validation", alone=len(paths) == 1))


def is_of(part: Part, path: Path, *, alone: bool) -> shards.Wanted:
    """Which samples of a shard belong to a part.

    Where nothing else may, the shard's number decides: its part then stays the same while the
    folder grows. Of a shard that is ``alone``, the only one of its folder, the keys decide.
    """

    def wanted(key: str, group: str) -> bool:
        if alone or group not in ("", key):
            held = is_validation(group or key)
        else:
            held = is_held_back(path)
        return held == (part == "validation")

    return wanted


def is_held_back(path: Path) -> bool:
    """Whether a shard's number holds back those of its samples that have no group in common."""
    number = path.stem.rpartition("-")[2]
    return number.isdecimal() and int(number) % _VALIDATION_SHARD == 0


def _nothing_in(folder: str | Path, part: Part) -> str:
    return (
        f"there is no sample for {part} in {folder}: one group in twenty is held back, by its "
        f"name, of rendered ones one shard in {_VALIDATION_SHARD}; put rendered ones beside it "
        "(knuckle data render), or pack more groups"
    )


def _validation_examples(
    recipe: PictureRecipe, source: SourceSettings, cutter: Cutter
) -> Iterator[Example]:
    rng = np.random.default_rng(recipe.seed)
    samples: Iterator[Sample]
    if source.photographs:
        store = PhotographStore.load(source.photographs)
        samples = (store.decode(int(i)) for i in store.part("validation", source.datasets))
    else:
        samples = _held_back_of(source.shards)
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


def dealt(recipe: Recipe, n: int, source: int) -> Iterator[np.ndarray]:
    """Pass after pass over the rows of a source, this worker's share of each.

    All workers of all training processes draw the same order and deal it out among themselves, so
    that a pass of all together shows every row once. There are ``n`` rows; each ``source``, by its
    number, has an order of its own.
    """
    index, workers = _which_worker()
    worker = get_worker_info()
    salt = (torch.initial_seed() - (worker.id if worker else 0)) % 2**31  # the same in all workers
    for number in count():
        order = np.random.default_rng([recipe.seed, salt, source, number]).permutation(n)
        # Fewer rows than workers: some are shown twice.
        yield order[index::workers] if workers <= n else order[[index % n]]


def chance(recipe: Recipe, seed: int | None = None) -> np.random.Generator:
    """Random numbers that are a worker's own and, as torch's seed, new in each sitting.

    With a seed, for validation, they are the same everywhere and always.
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
