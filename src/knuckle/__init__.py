"""Knuckle: real-time 3D hand tracking on a CPU, from ordinary video.

    import knuckle

    tracker = knuckle.HandTracker()
    for frame in knuckle.open_source("hands.mp4"):
        for hand in tracker(frame):
            print(frame.time_s, hand.track_id, hand.side, hand.joints_mm)

The names below are the public API. They are loaded when first used, so importing Knuckle is fast.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from knuckle.release import VERSION as __version__

if TYPE_CHECKING:
    from knuckle.camera import Camera
    from knuckle.demo import demo_clip
    from knuckle.errors import KnuckleError
    from knuckle.hand import Joint
    from knuckle.output import open_recording
    from knuckle.output.draw import draw_hands
    from knuckle.pipeline import (
        EstimatorSettings,
        HandEstimator,
        HandTracker,
        TrackerSettings,
    )
    from knuckle.results import Frame, HandPose, Instant, TrackedHand
    from knuckle.rigid import RigidTransform
    from knuckle.video import SourceError, open_source, open_sources
    from knuckle.views import Rig, RigCamera, RigHand, RigSettings, RigTracker

# Wheels of ONNX Runtime send usage metrics some seconds after they are loaded, and keep an
# identifier of the machine, unless they are told before. Who wants that sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOME = {
    "Camera": "knuckle.camera",
    "EstimatorSettings": "knuckle.pipeline",
    "Frame": "knuckle.results",
    "HandEstimator": "knuckle.pipeline",
    "HandPose": "knuckle.results",
    "HandTracker": "knuckle.pipeline",
    "Instant": "knuckle.results",
    "Joint": "knuckle.hand",
    "KnuckleError": "knuckle.errors",
    "Rig": "knuckle.views",
    "RigCamera": "knuckle.views",
    "RigHand": "knuckle.views",
    "RigSettings": "knuckle.views",
    "RigTracker": "knuckle.views",
    "RigidTransform": "knuckle.rigid",
    "SourceError": "knuckle.video",
    "TrackedHand": "knuckle.results",
    "TrackerSettings": "knuckle.pipeline",
    "demo_clip": "knuckle.demo",
    "draw_hands": "knuckle.output.draw",
    "open_recording": "knuckle.output",
    "open_source": "knuckle.video",
    "open_sources": "knuckle.video",
}

__all__ = [
    "Camera",
    "EstimatorSettings",
    "Frame",
    "HandEstimator",
    "HandPose",
    "HandTracker",
    "Instant",
    "Joint",
    "KnuckleError",
    "Rig",
    "RigCamera",
    "RigHand",
    "RigSettings",
    "RigTracker",
    "RigidTransform",
    "SourceError",
    "TrackedHand",
    "TrackerSettings",
    "__version__",
    "demo_clip",
    "draw_hands",
    "open_recording",
    "open_source",
    "open_sources",
]


#: Rooms that the documents name with a dot: they, too, are loaded when first used.
_ROOMS = ("corpus", "errors", "mediapipe", "metrics", "openxr", "send")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"knuckle.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'knuckle' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
