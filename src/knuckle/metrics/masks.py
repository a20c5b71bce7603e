"""How well masks and their outlines agree."""

from __future__ import annotations

import cv2
import numpy as np


def mask_iou(predicted: np.ndarray, true: np.ndarray, known: np.ndarray | None = None) -> float:
    """Intersection over union of two (H, W) bool masks; 1 where both are empty.

    ``known`` (H, W) bool leaves out pixels of which nobody knows what they show.
    """
    predicted, true = np.asarray(predicted, bool), np.asarray(true, bool)
    if known is not None:
        predicted, true = predicted & known, true & known
    union = np.count_nonzero(predicted | true)
    return np.count_nonzero(predicted & true) / union if union else 1.0


def boundary_f(predicted: np.ndarray, true: np.ndarray, tolerance_px: float = 2.0) -> float:
    """Boundary F-measure of two (H, W) bool masks, after Csurka 2013 and DAVIS (Perazzi 2016).

    Precision: the share of the predicted outline within ``tolerance_px`` of the true one; recall
    the other way round; F = 2 P R / (P + R). 1 where both masks are empty, 0 where one is.
    """
    outlines = [_outline(np.asarray(mask, bool)) for mask in (predicted, true)]
    if not outlines[0].any() or not outlines[1].any():
        return float(not outlines[0].any() and not outlines[1].any())
    near = [_distance_to(outline) <= tolerance_px for outline in outlines]
    precision = near[1][outlines[0]].mean()
    recall = near[0][outlines[1]].mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _outline(mask: np.ndarray) -> np.ndarray:
    """Pixels of the mask that touch what is not the mask (4-neighbours; the border is not)."""
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _distance_to(outline: np.ndarray) -> np.ndarray:
    """Distance of every pixel from the nearest pixel of the outline, px."""
    return cv2.distanceTransform((~outline).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
