"""From a hand's crop to its joints: 2D keypoints, 3D joints, their place in the camera."""

from knuckle.pose.keypoints import KeypointEstimator, Keypoints
from knuckle.pose.lifter import LiftedJoints, Lifter
from knuckle.pose.pair import PairStage

__all__ = ["KeypointEstimator", "Keypoints", "LiftedJoints", "Lifter", "PairStage"]
