"""One thread at a time, for what remembers from call to call."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

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


class TakesTurns(Protocol):
    """Whose calls do not overlap."""

    _turn: Turn


S = TypeVar("S", bound=TakesTurns)


def in_turn(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A method that waits for those of other threads to end."""

    @functools.wraps(method)
    def waiting(own: S, /, *args: P.args, **options: P.kwargs) -> T:
        with own._turn:
            return method(own, *args, **options)

    return waiting
