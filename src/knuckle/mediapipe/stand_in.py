"""Importing this module makes ``import mediapipe`` give ``knuckle.mediapipe``, in this program.

    import knuckle.mediapipe.stand_in  # before anything that imports mediapipe

For programs that import parts by their full names, and for libraries that nobody wants to change.
Only what concerns hands is there.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import knuckle.mediapipe as face
from knuckle.mediapipe import containers, hand_landmark, hand_landmarker, solutions, tasks

#: By full name, what a program finds there.
_MODULES: dict[str, Any] = {
    "mediapipe": face,
    "mediapipe.solutions": solutions,
    "mediapipe.solutions.hands": solutions.hands,
    "mediapipe.solutions.hands_connections": solutions.hands_connections,
    "mediapipe.solutions.drawing_utils": solutions.drawing_utils,
    "mediapipe.solutions.drawing_styles": solutions.drawing_styles,
    "mediapipe.python": {"solutions": solutions},
    "mediapipe.python.solutions": solutions,
    "mediapipe.python.solutions.hands": solutions.hands,
    "mediapipe.python.solutions.hands_connections": solutions.hands_connections,
    "mediapipe.python.solutions.drawing_utils": solutions.drawing_utils,
    "mediapipe.python.solutions.drawing_styles": solutions.drawing_styles,
    "mediapipe.framework": {},
    "mediapipe.framework.formats": {"landmark_pb2": containers, "classification_pb2": containers},
    "mediapipe.framework.formats.landmark_pb2": containers,
    "mediapipe.framework.formats.classification_pb2": containers,
    "mediapipe.tasks": tasks,
    "mediapipe.tasks.python": vars(tasks.python),
    "mediapipe.tasks.python.vision": vars(tasks.vision),
    "mediapipe.tasks.python.vision.hand_landmarker": {
        **vars(hand_landmark),
        **vars(hand_landmarker),
    },
    "mediapipe.tasks.python.components": {},
    "mediapipe.tasks.python.components.containers": vars(tasks.components.containers),
    "mediapipe.tasks.python.components.containers.landmark": containers,
    "mediapipe.tasks.python.components.containers.category": containers,
    "mediapipe.tasks.python.core": {},
    "mediapipe.tasks.python.core.base_options": hand_landmarker,
}


def _stand_in() -> None:
    """Put every module of the table where ``import`` looks.

    Raises:
        ImportError: MediaPipe itself was imported before.
    """
    loaded = sys.modules.get("mediapipe")
    if loaded is not None and loaded is not sys.modules.get(face.__name__):
        raise ImportError(
            "mediapipe was imported already: import knuckle.mediapipe.stand_in before it"
        )
    for name, content in _MODULES.items():
        module = ModuleType(name)
        module.__path__ = []  # a package: it has parts
        module.__dict__.update(
            {
                key: value
                for key, value in (content if isinstance(content, dict) else vars(content)).items()
                if not key.startswith("__")
            }
        )
        sys.modules[name] = module
    for name in _MODULES:
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])


_stand_in()
