"""A sink takes the hands of every frame and leaves a file that is valid whatever happens."""

from __future__ import annotations

import errno
import os
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from knuckle.closable import Closable
from knuckle.errors import InputError
from knuckle.output.errors import OutputError
from knuckle.output.places import Claim
from knuckle.output.records import Recording, RunInfo
from knuckle.results import Frame, HandPose

#: Error numbers of a full disk or quota.
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Sink(Closable):
    """Writes one file. Use it in a ``with`` block: leaving it, for whatever reason, completes it.

    Attributes:
        filename: the file's name inside the output folder.
        needs_pictures: whether the frames' pictures go into it.
        path: the file.
        claim: on its folder, let go when the file is complete; or None.
    """

    filename: ClassVar[str]
    needs_pictures: ClassVar[bool] = False

    def __init__(self, folder: str | Path, info: RunInfo) -> None:
        """Make the file, over an older one of the same name.

        Raises:
            OutputError: it cannot be written, or a library that the format needs is missing.
        """
        self.path = Path(folder) / self.filename
        self.info = info
        self.claim: Claim | None = None
        self._closed = False
        self._last_index: int | None = None
        _check_is_not_the_source(self.path, info)
        try:
            self._open()
        except OSError as error:
            raise cannot_write(self.path, error) from error

    @property
    def paths(self) -> list[Path]:
        """The files that it writes."""
        return [self.path]

    def write(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        """Add one frame: all its hands, which may be none.

        Raises:
            OutputError: the disk is full, or the file was taken away.
            ValueError: the frame is not one after those that were added.
        """
        if self._last_index is not None and frame.index <= self._last_index:
            raise InputError(
                f"{self.path} holds the frames of one source in their order: expected one after "
                f"frame {self._last_index}, got frame {frame.index}; count them upwards, or write "
                "another source into another folder"
            )
        self._last_index = frame.index
        try:
            self._write(frame, hands)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def close(self) -> None:
        """Complete the file; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._close()
        except OSError as error:
            raise cannot_write(self.path, error) from error
        finally:
            if self.claim is not None:
                self.claim.release()

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _write(self, frame: Frame, hands: Sequence[HandPose]) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...


class TableSink(Sink):
    """A sink whose file holds all fields of ``records`` and can be read back."""

    @classmethod
    @abstractmethod
    def read(cls, path: Path) -> Recording:
        """Everything that ``path`` holds, also if its writer was killed.

        Raises:
            OutputError: it is missing, or was not written by this sink.
        """


def _check_is_not_the_source(path: Path, info: RunInfo) -> None:
    """Refuse to write over what is being read, by whatever name it is known."""
    with suppress(OSError, ValueError):  # it is no file
        if path.samefile(info.source):
            raise OutputError(
                f"{path} is the source itself: expected another place for the results; give "
                "another folder as --output"
            )


def missing(path: Path) -> OutputError:
    """The error for a file that is not there."""
    return OutputError(f"{path} does not exist: give a file or folder that knuckle track wrote")


def cannot_write(path: Path, error: OSError) -> OutputError:
    """What the system says of a file, as a sentence that ends in what to do."""
    reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
    then = "free some space or " if error.errno in _DISK_FULL else ""
    return OutputError(f"cannot write {path} ({reason}): {then}choose another folder")
