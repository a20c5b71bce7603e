"""Sources of frames: files, folders, images, cameras, streams.

A new kind of source is one file with ``accepts`` and ``open_source``, and one line in ``SOURCES``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from numbers import Integral
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

import numpy as np

from knuckle.address import at_home
from knuckle.camera import Camera
from knuckle.errors import InputError, reason_of
from knuckle.video import file, folder, image, stream, webcam
from knuckle.video.errors import (
    SourceBrokenError,
    SourceEmptyError,
    SourceError,
    SourceNotFoundError,
    SourceUnreadableError,
)
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions
from knuckle.video.together import Together

__all__ = [
    "SOURCES",
    "Losses",
    "Source",
    "SourceBrokenError",
    "SourceEmptyError",
    "SourceError",
    "SourceInfo",
    "SourceNotFoundError",
    "SourceOptions",
    "SourceUnreadableError",
    "Together",
    "local_path",
    "open_source",
    "open_sources",
]


class SourceKind(Protocol):
    """What the module of a kind of source offers."""

    def accepts(self, source: str) -> bool:
        """Whether this kind can be what the caller means."""

    def open_source(self, source: str, options: SourceOptions) -> Source:
        """Open it, or raise a ``SourceError``."""


#: Asked in this order; the first that accepts opens.
SOURCES: dict[str, SourceKind] = {
    "camera": webcam,
    "stream": stream,
    "folder": folder,
    "image": image,
    "video": file,
}

#: Kinds that a name can mean, and a ``Path`` cannot, but for the devices of cameras.
_NO_PATHS = frozenset({"camera", "stream"})


def open_source(
    source: str | int | os.PathLike[str], *, camera: Camera | None = None, fps: float | None = None
) -> Source:
    """Open a source of frames.

    Args:
        source: a video file, a folder of images, an image, the index of a camera (``0`` or
            ``"0"``), a device such as ``/dev/video0``, or the URL of a stream or of a file.
        camera: intrinsics of the upright image, passed on with every frame.
        fps: frame rate of a folder of images (default 30), or the one to request from a camera.

    Returns:
        A ``Source`` to iterate over, preferably in a ``with`` block. Frames are upright RGB images
        with the time in the container, in seconds.

    Raises:
        SourceError: it is missing, unreadable or empty; see ``video.errors``.
        ValueError: an fps was given for a source that has its own.
    """
    if isinstance(source, os.PathLike):
        source = Path(os.fsdecode(source))
    if isinstance(source, bool) or not isinstance(source, str | Integral | Path):
        raise SourceNotFoundError(
            "expected the name of a video file, a folder of images, an image or a stream, or the "
            f"index of a camera, got {_one_line(source)}"
        )
    name = local_path(str(source))
    if not name:
        raise SourceNotFoundError(
            "the source has no name: expected a video file, a folder of images, an image, a camera "
            "index or a stream URL; ./ is the folder you are in"
        )
    options = SourceOptions(camera, fps)
    is_path = isinstance(source, Path) and not source.is_absolute()  # /dev/video0 is a camera
    kinds = (kind for key, kind in SOURCES.items() if not (is_path and key in _NO_PATHS))
    try:
        kind = next(kind for kind in kinds if kind.accepts(name))
        return kind.open_source(name, options)
    except OSError as error:  # a name that the system does not even look up
        raise SourceUnreadableError(
            f"{name:.200} cannot be opened ({reason_of(error)}): expected a video that "
            "this user may read; check the path and its permissions"
        ) from error


def _one_line(source: object) -> str:
    if isinstance(source, np.ndarray):
        return "an array: that is a picture already, give it to HandEstimator or HandTracker"
    return f"{source!r:.80} ({type(source).__name__})".replace("\n", " ")


def local_path(source: str) -> str:
    """The path that ``~`` or a ``file:`` URL stands for; anything else as it is."""
    scheme, _, rest = source.partition(":")
    if scheme.lower() != "file" or not rest.startswith("/"):
        return str(at_home(source)) if source.startswith("~") else source
    path = rest.removeprefix("//").removeprefix("localhost")
    # People also write a path behind file:// as it stands.
    return path if Path(path).exists() else unquote(path)


def open_sources(
    sources: Sequence[str | int | Path],
    *,
    fps: float | None = None,
    offsets_s: Sequence[float] | np.ndarray | None = None,
) -> Together:
    """Open several sources that show the same scene at the same time.

    Args:
        sources: two or more, each as for ``open_source``.
        fps: frame rate of folders of images, or the one to request from cameras.
        offsets_s: for each source, what its own clock shows at time 0 of the common clock, s.

    Returns:
        A ``Together`` to iterate over. It yields instants, each with one ``Frame`` of each source,
        None where a source has none, and their common time.

    Raises:
        SourceError: one of them is missing, unreadable or empty.
        ValueError: the list is empty, or there is not one offset for each source.
    """
    if not sources:
        raise InputError("expected two or more sources to open together, got none")
    if isinstance(sources, str | Path):
        raise InputError(f"expected a list of two or more sources, got {str(sources)!r:.80} alone")
    with ExitStack() as opened:
        together = Together(
            [opened.enter_context(open_source(each, fps=fps)) for each in sources], offsets_s
        )
        opened.pop_all()  # all are open: the caller closes them
    return together
