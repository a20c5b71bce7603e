"""Poses that hands take: families of postures within the ranges and couplings of anatomy.

``sample_poses`` draws single poses, ``sample_motion`` smooth movements between them. Angles are
those of ``hand_model``: rows of ``pose_deg (17, 3)``, columns flexion, spread, twist, degrees;
the thumb's zero is its relaxed place beside the palm.

``anatomy.py`` says what joints can do, ``families.py`` what hands do with them, ``sampling.py``
draws from all families what does not reach into itself (``penetration.py``), ``motion.py`` moves
from pose to pose.
"""

from knuckle.render.poses.anatomy import DIP, INDEX, MCP, PIP, RANGES_DEG, constrain
from knuckle.render.poses.families import DEFAULT_MIX, FAMILIES
from knuckle.render.poses.motion import HandMotion, minimum_jerk, sample_motion
from knuckle.render.poses.penetration import (
    MAX_PENETRATION_MM,
    capsule_gaps_mm,
    finger_capsules,
    finger_penetration_mm,
    hands_penetration_mm,
    mean_palm_length_mm,
    segment_gap,
)
from knuckle.render.poses.pinch import tip_gap_mm
from knuckle.render.poses.sampling import sample_poses

__all__ = [
    "DEFAULT_MIX",
    "DIP",
    "FAMILIES",
    "INDEX",
    "MAX_PENETRATION_MM",
    "MCP",
    "PIP",
    "RANGES_DEG",
    "HandMotion",
    "capsule_gaps_mm",
    "constrain",
    "finger_capsules",
    "finger_penetration_mm",
    "hands_penetration_mm",
    "mean_palm_length_mm",
    "minimum_jerk",
    "sample_motion",
    "sample_poses",
    "segment_gap",
    "tip_gap_mm",
]
