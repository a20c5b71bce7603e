"""Square textures for cloth, objects and ink, in one bank that scenes point into."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from knuckle.render import backgrounds
from knuckle.render.stage import TEXTURE_SIZE

#: Rows of the bank, by what they show. The rest are windows of pictures.
INK = range(24)
FABRIC = range(24, 72)
PICTURE = range(72, 160)


def texture_bank(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """(160, 128, 128, 3) uint8: ink on white, woven cloth, windows of the given pictures."""
    rng = np.random.default_rng(0)
    size = TEXTURE_SIZE
    rows = [_ink(rng) for _ in INK] + [_fabric(rng) for _ in FABRIC]
    for _ in PICTURE:
        if pictures:
            picture = pictures[int(rng.integers(len(pictures)))]
            rows.append(backgrounds.window(picture, rng, size, size))
        else:
            rows.append(backgrounds.procedural(rng, size, size))
    return np.stack(rows)


def _ink(rng: np.random.Generator) -> np.ndarray:
    """Tattoos and henna: curls, dots and filled shapes, black on white."""
    sheet = np.full((TEXTURE_SIZE, TEXTURE_SIZE), 255, np.uint8)
    fine = rng.random() < 0.6  # henna is a lattice of thin curls, a tattoo a few bold shapes
    for _ in range(int(rng.integers(25, 60) if fine else rng.integers(4, 12))):
        centre = tuple(int(v) for v in rng.integers(0, TEXTURE_SIZE, 2))
        axes = tuple(int(v) for v in rng.integers(2, 9 if fine else 16, 2))
        start, turn = rng.uniform(0, 360), rng.uniform(120, 360)
        width = -1 if rng.random() < 0.2 else 1 if fine else int(rng.integers(1, 4))
        cv2.ellipse(
            sheet, centre, axes, rng.uniform(0, 180), start, start + turn, 0, width, cv2.LINE_AA
        )
    return np.repeat(cv2.GaussianBlur(sheet, (0, 0), 0.6)[..., None], 3, axis=2)


def _fabric(rng: np.random.Generator) -> np.ndarray:
    """Plain weave, knit, stripes, checks: light, because the material's colour multiplies it."""
    x, y = np.meshgrid(np.arange(TEXTURE_SIZE), np.arange(TEXTURE_SIZE))
    turn = 2 * np.pi / TEXTURE_SIZE
    threads = int(rng.integers(16, 50))
    weave = np.sin(x * turn * threads) * np.sin(y * turn * threads)
    cloth = np.full((TEXTURE_SIZE, TEXTURE_SIZE, 3), 225.0) + rng.uniform(4, 25) * weave[..., None]
    folds = cv2.resize(
        rng.uniform(-1, 1, (9, 9)), (TEXTURE_SIZE, TEXTURE_SIZE), None, 0, 0, cv2.INTER_CUBIC
    )
    cloth += rng.uniform(5, 40) * folds[..., None]
    kind = rng.integers(4)
    if kind:
        stripes = int(rng.integers(2, 16))
        edge = rng.uniform(-0.7, 0.7)
        bands = [np.sin(axis * turn * stripes) > edge for axis in (x, y)]
        shown = bands[0] if kind == 1 else bands[1] if kind == 2 else bands[0] ^ bands[1]
        cloth *= np.where(shown[..., None], rng.uniform(0.15, 1.0, 3), 1.0)
    return np.clip(cloth, 0, 255).astype(np.uint8)
