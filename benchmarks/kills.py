"""What survives when ``knuckle track`` is killed at random moments: readable files and frames.

    python benchmarks/kills.py --kills 20

Every run writes all formats at once and is ended by SIGKILL, which no program can catch: some while
tracking, some while closing files. Then each file is opened with the project's own reader, and its
frames are compared with those that the run had reported as written.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from board import Table, command
from knuckle.output import SINKS, TableSink, open_recording
from knuckle.video import open_source
from track_process import TrackProcess

#: What can be read back. Files for other programs are staged like the npz until the run ends.
FORMATS = {
    name: sink for name, sink in SINKS.items() if name == "overlay" or issubclass(sink, TableSink)
}

#: After the frame at which it is to be killed, a run goes on for up to so many seconds.
LATEST_S = 0.08
#: Of the kills, so many fall after the last frame, while files are closed and converted.
CLOSING_SHARE = 0.25


@dataclass(frozen=True)
class Kill:
    """One run and what it left.

    Attributes:
        after_frame: the frame after which it was killed.
        delay_s: how long after.
        reported: frames that it had written by its own account.
        kept: frames in each file, by format.
    """

    after_frame: int
    delay_s: float
    reported: int
    kept: dict[str, int]


def moments(rng: np.random.Generator, kills: int, frames: int) -> list[tuple[int, float]]:
    """Random moments of a run: after which frame, and how many seconds later."""
    closing = round(kills * CLOSING_SHARE)
    after = [*rng.integers(1, frames, kills - closing).tolist(), *([frames] * closing)]
    return [(frame, float(rng.uniform(0, LATEST_S))) for frame in after]


def kill_once(
    video: Path, after_frame: int, delay_s: float, folder: Path, options: Sequence[str | Path] = ()
) -> Kill:
    """Track a video into an empty folder, kill the run, and count what is left.

    Raises:
        OutputError, SourceError: a file cannot be read.
        RuntimeError: the run ended by itself before that frame.
    """
    formats = ",".join(FORMATS)
    with TrackProcess([video, "-o", folder, "--format", formats, *options]) as process:
        done = 0
        for done in process.frames():
            if done >= after_frame:
                break
        else:
            process.finish()  # says why, if it failed
            raise RuntimeError(f"{video} has {done} frames: cannot kill after {after_frame}")
        time.sleep(delay_s)
        process.kill()
        reported = done + process.frames_left_over()
    kept = {name: frames_in(folder / sink.filename) for name, sink in FORMATS.items()}
    return Kill(after_frame, delay_s, reported, kept)


def frames_in(path: Path) -> int:
    """How many whole frames the file of any format holds, or what stands in for it."""
    name = next(name for name, sink in FORMATS.items() if sink.filename == path.name)
    if issubclass(FORMATS[name], TableSink):
        return len(open_recording(path).frames)
    with open_source(path) as source:
        return len(list(source))


TABLE = Table({
    "format": "",
    "kills": "{}",
    "readable": "{}",
    "most frames lost": "{}",
    "most seconds lost": "{:.2f}",
})  # fmt: skip


def table(kills: Sequence[Kill], fps: float) -> str:
    """Markdown, one line a format."""
    lost = {n: max(max(kill.reported - kill.kept[n], 0) for kill in kills) for n in FORMATS}
    return TABLE.text((n, len(kills), len(kills), most, most / fps) for n, most in lost.items())


@dataclass(frozen=True)
class Kills:
    """Kill runs at random moments and read what they leave."""

    kills: int = 20
    """How many runs; each writes every format."""
    seed: int = 0
    """Of the moments."""

    def run(self) -> None:
        """Kill, read and print; a file that cannot be read ends it with that error."""
        clip = resources.files("knuckle") / "demo" / "hands.mp4"
        rng = np.random.default_rng(self.seed)
        with resources.as_file(clip) as video, tempfile.TemporaryDirectory() as folder:
            with open_source(video) as source:
                fps, frames = source.fps or 30.0, len(list(source))
            left = [
                kill_once(video, after, delay_s, Path(folder, str(k)))
                for k, (after, delay_s) in enumerate(moments(rng, self.kills, frames))
            ]
        print(f"{frames} frames, {fps:g} fps, killed after frames "
              f"{', '.join(str(kill.reported) for kill in left)}\n")  # fmt: skip
        print(table(left, fps))


if __name__ == "__main__":
    command(Kills)
