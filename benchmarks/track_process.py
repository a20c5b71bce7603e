"""``knuckle track`` in a separate process that reports its progress after every frame."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

#: Runs the command line as it is; only the callback after each frame reports as well.
_CHILD = """
import os, sys
from knuckle import cli, job
reports, run = int(sys.argv[1]), job.run

def reporting(source, tracker, sinks, *, on_frame):
    def report(frame, hands):
        on_frame(frame, hands)
        os.write(reports, b".")
    return run(source, tracker, sinks, on_frame=report)

job.run = reporting
sys.exit(cli.main(["track", *sys.argv[2:]]))
"""


class TrackProcess:
    """A running ``knuckle track``; leaving the ``with`` block kills what still runs."""

    def __init__(self, arguments: Sequence[str | Path]) -> None:
        """Start it with the arguments that ``knuckle track`` takes."""
        self._reports, theirs = os.pipe()
        # A pipe would fill up with the progress bar and stop the process.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(theirs), *map(str, arguments)],
            pass_fds=[theirs],
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
        )
        os.close(theirs)

    def __enter__(self) -> TrackProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        os.close(self._reports)
        self._errors.close()

    def frames(self, wake_s: float | None = None) -> Iterator[int]:
        """The number of frames written so far, after each frame until the process has ended.

        Args:
            wake_s: give the same number again when nothing has happened for so long.
        """
        done = 0
        while True:
            ready, _, _ = select.select([self._reports], [], [], wake_s)
            if ready:
                if not os.read(self._reports, 1):
                    return
                done += 1
            yield done

    def frames_left_over(self) -> int:
        """How many frames it wrote after the last number that ``frames`` gave; it must be dead."""
        left = 0
        while reported := os.read(self._reports, 1 << 16):
            left += len(reported)
        return left

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def finish(self) -> None:
        """Wait until it has ended by itself.

        Raises:
            RuntimeError: it did not end well.
        """
        code = self._process.wait()
        if code:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip()[-500:]
            raise RuntimeError(f"knuckle track ended with {code}: {said}")

    def resident_mb(self) -> float | None:
        """Resident memory now; None once the process has ended."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return None
        match = re.search(r"VmRSS:\s*(\d+)", status)
        return int(match[1]) / 1024 if match else None
