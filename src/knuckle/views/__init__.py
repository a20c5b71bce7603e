"""Several calibrated cameras that see the same hands: one hand each, in the rig's millimetres.

The way of a frame: each camera's own tracks -> which of them are one hand (``matching``) -> rays
that meet, gated (``triangulation``) -> a hand of constant bones (``fit``) -> steadied over time.
"""

from knuckle.views.hand import RigHand
from knuckle.views.rig import Rig, RigCamera
from knuckle.views.settings import RigSettings
from knuckle.views.tracker import RigTracker

__all__ = ["Rig", "RigCamera", "RigHand", "RigSettings", "RigTracker"]
