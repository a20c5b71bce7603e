"""Where results go, made and checked before the work begins and not after it."""

from __future__ import annotations

import os
from pathlib import Path

from knuckle.output.errors import OutputError


def make_folder(folder: Path) -> Path:
    """Make a folder for results, with its parents.

    Raises:
        OutputError: it cannot be made, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot make the folder {folder} ({reason}): choose another place for the results"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"nothing can be written into the folder {folder}: choose another place for the "
            "results, or change its permissions"
        )
    return folder


def make_room(path: Path) -> Path:
    """Make the folder of a file that is to be written; the file itself is not touched.

    Raises:
        OutputError: it cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder: expected the name of a file to write")
    make_folder(path.parent)
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(f"{path} cannot be written over: choose another name for the result")
    return path
