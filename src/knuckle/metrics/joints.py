"""Errors of joints and of how they move."""

from __future__ import annotations

import numpy as np

#: Thresholds of the 3D PCK curve and its area, mm: 0 to 50 as in FreiHAND (Zimmermann 2019).
PCK_3D_MM = np.linspace(0.0, 50.0, 101)
#: Thresholds of the 2D PCK curve, px: 0 to 30 as in Zimmermann and Brox 2017.
PCK_2D_PX = np.linspace(0.0, 30.0, 61)


# --------------------------------------------------------------------------------------------
# Joints
# --------------------------------------------------------------------------------------------
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
    """Euclidean distance of every joint from its true place.

    Args:
        predicted: (..., J, D), in any unit.
        true: (..., J, D), in the same unit.
        root: joint that both are moved onto first (its error is then 0), or None to compare as is.

    Returns:
        (..., J) distances, in the unit of the input.
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if root is not None:
        predicted = predicted - predicted[..., root : root + 1, :]
        true = true - true[..., root : root + 1, :]
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
    custom has it.

    Args:
        predicted_mm: (..., J, 3).
        true_mm: (..., J, 3).
        valid: (..., J) bool.
        root: joint that both are moved onto; None for the absolute error.

    Returns:
        (...) mm; NaN where no joint is valid, or the root is not: then nothing is aligned.
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
    image is never taken) and translations t, by Umeyama 1991 (eqs. 40 to 42).

    Args:
        points: (..., J, D), D = 2 or 3, what is moved.
        target: (..., J, D), what it is moved onto.
        valid: (..., J) bool, the joints that decide; all are moved.

    Returns:
        (..., J, D) aligned points. Points that all coincide come out in the target's centroid.
    """
    points, target = np.asarray(points, np.float64), np.asarray(target, np.float64)
    shape = np.broadcast_shapes(points.shape, target.shape)
    weight = np.ones(shape[:-1]) if valid is None else np.asarray(valid, np.float64)
    weight = np.broadcast_to(weight, shape[:-1])[..., None]  # (..., J, 1)
    total = np.maximum(weight.sum(axis=-2, keepdims=True), 1e-12)
    # What stands at an invalid joint may be NaN: keep it out of the sums.
    p = np.where(weight > 0, points, 0.0)
    q = np.where(weight > 0, target, 0.0)
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
    return np.where(weight.any(axis=-2, keepdims=True), aligned, np.nan)


def pa_mpjpe(
    predicted_mm: np.ndarray, true_mm: np.ndarray, valid: np.ndarray | None = None
) -> np.ndarray:
    """MPJPE after ``procrustes_align``: the error of the shape alone, (..., J, 3) -> (...) mm.

    With fewer than three valid joints every shape can be laid onto every other: NaN.
    """
    aligned = procrustes_align(predicted_mm, true_mm, valid)
    error = masked_mean(joint_errors(aligned, true_mm), valid)
    if valid is None:
        return error
    return np.where(np.asarray(valid).sum(axis=-1) >= 3, error, np.nan)


def mrrpe(
    predicted_left_mm: np.ndarray,
    predicted_right_mm: np.ndarray,
    true_left_mm: np.ndarray,
    true_right_mm: np.ndarray,
) -> np.ndarray:
    """Mean relative-root position error: how far the left root is off, seen from the right root.

    |(pl - pr) - (tl - tr)| of Moon et al. 2020 (InterHand2.6M, section 6.1).

    Args:
        predicted_left_mm: (..., 3) root of the left hand in the camera frame.
        predicted_right_mm: (..., 3) the same of the right hand.
        true_left_mm: (..., 3).
        true_right_mm: (..., 3).

    Returns:
        (...) mm, one error a pair of hands.
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
    """2D error as a share of the hand: ``epe`` over the longer side of the true box.

    Args:
        predicted_px: (..., J, 2).
        true_px: (..., J, 2).
        valid: (..., J) bool.

    Returns:
        (...) share; 0.05 is 5 % of the hand's box.
    """
    return epe(predicted_px, true_px, valid) / np.maximum(box_side(true_px, valid), 1e-12)


def pck(errors: np.ndarray, thresholds: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Share of correct keypoints: how many errors are at most each threshold.

    Args:
        errors: any shape; infinite for a joint of a missed hand, which is then never correct.
        thresholds: (T,) in the unit of the errors.
        valid: mask of the errors that count.

    Returns:
        (T,) in 0..1, NaN where no error counts.
    """
    errors = np.asarray(errors, np.float64)
    counted = errors[np.broadcast_to(valid, errors.shape)] if valid is not None else errors.ravel()
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
def acceleration_error(predicted: np.ndarray, true: np.ndarray, interval_s: float = 1.0) -> float:
    """Mean difference of the joints' accelerations, after Kanazawa et al. 2019 (HMMR).

    mean |p''- t''| with x'' = (x[k-1] - 2 x[k] + x[k+1]) / interval^2.

    Args:
        predicted: (frames, J, D), evenly spaced in time.
        true: (frames, J, D).
        interval_s: time between frames; with 1 the unit is that of the joints per frame^2.

    Returns:
        unit / s^2; NaN for fewer than three frames.
    """
    if len(predicted) < 3:
        return float("nan")
    off = np.diff(np.asarray(predicted) - np.asarray(true), n=2, axis=0) / interval_s**2
    return float(np.linalg.norm(off, axis=-1).mean())


def jitter(points: np.ndarray, interval_s: float = 1.0) -> float:
    """Mean jerk: how much the joints tremble, whatever the truth. After Yi et al. 2021 (TransPose).

    mean |x'''| with the third difference over interval^3.

    Args:
        points: (frames, J, D), evenly spaced in time.
        interval_s: time between frames.

    Returns:
        unit / s^3; NaN for fewer than four frames.
    """
    if len(points) < 4:
        return float("nan")
    return float(np.linalg.norm(np.diff(points, n=3, axis=0), axis=-1).mean() / interval_s**3)
