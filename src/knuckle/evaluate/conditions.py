"""Under which conditions a system errs: near or far, sharp or blurred, free or hidden."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from knuckle.data.labelled import LabelledSet
from knuckle.evaluate.pairs import ScoredHands
from knuckle.metrics import masked_mean

#: Pictures that are read to measure sharpness, spread evenly over the data set: reading is slow.
MOST_PICTURES = 2000
#: Sharpness is measured on the hand's box brought to this size: near and far hands compare.
_PATCH = 64


def sharpness(dataset: LabelledSet, pairs: ScoredHands, most: int = MOST_PICTURES) -> np.ndarray:
    """(H,) how sharp each hand is pictured; NaN where its picture was not read.

    The standard deviation of the Laplacian over the hand's box (Pertuz et al. 2013, LAP4), divided
    by that of the grey values: contrast alone does not make a hand sharp.
    """
    values = np.full(len(pairs), np.nan)
    n = len(pairs.keys)
    for picture in np.unique(np.linspace(0, n - 1, min(n, most)).astype(int)):
        rows = np.flatnonzero((pairs.picture == picture) & pairs.valid.any(axis=1))
        if len(rows):
            grey = cv2.cvtColor(dataset.image(int(picture)), cv2.COLOR_RGB2GRAY)
            for row in rows:
                values[row] = _patch_sharpness(grey, pairs.true_px[row][pairs.valid[row]])
    return values


def _patch_sharpness(grey: np.ndarray, points_px: np.ndarray) -> float:
    low = np.maximum(np.floor(points_px.min(axis=0)).astype(int), 0)
    high = np.ceil(points_px.max(axis=0)).astype(int) + 1
    patch = grey[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
    if min(patch.shape) < 4:
        return float("nan")
    patch = cv2.resize(patch, (_PATCH, _PATCH), interpolation=cv2.INTER_AREA).astype(np.float32)
    return float(cv2.Laplacian(patch, cv2.CV_32F).std() / max(float(patch.std()), 1.0))


def by_quantile(
    values: np.ndarray, errors: np.ndarray, bins: int = 5
) -> list[tuple[float, float, float, int]]:
    """Mean of errors (H,) in equally filled bins of a condition (H,); fewer where values repeat.

    (from, to, mean error, hands) of each, in order; empty where nothing is known.
    """
    known = np.isfinite(values) & np.isfinite(errors)
    if not known.any():
        return []
    values, errors = values[known], errors[known]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
    if len(edges) == 1:
        return [(float(edges[0]), float(edges[0]), float(errors.mean()), len(errors))]
    at = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return [
        (low, high, float(masked_mean(errors, at == k)), int((at == k).sum()))
        for k, (low, high) in enumerate(pairwise(edges.tolist()))
        if (at == k).any()
    ]
