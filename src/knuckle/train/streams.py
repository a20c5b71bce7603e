"""Endless streams of training examples, and the finite ones of validation.

Each worker process draws from its own slice of the shards with its own random numbers, so a run
is reproducible for a given recipe and number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from torch import distributed
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from knuckle.data import shards
from knuckle.data.photographs import Part, PhotographStore
from knuckle.data.shown import ShownHands
from knuckle.errors import InputError, NotFoundError
from knuckle.hand import N_JOINTS
from knuckle.limits import open_npz
from knuckle.models.lifter import Lifter
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.camera_faults import CameraFaults
from knuckle.render.hand_model import HandModel
from knuckle.sample import Sample
from knuckle.train import poses
from knuckle.train.examples import (
    Example,
    crop_example,
    empty_crop_example,
    frame_example,
    paint_over,
)
from knuckle.train.mattes import Mattes, recomposed
from knuckle.train.pairs import PairBank, lifted_pairs, sample_pairs
from knuckle.train.recipe import AugmentSettings, Recipe, SourceSettings
from knuckle.train.weights import part_of, weights_named

#: Shards whose number is a multiple of this are kept for validation.
_VALIDATION_SHARD = 25
#: Samples mixed with each other while shards are read.
_SHUFFLE = 500

#: Crops whose posed hands are made in one go.
_POSED_BATCH = 64

#: How looks are varied: by so many radians, so many sigmas; share without features.
_LOOK_TURN, _LOOK_SHAKE, _LOOK_BLIND = 0.1, 0.3, 0.4

#: How often a pair is drawn before another takes its place: errors of pairs that were drawn 16
#: times were learnt by heart.
_PAIR_USES = 4
#: Pairs that validation looks at.
_PAIRS_HELD_OUT = 512

#: Turns samples into examples; may yield several or none per sample.
Cut = Callable[[Sample, np.random.Generator], Iterator[Example]]


def training_loader(recipe: Recipe) -> DataLoader:
    """Batches without end for a recipe."""
    dataset = _DATASETS[recipe.kind](recipe)
    return DataLoader(
        dataset,
        batch_size=recipe.optimiser.batch if isinstance(dataset, _Mixed) else None,
        num_workers=recipe.workers,
        persistent_workers=recipe.workers > 0,
        prefetch_factor=4 if recipe.workers else None,
        worker_init_fn=_one_thread,
    )


def validation_loaders(recipe: Recipe, limit: int = 512) -> dict[str, DataLoader]:
    """One loader per source, by name; the pictures are never trained on and never augmented."""
    loaders: dict[str, DataLoader] = {}
    if recipe.kind == "lifter":
        batches = {"posed": next(iter(_PosedHands(recipe, recipe.seed + 1_000_003, 4096)))}
        batches |= {
            Path(source.looks).stem: _read_looks(source.looks, "validation")
            for source in recipe.sources
        }
        return {name: _alone(batch) for name, batch in batches.items()}
    if recipe.kind == "pair":
        held_out = _NearHands(recipe, recipe.seed + 1_000_003, _PAIRS_HELD_OUT)
        return {"near": _alone(held_out.fresh_batch())}
    for source in recipe.sources:
        examples = list(_limited(_validation_examples(recipe, source), limit))
        name = "+".join([Path(source.shards or source.photographs).name, *source.datasets])
        dataset = cast("Dataset[Example]", examples)  # a list has all that a dataset needs
        loaders[name] = DataLoader(dataset, batch_size=recipe.optimiser.batch)
    return loaders


class _Mixed(IterableDataset):
    """Examples of several sources, drawn by their shares."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __iter__(self) -> Iterator[Example]:
        index, count = _which_worker()
        rng = _chance(self.recipe)
        sources = self.recipe.sources
        streams = [
            _examples(_endless(self.recipe, source, rng, index, count), rng, _cut(self.recipe))
            for source in sources
        ]
        shares = np.array([source.share for source in sources])
        augment = self.recipe.augment
        faults = [augment.photograph_faults if s.photographs else augment.faults for s in sources]
        posed = _endless_posed(self.recipe, rng)
        while True:
            i = int(rng.choice(len(streams), p=shares / shares.sum()))
            yield _spoil(next(streams[i]), rng, augment, faults=faults[i]) | next(posed)


