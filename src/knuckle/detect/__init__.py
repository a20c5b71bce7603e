"""Where the hands are in a whole frame."""

from knuckle.detect.detections import Detections

__all__ = ["Detections"]
