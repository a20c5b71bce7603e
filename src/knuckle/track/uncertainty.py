"""Expected errors of a raw estimate, by which both smoothers weigh it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knuckle.hand import box_px
from knuckle.median import median
from knuckle.pose.confidence import sigma_of
from knuckle.results import HandPose

#: Below the first score a look counts least, ``_LEAST``; from the second on it counts fully.
_BAD_SCORE, _GOOD_SCORE, _LEAST = 0.3, 0.8, 0.05
#: The error, as a share of the extent, of a keypoint that is as likely right as wrong.
_EVEN_ODDS = float(sigma_of(np.array(0.5)))
#: Least weight of a joint: one that is never sure must not stay where it is for ever.
_LEAST_SAY = 0.02
#: The lifter claims no error for the wrist, whose place it does not give.
_LEAST_MM = 0.5


def sureness_of(score: float) -> float:
    """0..1, how far a look with this score counts."""
    return min(max((score - _BAD_SCORE) / (_GOOD_SCORE - _BAD_SCORE), 0.0), 1.0)


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Standard deviations of one hand's raw estimate."""

    extent: float  # of the hand in the picture, longer side, as a difference of rays (x/z, y/z)
    across: np.ndarray  # (21,) of the joints' rays
    along_mm: np.ndarray  # (21,) of the joints' depth from the wrist
    distance: float  # of the logarithm of the whole hand's distance
    sureness: float  # 0..1, of the look as a whole
    #: (21,) 0..1, of each joint in where it is: 1 for one that is as likely right as wrong, or as
    #: sure as most of its hand; below that by the inverse of its variance.
    say: np.ndarray

    @classmethod
    def of(cls, pose: HandPose) -> Uncertainty:
        """That of a raw estimate, by its scores."""
        x0, y0, x1, y1 = box_px(pose.rays)
        extent = max(x1 - x0, y1 - y0, 1e-6)
        shares = sigma_of(pose.joint_score)
        usual = float(median(shares))
        held = max(_EVEN_ODDS, usual)
        return cls(
            extent=extent,
            across=shares * extent,
            along_mm=np.maximum(pose.joint_sigma_mm, _LEAST_MM, dtype=np.float64),
            # The scale of the picture is as unsure as its points, and fixes the distance.
            distance=usual,
            sureness=_LEAST + (1 - _LEAST) * sureness_of(pose.score),
            say=np.maximum(np.square(np.minimum(held / shares, 1.0)), _LEAST_SAY),
        )
