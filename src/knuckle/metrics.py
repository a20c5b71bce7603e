"""How far an estimate is from the truth: every error measure of the project, each in one place.

Arrays are batched: joints are (..., J, D), validity masks (..., J) bool. A joint that is not valid
has no truth and is left out of every mean; a mean over no joint at all is NaN. Nothing here knows
about protocols (which joint is the root, which hands count): those stand in
``knuckle.evaluate.protocols``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from knuckle.hand import Side

#: Thresholds of the 3D PCK curve and its area, mm: 0 to 50 as in FreiHAND (Zimmermann 2019).
PCK_3D_MM = np.linspace(0.0, 50.0, 101)
#: Thresholds of the 2D PCK curve, px: 0 to 30 as in Zimmermann and Brox 2017.
PCK_2D_PX = np.linspace(0.0, 30.0, 61)
#: A predicted hand further off than this share of the true hand's box has not found that hand.
MATCH_GATE = 0.5
#: What a wrong side costs against distance when hands lie close, in shares of the box.
WRONG_SIDE_COST = 0.25


def masked_mean(
    values: np.ndarray, valid: np.ndarray | None = None, axis: int | tuple[int, ...] | None = -1
) -> np.ndarray:
    """Mean over the valid entries along ``axis``; NaN where there is none.

    What stands at an invalid entry does not matter, not even NaN.
    """
    values = np.asarray(values, dtype=np.float64)
    valid = np.ones(values.shape, bool) if valid is None else np.broadcast_to(valid, values.shape)
    total = np.where(valid, values, 0.0).sum(axis=axis)
    count = valid.sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def joint_errors(predicted: np.ndarray, true: np.ndarray, *, root: int | None = None) -> np.ndarray:
    """Euclidean distance of every joint from its true place: (..., J, D) -> (..., J), any unit.

    ``root`` is the joint that both are moved onto first (its error is then 0); None: as they are.
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if root is not None:
        predicted = predicted - predicted[..., [root], :]
        true = true - true[..., [root], :]
    return np.linalg.norm(predicted - true, axis=-1)


def mpjpe(
    predicted_mm: np.ndarray,
    true_mm: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    root: int | None = 0,
) -> np.ndarray:
    """Mean per-joint position error, root-aligned: mean_j |p_j - p_root - (t_j - t_root)|.

    After Ionescu et al. 2014 (Human3.6M). The root itself is one of the joints (error 0), as
    custom has it; without a ``root`` the error is absolute. (..., J, 3) -> (...) mm; NaN where no
    joint is valid, or the root is not: then nothing is aligned.
    """
    error = masked_mean(joint_errors(predicted_mm, true_mm, root=root), valid)
    if valid is not None and root is not None:
        error = np.where(np.asarray(valid, bool)[..., root], error, np.nan)
    return error


def absolute_error(
    predicted_mm: np.ndarray, true_mm: np.ndarray, valid: np.ndarray | None = None
) -> np.ndarray:
    """Mean per-joint error in the camera frame, nothing aligned: (..., J, 3) -> (...) mm."""
    return mpjpe(predicted_mm, true_mm, valid, root=None)


