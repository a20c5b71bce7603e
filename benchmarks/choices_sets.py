"""Crops kept as plain arrays, so that comparisons read the same pictures at no cost.

A set is two files: ``NAME.images.npy``, which every process maps into memory, and ``NAME.npz`` with
the labels. Pictures are kept as they are stored elsewhere, larger than a crop: jitter, size and
orientation are chosen when an example is cut from them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from knuckle.codec import HeatmapCodec
from knuckle.crop import Crop
from knuckle.hand import SIDES
from knuckle.render.camera_faults import CameraFaults
from knuckle.sample import Sample
from knuckle.train.examples import crop_example, paint_over
from knuckle.train.recipe import AugmentSettings

#: Nothing is varied, so that ``crop_example`` only says how far each label is to be trusted.
_AS_IT_IS = AugmentSettings(shift=0, log_scale=0, angle=0, turned=0, other_side=0, no_hand=0)
#: As training varies crops, and as its validation does.
TRAINING, STILL = AugmentSettings(), AugmentSettings(shift=0.02, log_scale=0.05, angle=0.1)


@dataclass(frozen=True, eq=False)
class CropSet:
    """N pictures of one labelled hand each.

    Attributes:
        images: (N, S, S, 3) uint8 RGB.
        joints_px: (N, 21, 2) float32 in the picture.
        weight: (N, 21) float32, how far to trust each label, see ``train/examples.py``.
        is_left: (N,) bool.
    """

    images: np.ndarray
    joints_px: np.ndarray
    weight: np.ndarray
    is_left: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(cls, samples: Iterable[Sample], count: int, side: int) -> CropSet:
        """The first hand of the first ``count`` pictures, their border repeated up to ``side``."""
        images, joints, weight, is_left = [], [], [], []
        rng, codec = np.random.default_rng(0), HeatmapCodec()
        for sample in samples:
            example = crop_example(replace(sample, hand_map=None), 0, rng, _AS_IT_IS, codec)
            height, width = sample.image.shape[:2]
            images.append(
                cv2.copyMakeBorder(
                    sample.image, 0, side - height, 0, side - width, cv2.BORDER_REPLICATE
                )
            )
            joints.append(sample.hands[0].joints_px)
            weight.append(example["point_weight"])
            is_left.append(sample.hands[0].side == "left")
            if len(images) == count:
                break
        return cls(
            np.stack(images),
            np.stack(joints).astype(np.float32),
            np.stack(weight),
            np.array(is_left),
        )

    def save(self, folder: Path, name: str) -> None:
        """Write both files; the labels, last, say that the set is whole."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}.images.npy", self.images)
        partial = folder / f"partial-{name}.npz"
        np.savez(partial, joints_px=self.joints_px, weight=self.weight, is_left=self.is_left)
        partial.replace(folder / f"{name}.npz")

    @classmethod
    def load(cls, folder: Path, name: str) -> CropSet:
        """Map a set into memory.

        Raises:
            FileNotFoundError: it has not been made.
        """
        if not (folder / f"{name}.npz").exists():
            raise FileNotFoundError(f"no set {name!r} in {folder}; make it with --prepare")
        images = np.load(folder / f"{name}.images.npy", mmap_mode="r")
        with np.load(folder / f"{name}.npz") as labels:
            return cls(images, labels["joints_px"], labels["weight"], labels["is_left"])


def once(folder: Path, name: str, make: Callable[[], CropSet]) -> None:
    """Make a set unless it is there."""
    if not (folder / f"{name}.npz").exists():
        make().save(folder, name)
        print(f"made {name}", file=sys.stderr)


@dataclass(frozen=True, eq=False)
class Cutter:
    """How crops are cut from pictures.

    Attributes:
        size: side of the crop, px.
        augment: jitter.
        faults: strength of the camera's faults that are added.
        cutout: share with a patch painted over.
        upright: whether hands are turned upright and shown as right ones; otherwise they stand at
            any angle and are left as often as right.
    """

    size: int = 128
    augment: AugmentSettings = TRAINING
    faults: float = 0.0
    cutout: float = 0.0
    upright: bool = True

    def __call__(self, pictures: CropSet, i: int, rng: np.random.Generator) -> dict:
        """One example: image (S, S, 3), points_px (21, 2), weight and inside (21,)."""
        joints = pictures.joints_px[i].astype(np.float64)
        side = SIDES[1 - int(pictures.is_left[i])]
        crop = Crop.from_joints(joints, side, out_size=self.size)
        varied = self.augment
        crop = crop.jittered(
            rng, shift=varied.shift, log_scale=varied.log_scale, angle=varied.angle
        )
        if not self.upright:
            angle = float(rng.uniform(-np.pi, np.pi))
            crop = replace(crop, angle=angle, mirror=bool(rng.random() < 0.5))
        points = crop.to_crop(joints)
        image = crop.cut(np.asarray(pictures.images[i]))
        if rng.random() < self.cutout:
            image = paint_over(image, rng)
        if self.faults:
            image = CameraFaults(strength=self.faults * float(rng.random()))(image, rng)
        inside = np.all((points > -0.5) & (points < self.size - 0.5), axis=-1)
        return {
            "image": np.ascontiguousarray(image),
            "points_px": points.astype(np.float32),
            "point_weight": pictures.weight[i],
            "inside": inside.astype(np.float32),
        }

    def still(self) -> Cutter:
        """The same size and orientation for validation: hardly varied, nothing added."""
        return replace(self, augment=STILL, faults=0.0, cutout=0.0)


def batch_of(examples: Iterable[dict]) -> dict[str, np.ndarray]:
    """Examples stacked."""
    rows = list(examples)
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
