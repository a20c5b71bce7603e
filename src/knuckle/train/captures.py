"""Crops that show both hands, read from a data set's own pictures as they are needed.

Any data set with 3D joints and a camera serves (``data.datasets``); InterHand2.6M is the one this
was made for. A crop is the box around all labelled hands; it is never turned upright or to one
side, as one hand's crop is: there may be two hands in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from torch.utils.data import DataLoader, Dataset, IterableDataset

from knuckle.crop import Crop, CropView
from knuckle.data.datasets import DATASETS, open_dataset, recognise
from knuckle.data.interhand26m import InterHand26M, Selection
from knuckle.data.json_stream import MissingDataError
from knuckle.data.labelled import LabelledSet, Record
from knuckle.errors import InputError, NotFoundError
from knuckle.hand import N_JOINTS, SIDES, Joint
from knuckle.sample import Sample
from knuckle.train.both_hands import BothHandsRecipe, BothHandsTraining
from knuckle.train.examples import Example
from knuckle.train.licences import marked
from knuckle.train.recipe import Recipe, SourceSettings
from knuckle.train.streams import chance, dealt, loader_of
from knuckle.train.weights import SHIPPED

AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)
#: How a capture is divided: see ``SourceSettings.split``.
Division = Literal["official", "70/15/15"]

#: The data set's own boxes are those of the joints, grown so much ...
_BOX = 1.2
#: ... and InterNet cuts a quarter more.
_CUT = 1.25


def with_data(recipe: AnyRecipe, data: Path | None, split: Division | None) -> AnyRecipe:
    """The recipe with its captures named and their licences written down.

    ``data`` takes the place of its first capture; ``split`` is the division that all are trained
    by.

    Raises:
        ValueError: it has no capture, or one of them is no folder of a data set.
    """
    captures = [source for source in recipe.sources if source.capture]
    if not captures:
        raise InputError(
            f"--data and --split are for recipes with a source capture =; {recipe.name!r} has none"
        )
    sources = []
    for source in recipe.sources:
        if source.capture:
            if data is not None and source is captures[0]:
                source = replace(source, capture=str(data))
            if split is not None:
                source = replace(source, split=split)
        sources.append(source)
    return marked(replace(recipe, sources=tuple(sources)))


def part_of(source: SourceSettings, part: str) -> str:
    """What ``open_dataset`` calls a part (train, val, test) of the source's division."""
    return part if source.split == "official" else f"{source.split}:{part}"


def check_same_division(recipe: Recipe, before: Recipe) -> None:
    """Refuse to go on with a run by another division of its data than it began with.

    Its weights would have learnt from people who are then validated and tested on.

    Raises:
        ValueError: another one is asked for.
    """
    now, then = ({s.split for s in each.sources if s.capture} for each in (recipe, before))
    if now != then:
        raise InputError(
            f"{recipe.name} was trained by the split {' and '.join(sorted(then)) or 'of shards'} "
            f"so far, asked for {' and '.join(sorted(now)) or 'none'}: it would be tested on what "
            "it has learnt from; keep its split, begin anew with --fresh, or give the recipe "
            "another name ="
        )


def not_held_out(recipe: Recipe, root: Path, split: str) -> str:
    """A sentence if a run may have been trained on what a split of a data set shows, else empty.

    What the runs have learnt that it started from counts too.
    """
    for each in [recipe, *_started_from(recipe, set())]:
        for source in each.sources:
            if not source.capture or Path(source.capture).resolve() != root.resolve():
                continue
            held_out = [part_of(source, part) for part in ("val", "test")]
            if split not in held_out:
                return (
                    f"beware: {each.name} was trained on the train part of this data set, split "
                    f"{source.split}, which {split} may show again; what it has never seen is "
                    f"--split {held_out[1]}"
                )
    return ""


def _started_from(recipe: Recipe, known: set[Path]) -> Iterator[Recipe]:
    """The recipes of the runs whose weights a run started from, and theirs, each run once."""
    for start in recipe.starts.values():
        path = Path(start).parent / "recipe.json"
        if start not in ("", SHIPPED) and path.is_file() and path.resolve() not in known:
            known.add(path.resolve())
            before = Recipe.load_json(path)
            yield before
            yield from _started_from(before, known)


