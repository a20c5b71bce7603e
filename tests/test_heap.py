"""Arrays as large as frames must leave no holes behind, however long a command runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Frames come and go, and between them come small things that stay: what is held after a while.
_FRAMES_AND_RECORDS = """
import sys
import numpy as np
from knuckle.heap import keep_large_arrays_apart

if sys.argv[1] == "apart":
    keep_large_arrays_apart()
rng, frames, records = np.random.default_rng(0), [], []
for index in range(3000):
    frames = [*frames[-int(rng.integers(1, 12)):], np.ones(rng.integers(300_000, 900_000), np.uint8)]
    records.append(np.ones(rng.integers(100, 3000), np.uint8))
kept = sum(map(len, [*frames, *records])) / 1e6
held = int(next(line for line in open("/proc/self/status") if "RssAnon" in line).split()[1]) / 1e3
print(held - kept)
"""


def beside_what_is_kept(how: str) -> float:
    command = [sys.executable, "-c", _FRAMES_AND_RECORDS, how]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries have no such setting")
def test_freed_frames_leave_no_holes() -> None:
    assert beside_what_is_kept("apart") < beside_what_is_kept("as it is") - 2