def procrustes_align(
    points: np.ndarray, target: np.ndarray, valid: np.ndarray | None = None
) -> np.ndarray:
    """Turn, scale and move ``points`` onto ``target`` as well as can be.

    The minimiser of sum_j |s R p_j + t - q_j|^2 over scales s >= 0, rotations R (det +1: a mirror
    image is never taken) and translations t, by Umeyama 1991 (eqs. 40 to 42). All are (..., J, D),
    D = 2 or 3. The ``valid`` joints decide, all are moved; points that all coincide come out in the
    target's centroid. A hand with a valid joint that is not finite comes out as NaN.
    """
    points, target = np.asarray(points, np.float64), np.asarray(target, np.float64)
    shape = np.broadcast_shapes(points.shape, target.shape)
    weight = np.ones(shape[:-1]) if valid is None else np.asarray(valid, np.float64)
    weight = np.broadcast_to(weight, shape[:-1])[..., None]  # (..., J, 1)
    total = np.maximum(weight.sum(axis=-2, keepdims=True), 1e-12)
    # What stands at an invalid joint may be NaN: keep it out of the sums.
    p = np.where(weight > 0, points, 0.0)
    q = np.where(weight > 0, target, 0.0)
    known = np.isfinite(p + q).all(axis=(-1, -2), keepdims=True)
    p, q = np.where(known, p, 0.0), np.where(known, q, 0.0)
    p_mean = p.sum(axis=-2, keepdims=True) / total
    q_mean = q.sum(axis=-2, keepdims=True) / total
    p_centred, q_centred = (p - p_mean) * weight, (q - q_mean) * weight

    u, singular, vt = np.linalg.svd(np.swapaxes(q_centred, -1, -2) @ p_centred)  # R = U S V^T
    sign = np.ones(singular.shape)
    sign[..., -1] = np.where(np.linalg.det(u) * np.linalg.det(vt) < 0, -1.0, 1.0)
    rotation = (u * sign[..., None, :]) @ vt  # (..., D, D)
    spread = (p_centred**2).sum(axis=(-1, -2))
    scale = np.maximum((singular * sign).sum(axis=-1), 0.0) / np.maximum(spread, 1e-12)
    aligned = scale[..., None, None] * (points - p_mean) @ np.swapaxes(rotation, -1, -2) + q_mean
    return np.where(known & weight.any(axis=-2, keepdims=True), aligned, np.nan)


def pa_mpjpe(
    predicted_mm: np.ndarray, true_mm: np.ndarray, valid: np.ndarray | None = None
) -> np.ndarray:
    """MPJPE after ``procrustes_align``: the error of the shape alone, (..., J, 3) -> (...) mm.

    With fewer than three valid joints every shape can be laid onto every other: NaN.
    """
    aligned = procrustes_align(predicted_mm, true_mm, valid)
    error = masked_mean(joint_errors(aligned, true_mm), valid)
    count = np.shape(predicted_mm)[-2] if valid is None else np.asarray(valid, bool).sum(axis=-1)
    return np.where(count >= 3, error, np.nan)


def mrrpe(
    predicted_left_mm: np.ndarray,
    predicted_right_mm: np.ndarray,
    true_left_mm: np.ndarray,
    true_right_mm: np.ndarray,
) -> np.ndarray:
    """Mean relative-root position error: how far the left root is off, seen from the right root.

    |(pl - pr) - (tl - tr)| of Moon et al. 2020 (InterHand2.6M, section 6.1): of roots (..., 3) in
    the camera frame, (...) mm, one error a pair of hands.
    """
    off = (predicted_left_mm - predicted_right_mm) - (true_left_mm - true_right_mm)
    return np.linalg.norm(off, axis=-1)


def epe(
    predicted_px: np.ndarray, true_px: np.ndarray, valid: np.ndarray | None = None
) -> np.ndarray:
    """End-point error: mean distance of the 2D keypoints, (..., J, 2) -> (...) px."""
    return masked_mean(joint_errors(predicted_px, true_px), valid)


