"""A corpus on the cores of this machine: a worker each, which is a process of its own."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from knuckle.corpus.track import Track, VideoRow, check_paths
from knuckle.errors import InputError

#: New processes everywhere: a copy of this one would hold its threads' locks.
_CONTEXT = multiprocessing.get_context("spawn")
_ENDED = (
    "the process that tracked it ended ({}): is there memory enough, and does it play in a video "
    "player?"
)
#: What a worker says before its first row: the program that it is part of could be read.
_BEGUN = "begun"
#: A worker that is told to end closes its files first.
_PATIENCE_S = 10.0


def track_all(
    paths: Iterable[str | Path], output: str | Path, *, workers: int = 1, **settings: Any
) -> Generator[VideoRow, None, None]:
    """Track videos, several at a time.

    A video that ends its worker (a decoder that crashes, memory that runs out) costs its own row;
    another worker takes the place. When the iterator is closed, what is under way is left as it
    is, to be tracked again. Nothing is done before the first row is asked for.

    Each worker reads the program that calls this anew: there the call must stand below
    ``if __name__ == "__main__":``.

    Args:
        paths: of videos.
        output: folder for the results.
        workers: videos at a time.
        **settings: as of ``Track``.

    Yields:
        A row for each video, as they are done.

    Raises:
        TypeError, ValueError: as ``Track``; or workers cannot be started here.
    """
    check_paths(paths)
    if multiprocessing.current_process().daemon:
        raise InputError(
            "expected a process that may start others, got a worker of a pool, which may not: call "
            "knuckle.corpus.Track in it, which needs no others"
        )
    if workers < 1:
        raise InputError(f"workers must be 1 or more, got {workers}")
    Track(output, **settings)  # what is wrong with the settings is told here, once
    waiting = deque(map(str, paths))
    idle: list[_Worker] = []
    busy: dict[Any, _Worker] = {}  # by connection
    can_begin = False
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                worker = idle.pop() if idle else _Worker(output, settings)
                worker.give(waiting.popleft())
                busy[worker.connection] = worker
            for connection in wait(list(busy)):
                said = busy[connection].said()
                if said == _BEGUN:
                    can_begin = True
                    continue
                worker = busy.pop(connection)
                if said is not None:
                    idle.append(worker)
                elif not can_begin:
                    raise InputError(
                        f"the process that is to track {worker.path} ended before it began "
                        f"({worker.end()}): it reads your program first, where track_all must be "
                        "called below if __name__ == '__main__': and in a file"
                    )
                yield said or VideoRow(worker.path, error=_ENDED.format(worker.end()))
    finally:
        with _interrupts_ignored():  # who is impatient would leave workers behind; it is soon done
            for worker in (*idle, *busy.values()):
                worker.end()


class _Worker:
    """A process that tracks a video at a time."""

    def __init__(self, output: str | Path, settings: dict[str, Any]) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self.path = ""
        self._process = _CONTEXT.Process(target=_work, args=(theirs, output, settings), daemon=True)
        with _interrupts_ignored():  # inherited by the worker, which stops when its work ends
            self._process.start()
        theirs.close()

    def give(self, path: str) -> None:
        """A video to track."""
        self.path = path
        with suppress(OSError):  # it has died: no row will come
            self.connection.send(path)

    def said(self) -> Any:
        """``_BEGUN``, or the row of its video; None if the worker died."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """Stop it, whatever it is at; returns how it ended."""
        self.connection.close()
        if self._process.exitcode is None:
            self._process.join(0.1)  # it may be ending by itself
        if self._process.exitcode is None:
            self._process.terminate()
            self._process.join(_PATIENCE_S)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        code = self._process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _work(connection: Connection, output: str | Path, settings: dict[str, Any]) -> None:
    """In the worker: a path in, a row out, until there are no more."""
    track = Track(output, **settings)
    with suppress(EOFError, OSError):
        connection.send(_BEGUN)
        while True:
            connection.send(track.track(connection.recv()))


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may have handlers
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