def _endless_posed(recipe: Recipe, rng: np.random.Generator) -> Iterator[Example]:
    """What each crop brings along for the lifter: ``recipe.posed`` hands, keys with "posed_"."""
    if not recipe.posed:
        yield from repeat({})
    hands = _PosedHands(recipe, int(rng.integers(2**31)), _POSED_BATCH * recipe.posed)
    for batch in hands:
        del batch["features"]  # zeros
        dealt = {f"posed_{key}": np.split(value, _POSED_BATCH) for key, value in batch.items()}
        yield from ({key: value[i] for key, value in dealt.items()} for i in range(_POSED_BATCH))


class _PosedHands(IterableDataset):
    """Batches of posed hands for the lifter, no pictures."""

    def __init__(self, recipe: Recipe, seed: int | None = None, batch: int | None = None) -> None:
        self.recipe, self.seed = recipe, seed
        self.batch = batch or recipe.optimiser.batch

    def __iter__(self) -> Iterator[Example]:
        rng = _chance(self.recipe, self.seed)
        model = HandModel.load()
        shown = ShownHands.load(self.recipe.shown) if self.recipe.shown else None
        bank = poses.PoseBank(rng, shown=shown)
        noise = poses.upright_noise(rng, bank, model)
        unseen = np.zeros((self.batch, N_JOINTS, self.recipe.lifter.feature_size), np.float32)
        while True:
            batch = poses.posed_batch(rng, self.batch, bank, model, noise)
            yield batch | {"features": unseen}


