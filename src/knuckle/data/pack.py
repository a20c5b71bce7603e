"""``knuckle data pack``: a data set as shards, so that training reads one file after the other.

A picture of a studio is mostly not hand, and a picture a file is a seek a picture. Packed are
squares around each hand, with room to shift, turn and scale them in training, at the size that
training needs; labels, masks and the camera follow the pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.crop import Crop
from knuckle.data.labelled import LabelledSet, OnProgress
from knuckle.data.processes import in_processes
from knuckle.data.shards import write_shard
from knuckle.errors import InputError, NotWrittenError
from knuckle.sample import HandLabel, Sample


@dataclass(frozen=True)
class PackSettings:
    """How to pack."""

    what: str = "crops"  # "crops", a square around each hand, or "frames", whole pictures
    size_px: int = 256  # side of a packed crop; frames are packed as they are
    #: Side of the square over the longer side of the box around the hand's joints. 2 leaves room
    #: for turning by any angle and shifting by a quarter.
    margin: float = 2.0
    per_shard: int = 500  # pictures of the data set per shard
    quality: int = 92  # of the JPEGs
    processes: int = 1  # how many pack at the same time

    def __post_init__(self) -> None:
        if self.what not in ("crops", "frames"):
            raise InputError(f"what must be 'crops' or 'frames', got {self.what!r}")
        for name, least in (("size_px", 16), ("margin", 1), ("per_shard", 1), ("processes", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")


def pack(
    dataset: LabelledSet,
    folder: Path,
    settings: PackSettings | None = None,
    *,
    on_progress: OnProgress = lambda done, of: None,
) -> list[Path]:
    """Pack a data set into ``folder``; shards that are there already are kept.

    Flawed pictures (``LabelledSet.flaw``) and hands without a labelled joint are left out.

    Args:
        dataset: what to pack.
        folder: where the shards go.
        settings: how.
        on_progress: called with (done, of).

    Returns:
        The shards, in order.

    Raises:
        BrokenDataError: a picture is missing or cannot be decoded.
        OSError: the disk is full, or the folder cannot be written.
    """
    settings = settings or PackSettings()
    starts = range(0, len(dataset), settings.per_shard)
    # Shards that are there are kept: those of another split must have other names.
    split = re.sub(r"\W+", "-", dataset.split)  # such as 70/15/15:train
    paths = [folder / f"{dataset.name}-{split}-{k:06d}.tar" for k in range(len(starts))]
    todo = [(start, path) for start, path in zip(starts, paths, strict=True) if not path.exists()]
    done = len(paths) - len(todo)
    for _ in in_processes(settings.processes, partial(_pack_shard, dataset, settings), todo):
        done += 1
        on_progress(done, len(paths))
    return paths


def _pack_shard(dataset: LabelledSet, settings: PackSettings, shard: tuple[int, Path]) -> int:
    start, path = shard
    samples = _samples(dataset, settings, start)
    try:
        return write_shard(path, samples, quality=settings.quality)
    except OSError as error:
        path.with_suffix(".partial").unlink(missing_ok=True)
        raise NotWrittenError(
            f"{path} cannot be written ({error.strerror or error}); free some space and run again: "
            "the shards before it are kept"
        ) from None


def _samples(dataset: LabelledSet, settings: PackSettings, start: int) -> Iterator[Sample]:
    for index in range(start, min(start + settings.per_shard, len(dataset))):
        sample = dataset[index]
        if dataset.flaw(sample) is not None:
            continue
        if settings.what == "frames":
            yield _only_labelled(sample)
        else:
            yield from crops_of(sample, settings)


def crops_of(sample: Sample, settings: PackSettings) -> Iterator[Sample]:
    """A square around each labelled hand of a picture; the hand comes first among its hands."""
    for number, hand in enumerate(sample.hands):
        if not hand.valid.any():
            continue
        crop = Crop.around(
            hand.joints_px[hand.valid],
            "right",  # never mirrored here: that is training's business
            0.0,
            out_size=settings.size_px,
            margin=settings.margin,
        )
        order = [number, *(k for k in range(len(sample.hands)) if k != number)]
        cut = _cut(_only_labelled(_ordered(sample, order)), crop)
        # Both hands of a picture are of one group, even where the data set names none.
        group = sample.group or sample.key
        yield replace(cut, key=f"{sample.key}_{hand.side}{number}", group=group)


def _ordered(sample: Sample, order: list[int]) -> Sample:
    """The same sample with its hands in another order."""
    return replace(
        sample,
        hands=tuple(sample.hands[k] for k in order),
        hand_map=_renumbered(sample.hand_map, order),
    )


def _only_labelled(sample: Sample) -> Sample:
    """Without hands of which no joint is known: they only say that the picture is not complete."""
    order = [k for k, hand in enumerate(sample.hands) if hand.valid.any()]
    if len(order) == len(sample.hands):
        return sample
    return replace(_ordered(sample, order), complete=False)


def _renumbered(hand_map: np.ndarray | None, order: list[int]) -> np.ndarray | None:
    """The map after the hands were ordered anew; a hand that is gone becomes unknown."""
    if hand_map is None:
        return None
    table = np.full(256, 255, np.uint8)
    table[0] = 0
    for new, old in enumerate(order, start=1):
        table[old + 1] = new
    return table[hand_map]


def _cut(sample: Sample, crop: Crop) -> Sample:
    """The sample as seen in an upright, unmirrored crop."""
    scale = crop.out_size / crop.size_px
    x, y = crop.to_crop(np.zeros((1, 2)))[0]
    camera = sample.camera and _scaled(sample.camera, scale, float(x), float(y))
    hand_map = sample.hand_map
    if hand_map is not None:
        hand_map = cv2.warpAffine(
            hand_map,
            crop.crop_from_frame[:2],
            (crop.out_size, crop.out_size),
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_REPLICATE,  # as the picture's, see Crop.cut
        )
    boxes = crop.to_crop(sample.ignore_xyxy.reshape(-1, 2)).reshape(-1, 4)
    near = (boxes[:, 2:] > 0).all(axis=1) & (boxes[:, :2] < crop.out_size).all(axis=1)
    return replace(
        sample,
        image=crop.cut(sample.image),
        hands=tuple(_moved(hand, crop, scale) for hand in sample.hands),
        camera=camera,
        hand_map=hand_map,
        ignore_xyxy=boxes[near],
    )


def _scaled(camera: Camera, scale: float, x: float, y: float) -> Camera:
    """The camera of pixels p' = scale * p + (x, y)."""
    return replace(
        camera,
        fx=camera.fx * scale,
        fy=camera.fy * scale,
        cx=camera.cx * scale + x,
        cy=camera.cy * scale + y,
    )


def _moved(hand: HandLabel, crop: Crop, scale: float) -> HandLabel:
    joints_px = np.where(hand.valid[:, None], crop.to_crop(hand.joints_px), 0.0)
    sigma_px = None if hand.sigma_px is None else hand.sigma_px * scale
    return replace(hand, joints_px=joints_px, sigma_px=sigma_px)
