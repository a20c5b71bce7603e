"""How far an estimate is from the truth: every error measure of the project, each in one place.

Arrays are batched: joints are (..., J, D), validity masks (..., J) bool. A joint that is not valid
has no truth and is left out of every mean; a mean over no joint at all is NaN. Nothing here knows
about protocols (which joint is the root, which hands count): those stand in
``knuckle.evaluate.protocols``.
"""

from knuckle.metrics.hands import (
    MATCH_GATE,
    WRONG_SIDE_COST,
    Match,
    average_precision,
    handedness_accuracy,
    match_hands,
    normalised_error,
    penalised_mean,
)
from knuckle.metrics.joints import (
    PCK_2D_PX,
    PCK_3D_MM,
    absolute_error,
    acceleration_error,
    auc,
    box_side,
    epe,
    jitter,
    joint_errors,
    keypoint_error_share,
    masked_mean,
    mpjpe,
    mrrpe,
    pa_mpjpe,
    pck,
    procrustes_align,
)
from knuckle.metrics.masks import (
    boundary_f,
    mask_iou,
)

__all__ = [
    "MATCH_GATE",
    "PCK_2D_PX",
    "PCK_3D_MM",
    "WRONG_SIDE_COST",
    "Match",
    "absolute_error",
    "acceleration_error",
    "auc",
    "average_precision",
    "boundary_f",
    "box_side",
    "epe",
    "handedness_accuracy",
    "jitter",
    "joint_errors",
    "keypoint_error_share",
    "mask_iou",
    "masked_mean",
    "match_hands",
    "mpjpe",
    "mrrpe",
    "normalised_error",
    "pa_mpjpe",
    "pck",
    "penalised_mean",
    "procrustes_align",
]
