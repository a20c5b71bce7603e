"""Every stage by its kind, which is also the name of its file: ``detector.onnx``.

A new one is a file in this folder, a file in ``train/kinds/``, a recipe, and a line here.
"""

from __future__ import annotations

from knuckle.stages.both_hands import BothHands, InterNet
from knuckle.stages.contract import Stage
from knuckle.stages.detector import Detector
from knuckle.stages.keypoints import KeypointEstimator
from knuckle.stages.lifter import Lifter
from knuckle.stages.pair import PairStage
from knuckle.stages.several_views import SeveralViews

STAGES: dict[str, type[Stage]] = {
    "detector": Detector,
    "keypoints": KeypointEstimator,
    "lifter": Lifter,
    "pair": PairStage,
    "internet": InterNet,
    "both": BothHands,
    "epipolar": SeveralViews,
}


def needed() -> list[str]:
    """Kinds without which there are no hands."""
    return [kind for kind, stage in STAGES.items() if stage.NEEDED]
