"""Folders of images, in the order in which a person would count them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Generator, Sequence
from pathlib import Path
from shlex import quote

import numpy as np

from knuckle.errors import reason_of
from knuckle.formats import PLOT, RESULTS, SHOWN_BY
from knuckle.results import Frame
from knuckle.video.animation import holds_several
from knuckle.video.errors import (
    SourceBrokenError,
    SourceEmptyError,
    SourceError,
    SourceUnreadableError,
)
from knuckle.video.file import is_video
from knuckle.video.image import is_image, read_image
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions

DEFAULT_FPS = 30.0


def accepts(source: str) -> bool:
    """Anything that is a folder."""
    return Path(source).is_dir()


def open_source(source: str, options: SourceOptions) -> Source:
    """Read the images of a folder (not of its subfolders) as frames ``1 / fps`` apart.

    An image that cannot be read is counted in ``losses`` and leaves a gap in index and time. Each
    keeps its own size, unlike the pictures of a video: they may be anybody's. Only with a camera,
    whose numbers hold for one size, another size ends the source.
    """
    paths = images_in(Path(source))
    fps = options.fps or DEFAULT_FPS
    height, width = _first_readable(paths, source).shape[:2]
    info = SourceInfo(source, (width, height), fps, len(paths), len(paths) / fps)
    losses = Losses()
    return Source(info, _frames(paths, fps, options, losses), losses)


def images_in(folder: Path) -> list[Path]:
    """The folder's images in natural order: 2 before 10, hidden files left out."""
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise SourceUnreadableError(
            f"the folder {folder} cannot be opened ({reason_of(error)}): expected one that "
            "this user may read; change its permissions"
        ) from None
    paths = [path for path in entries if is_image(path) and not path.name.startswith(".")]
    if {path.name for path in entries} & set(RESULTS):
        paths = [path for path in paths if path.name != PLOT]
        if not paths:
            raise SourceEmptyError(f"{folder} is a result and no folder of images: {SHOWN_BY}")
    if not paths and any(is_video(path) for path in entries):
        raise SourceEmptyError(
            f"{folder} holds videos and no images: knuckle corpus {quote(str(folder))} tracks them "
            "all; one of them is given by its own name"
        )
    if not paths:
        raise SourceEmptyError(
            f"{folder} holds no images: expected .jpg, .png, .webp, .tiff or .bmp files, found "
            f"{len(entries) or 'no'} other entries; give the folder that holds them directly"
        )
    return sorted(paths, key=natural_order)


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """Sorting key under which numbers in a name count as numbers."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    # Numbers before text, as in file managers; the tuple keeps the two kinds comparable.
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _first_readable(paths: Sequence[Path], source: str) -> np.ndarray:
    why = ""
    for path in paths:
        try:
            return read_image(path)
        except SourceError as error:  # no image, no permission, a link to nothing
            why = why or str(error)
    raise SourceEmptyError(f"{source} holds {len(paths)} images and none can be read: {why}")


def _frames(
    paths: Sequence[Path], fps: float, options: SourceOptions, losses: Losses
) -> Generator[Frame, None, None]:
    size: tuple[int, ...] | None = None
    told = False
    for index, path in enumerate(paths):
        try:
            image = read_image(path)
        except SourceError:  # no image, no permission, a link to nothing
            losses.damaged += 1
            losses.where.append(path.name)
            continue
        size = size or image.shape[:2]
        if not told and holds_several(path):
            told = True
            warnings.warn(
                f"{path} holds several pictures, of which a folder gives the first: for all of "
                "them give the file by its own name",
                stacklevel=2,
            )
        if options.camera is not None and image.shape[:2] != size:
            raise SourceBrokenError(
                f"{path} is {image.shape[1]} x {image.shape[0]} px, those before it "
                f"{size[1]} x {size[0]}: a camera's numbers hold for one size, give the pictures "
                "of each size apart; what came before is complete"
            )
        yield Frame(image, index / fps, index, options.camera, path.name)
