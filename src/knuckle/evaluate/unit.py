"""In what an evaluation errs: millimetres, or pixels where labels or predictions have no 3D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from knuckle.evaluate.pairs import ScoredHands
from knuckle.evaluate.protocols import by_joint
from knuckle.evaluate.run import Evaluation


@dataclass(frozen=True, eq=False)
class Errors:
    """How far off everything is, in one unit."""

    unit: Literal["mm", "px"]  # of the errors
    pairs: ScoredHands  # the hands that they are of
    of_hands: np.ndarray  # (H,) NaN where a hand does not count
    #: (2, 21) means of the left and of the right hands; in pixels of the hands that were found.
    of_joints: np.ndarray


def errors_of(evaluation: Evaluation) -> Errors:
    """Those of the protocol; where it can say nothing in 3D, those of the keypoints."""
    scores, placed = evaluation.scores, evaluation.placed
    if np.isfinite(scores.hand_errors).any():
        return Errors("mm", evaluation.pairs, scores.hand_errors, scores.per_joint_mm)
    off_px = np.linalg.norm(placed.predicted_px - placed.true_px, axis=2)
    counted = placed.valid & np.isfinite(off_px)
    of_joints = by_joint(off_px, counted, placed.side)
    return Errors("px", placed, evaluation.measures.columns["epe_px"], of_joints)
