"""What verbs share: the kinds of arguments they take, and the codes they end with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import tyro

if TYPE_CHECKING:
    from knuckle.camera import Camera

EXIT_ERROR = 2
EXIT_SIGNAL = 128  # plus the signal's number, as shells do

Source = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
Result = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RESULT")]
Dataset = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
Output = Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")]
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]
Number = Annotated[float | None, tyro.conf.arg(metavar="NUMBER")]


class Verb(Protocol):
    """What every verb is."""

    def run(self) -> int:
        """Do it; return the exit code."""


def load_camera(path: Path | None) -> Camera | None:
    """The intrinsics in a file; None where none is given."""
    from knuckle.camera import Camera

    return None if path is None else Camera.load(path)
