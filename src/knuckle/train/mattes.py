"""Mattes: what of a photograph is hand and arm, to put real hands before other backgrounds.

There are few labelled photographs, and of few rooms; there are many pictures of places.
``tools/mattes.py`` cuts the hands out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np

from knuckle.data.kept import Kept
from knuckle.data.photographs import offsets_of
from knuckle.render.shading import linear_from_srgb
from knuckle.sample import Sample
from knuckle.train.moving import smeared

#: Alpha below is background, above foreground: the rim takes the old background's colour along.
_RIM = (0.25, 0.9)


@dataclass(frozen=True, eq=False)
class Mattes(Kept):
    """Mattes of the pictures of a store, as PNG; none where it was not good."""

    WHAT: ClassVar[str] = "mattes"
    AGAIN: ClassVar[str] = "make them with tools/mattes.py"

    png: np.ndarray  # (B,) uint8, one file after the other
    offsets: np.ndarray  # (N + 1,) int64; a picture without a matte has no bytes

    @classmethod
    def of(cls, mattes: Iterable[np.ndarray | None]) -> Mattes:
        """Pack (H, W) float alphas, None for pictures without."""
        files = [np.zeros(0, np.uint8) if alpha is None else _png(alpha) for alpha in mattes]
        return cls(np.concatenate([np.zeros(0, np.uint8), *files]), offsets_of(map(len, files)))

    def __len__(self) -> int:
        """Number of pictures, with and without a matte."""
        return len(self.offsets) - 1

    def alpha(self, i: int) -> np.ndarray | None:
        """(H, W) float32 in 0..1 of picture ``i``, or None."""
        data = self.png[self.offsets[i] : self.offsets[i + 1]]
        if not len(data):
            return None
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32) / 255


def recomposed(
    sample: Sample,
    alpha: np.ndarray,
    background: np.ndarray,
    rng: np.random.Generator,
    motion: np.ndarray | None = None,
) -> Sample:
    """The hand of a photograph before another background, its skin in another light.

    The first hand of the sample is the one that the matte ``alpha`` (H, W) float32 cuts out; the
    background (H, W, 3) uint8 RGB has none. ``motion`` is the kernel (S, S) of a hand that moves
    before a background at rest, if it does.
    """
    low, high = _RIM
    share = np.clip((alpha - low) / (high - low), 0.0, 1.0)[..., None]
    hand = share * _in_another_light(sample.image, rng)
    if motion is not None:
        hand, share = smeared(hand, motion), smeared(share, motion)[..., None]
    mixed = hand + (1 - share) * background
    return replace(
        sample,
        image=np.round(mixed).astype(np.uint8),
        hands=sample.hands[:1],
        ignore_xyxy=np.zeros((0, 4)),
        complete=True,
    )


def _in_another_light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) float32, 0..255: darker or lighter, of another tint, with more or less contrast."""
    light = linear_from_srgb(image)
    gain = np.exp(rng.normal(-0.1, 0.45) + rng.normal(0, 0.1, 3)).astype(np.float32)
    curve = float(np.exp(rng.normal(0, 0.15)))
    return 255 * np.clip(light * gain, 0, 1) ** np.float32(curve / 2.2)


def _png(alpha: np.ndarray) -> np.ndarray:
    grey = np.round(255 * alpha).astype(np.uint8)
    return cv2.imencode(".png", grey)[1].reshape(-1)
