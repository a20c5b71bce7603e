"""One thread at a time, for what remembers from call to call; and none when Python ends."""

from __future__ import annotations

import atexit
import functools
import os
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Turn:
    """A lock for ``with`` blocks that may be copied, pickled and forked: each copy is free."""

    def __init__(self) -> None:
        self._lock, self._process = threading.Lock(), os.getpid()

    def __enter__(self) -> None:
        if self._process != os.getpid():  # forked while a thread was inside, which is not here
            self._lock, self._process = threading.Lock(), os.getpid()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Turn], tuple[()]]:
        return Turn, ()


#: Nothing that is computed here takes so long.
_LONGEST_CALL_S = 10.0


class _Inside:
    """Counts the calls that must not be cut off, and lets Python end only between them.

    Daemon threads are cut off where they are as Python ends. Inside a library in C++ that takes the
    process down (``terminate called without an active exception``).
    """

    def __init__(self) -> None:
        self._changed, self._calls, self._ended = threading.Condition(), 0, False

    def __enter__(self) -> None:
        with self._changed:
            while self._ended and threading.current_thread().daemon:
                self._changed.wait()  # it is cut off here, where it does no harm
            self._calls += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._calls -= 1
            self._changed.notify_all()

    def end(self) -> None:
        """Admit no more threads, and wait for those that are inside."""
        with self._changed:
            self._ended = True
            self._changed.wait_for(lambda: not self._calls, _LONGEST_CALL_S)


_inside = _Inside()


def _begin_anew() -> None:
    """In a forked child no thread is inside."""
    global _inside
    _inside = _Inside()


atexit.register(lambda: _inside.end())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def never_cut_off(method: Callable[P, T]) -> Callable[P, T]:
    """A function in which Python does not end: it waits until the call is over."""

    @functools.wraps(method)
    def counted(*args: P.args, **options: P.kwargs) -> T:
        with _inside:
            return method(*args, **options)

    return counted
