"""Writing so that a process may be killed at any moment."""

from __future__ import annotations

from io import FileIO
from pathlib import Path


def open_unbuffered(path: Path) -> FileIO:
    """A new file whose every write reaches the system at once: nothing waits in this process."""
    return FileIO(path, "w")


def write_whole(file: FileIO, data: bytes) -> None:
    """Write all of ``data``; an unbuffered file may take less at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
