"""The full names that programs import MediaPipe's parts by.

    from mediapipe.tasks.python import vision
    from mediapipe.framework.formats import landmark_pb2

MediaPipe's folders are not ours, so these names are put where ``import`` looks, under any root:
``knuckle.mediapipe`` has them always, ``mediapipe`` after :mod:`knuckle.mediapipe.stand_in`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from knuckle.mediapipe import containers, hand_landmark, hand_landmarker, solutions, tasks
from knuckle.mediapipe.lacking import lacking

#: By name after the root, what a program finds there.
_PARTS: dict[str, Any] = {
    ".solutions": solutions,
    ".solutions.hands": solutions.hands,
    ".solutions.hands_connections": solutions.hands_connections,
    ".solutions.drawing_utils": solutions.drawing_utils,
    ".solutions.drawing_styles": solutions.drawing_styles,
    ".python": {"solutions": solutions},
    ".python.solutions": solutions,
    ".python.solutions.hands": solutions.hands,
    ".python.solutions.hands_connections": solutions.hands_connections,
    ".python.solutions.drawing_utils": solutions.drawing_utils,
    ".python.solutions.drawing_styles": solutions.drawing_styles,
    ".framework": {},
    ".framework.formats": {"landmark_pb2": containers, "classification_pb2": containers},
    ".framework.formats.landmark_pb2": containers,
    ".framework.formats.classification_pb2": containers,
    ".tasks": tasks,
    ".tasks.python": vars(tasks.python),
    ".tasks.python.vision": vars(tasks.vision),
    ".tasks.python.vision.drawing_styles": solutions.drawing_styles,
    ".tasks.python.vision.drawing_utils": solutions.drawing_utils,
    ".tasks.python.vision.core": {},
    ".tasks.python.vision.core.image_processing_options": hand_landmarker,
    ".tasks.python.vision.core.vision_task_running_mode": {
        "VisionTaskRunningMode": hand_landmarker.RunningMode
    },
    ".tasks.python.vision.hand_landmarker": {
        **vars(hand_landmark),
        **vars(hand_landmarker),
    },
    ".tasks.python.components": {},
    ".tasks.python.components.containers": vars(tasks.components.containers),
    ".tasks.python.components.containers.landmark": containers,
    ".tasks.python.components.containers.category": containers,
    ".tasks.python.core": {},
    ".tasks.python.core.base_options": hand_landmarker,
}


def answer_to(root: str) -> None:
    """Make every part of an imported module importable as ``ROOT.…``; what lies there stays."""
    made = {root + name: _module(root + name, content) for name, content in _PARTS.items()}
    for name, module in made.items():
        known = sys.modules.setdefault(name, module)
        parent, _, child = name.rpartition(".")
        setattr(sys.modules[parent], child, known)


def _module(name: str, content: Any) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = []  # a package: it has parts
    members = content if isinstance(content, dict) else vars(content)
    module.__dict__.update({key: it for key, it in members.items() if not key.startswith("__")})
    module.__dict__["__getattr__"] = lacking
    return module
