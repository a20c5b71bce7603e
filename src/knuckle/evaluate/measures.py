"""What is measured beside a protocol's own number, the same for every system and data set.

A missed hand is never left out silently: shares count it as wrong, penalised errors count it as if
all its joints had been put onto its wrist.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from knuckle import metrics
from knuckle.evaluate.pairs import ScoredHands
from knuckle.hand import Joint


@dataclass(frozen=True, eq=False)
class Measures:
    """Everything that is measured, by name, and the curves and columns behind it."""

    #: Name (with its unit) -> value; NaN where the data set or the system lacks it.
    numbers: dict[str, float]
    pck_3d: np.ndarray  # (T,) over ``metrics.PCK_3D_MM``, wrist-aligned
    pck_2d: np.ndarray  # (T,) over ``metrics.PCK_2D_PX``
    columns: dict[str, np.ndarray]  # name -> (H,) one value a true hand, for tables and plots


def measure(pairs: ScoredHands) -> Measures:
    """Measure pairs that were matched by place."""
    columns = _columns(pairs)
    errors_3d, counted_3d = _errors_3d(pairs)
    errors_2d = np.where(
        pairs.found[:, None], metrics.joint_errors(pairs.predicted_px, pairs.true_px), np.inf
    )
    counted_2d = pairs.valid & (~pairs.found | np.isfinite(pairs.predicted_px[:, 0, 0]))[:, None]
    pck_3d = metrics.pck(errors_3d, metrics.PCK_3D_MM, counted_3d)
    pck_2d = metrics.pck(errors_2d, metrics.PCK_2D_PX, counted_2d)
    numbers = {
        **_finding(pairs),
        **_accuracy_3d(pairs, columns),
        "auc_3d_0_50mm": metrics.auc(pck_3d, metrics.PCK_3D_MM),
        "epe_px": _mean(columns["epe_px"]),
        "error_2d_share_of_box": _mean(columns["error_2d_share"]),
        "pck_2d_at_20_percent_of_box": _pck_of_box(pairs, errors_2d, counted_2d),
        "auc_2d_0_30px": metrics.auc(pck_2d, metrics.PCK_2D_PX),
        "mask_iou": _mean(pairs.mask_iou),
        "mask_boundary_f": _mean(pairs.mask_f),
        **_visibility(pairs),
        **_motion(pairs),
    }
    return Measures(numbers, pck_3d, pck_2d, columns)


def _columns(pairs: ScoredHands) -> dict[str, np.ndarray]:
    """(H,) values of every true hand; NaN where it was missed or is not known."""
    root_valid = pairs.valid[:, Joint.WRIST]
    root_error = np.linalg.norm(
        pairs.predicted_mm[:, Joint.WRIST] - pairs.true_mm[:, Joint.WRIST], axis=-1
    )
    relative_true = pairs.true_mm - pairs.true_mm[:, :1]
    relative = np.nan_to_num(pairs.relative_mm)
    known = pairs.found & pairs.has_3d & np.isfinite(pairs.relative_mm[:, 0, 0])
    pa = metrics.pa_mpjpe(relative, np.nan_to_num(relative_true), pairs.valid)
    mpjpe = metrics.mpjpe(relative, relative_true, pairs.valid)
    return {
        "mpjpe_mm": np.where(known, mpjpe, np.nan),
        "pa_mpjpe_mm": np.where(known, pa, np.nan),
        "absolute_mm": metrics.absolute_error(pairs.predicted_mm, pairs.true_mm, pairs.valid),
        "root_mm": np.where(root_valid, root_error, np.nan),
        "epe_px": metrics.epe(pairs.predicted_px, pairs.true_px, pairs.valid),
        "error_2d_share": metrics.keypoint_error_share(
            pairs.predicted_px, pairs.true_px, pairs.valid
        ),
        "depth_mm": np.where(root_valid, pairs.true_mm[:, Joint.WRIST, 2], np.nan),
        "box_px": metrics.box_side(pairs.true_px, pairs.valid),
        "hidden_share": metrics.masked_mean(
            1 - np.nan_to_num(pairs.true_visible),
            pairs.valid & np.isfinite(pairs.true_visible),
        ),
        "overlap": _overlap_with_other(pairs),
    }


def _errors_3d(pairs: ScoredHands) -> tuple[np.ndarray, np.ndarray]:
    """(H, 21) wrist-aligned errors, infinite for missed hands, and which of them count."""
    relative_true = pairs.true_mm - pairs.true_mm[:, :1]
    errors = metrics.joint_errors(pairs.relative_mm, relative_true)
    counted = pairs.valid & (pairs.valid[:, Joint.WRIST] & pairs.has_3d)[:, None]
    said = np.isfinite(pairs.relative_mm[:, 0, 0])
    return np.where(pairs.found[:, None], errors, np.inf), counted & (said | ~pairs.found)[:, None]


def _finding(pairs: ScoredHands) -> dict[str, float]:
    """Whether the hands were found, and their sides known."""
    found = int(pairs.found.sum())
    missed = len(pairs) - found
    # Predictions that are no match of place; those with a wrong side are found all the same.
    spurious = len(pairs.scores) - found
    sides = pairs.predicted_side[pairs.found] == pairs.side[pairs.found]
    return {
        "found": found / len(pairs),
        "precision": found / (found + spurious) if found + spurious else float("nan"),
        "f1": 2 * found / (2 * found + missed + spurious),
        "side_accuracy": float(metrics.masked_mean(sides)) if found else float("nan"),
        "average_precision": metrics.average_precision(pairs.scores, pairs.correct, len(pairs)),
    }


def _accuracy_3d(pairs: ScoredHands, columns: dict[str, np.ndarray]) -> dict[str, float]:
    """Errors of the found hands, and of all hands with a price on the missed ones."""
    with_truth = pairs.has_3d & pairs.valid[:, Joint.WRIST]
    relative_true = np.where(with_truth[:, None, None], pairs.true_mm - pairs.true_mm[:, :1], 0.0)
    lost = metrics.mpjpe(np.zeros_like(relative_true), relative_true, pairs.valid)
    found = pairs.found[with_truth]
    mean = _mean(columns["mpjpe_mm"])
    penalised = metrics.penalised_mean(columns["mpjpe_mm"][with_truth], found, lost[with_truth])
    n_found = int(pairs.found.sum())
    missed, spurious = len(pairs) - n_found, len(pairs.scores) - n_found
    return {
        "mpjpe_found_mm": mean,
        "mpjpe_penalised_mm": penalised,
        "mpjpe_over_f1_mm": metrics.normalised_error(mean, n_found, missed, spurious),
        "pa_mpjpe_found_mm": _mean(columns["pa_mpjpe_mm"]),
        "absolute_error_mm": _mean(columns["absolute_mm"]),
        "root_error_mm": _mean(columns["root_mm"]),
    }


def _pck_of_box(pairs: ScoredHands, errors_2d: np.ndarray, counted: np.ndarray) -> float:
    """Share of keypoints within 20 % of the box's longer side (mmpose's PCK@0.2 of hands).

    Hands with a single valid joint have no box, and do not count.
    """
    side = metrics.box_side(pairs.true_px, pairs.valid)[:, None]
    shares = errors_2d / np.where(side > 0, side, np.nan)
    return float(metrics.pck(shares, np.array([0.2]), counted & (side > 0))[0])


def _visibility(pairs: ScoredHands) -> dict[str, float]:
    """How well hidden joints are told from visible ones: accuracy, and F1 of "hidden"."""
    known = pairs.valid & np.isfinite(pairs.true_visible) & np.isfinite(pairs.predicted_visible)
    if not known.any():
        return {"visibility_accuracy": float("nan"), "hidden_f1": float("nan")}
    true_hidden = pairs.true_visible[known] == 0
    said_hidden = pairs.predicted_visible[known] == 0
    hits = int((true_hidden & said_hidden).sum())
    wrong = int((true_hidden != said_hidden).sum())
    return {
        "visibility_accuracy": float((true_hidden == said_hidden).mean()),
        "hidden_f1": 2 * hits / (2 * hits + wrong) if hits + wrong else 1.0,
    }


def _motion(pairs: ScoredHands) -> dict[str, float]:
    """Acceleration error and jitter over runs of evenly spaced frames of one hand, per frame."""
    weights, acceleration, jitter, true_jitter = [], [], [], []
    for run in _runs(pairs):
        predicted, true = pairs.predicted_mm[run], pairs.true_mm[run]
        weights.append(len(run))
        acceleration.append(metrics.acceleration_error(predicted, true))
        jitter.append(metrics.jitter(predicted))
        true_jitter.append(metrics.jitter(true))

    def average(values: list[float]) -> float:
        return float(np.average(values, weights=weights)) if values else float("nan")

    return {
        "acceleration_error_mm_per_frame2": average(acceleration),
        "jitter_mm_per_frame3": average(jitter),
        "true_jitter_mm_per_frame3": average(true_jitter),
    }


def _runs(pairs: ScoredHands, shortest: int = 4) -> list[np.ndarray]:
    """Rows of one side of one video, in order, found in every frame, the frames evenly spaced."""
    usable = pairs.found & pairs.valid.all(axis=1) & np.isfinite(pairs.predicted_mm[:, 0, 0])
    by_hand: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for row in np.flatnonzero(usable & pairs.has_3d):
        video = pairs.videos[pairs.picture[row]]
        if video is not None:
            name, frame = video
            by_hand.setdefault((name, int(pairs.side[row])), []).append((frame, int(row)))
    runs = []
    for hand in by_hand.values():
        frames, rows = np.array(sorted(hand)).T
        gaps = np.diff(frames)
        if len(gaps):
            breaks = np.flatnonzero(gaps != gaps.min()) + 1
            runs += [run for run in np.split(rows, breaks) if len(run) >= shortest]
    return runs


def _overlap_with_other(pairs: ScoredHands) -> np.ndarray:
    """(H,) share of the hand's box that the other hands' boxes cover at most; 0 if alone."""
    low = np.where(pairs.valid[..., None], pairs.true_px, np.inf).min(axis=1)
    high = np.where(pairs.valid[..., None], pairs.true_px, -np.inf).max(axis=1)
    overlap = np.zeros(len(pairs))
    order = np.argsort(pairs.picture, kind="stable")
    starts = np.flatnonzero(np.diff(pairs.picture[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        for a, b in permutations(rows, 2):
            shared = np.minimum(high[a], high[b]) - np.maximum(low[a], low[b])
            area = max(float(np.prod(np.maximum(high[a] - low[a], 0))), 1e-9)
            share = float(np.prod(np.clip(shared, 0, None))) / area
            overlap[a] = max(overlap[a], min(share, 1.0))
    return overlap


def _mean(values: np.ndarray) -> float:
    """Mean over what is known."""
    return float(metrics.masked_mean(values, np.isfinite(values)))