def box_side(points_px: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Longer side of the tightest box around the valid points, (..., J, 2) -> (...) px."""
    points_px = np.asarray(points_px, np.float64)
    valid = np.ones(points_px.shape[:-1], bool) if valid is None else np.asarray(valid, bool)
    low = np.where(valid[..., None], points_px, np.inf).min(axis=-2)
    high = np.where(valid[..., None], points_px, -np.inf).max(axis=-2)
    with np.errstate(invalid="ignore"):
        side = (high - low).max(axis=-1)
    return np.where(valid.any(axis=-1), side, np.nan)


def keypoint_error_share(
    predicted_px: np.ndarray, true_px: np.ndarray, valid: np.ndarray | None = None
) -> np.ndarray:
    """2D error as a share of the hand: ``epe`` over the longer side of the true box, (...).

    NaN where that is no box, as of a single valid joint.
    """
    side = box_side(true_px, valid)
    return epe(predicted_px, true_px, valid) / np.where(side > 0, side, np.nan)


def pck(errors: np.ndarray, thresholds: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Share of correct keypoints, (T,) in 0..1: how many errors are at most each threshold (T,).

    Errors, of any shape, count where they are ``valid``; that of a joint of a missed hand is
    infinite, so that it is never correct. NaN where no error counts.
    """
    errors = np.asarray(errors, np.float64)
    counts = np.ones(errors.shape, bool) if valid is None else np.asarray(valid, bool)
    counted = errors[np.broadcast_to(counts, errors.shape)]
    if counted.size == 0:
        return np.full(len(thresholds), np.nan)
    return np.searchsorted(np.sort(counted), thresholds, side="right") / counted.size


def auc(curve: np.ndarray, thresholds: np.ndarray) -> float:
    """Area under a PCK curve over its range of thresholds, by the trapezoidal rule, in 0..1."""
    if len(curve) != len(thresholds) or len(curve) < 2:
        raise ValueError(
            f"expected a curve over at least 2 thresholds, got {len(curve)} values over "
            f"{len(thresholds)} thresholds"
        )
    area = ((curve[1:] + curve[:-1]) / 2 * np.diff(thresholds)).sum()
    return float(area / (thresholds[-1] - thresholds[0]))


# --------------------------------------------------------------------------------------------
# Motion
# --------------------------------------------------------------------------------------------
def acceleration_error(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean difference of the joints' accelerations, after Kanazawa et al. 2019 (HMMR).

    mean |p''- t''| with x'' = x[k-1] - 2 x[k] + x[k+1] of evenly spaced (frames, J, D), in the unit
    of the joints per frame^2; NaN for fewer than three frames.
    """
    if len(predicted) < 3:
        return float("nan")
    off = np.diff(np.asarray(predicted) - np.asarray(true), n=2, axis=0)
    return float(np.linalg.norm(off, axis=-1).mean())


def jitter(points: np.ndarray) -> float:
    """Mean jerk: how much the joints tremble, whatever the truth. After Yi et al. 2021 (TransPose).

    mean |x'''|, the third difference of evenly spaced (frames, J, D), in the unit of the joints per
    frame^3; NaN for fewer than four frames.
    """
    if len(points) < 4:
        return float("nan")
    return float(np.linalg.norm(np.diff(points, n=3, axis=0), axis=-1).mean())


# --------------------------------------------------------------------------------------------
# Which hand is which, and hands that were missed
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Match:
    """Predicted hand number ``predicted`` is about true hand number ``true``.

    ``distance`` is the mean 2D distance of their joints as a share of the true hand's box, or of
    the predicted one's where a single joint is all that the true hand has.
    """

    predicted: int
    true: int
    distance: float


def match_hands(
    predicted_sides: Sequence[Side],
    predicted_px: np.ndarray,
    true_sides: Sequence[Side],
    true_px: np.ndarray,
    valid: np.ndarray | None = None,
) -> list[Match]:
    """Which predicted hand is about which true one: by place first, by side where hands are close.

    The cost of a pair is its mean 2D distance over the true hand's valid joints, as a share of the
    true box's longer side, plus ``WRONG_SIDE_COST`` where the sides differ. A true hand with a
    single valid joint has no box: the predicted one's stands in. Pairs further off than
    ``MATCH_GATE`` never match. Pairs are taken cheapest first (ties: lower indices), each hand at
    most once. So a hand in the right place with the wrong side counts as found, with a wrong side.

    Predicted hands are (P, J, 2), true ones (T, J, 2), of which the ``valid`` joints (T, J) count.
    The matches come in the order of the true hands.
    """
    pairs = []
    for t, true_side in enumerate(true_sides):
        mask = None if valid is None else valid[t]
        for p, side in enumerate(predicted_sides):
            distance = _apart(predicted_px[p], true_px[t], mask)
            if distance <= MATCH_GATE:  # false for NaN too
                cost = distance + (WRONG_SIDE_COST if side != true_side else 0.0)
                pairs.append((cost, t, p, distance))
    matches: dict[int, Match] = {}
    taken: set[int] = set()
    for _, t, p, distance in sorted(pairs):
        if t not in matches and p not in taken:
            matches[t] = Match(predicted=p, true=t, distance=distance)
            taken.add(p)
    return [matches[t] for t in sorted(matches)]


def _apart(predicted_px: np.ndarray, true_px: np.ndarray, valid: np.ndarray | None) -> float:
    """The ``Match.distance`` of hands (J, 2); NaN where nothing of the true one is valid."""
    size = float(box_side(true_px, valid))
    if size == 0.0:
        size = float(box_side(predicted_px, np.isfinite(predicted_px).all(axis=-1)))
    return float(epe(predicted_px, true_px, valid)) / size if size > 0 else float("nan")


def penalised_mean(errors: np.ndarray, found: np.ndarray, cost: float | np.ndarray) -> float:
    """Mean error over all true hands, in which a missed hand costs.

    Leaving out hard hands lowers a mean over the found ones; it raises this one. Errors are (N,);
    what stands at a hand that was not ``found`` (N,) does not matter, it counts as the ``cost``,
    one number or (N,) in the unit of the errors.
    """
    return float(masked_mean(np.where(found, errors, cost)))


def normalised_error(mean_error: float, true_positives: int, missed: int, spurious: int) -> float:
    """Mean error of the found hands over the F1 of finding them: NMJE of AGORA (Patel 2021).

    F1 = 2 TP / (2 TP + FN + FP). Infinite where nothing was found.
    """
    if true_positives == 0:
        return float("inf")
    return mean_error * (2 * true_positives + missed + spurious) / (2 * true_positives)


def average_precision(scores: np.ndarray, correct: np.ndarray, n_true: int) -> float:
    """Area under the precision-recall curve, precision made monotone (Pascal VOC 2010 and COCO).

    Of predictions with scores (N,), higher ones surer, of which those that are ``correct`` (N,) are
    true positives. 0..1; NaN where there was nothing to find.
    """
    if n_true == 0:
        return float("nan")
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    hits = np.cumsum(np.asarray(correct, bool)[order])
    if hits.size == 0:
        return 0.0
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.concatenate([[0.0], hits / n_true])
    return float((np.diff(recall) * precision).sum())


# --------------------------------------------------------------------------------------------
# Masks
# --------------------------------------------------------------------------------------------
def mask_iou(predicted: np.ndarray, true: np.ndarray, known: np.ndarray | None = None) -> float:
    """Intersection over union of two (H, W) bool masks; 1 where both are empty.

    ``known`` (H, W) bool leaves out pixels of which it is unknown what they show.
    """
    predicted, true = np.asarray(predicted, bool), np.asarray(true, bool)
    if known is not None:
        predicted, true = predicted & known, true & known
    union = np.count_nonzero(predicted | true)
    return np.count_nonzero(predicted & true) / union if union else 1.0


def boundary_f(
    predicted: np.ndarray,
    true: np.ndarray,
    tolerance_px: float = 2.0,
    *,
    known: np.ndarray | None = None,
) -> float:
    """Boundary F-measure of two (H, W) bool masks, after Csurka 2013 and DAVIS (Perazzi 2016).

    Precision: the share of the predicted outline within ``tolerance_px`` of the true one; recall
    the other way round; F = 2 P R / (P + R). 1 where both masks are empty, 0 where one is.
    Outlines in and along pixels that are not ``known`` (H, W) bool do not count.
    """
    known = np.ones(np.shape(true), bool) if known is None else np.asarray(known, bool)
    outlines = [_outline(np.asarray(mask, bool) | ~known) & known for mask in (predicted, true)]
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
