"""Work in several processes, which share what this one has read."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

import cv2

T = TypeVar("T")

#: What forked workers are to call: a closure over big arrays is inherited, not sent.
_WORK: list[Callable[[Any], Any]] = []


def in_processes(workers: int, work: Callable[[Any], T], items: Sequence[Any]) -> Iterator[T]:
    """Results as they come, worked out in this process or in forked ones.

    Raises:
        BrokenProcessPool: a process was killed, for want of memory most often.
    """
    if workers == 1 or len(items) < 2:
        yield from map(work, items)
        return
    _WORK.append(work)
    # A fork inherits OpenCV's pool of threads but not the threads: their work would never be done.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _leave_signals)
    try:
        for each in as_completed([pool.submit(_call_work, item) for item in items]):
            yield each.result()
    except BaseException:  # an interrupt, too: nobody waits for what is under way
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads)
        _WORK.clear()


def _leave_signals() -> None:
    """An interrupt goes to all processes; the parent alone deals with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _call_work(item: Any) -> Any:
    return _WORK[0](item)
