"""Which hand is which, and hands that were missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knuckle.hand import Side
from knuckle.metrics.joints import keypoint_error_share, masked_mean

#: A predicted hand further off than this share of the true hand's box has not found that hand.
MATCH_GATE = 0.5
#: What a wrong side costs against distance when hands lie close, in shares of the box.
WRONG_SIDE_COST = 0.25


@dataclass(frozen=True)
class Match:
    """Predicted hand number ``predicted`` is about true hand number ``true``.

    ``distance`` is the mean 2D distance of their joints as a share of the true hand's box.
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
    true box's longer side, plus ``WRONG_SIDE_COST`` where the sides differ. Pairs further off than
    ``MATCH_GATE`` never match. Pairs are taken cheapest first (ties: lower indices), each hand at
    most once. So a hand in the right place with the wrong side counts as found, with a wrong side.

    Args:
        predicted_sides: (P,) sides.
        predicted_px: (P, J, 2).
        true_sides: (T,) sides.
        true_px: (T, J, 2).
        valid: (T, J) bool.

    Returns:
        matches, ordered by the index of the true hand.
    """
    pairs = []
    for t, true_side in enumerate(true_sides):
        mask = None if valid is None else valid[t]
        for p, side in enumerate(predicted_sides):
            distance = float(keypoint_error_share(predicted_px[p], true_px[t], mask))
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


def penalised_mean(errors: np.ndarray, found: np.ndarray, cost: float | np.ndarray) -> float:
    """Mean error over all true hands, in which a missed hand costs.

    Leaving out hard hands lowers a mean over the found ones; it raises this one.

    Args:
        errors: (N,) error of each true hand; what stands at a missed one does not matter.
        found: (N,) bool.
        cost: what a missed hand counts as, one number or (N,), in the unit of the errors.
    """
    return float(masked_mean(np.where(found, errors, cost)))


def normalised_error(mean_error: float, true_positives: int, missed: int, spurious: int) -> float:
    """Mean error of the found hands over the F1 of finding them: NMJE of AGORA (Patel 2021).

    F1 = 2 TP / (2 TP + FN + FP). Infinite where nothing was found.
    """
    if true_positives == 0:
        return float("inf")
    return mean_error * (2 * true_positives + missed + spurious) / (2 * true_positives)


def handedness_accuracy(
    predicted: Sequence[Side], true: Sequence[Side], valid: np.ndarray | None = None
) -> float:
    """Share of hands whose side is right."""
    right = np.array([p == t for p, t in zip(predicted, true, strict=True)], dtype=np.float64)
    return float(masked_mean(right, valid))


def average_precision(scores: np.ndarray, correct: np.ndarray, n_true: int) -> float:
    """Area under the precision-recall curve, precision made monotone (Pascal VOC 2010 and COCO).

    Args:
        scores: (N,) of the predictions; higher is surer.
        correct: (N,) bool, whether each is a true positive.
        n_true: how many there were to find.

    Returns:
        0..1; NaN where there was nothing to find.
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
