"""What goes wrong for reasons that its caller can put right.

Every such error is a ``KnuckleError`` whose text is one sentence: what was expected, what was
found, what to do next. Whatever else is raised is a fault of the program. The classes are also the
built-in ones that callers expect, so ``except ValueError`` goes on to work.
"""

from __future__ import annotations

import difflib
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Come from outside, to end a program: from who looks after it, or as its terminal is closed.
ENDING_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)
#: ... and Ctrl-C.
INTERRUPTS = (signal.SIGINT, *ENDING_SIGNALS)


class KnuckleError(Exception):
    """An error that the user can fix; it says what was expected, what was found and what to do."""


class InputError(KnuckleError, ValueError):
    """An argument, or the content of a file, is not as required."""


class NotFoundError(KnuckleError, FileNotFoundError):
    """Something that was named does not exist."""


class NotWrittenError(KnuckleError, OSError):
    """Something cannot be written to its destination."""


class Stopped(KeyboardInterrupt):
    """A signal stopped the work; the text says what is left of it and how it goes on."""

    def __init__(self, signal_number: int, sentence: str) -> None:
        super().__init__(sentence)
        self.signal_number = signal_number


@contextmanager
def hearing(numbers: Iterable[int], handler: Callable[[int, object], None]) -> Iterator[None]:
    """Inside, these signals go to the handler; outside of the main thread nothing is changed."""
    here = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, handler) for number in numbers if here}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)


@contextmanager
def putting_off(numbers: Iterable[int]) -> Iterator[None]:
    """Inside, these signals are noted; the first of them is raised anew at the end.

    Around imports of libraries that take whatever is raised inside them for a part of theirs that
    is missing, and go on.
    """
    heard: list[int] = []
    with hearing(numbers, lambda number, _: heard.append(number)):
        yield
    for number in heard[:1]:
        signal.raise_signal(number)


def warn(sentence: str) -> None:
    """Warn of the line that calls Knuckle, however deep inside it the reason is found."""
    level, caller = 2, sys._getframe(1)
    while caller.f_back and caller.f_globals.get("__name__", "").startswith("knuckle."):
        level, caller = level + 1, caller.f_back
    warnings.warn(sentence, stacklevel=level)


def reason_of(error: Exception) -> str:
    """Why something failed, within a sentence: as the system says it, if it does."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def write_text(path: Path, text: str) -> None:
    """Write a small file of a user.

    Raises:
        NotWrittenError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as cause:
        raise NotWrittenError(
            f"cannot write {path} ({reason_of(cause)}): expected a file in a folder that is there "
            "and can be written into; make the folder, or choose another place"
        ) from cause


def refuse_single(given: object, what: str) -> None:
    """Refuse text in the place of a list of texts: its letters would be taken for them.

    Raises:
        TypeError: it is one.
    """
    if isinstance(given, str | bytes):
        raise TypeError(f"expected a list of {what}, got {given!r:.80} alone: put it into a list")


def refuse_unknown(entry: Any, known: Collection[str]) -> None:
    """Refuse a part of a user's file with other fields than these: one that is mistyped would
    count as one that was left out.

    Raises:
        InputError: it has such a field, the nearest of those that are known is named; or it is no
            object with fields.
    """
    if not isinstance(entry, dict):
        raise InputError(f"expected an object with {', '.join(known)}, got {entry!r:.40}")
    for name in entry.keys() - set(known):
        nearest = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
        raise InputError(f"there is no field {name!r:.40}: {advice}")


#: What decoders and parsers raise over a file that is not what it should be. Their texts are about
#: themselves and not about the file.
_OF_READERS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)


@contextmanager
def reading(
    path: str | Path,
    what: str,
    then: str,
    *,
    error: type[KnuckleError] = InputError,
    also: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Around everything that reads a user's file: any error names the file.

    ``what`` it should be is said as "a recipe in TOML", ``then`` what to do if it is not; ``also``
    are further exceptions of the library that reads.

    Raises:
        NotFoundError: there is no such file (an ``error`` that is raised inside passes).
        KnuckleError: it cannot be read; of the class ``error``.
    """
    try:
        yield
    except KnuckleError as told:
        if str(path) in str(told):
            if isinstance(told, (error, FileNotFoundError)):
                raise
            raise error(str(told)) from told
        raise error(f"{path}: {told}") from told
    except FileNotFoundError as cause:
        missing = cause.filename or path
        raise NotFoundError(f"{missing} does not exist: expected {what}; check the path") from None
    except OSError as cause:
        reason = (cause.strerror or "it cannot be read").lower()
        raise error(f"{path} cannot be read ({reason}): expected {what}; {then}") from cause
    except _OF_READERS + tuple(also) as cause:
        raise error(f"{path} is damaged or not {what}: {then}") from cause
