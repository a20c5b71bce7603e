"""Scenes: what is in a picture, and the picture with everything that is true about it.

Three levels. ``render_scene`` draws what it is told, for clips and captures in which several
cameras see the same moment. ``render_crops`` and ``render_frames`` draw random scenes: close to one
hand as the keypoint network sees it, and whole frames as the detector sees them. What they put into
a scene comes from ``hands.py``, ``things.py`` and ``light.py``.
"""

from knuckle.render.scene.crops import (
    CROPS,
    PLAIN,
    TOUCHING,
    CropSettings,
    render_crops,
)
from knuckle.render.scene.frames import FRAMES, FrameSettings, render_frames
from knuckle.render.scene.hands import sample_view
from knuckle.render.scene.light import sample_lights
from knuckle.render.scene.rendering import Sight, World, render_scene
from knuckle.render.scene.things import held

__all__ = [
    "CROPS",
    "FRAMES",
    "PLAIN",
    "TOUCHING",
    "CropSettings",
    "FrameSettings",
    "Sight",
    "World",
    "held",
    "render_crops",
    "render_frames",
    "render_scene",
    "sample_lights",
    "sample_view",
]
