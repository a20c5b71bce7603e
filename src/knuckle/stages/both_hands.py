"""Networks that see both hands in one crop: for evaluation, not yet for the pipeline."""

from __future__ import annotations

from knuckle.hand import N_JOINTS, SIDES
from knuckle.stages.contract import Stage, numbers, picture, tensors

_HANDS = len(SIDES)


class InterNet(Stage):
    """InterNet as published: 2.5D joints of the left and the right hand."""

    INPUTS = tensors(crop=picture())
    OUTPUTS = tensors(
        keypoints_px=numbers(_HANDS, N_JOINTS, 2),
        depth_mm=numbers(_HANDS, N_JOINTS),
        root_mm=numbers(),
        there=numbers(_HANDS),
    )


class BothHands(Stage):
    """Our own: keypoints and root-relative joints of the left and the right hand."""

    INPUTS = tensors(crop=picture(), view_from_crop=numbers(3, 3))
    OUTPUTS = tensors(
        keypoints_px=numbers(_HANDS, N_JOINTS, 2),
        sigma_px=numbers(_HANDS, N_JOINTS),
        joints_mm=numbers(_HANDS, N_JOINTS, 3),
        sigma_mm=numbers(_HANDS, N_JOINTS),
        root_mm=numbers(),
        there=numbers(_HANDS),
    )


#: They see both hands in one crop.
SEE_BOTH: tuple[type[Stage], ...] = (InterNet, BothHands)
