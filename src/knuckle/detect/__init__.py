"""Finds the hands in a whole frame."""

from knuckle.detect.detector import Detections, Detector

__all__ = ["Detections", "Detector"]
