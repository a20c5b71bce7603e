"""Importing this module makes ``import mediapipe`` give ``knuckle.mediapipe``, in this program.

    import knuckle.mediapipe.stand_in  # before anything that imports mediapipe

For libraries that nobody wants to change. Only what concerns hands is there.
"""

from __future__ import annotations

import sys

import knuckle.mediapipe as face
from knuckle.mediapipe.names import answer_to


def _stand_in() -> None:
    """Put Knuckle's module, and every part of it, where ``import mediapipe`` looks."""
    if sys.modules.get("mediapipe", face) is not face:
        raise ImportError(
            "mediapipe was imported already: import knuckle.mediapipe.stand_in before it"
        )
    sys.modules["mediapipe"] = face
    answer_to("mediapipe")


_stand_in()
