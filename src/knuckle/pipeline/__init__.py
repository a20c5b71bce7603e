"""The whole way from an image to hands in 3D: the only room that knows all networks."""

from knuckle.pipeline.estimator import HandEstimator
from knuckle.pipeline.settings import SMOOTHERS, EstimatorSettings, TrackerSettings
from knuckle.pipeline.tracker import HandTracker

__all__ = ["SMOOTHERS", "EstimatorSettings", "HandEstimator", "HandTracker", "TrackerSettings"]
