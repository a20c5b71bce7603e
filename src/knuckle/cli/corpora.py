"""The verb that tracks whole corpora on this machine."""

from __future__ import annotations

import csv
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from knuckle.cli.tracking import formats_of
from knuckle.cli.verb import (
    EXIT_ERROR,
    EXIT_SIGNAL,
    File,
    Formats,
    MaxHands,
    Number,
    Output,
    SmallestHand,
    Switch,
    Weights,
    given,
    load_camera,
)
from knuckle.errors import InputError

if TYPE_CHECKING:
    from knuckle.corpus import VideoRow

#: So many failures are told; the table has them all.
_MOST_TOLD = 10


@dataclass(frozen=True)
class Corpus:
    """Track every video in a folder, several at a time; run it again to resume."""

    videos: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder with the videos; subfolders are searched too."""
    output: Output = None
    """Folder for the results, with a subfolder for each video.
    By default one in the current folder, named after the videos' folder."""
    workers: int = 0
    """Number of videos tracked at the same time; 0 means one per processor."""
    format: Formats = "npz"
    camera: File = None
    """Intrinsics of all the videos as JSON: fx, fy, cx, cy, distortion.
    By default a 65° field of view is assumed."""
    max_hands: MaxHands = 2
    smallest_hand: SmallestHand = None
    raw: Switch = False
    """Write the estimates of single frames, without smoothing."""
    hand_length_mm: Number = None
    """Length from the wrist to the tip of the middle finger, if all videos show one person."""
    weights: Weights = None

    def run(self) -> int:
        """Track, with progress; say what went wrong, and where the table of all videos is."""
        from knuckle.corpus import track_all, videos_in
        from knuckle.job import open_sinks, rehearse
        from knuckle.output import RunInfo

        if self.workers < 0:
            raise InputError(f"--workers must be 0 or more, got {self.workers}")
        output = (self.output or Path(f"{self.videos.resolve().name}-hands")).absolute()
        formats = formats_of(self.format)
        # What a format lacks is told before the work, and once.
        rehearse(partial(open_sinks, formats, info=RunInfo.of("", (64, 48))))
        paths = videos_in(self.videos, without=output)
        tracking = track_all(
            paths,
            output,
            workers=min(self.workers or os.cpu_count() or 1, len(paths)),
            formats=formats,
            camera=load_camera(self.camera),
            max_hands=self.max_hands,
            hand_length_mm=self.hand_length_mm,
            weights_dir=self.weights,
            **({"smooth": None} if self.raw else {}),
            **given(smallest_hand=self.smallest_hand),
        )
        with closing(tracking):
            rows, stopped = _finished(tracking, len(paths))
        done = [rows[str(path)] for path in paths if str(path) in rows]
        table = _write_table(done, output)
        if stopped:
            print(
                f"knuckle: stopped after {len(done)} of {len(paths)} videos: run the same command "
                "again to resume",
                file=sys.stderr,
            )
            return EXIT_SIGNAL + stopped
        return _report(done, table)


def _finished(tracking: Iterable[VideoRow], count: int) -> tuple[dict[str, VideoRow], int]:
    """The rows of the videos, with progress, by path; and the signal that stopped it, or 0."""
    from knuckle.progress import bar

    rows: dict[str, VideoRow] = {}
    with bar("videos") as show:
        try:
            show(0, count)
            for row in tracking:
                rows[row.path] = row
                show(len(rows), count)
        except KeyboardInterrupt as stop:
            return rows, getattr(stop, "signal_number", signal.SIGINT)
    return rows, 0


def _write_table(rows: list[VideoRow], output: Path) -> Path:
    """``videos.csv``: a line for each video."""
    from knuckle.corpus import VideoRow
    from knuckle.output import make_folder
    from knuckle.output.sink import cannot_write

    path = make_folder(output) / "videos.csv"
    part = path.with_suffix(".csv.part")
    try:
        # A name in another alphabet has its odd bytes written out.
        with part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            table = csv.DictWriter(file, [each.name for each in fields(VideoRow)])
            table.writeheader()
            table.writerows(asdict(row) for row in rows)
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def _report(rows: list[VideoRow], table: Path) -> int:
    failed = [row for row in rows if row.error is not None]
    frames, tracks = sum(row.frames for row in rows), sum(row.tracks for row in rows)
    counts = {"video": len(rows), "frame": frames, "track": tracks}
    said = ", ".join(f"{n} {name}{'s' * (n != 1)}" for name, n in counts.items())
    print(f"{said}\n  {table}")
    for line in _told(failed):
        print(f"knuckle: {line}", file=sys.stderr)
    return EXIT_ERROR if failed else 0


def _told(failed: list[VideoRow]) -> Iterator[str]:
    for row in failed[:_MOST_TOLD]:
        error = row.error or ""
        yield error if Path(row.path).name in error else f"{row.path}: {error}"
    if (more := len(failed) - _MOST_TOLD) > 0:
        yield f"... and {more} more videos were not tracked, or not to their end"
