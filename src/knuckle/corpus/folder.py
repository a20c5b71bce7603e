"""Which files of a folder are videos."""

from __future__ import annotations

import os
from pathlib import Path

from knuckle.address import at_home
from knuckle.errors import InputError, NotFoundError
from knuckle.video.file import VIDEO_SUFFIXES, is_video


def videos_in(folder: str | Path, *, without: str | Path | None = None) -> list[Path]:
    """All videos of a folder and of the folders in it.

    Args:
        folder: hidden files in it are passed over, as systems leave copies of names there.
        without: a folder that is left out, such as that of the results.

    Returns:
        Absolute paths, sorted.

    Raises:
        NotFoundError: there is no such folder.
        InputError: there is no video in it.
    """
    folder = at_home(folder)
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}: expected one with videos in it")
    left_out = None if without is None else at_home(without).absolute()
    found = []
    for root, folders, names in os.walk(folder.absolute()):
        here = Path(root)
        folders[:] = [each for each in folders if each[0] != "." and here / each != left_out]
        found += [here / name for name in names if name[0] != "." and is_video(here / name)]
    if not found:
        raise InputError(
            f"there is no video in {folder}: expected files that end in {', '.join(VIDEO_SUFFIXES)}"
        )
    return sorted(found)
