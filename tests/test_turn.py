"""Threads that share what remembers from call to call."""

from __future__ import annotations

import copy
import os
import pickle
import threading
import time

import pytest

from knuckle.turn import Turn


class Counter:
    """Counts up slowly."""

    def __init__(self) -> None:
        self._turn = Turn()
        self.count = 0

    def one_more(self, by: int = 1) -> int:
        """Reads, waits and writes."""
        with self._turn:
            seen = self.count
            time.sleep(0.002)
            self.count = seen + by
            return self.count

    def fail(self) -> None:
        """Raise."""
        with self._turn:
            raise ValueError


def test_threads_wait_for_each_other() -> None:
    counter = Counter()
    threads = [threading.Thread(target=counter.one_more) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.one_more(by=2) == 22


def test_an_error_ends_the_turn() -> None:
    counter = Counter()
    with pytest.raises(ValueError):
        counter.fail()
    assert counter.one_more() == 1


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_waits_for_nobody(copied) -> None:
    counter = Counter()
    with counter._turn:
        assert copied(counter).one_more() == 1


if hasattr(os, "fork"):

    def test_nor_does_a_forked_process() -> None:
        counter = Counter()
        with counter._turn:
            child = os.fork()
            if child == 0:
                os._exit(counter.one_more())
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
