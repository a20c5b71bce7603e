"""What people can put right is a ``KnuckleError``, in every room that people reach."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
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


#: 12 bits in numbers of 16, which come out nearly black.
DARK = np.full((64, 64, 3), 4095, np.uint16)


def _standing_still(_: Path) -> None:
    tracker, black = knuckle.HandTracker(threads=1), np.zeros((64, 64, 3), np.uint8)
    for index in range(2):
        tracker(knuckle.Frame(black, 1.0, index))


def _dark_file(folder: Path) -> None:
    cv2.imwrite(str(folder / "dark.png"), DARK)
    knuckle.open_source(folder / "dark.png").close()


@pytest.mark.parametrize(
    "call",
    [
        lambda _: knuckle.HandEstimator(threads=1)(DARK),
        lambda _: knuckle.HandTracker(threads=1)(DARK),
        _standing_still,
        _dark_file,
    ],
    ids=["estimator", "tracker", "clock", "source"],
)
def test_a_warning_names_the_line_that_calls(call: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="expected") as told:
        call(tmp_path)
    assert [each.filename for each in told] == [__file__]