class _PosedAndSeen(IterableDataset):
    """Batches for the lifter: posed hands, and looks of a keypoint network, by their shares."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __iter__(self) -> Iterator[Example]:
        size = self.recipe.optimiser.batch
        counts = [round(source.share * size) for source in self.recipe.sources]
        stores = [_read_looks(source.looks, "train") for source in self.recipe.sources]
        rng = _chance(self.recipe)
        for posed in _PosedHands(self.recipe, batch=max(size - sum(counts), 1)):
            parts = [posed]
            for looks, count in zip(stores, counts, strict=True):
                drawn = rng.integers(0, len(looks["rays"]), count)
                parts.append(_varied({key: looks[key][drawn] for key in posed}, rng))
            yield {key: np.concatenate([part[key] for part in parts]) for key in posed}


class _NearHands(IterableDataset):
    """Batches of lifted pairs for the pair stage.

    Lifting costs most, so there is a stock of pairs; each is drawn some times before another takes
    its place.
    """

    def __init__(self, recipe: Recipe, seed: int | None = None, stock: int | None = None) -> None:
        self.recipe, self.seed = recipe, seed
        self.stock = stock or recipe.pair.stock

    def fresh_batch(self) -> Example:
        """The whole stock, each pair once."""
        return self._source()[1](self.stock)

    def __iter__(self) -> Iterator[Example]:
        size = self.recipe.optimiser.batch
        rng, fresh = self._source()
        stock = fresh(size * _PAIR_USES // 2)  # two examples a pair
        while True:
            drawn = rng.permutation(len(stock["sigma"]))[:size]
            yield {key: value[drawn] for key, value in stock.items()}
            for key, value in fresh(size // _PAIR_USES // 2).items():
                stock[key][drawn[: len(value)]] = value

    def _source(self) -> tuple[np.random.Generator, Callable[[int], Example]]:
        """Randomness, and what makes new examples of so many pairs."""
        rng = _chance(self.recipe, self.seed)
        lifter, bank = _finished_lifter(self.recipe), PairBank(rng, self.stock)
        noise = poses.upright_noise(rng, poses.PoseBank(rng), HandModel.load())
        return rng, lambda n: lifted_pairs(lifter, sample_pairs(rng, n, bank, noise))


def _finished_lifter(recipe: Recipe) -> Lifter:
    """The lifter that the pair stage follows.

    Raises:
        ValueError: the recipe names none.
    """
    if not recipe.start_lifter:
        raise InputError(
            f"the {recipe.kind} stage follows a lifter: name its weights as start_lifter"
        )
    lifter = Lifter(recipe.lifter)
    lifter.load_state_dict(part_of(weights_named(recipe.start_lifter, "lifter"), "lifter"))
    return lifter.eval()


def _alone(batch: Example) -> DataLoader:
    """A loader of one batch."""
    return DataLoader(cast("Dataset[Example]", [batch]), batch_size=None)


_DATASETS: dict[str, Callable[[Recipe], IterableDataset]] = {
    "detector": _Mixed,
    "keypoints": _Mixed,
    "lifter": _PosedAndSeen,
    "pair": _NearHands,
}


def _varied(looks: Example, rng: np.random.Generator) -> Example:
    """The same looks, each a little different, so that they are not learnt by heart.

    Turned about the line of sight, which turns keypoints and joints alike; keypoints moved by a
    part of their sigma; some without image features.
    """
    n = len(looks["rays"])
    angle = rng.normal(0, _LOOK_TURN, n)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.moveaxis(np.array([[cos, -sin], [sin, cos]]), -1, 0).astype(np.float32)
    joints = looks["joints_mm"].copy()
    joints[..., :2] = joints[..., :2] @ turn
    moved = rng.laplace(0, _LOOK_SHAKE, looks["rays"].shape) * looks["sigma"][..., None]
    seeing = rng.random((n, 1, 1)) >= _LOOK_BLIND
    return looks | {
        "rays": (looks["rays"] @ turn + moved).astype(np.float32),
        "joints_mm": joints,
        "features": looks["features"] * seeing.astype(np.float32),
    }


def _read_looks(path: str, part: Part) -> Example:
    """Looks of one part, axis 0 throughout (``train/looks.py``).

    Raises:
        FileNotFoundError: they have not been gathered.
    """
    if not Path(path).exists():
        raise NotFoundError(f"no looks at {path}; gather them with knuckle.train.looks")
    with open_npz(Path(path), "looks", "gather them again") as stored:
        keys = [name for name in stored.files if name.startswith(part + "/")]
        return {key.removeprefix(part + "/"): stored[key].astype(np.float32) for key in keys}


def _cut(recipe: Recipe) -> Cut:
    """How samples become examples for this kind of network."""
    augment = recipe.augment
    if recipe.kind == "detector":
        detection = recipe.detector.codec

        def frames(sample: Sample, rng: np.random.Generator) -> Iterator[Example]:
            yield frame_example(sample, rng, augment, detection)

        return frames
    heatmap = recipe.keypoints.codec

    def crops(sample: Sample, rng: np.random.Generator) -> Iterator[Example]:
        if not sample.hands or rng.random() < augment.no_hand:
            empty = empty_crop_example(sample, rng, heatmap)
            if empty is not None:
                yield empty
                return
        # A crop store centres the first hand; of a frame any hand will do.
        for target in range(min(len(sample.hands), 2)):
            if _is_usable(sample, target):
                yield crop_example(sample, target, rng, augment, heatmap)

    return crops


def _is_usable(sample: Sample, target: int) -> bool:
    """Whether enough of the hand is in the picture to learn from its crop."""
    hand = sample.hands[target]
    height, width = sample.image.shape[:2]
    inside = np.all((hand.joints_px > -0.5) & (hand.joints_px < (width, height)), axis=-1)
    seen = hand.visible is None or hand.visible[hand.valid].mean() > 0.2
    return bool(inside[hand.valid].mean() > 0.6 and seen)


def _examples(samples: Iterator[Sample], rng: np.random.Generator, cut: Cut) -> Iterator[Example]:
    for sample in samples:
        yield from cut(sample, rng)


def _endless(
    recipe: Recipe, source: SourceSettings, rng: np.random.Generator, index: int, count: int
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
            f"{source.photographs}; make them anew with knuckle.train.mattes"
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
    held_back = {path for path in paths if _number(path) % _VALIDATION_SHARD == 0}
    return [path for path in paths if (path in held_back) == (part == "validation")]


def _number(shard: Path) -> int:
    """The number at the end of a shard's name: its part stays the same while the folder grows."""
    return int(shard.stem.rpartition("-")[2])


def _validation_examples(recipe: Recipe, source: SourceSettings) -> Iterator[Example]:
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
    plain = Recipe(**{**vars(recipe), "augment": still})
    return _examples(samples, rng, _cut(plain))


def _limited(examples: Iterator[Example], limit: int) -> Iterator[Example]:
    for _, example in zip(range(limit), examples, strict=False):
        yield example


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


def _chance(recipe: Recipe, seed: int | None = None) -> np.random.Generator:
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
