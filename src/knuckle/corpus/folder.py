"""Which files of a folder are videos."""

from __future__ import annotations

import os
from pathlib import Path

from knuckle.address import at_home
from knuckle.errors import InputError, NotFoundError
from knuckle.output import SINKS
from knuckle.video.animation import is_moving_gif
from knuckle.video.file import VIDEO_SUFFIXES, is_video


def videos_in(folder: str | Path, *, without: str | Path | None = None) -> list[Path]:
    """All videos in a folder and its subfolders, GIFs of several images among them.

    Args:
        folder: the folder. Hidden files are skipped, because systems leave copies of names there,
            and so are videos that are results of Knuckle.
        without: a folder to leave out, such as that of the results.

    Returns:
        Absolute paths, sorted.

    Raises:
        NotFoundError: the folder does not exist.
        InputError: it contains no video.
    """
    folder = at_home(folder)
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}: expected one with videos in it")
    left_out = None if without is None else at_home(without).absolute()
    found = []
    for root, folders, names in os.walk(folder.absolute()):
        here = Path(root)
        ours = _of_results(names)
        folders[:] = [
            each
            for each in folders
            if each[0] != "." and each not in ours and here / each != left_out
        ]
        found += [here / n for n in names if n[0] != "." and n not in ours and _is_video(here / n)]
    if not found:
        raise InputError(
            f"there is no video in {folder}: expected files that end in "
            f"{', '.join(VIDEO_SUFFIXES)}, or a .gif that moves"
        )
    return sorted(found)


def _is_video(path: Path) -> bool:
    return is_video(path) or (path.suffix.lower() == ".gif" and is_moving_gif(path))


def _of_results(names: list[str]) -> set[str]:
    """Which names of a folder Knuckle gave: none, unless a result without pictures is there."""
    results = {sink.filename for sink in SINKS.values()}
    told = {sink.filename for sink in SINKS.values() if not sink.needs_pictures}
    return results if told & set(names) else set()