def open_part(source: SourceSettings, part: str, *, clean: bool) -> LabelledSet:
    """A part of a capture.

    Raises:
        ValueError: it is no data set, lacks that part, or nothing in it has 3D and a camera.
    """
    folder = Path(source.capture)
    name = recognise(folder)
    selection = None
    if name == InterHand26M.name:
        selection = Selection() if clean else Selection.official()
    splits = DATASETS[name].splits
    if source.split == "official" and part not in splits:
        raise InputError(
            f"{folder} is {name}, whose own splits are {', '.join(splits)}, without {part}, which "
            "training needs; --split 70/15/15 deals out what is there, as split = of a source does"
        )
    try:
        dataset = open_dataset(folder, part_of(source, part), name, selection=selection)
    except MissingDataError as error:
        if source.split != "official":
            raise
        raise InputError(
            f"{folder} has no split {part}, which training needs ({str(error).partition(';')[0]}); "
            "--split 70/15/15 deals out what is there"
        ) from None
    if name == InterHand26M.name:
        _check_pictures(dataset, folder)
    return dataset


def _check_pictures(dataset: LabelledSet, folder: Path) -> None:
    """Look whether the pictures came with the labels: now, not after an hour of training."""
    few = [dataset.record(row).path for row in (0, len(dataset) // 2, len(dataset) - 1)]
    if any(path.is_file() for path in few):
        return
    advice = "unpack the archives of pictures beside the labels"
    if not few[0].parent.name.startswith("cam"):
        advice = (
            "its labels name pictures without the folders of capture, sequence and camera: put "
            "all of them there, or write those folders into file_name of the labels"
        )
    raise NotFoundError(
        f"{folder} has labels, {dataset.split}, but not their pictures: {few[0]} is not there; "
        f"{advice}"
    )


def crop_of(record: Record, out_size: int) -> Crop | None:
    """The square around all labelled hands, as the paper cuts it.

    Where no joint is known it is the data set's own box, and None where there is none either.
    """
    points = [hand.joints_px[hand.valid] for hand in record.hands]
    known = np.concatenate([*points, np.zeros((0, 2))])
    grown = _BOX * _CUT
    if not len(known):
        if record.box_xyxy is None or not np.ptp(record.box_xyxy.reshape(2, 2), axis=0).all():
            return None
        known, grown = record.box_xyxy.reshape(2, 2), _CUT
    low, high = known.min(axis=0), known.max(axis=0)
    x, y = (low + high) / 2
    side = max(float((high - low).max()), 8.0) * grown
    return Crop((float(x), float(y)), side, out_size=out_size)


def varied(crop: Crop, rng: np.random.Generator, settings: BothHandsTraining) -> Crop:
    """The crop as the paper's code varies it: shifted, scaled, turned, mirrored."""
    shift = rng.uniform(-settings.shift, settings.shift, 2) * crop.size_px
    scale = settings.scale * float(np.clip(rng.normal(), -1, 1))
    turned = rng.random() < settings.turned
    turn = settings.turn * float(np.clip(rng.normal(), -2, 2)) if turned else 0.0
    x, y = crop.centre_px
    return replace(
        crop,
        centre_px=(x + float(shift[0]), y + float(shift[1])),
        size_px=crop.size_px * (1 + scale),
        angle=float(np.radians(turn)),
        mirror=bool(rng.random() < settings.flip),
    )


def example_of(
    image: np.ndarray,
    record: Record,
    crop: Crop,
    gains: np.ndarray | None = None,
) -> Example:
    """A crop with everything that is known about its hands, which change sides if it is mirrored.

    The labels need a camera. ``gains`` (3,) are factors of the colour channels, or None.

    Returns:
        ``crop`` (S, S, 3) uint8; by hand in the order of ``SIDES``: ``points_px`` (2, 21, 2) crop
        px, ``depth_mm`` (2, 21) along the camera's axis from the own wrist, ``joints_mm``
        (2, 21, 3) from it in the view's axes, ``valid`` (2, 21) and ``valid_3d`` (2, 21) 0 or 1,
        ``there`` (2,); ``there_known``; ``root_mm`` the left wrist's depth from the right one's,
        along the camera's axis, ``root_view_mm`` along the view's, ``root_known``; and what leads
        back: ``view_from_crop`` and ``camera_from_view`` (3, 3), ``rays_per_px``,
        ``frame_from_crop`` (3, 3), ``intrinsics`` (fx, fy, cx, cy), ``roots_mm`` (2, 3) the wrists,
        ``true_mm`` (2, 21, 3) from the wrist, both in the camera frame.
    """
    camera = record.camera
    if camera is None:
        raise InputError(f"{record.key} has no camera: its depths cannot be learnt")
    cut = crop.cut(image, fill=0)
    if gains is not None:
        cut = np.clip(cut * gains, 0, 255).astype(np.uint8)
    view = CropView.of(crop, camera)
    hands = _hands_by_side(record, crop, view)
    left, right = hands["roots_mm"][[SIDES.index("left"), SIDES.index("right")]]
    both = bool(hands["valid_3d"][:, Joint.WRIST].all())
    apart = left - right if both else np.zeros(3, np.float32)
    return hands | {
        "crop": np.ascontiguousarray(cut),
        "there_known": np.array(record.sides_known, np.float32),
        "root_mm": np.array(apart[2], np.float32),
        "root_view_mm": np.array(view.to_view(apart)[2], np.float32),
        "root_known": np.array(both, np.float32),
        "view_from_crop": view.view_from_crop.astype(np.float32),
        "rays_per_px": np.array(view.rays_per_px, np.float32),
        "camera_from_view": view.camera_from_view.astype(np.float32),
        "frame_from_crop": crop.frame_from_crop.astype(np.float32),
        "intrinsics": np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float32),
    }


def _hands_by_side(record: Record, crop: Crop, view: CropView) -> Example:
    """What ``example_of`` has for each of ``SIDES``; a mirrored crop shows the other side."""
    points = np.zeros((2, N_JOINTS, 2), np.float32)
    joints, true = np.zeros((2, 2, N_JOINTS, 3), np.float32)
    valid, valid_3d = np.zeros((2, 2, N_JOINTS), np.float32)
    roots, there = np.zeros((2, 3), np.float32), np.zeros(2, np.float32)
    for hand in record.hands:
        side = SIDES.index(hand.side) ^ int(crop.mirror)
        there[side], valid[side] = 1, hand.valid
        points[side] = np.where(hand.valid[:, None], crop.to_crop(hand.joints_px), 0)
        if hand.joints_mm is not None and hand.valid[Joint.WRIST]:
            relative = hand.joints_mm - hand.joints_mm[Joint.WRIST]
            relative = np.where(hand.valid[:, None], relative, 0)
            true[side], joints[side] = relative, view.to_view(relative)
            valid_3d[side], roots[side] = hand.valid, hand.joints_mm[Joint.WRIST]
    return {
        "points_px": points, "depth_mm": true[..., 2], "joints_mm": joints, "true_mm": true,
        "valid": valid, "valid_3d": valid_3d, "there": there, "roots_mm": roots,
    }  # fmt: skip


class Still(Dataset):
    """Every picture of a part once, as it is: for validation and evaluation.

    Those too that show hands of which no joint is known: which hands they are is to be said.
    """

    def __init__(self, dataset: LabelledSet, out_size: int, rows: np.ndarray | None = None) -> None:
        """Of these rows, by default all; the crops have sides of ``out_size`` px."""
        usable = np.arange(len(dataset)) if rows is None else rows
        self.dataset, self.out_size = dataset, out_size
        self.rows = [int(row) for row in usable if _can_be_asked(dataset.record(int(row)))]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        row = self.rows[index]
        record = self.dataset.record(row)
        crop = crop_of(record, self.out_size)
        assert crop is not None  # it can be asked about
        return example_of(self.dataset.image(row), record, crop)


class _Endless(IterableDataset):
    """Crops of all captures, drawn by their shares, each in an order of its own.

    Of each capture, all workers together show every picture once before any comes again.
    """

    def __init__(self, recipe: BothHandsRecipe) -> None:
        self.recipe, self.out_size = recipe, recipe.crop_size
        clean = recipe.both_hands.clean
        self.parts = [open_part(source, "train", clean=clean) for source in recipe.sources]

    @property
    def pictures(self) -> int:
        """How many are drawn while the first source's are shown once: that is an epoch."""
        shares = [source.share for source in self.recipe.sources]
        return round(len(self.parts[0]) * sum(shares) / shares[0])

    def __iter__(self) -> Iterator[Example]:
        rng = chance(self.recipe)
        shares = np.array([source.share for source in self.recipe.sources])
        streams = [self._of(number, rng) for number in range(len(self.parts))]
        while True:
            yield next(streams[rng.choice(len(streams), p=shares / shares.sum())])

    def _of(self, number: int, rng: np.random.Generator) -> Iterator[Example]:
        dataset = self.parts[number]
        for rows in dealt(self.recipe, len(dataset), number):
            given = 0
            # Where nothing in its own share can be shown, whatever there is.
            for row in chain(rows, (row for row in range(len(dataset)) if not given)):
                example = self._example(dataset, int(row), rng)
                if example is not None:
                    given += 1
                    yield example
            if not given:
                raise InputError(
                    f"no picture of {dataset.name}, {dataset.split}, has a hand with 3D joints "
                    "and a camera"
                )

    def _example(self, dataset: LabelledSet, row: int, rng: np.random.Generator) -> Example | None:
        """A picture, varied; None if there is nothing to learn from it."""
        settings = self.recipe.both_hands
        record = dataset.record(row)
        crop = crop_of(record, self.out_size)
        if crop is None or not _is_usable(record):
            return None
        image = dataset.image(row)
        bare = Sample(image=image, hands=record.hands, key=record.key)
        if settings.clean and dataset.flaw(bare) is not None:
            return None
        gains = rng.uniform(1 - settings.colour, 1 + settings.colour, 3)
        return example_of(image, record, varied(crop, rng, settings), gains)


def training_batches(recipe: BothHandsRecipe) -> DataLoader:
    """Batches without end; ``ValueError`` if there is nothing to train on."""
    if not recipe.sources or not all(source.capture for source in recipe.sources):
        raise InputError(f"{recipe.kind} learns from captures: sources with capture = FOLDER")
    return loader_of(_Endless(recipe), recipe, recipe.optimiser.batch)


def validation_batches(recipe: BothHandsRecipe) -> dict[str, DataLoader]:
    """The val part of every capture, by its folder's name; flaws and all, as the papers have it."""
    loaders: dict[str, DataLoader] = {}
    for number, source in enumerate(recipe.sources):
        dataset = open_part(source, "val", clean=False)
        name = Path(source.capture).resolve().name
        wanted = recipe.both_hands.validate_pictures or len(dataset)
        rows = np.unique(np.linspace(0, len(dataset) - 1, min(wanted, len(dataset))).astype(int))
        loaders[name if name not in loaders else f"{name}_{number}"] = DataLoader(
            Still(dataset, recipe.crop_size, rows),
            batch_size=recipe.optimiser.batch,
            num_workers=min(recipe.workers, 4),
        )
    return loaders


def _can_be_asked(record: Record) -> bool:
    """Whether there is a hand in 3D, a camera that says what it means, and a place to look at."""
    in_3d = any(hand.joints_mm is not None for hand in record.hands)
    return record.camera is not None and in_3d and crop_of(record, 1) is not None


def _is_usable(record: Record) -> bool:
    """Whether there is a hand with 3D and a camera that says what it means."""
    return record.camera is not None and any(
        hand.joints_mm is not None and hand.valid.any() for hand in record.hands
    )
