"""One thread at a time, for what remembers from call to call."""

from __future__ import annotations

import os
import threading


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
