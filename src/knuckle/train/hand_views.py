"""Hands that several calibrated cameras see at a time, as a finished keypoint network sees them.

What the Epipolar Transformer learns from. The keypoint network stays as it is: it is asked once
about every crop of a capture, and only what it says, and its finest level, is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from knuckle.crop import Crop, CropView, knows_up
from knuckle.data.interhand26m import InterHand26M, Selection
from knuckle.hand import N_JOINTS
from knuckle.models.keypoints import KeypointNetwork
from knuckle.rows import Rows

#: Crops are as a tracker gives them: off by so much.
_JITTER = {"shift": 0.05, "log_scale": 0.1, "angle": 0.2}
#: A hand of which fewer joints are in the picture is not looked at.
_LEAST_JOINTS = 15
_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class HandViews(Rows):
    """L looks of a keypoint network at hands."""

    hand: np.ndarray  # (L,) looks of one number are at one hand at one instant
    view: np.ndarray  # (L,) number of the camera in its rig
    level: np.ndarray  # (L, C, M, M) float16, the finest level
    keypoints_px: np.ndarray  # (L, 21, 2) crop px, as the look alone says
    sigma_px: np.ndarray  # (L, 21) likewise
    features: np.ndarray  # (L, 21, F) float16, likewise
    points_px: np.ndarray  # (L, 21, 2) crop px, true
    valid: np.ndarray  # (L, 21) bool: it is in the picture
    seen: np.ndarray  # (L, 21) bool: and nothing hides it
    camera_from_crop: np.ndarray  # (L, 3, 3), see ``CropView``
    R: np.ndarray  # (L, 3, 3) of the camera from the world
    t_mm: np.ndarray  # (L, 3)
    joints_mm: np.ndarray  # (L, 21, 3) true, in the world
    known: np.ndarray  # (L, 21) bool, where these are known: some view has the joint in its picture

    def __len__(self) -> int:
        return len(self.hand)

    @classmethod
    def gather(
        cls, root: Path, split: str, network: KeypointNetwork, *, seed: int = 0
    ) -> HandViews:
        """Ask a finished network about all hands of a capture in InterHand2.6M's format.

        The seed is of the crops' jitter.
        """
        dataset = InterHand26M(root, split, Selection.official())
        size = network.settings.input_size
        parts = [_asked(network, batch) for batch in _batches(dataset, size, seed)]
        return super().joined(parts)._completed()

    @classmethod
    def joined(cls, parts: Sequence[HandViews]) -> HandViews:
        """All looks of several captures, whose hands are different ones."""
        renumbered, count = [], 0
        for each in parts:
            numbers = np.unique(each.hand, return_inverse=True)[1]
            renumbered.append(replace(each, hand=numbers + count))
            count += int(numbers.max(initial=-1)) + 1
        return super().joined(renumbered)

    def _completed(self) -> HandViews:
        """With the joints that a view has outside of its picture from another view."""
        joints, known = self.joints_mm.copy(), self.known.copy()
        for looks in self.looks_of_hands(1):
            first = known[looks].argmax(axis=0)  # of each joint, a look that has it
            joints[looks] = self.joints_mm[looks[first], np.arange(N_JOINTS)]
            known[looks] = self.known[looks].any(axis=0)
        return replace(self, joints_mm=joints, known=known)

    def looks_of_hands(self, least: int = 2) -> list[np.ndarray]:
        """The looks at each hand that ``least`` cameras or more see, in the order of the views."""
        order = np.lexsort((self.view, self.hand))
        groups = np.split(order, np.flatnonzero(np.diff(self.hand[order])) + 1)
        return [looks for looks in groups if len(looks) >= least]


def _batches(dataset: InterHand26M, size: int, seed: int) -> Iterator[list[dict[str, Any]]]:
    """Looks before the network is asked: ``pixels``, and the fields of ``HandViews`` by name."""
    rng = np.random.default_rng(seed)
    steps = dataset.groups().step
    names: dict[str, int] = {}
    batch: list[dict[str, Any]] = []
    for index in range(len(dataset)):
        record, T, image = dataset.record(index), dataset.pose(index), None
        assert record.camera is not None and record.video is not None
        view = names.setdefault(record.video[0].rsplit("/", 1)[1], len(names))
        for label in record.hands:
            enough = label.valid.sum() >= _LEAST_JOINTS and knows_up(label.valid)
            if label.joints_mm is None or not enough:
                continue
            image = dataset.image(index) if image is None else image
            known = label.valid[:, None]
            crop = Crop.from_joints(label.joints_px, label.side, valid=label.valid, out_size=size)
            crop = crop.jittered(rng, **_JITTER)
            batch.append(
                {
                    "hand": 2 * int(steps[index]) + (label.side == "left"),
                    "view": view,
                    "pixels": crop.cut(image),
                    "points_px": np.where(known, crop.to_crop(label.joints_px), 0.0),
                    "valid": label.valid,
                    "seen": np.ones(N_JOINTS, bool) if label.visible is None else label.visible,
                    "camera_from_crop": CropView.of(crop, record.camera).camera_from_crop,
                    "R": T.rotation,
                    "t_mm": T.translation_mm,
                    "joints_mm": np.where(known, T.inverse()(label.joints_mm), 0.0),
                    "known": label.valid,
                }
            )
            if len(batch) == _AT_ONCE:
                yield batch
                batch = []
    if batch:
        yield batch


@torch.no_grad()
def _asked(network: KeypointNetwork, cuts: list[dict[str, Any]]) -> HandViews:
    known = {name: np.array([cut[name] for cut in cuts]) for name in cuts[0]}
    levels = network.levels(torch.from_numpy(known.pop("pixels")))
    out = network.read(*levels)
    return HandViews(
        level=levels[0].half().numpy(),
        keypoints_px=out.keypoints_px.numpy(),
        sigma_px=out.log_sigma_px.exp().numpy(),
        features=out.features.half().numpy(),
        **known,
    )
