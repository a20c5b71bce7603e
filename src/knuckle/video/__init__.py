"""Sources of frames: files, folders, images, cameras, streams.

A new kind of source is one file with ``accepts`` and ``open_source``, and one line in ``SOURCES``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from knuckle.camera import Camera
from knuckle.video import file, folder, image, stream, webcam
from knuckle.video.errors import (
    SourceBrokenError,
    SourceEmptyError,
    SourceError,
    SourceNotFoundError,
    SourceUnreadableError,
)
from knuckle.video.source import Losses, Source, SourceInfo, SourceOptions

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
    "open_source",
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
    source: str | int | Path, *, camera: Camera | None = None, fps: float | None = None
) -> Source:
    """Open anything that gives frames.

    Args:
        source: a video file, a folder of images, an image, the index of a camera (``0`` or
            ``"0"``), a device such as ``/dev/video0``, or the URL of a stream.
        camera: intrinsics of the upright picture, handed on with every frame.
        fps: frame rate of a folder of images (default 30) or the one asked of a camera.

    Returns:
        A ``Source``: iterate over it, best in a ``with`` block. Frames are upright RGB with the
        time of the container, in seconds.

    Raises:
        SourceError: it is missing, unreadable or empty; see ``video.errors``.
        ValueError: an fps was given for something that brings its own.
    """
    name = str(source)
    if not name:
        raise SourceNotFoundError(
            "the source has no name: expected a video file, a folder of images, an image, a camera "
            "index or a stream URL; ./ is the folder you are in"
        )
    options = SourceOptions(camera, fps)
    is_path = isinstance(source, Path) and not source.is_absolute()  # /dev/video0 is a camera
    kinds = (kind for key, kind in SOURCES.items() if not (is_path and key in _NO_PATHS))
    kind = next(kind for kind in kinds if kind.accepts(name))
    return kind.open_source(name, options)
