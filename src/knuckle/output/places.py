"""Where results go, made and checked before the work begins and not after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from knuckle.errors import reason_of
from knuckle.output.errors import OutputError

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]


def make_folder(folder: Path) -> Path:
    """Make a folder for results, with its parents.

    Raises:
        OutputError: it cannot be made, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {folder} ({reason_of(error)}): choose another place for the "
            "results"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"nothing can be written into the folder {folder}: choose another place for the "
            "results, or change its permissions"
        )
    return folder


@contextmanager
def kept_if_used(folder: Path) -> Iterator[None]:
    """Make a folder for results, and take it away again where the work fails before any is there.

    Raises:
        OutputError: as ``make_folder``.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    make_folder(folder)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # there is something in it
            for each in made:
                each.rmdir()
        raise


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


class Claim:
    """A folder that one run writes into: another is refused until all who share it have let go.

    The system lets go by itself where a process ends. Where folders cannot be locked (Windows, some
    network drives) nothing is refused.
    """

    def __init__(self, folder: Path) -> None:
        """Claim it; ``OutputError`` if another run writes into it."""
        self._sharers, self._file = 1, -1
        if fcntl is None:
            return
        self._file = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise OutputError(
                f"another run is writing into {folder}: wait for its end, or give another folder "
                "as --output"
            ) from None
        except OSError:
            self._unlock()

    def share(self) -> Claim:
        """The same for one more, who lets go too."""
        self._sharers += 1
        return self

    def release(self) -> None:
        """Let go, as one of those who share it."""
        self._sharers -= 1
        if self._sharers == 0:
            self._unlock()

    def _unlock(self) -> None:
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1
