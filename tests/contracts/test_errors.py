"""What people can put right is a ``KnuckleError``, in every room that people reach."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import knuckle

ROOMS = (
    *("cli", "corpus", "data", "evaluate", "mediapipe", "models", "output", "pipeline", "send"),
    *("train", "video", "viewer", "views", "web"),
)
#: Stand for a message of protocol buffers, which raises what those do.
OTHERS = {"containers.py"}


@pytest.mark.parametrize("room", ROOMS)
def test_it_is_not_told_as_a_fault_of_the_program(room: str) -> None:
    """The command line says of any other error how to see where it came from."""
    for path in (Path(knuckle.__file__).parent / room).rglob("*.py"):
        raised = [
            node.exc.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Raise)
            and isinstance(node.exc, ast.Call)
            and isinstance(node.exc.func, ast.Name)
        ]
        if path.name not in OTHERS:
            assert not {"ValueError", "FileNotFoundError", "OSError"} & set(raised), path
