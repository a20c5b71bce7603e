"""What MediaPipe has and Knuckle has not: told by name, where a program reaches for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NoReturn


def lacking(name: str) -> NoReturn:
    """The ``__getattr__`` of a module of this package.

    Raises:
        AttributeError: always; ``hasattr`` and ``getattr`` with a default go on to work.
    """
    raise AttributeError(
        f"knuckle.mediapipe has no {name}: of MediaPipe's parts it has those for hands (Hands, "
        "HandLandmarker, drawing); leave the import of mediapipe for the others"
    )


class Names(SimpleNamespace):
    """Names with a dot between them."""

    def __getattr__(self, name: str) -> NoReturn:
        lacking(name)
