"""Threads that share what remembers from call to call."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
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


@pytest.mark.parametrize("daemon", [True, False])
def test_python_ends_between_two_calls(daemon: bool) -> None:
    code = f"""
import threading, time
from knuckle.turn import never_cut_off

@never_cut_off
def slow():
    begun.set()
    time.sleep(0.3)
    print("whole", flush=True)

begun = threading.Event()
threading.Thread(target=lambda: [slow() for _ in range(3)], daemon={daemon}).start()
begun.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["whole"] * (1 if daemon else 3)


if hasattr(os, "fork"):

    def test_a_fork_in_mid_call_ends_at_once() -> None:
        code = """
import os, threading, time
from knuckle.turn import never_cut_off
threading.Thread(target=never_cut_off(time.sleep), args=(0.5,)).start()
child = os.fork()
if child:
    begun = time.monotonic()
    os.waitpid(child, 0)
    print(time.monotonic() - begun)
"""
        run = [sys.executable, "-W", "ignore", "-c", code]
        assert float(subprocess.run(run, capture_output=True, check=True).stdout) < 5

    def test_nor_does_a_forked_process() -> None:
        counter = Counter()
        with counter._turn:
            child = os.fork()
            if child == 0:
                os._exit(counter.one_more())
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
