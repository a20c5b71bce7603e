"""Stores of real photographs with a teacher's labels: three npz files that training reads.

- ``crops.npz``: every labelled hand with a wide margin, for the keypoint network;
- ``frames.npz``: whole pictures with all their hands, for the detector;
- ``handless.npz``: faces and pieces of background, to teach what is no hand.

A store is loaded whole and decoded picture by picture. ``photograph_packing`` writes it. The labels
are a network's answers, not the truth: ``sigma_px`` says how far they disagree among themselves,
``ignore_xyxy`` where the teacher saw something that it would not name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.data.convention import TEACHERS_OWN, own_bone_depth, own_joints
from knuckle.data.kept import Kept
from knuckle.errors import InputError
from knuckle.hand import SIDES
from knuckle.sample import HandLabel, Sample

Part = Literal["train", "validation"]

#: Groups of pictures without a hand are named after their folders, and these folders are held back.
HAND_FREE = "no_hands/"
HAND_FREE_HELD_BACK = ("iot", "mslearn", "os_soc", "robotlab")


@dataclass(frozen=True, eq=False)
class PhotographStore(Kept):
    """Labelled pictures in memory, still as JPEG.

    Hands and ignored boxes of all pictures stand one after the other: those of picture ``i`` are
    ``hand_offsets[i]`` to ``hand_offsets[i + 1]``, and likewise for the boxes and the bytes.
    """

    WHAT: ClassVar[str] = "a store of photographs"
    AGAIN: ClassVar[str] = "pack it again with knuckle data pack-photographs"

    jpeg: np.ndarray  # (B,) uint8, every picture's file, one after the other
    jpeg_offsets: np.ndarray  # (N + 1,) int64
    keys: np.ndarray  # (N,) str, unique names
    datasets: np.ndarray  # (N,) str, the folder each came from
    groups: np.ndarray  # (N,) str, what must not be split (see ``Sample.group``)
    complete: np.ndarray  # (N,) bool (see ``Sample.complete``)
    #: (N, 3) float32, focal length and principal point, px: those of the whole photograph, of which
    #: a crop is a small part with little perspective.
    cameras: np.ndarray
    #: (N + 1,) int64. In a store of crops the first hand is the one cut out.
    hand_offsets: np.ndarray
    is_left: np.ndarray  # (K,) bool
    #: (K, 21, 2) float32, pixels of the packed picture, where the teacher puts them; ``decode``
    #: moves them to where Knuckle does (``data/convention.py``).
    joints_px: np.ndarray
    sigma_px: np.ndarray  # (K, 21) float32, spread of the teacher's answers
    #: (K, 21, 2) float32, where a finished network of ours sees the joints, in our convention
    #: (``tools/second_opinion.py``); NaN where none was asked.
    second_px: np.ndarray
    second_visible: np.ndarray  # (K, 21) float32, 0..1, how surely it sees each; NaN likewise
    world_mm: np.ndarray  # (K, 21, 3) float32, hand-centred, x right, y down, z forward: weak depth
    score: np.ndarray  # (K,) float32, 0..1, the teacher's agreement with itself
    ignore_offsets: np.ndarray  # (N + 1,) int64
    ignore_xyxy: np.ndarray  # (M, 4) float32
    decoy_offsets: np.ndarray  # (N + 1,) int64
    decoys_xyxy: np.ndarray  # (L, 4) float32, see ``Sample.decoys_xyxy``

    def __post_init__(self) -> None:
        n = len(self.keys)
        for name in ("jpeg_offsets", "hand_offsets", "ignore_offsets", "decoy_offsets"):
            if len(getattr(self, name)) != n + 1:
                raise InputError(
                    f"{name} must have one entry more than there are pictures ({n + 1}), got "
                    f"{len(getattr(self, name))}"
                )

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.keys)

    def hands_of(self, i: int) -> slice:
        """Where the hands of picture ``i`` stand in ``joints_px``, ``world_mm`` and the rest."""
        return slice(int(self.hand_offsets[i]), int(self.hand_offsets[i + 1]))

    def decode(self, i: int) -> Sample:
        """Picture ``i`` with its labels."""
        data = self.jpeg[self.jpeg_offsets[i] : self.jpeg_offsets[i + 1]]
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if bgr is None:
            raise InputError(f"picture {self.keys[i]} cannot be decoded; pack the store again")
        hands = self.hands_of(i)
        return Sample(
            image=cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB),
            hands=tuple(self.label(k) for k in range(hands.start, hands.stop)),
            camera=self._camera(i),
            ignore_xyxy=self.ignore_xyxy[self.ignore_offsets[i] : self.ignore_offsets[i + 1]],
            decoys_xyxy=self.decoys_xyxy[self.decoy_offsets[i] : self.decoy_offsets[i + 1]],
            complete=bool(self.complete[i]),
            key=str(self.keys[i]),
            group=str(self.groups[i]),
        )

    def part(self, name: Part, datasets: Sequence[str] = ()) -> np.ndarray:
        """Indices of the pictures of one part, whole groups, the same on every machine.

        Args:
            name: of the part.
            datasets: only of these data sets; empty: of all.

        Raises:
            ValueError: a data set is not in the store.
        """
        if unknown := set(datasets) - set(self.datasets.tolist()):
            there_are = ", ".join(sorted(set(self.datasets.tolist())))
            raise InputError(f"no pictures of {sorted(unknown)}; there are {there_are}")
        held_back = np.array([is_validation(str(group)) for group in self.groups], dtype=bool)
        wanted = np.isin(self.datasets, datasets) if datasets else np.ones(len(self), bool)
        return np.flatnonzero(wanted & (held_back if name == "validation" else ~held_back))

    def with_decoys(self, decoys: Sequence[np.ndarray]) -> PhotographStore:
        """The same pictures, (K, 4) px of each that look like hands and are none."""
        return replace(
            self,
            decoy_offsets=offsets_of(len(boxes) for boxes in decoys),
            decoys_xyxy=stacked(decoys, (4,)),
        )

    @property
    def own_px(self) -> np.ndarray:
        """(K, 21, 2) the teacher's joints where our convention puts them."""
        return own_joints(self.joints_px)

    def _camera(self, i: int) -> Camera:
        focal, cx, cy = self.cameras[i].tolist()
        return Camera(focal, focal, cx, cy, assumed=True)

    def label(self, k: int) -> HandLabel:
        """Hand ``k`` of all, as it is learnt from."""
        joints_px, sigma_px = _agreed(
            own_joints(self.joints_px[k]), self.sigma_px[k], self.second_px[k]
        )
        seen = self.second_visible[k]
        return HandLabel(
            side=SIDES[0] if self.is_left[k] else SIDES[1],
            joints_px=joints_px,
            visible=None if np.isnan(seen).any() else seen > 0.5,
            sigma_px=sigma_px,
            bone_depth=own_bone_depth(self.world_mm[k]),
        )


def _agreed(
    joints_px: np.ndarray, sigma_px: np.ndarray, second_px: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of two opinions, which may be off by half of what they are apart; one if one.

    Where only the teacher is heard, it is as if the second one agreed.
    """
    if np.isnan(second_px).any():
        return joints_px, sigma_px
    second_px = second_px.copy()
    second_px[TEACHERS_OWN] = joints_px[TEACHERS_OWN]
    apart = np.linalg.norm(second_px - joints_px, axis=-1)
    return (joints_px + second_px) / 2, np.maximum(sigma_px, apart / 2)


def is_validation(group: str, share: float = 0.05) -> bool:
    """Whether a group is held back: decided by its name alone."""
    if group.startswith(HAND_FREE):
        return group.removeprefix(HAND_FREE) in HAND_FREE_HELD_BACK
    digest = hashlib.sha1(group.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def offsets_of(lengths: Iterable[int]) -> np.ndarray:
    """(N + 1,) where each of N stretches of these lengths begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(list(lengths))]).astype(np.int64)


def stacked(arrays: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Arrays (n, *shape) one after the other, float32; there may be none."""
    return np.concatenate([np.zeros((0, *shape)), *arrays]).astype(np.float32)
