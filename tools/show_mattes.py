"""Draws the figure of docs/training.md on mattes: photograph, matte, the hand elsewhere.

    python tools/show_mattes.py runs/data/crops.npz runs/data/mattes.npz docs/mattes.jpg

Only pictures of ``photos_sign_digits`` are drawn: they show nothing of anybody but hands.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from knuckle.data.photographs import PhotographStore
from knuckle.render.backgrounds import Backgrounds
from knuckle.train.mattes import Mattes, recomposed

TILE, COLUMNS, ROWS = 112, 3, 4


def main(store_path: str, mattes_path: str, out: str) -> None:
    """Draw some hands, three tiles each."""
    store, mattes = PhotographStore.load(store_path), Mattes.load(mattes_path)
    backgrounds, rng = Backgrounds.load(), np.random.default_rng(5)
    alone = np.flatnonzero(store.datasets == "photos_sign_digits")
    triples: list[np.ndarray] = []
    for i in rng.permutation(alone).tolist():
        alpha = mattes.alpha(i)
        if alpha is None:
            continue
        sample = store.decode(i)
        elsewhere = recomposed(sample, alpha, backgrounds.sample(rng, *alpha.shape), rng)
        grey = np.repeat(np.round(255 * alpha).astype(np.uint8)[..., None], 3, axis=2)
        tiles = [sample.image, grey, elsewhere.image]
        triples.append(np.hstack([cv2.resize(tile, (TILE, TILE)) for tile in tiles]))
        if len(triples) == COLUMNS * ROWS:
            break
    rows = [np.hstack(triples[k : k + COLUMNS]) for k in range(0, len(triples), COLUMNS)]
    cv2.imwrite(str(Path(out)), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])


if __name__ == "__main__":
    main(*sys.argv[1:])
