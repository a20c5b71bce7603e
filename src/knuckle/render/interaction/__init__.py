"""Two hands of one person that touch: as poses, and as movements.

A *meeting* says which place of one hand meets which place of the other, how the hands are turned
against each other there, which families of poses (``poses.FAMILIES``) they come from, and which
bones close until they touch. ``contact.resolve`` then brings the flesh of both hands into contact
and out of each other; what still passes through is drawn again.

Everything is built with a right hand that holds still, the *first*, and a left hand that comes to
it, the *second*; half of all pairs are mirrored, so that either hand takes either part.

``meetings.py`` says which ways there are, ``approach.py`` puts the hands where they will meet,
``closing.py`` lets them touch, ``motion.py`` strings meetings together.
"""

from knuckle.render.interaction.closing import (
    MAX_GAP_MM,
    MAX_OVERLAP_MM,
    Pairs,
    sample_interactions,
)
from knuckle.render.interaction.frames import Pair, mirror, turned
from knuckle.render.interaction.meetings import MEETINGS, Meeting, Site
from knuckle.render.interaction.motion import interaction_motion

__all__ = [
    "MAX_GAP_MM",
    "MAX_OVERLAP_MM",
    "MEETINGS",
    "Meeting",
    "Pair",
    "Pairs",
    "Site",
    "interaction_motion",
    "mirror",
    "sample_interactions",
    "turned",
]
