"""One run: a source, a tracker and some sinks, to the end, to an error or to an interrupt."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from knuckle.address import at_home
from knuckle.errors import ENDING_SIGNALS, KnuckleError, hearing, refuse_single
from knuckle.output import (
    SINKS,
    Claim,
    OutputError,
    Recording,
    RunInfo,
    Sink,
    hands_of,
    make_folder,
)
from knuckle.output.sink import cannot_write
from knuckle.output.staged import stage_of
from knuckle.results import Frame, HandPose
from knuckle.video import Losses, Source, SourceError, Together

if TYPE_CHECKING:
    from knuckle.views import RigHand
    from knuckle.views.record import RigRecord

Tracker = Callable[[Frame], Sequence[HandPose]]


@dataclass
class Summary:
    """What a run has done."""

    n_frames: int = 0  # frames that were processed and written
    n_with_hands: int = 0  # those of them that show a hand
    track_ids: set[int] = field(default_factory=set)  # ids that were given out
    elapsed_s: float = 0.0  # of the clock
    losses: Losses = field(default_factory=Losses)  # frames that the source could not deliver
    files: list[Path] = field(default_factory=list)  # what was written
    error: SourceError | None = None  # why the source broke off, if it did
    signal_number: int | None = None  # the signal that stopped it, if one did

    def count(self, hands: Sequence[HandPose] | Sequence[RigHand]) -> None:
        """Add one frame."""
        self.n_frames += 1
        self.n_with_hands += bool(hands)
        self.track_ids.update(getattr(hand, "track_id", -1) for hand in hands)

    def __str__(self) -> str:
        """Two or three lines for people."""
        fps = self.n_frames / self.elapsed_s if self.elapsed_s > 0 else 0.0
        share = 100 * self.n_with_hands / self.n_frames if self.n_frames else 0.0
        tracks = f"{len(self.track_ids)} track{'s' * (len(self.track_ids) != 1)}"
        frames = f"{self.n_frames} frame{'s' * (self.n_frames != 1)}"
        lines = [
            f"{frames} in {self.elapsed_s:.1f} s ({fps:.1f} frames/s), "
            f"hands in {self.n_with_hands} of them ({share:.0f}%), {tracks}"
        ]
        if n := self.losses.damaged:
            said = f"{n} damaged picture{'s were' if n > 1 else ' was'} passed over"
            lines.append(said + _named(self.losses.where))
        if n := self.losses.dropped:
            lines.append(f"{n} picture{'s were' if n > 1 else ' was'} dropped to stay live")
        return "\n".join([*lines, *(f"  {path}" for path in self.files)])


#: Names of damaged pictures that a summary tells.
_MOST_NAMES = 5


def _named(where: Sequence[str]) -> str:
    more = len(where) - _MOST_NAMES
    names = ", ".join(where[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    return f": {names}" if where else ""


def check_formats(names: Sequence[str]) -> None:
    """Refuse what are no names in ``SINKS``.

    Raises:
        TypeError: it is no list.
        OutputError: a name is unknown, or none is given.
    """
    refuse_single(names, "formats")
    unknown = sorted(set(names) - set(SINKS))
    if unknown:
        nearest = get_close_matches(unknown[0], SINKS, n=1)
        meant = f", did you mean {nearest[0]}?" if nearest else ":"
        raise OutputError(
            f"there is no format {', '.join(map(repr, unknown))}{meant} choose from "
            f"{', '.join(SINKS)}"
        )
    if not names:
        raise OutputError(f"no format was given: choose one or more from {', '.join(SINKS)}")


def open_sinks(names: Sequence[str], folder: str | Path, info: RunInfo) -> list[Sink]:
    """Make the folder and open the sinks with these names in ``SINKS``.

    Raises:
        TypeError: the names are no list.
        OutputError: a name is unknown, none is given, something cannot be written, or another run
            is writing there.
    """
    check_formats(names)
    folder = at_home(folder)
    claim = Claim(make_folder(folder))
    with ExitStack() as opened:
        opened.callback(claim.release)
        sinks = [opened.enter_context(SINKS[name](folder, info)) for name in dict.fromkeys(names)]
        opened.pop_all()  # all are open: the caller closes them
    for sink in sinks:
        sink.claim = claim.share()
    claim.release()
    return sinks


def rehearse(open_sinks: Callable[[Path], Sequence[Sink]]) -> None:
    """Open and close sinks elsewhere: a format that is wrong, or lacks a library, shows at once."""
    with TemporaryDirectory() as elsewhere:
        for sink in open_sinks(Path(elsewhere)):
            sink.close()


def convert(recording: Recording, names: Sequence[str], folder: str | Path) -> list[Path]:
    """Write a result again, in other formats.

    What was there is replaced when all is written: the result itself may be among it.

    Args:
        recording: what was read of it.
        names: of sinks in ``SINKS``.
        folder: where the files go, over those of the same names.

    Returns:
        The files.

    Raises:
        TypeError: the names are no list.
        OutputError: a format is unknown or needs the video, or a file cannot be written.
    """
    check_formats(names)
    folder = at_home(folder)
    if lacking := [name for name in names if SINKS[name].needs_pictures]:
        raise OutputError(
            f"{', '.join(lacking)} needs the pictures of the video, which a result does not hold: "
            f"run knuckle track {quote(recording.info.source)} --format {','.join(lacking)}"
        )
    with ExitStack() as stack:
        stack.callback(Claim(make_folder(folder)).release)
        aside = stack.enter_context(_aside_in(folder))
        files = _write_again(recording, open_sinks(names, aside, recording.info))
        for path in aside.iterdir():
            path.replace(folder / path.name)
            shutil.rmtree(stage_of(folder / path.name), ignore_errors=True)
    return [folder / path.name for path in files]


@contextmanager
def _aside_in(folder: Path) -> Iterator[Path]:
    """A folder for files until all are whole. Errors name the one that it is in, which users know.

    Raises:
        OutputError: one of the files cannot be written.
    """
    aside = ""
    try:
        with TemporaryDirectory(prefix="unfinished-", dir=folder) as aside:
            yield Path(aside)
    except KnuckleError as told:
        raise type(told)(str(told).replace(aside, str(folder))) from told
    except OSError as error:  # filename2 is where the file was to be moved
        raise cannot_write(Path(error.filename2 or folder), error) from error


def _write_again(recording: Recording, sinks: Sequence[Sink]) -> list[Path]:
    """Every frame of a result into every sink, and close them."""
    no_picture = np.zeros((1, 1, 3), np.uint8)
    with ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(sink)
        for row in recording.frames:
            frame = Frame(no_picture, float(row["time_s"]), int(row["frame"]))
            hands = hands_of(recording, frame.index)
            for sink in sinks:
                sink.write(frame, hands)
    return [sink.path for sink in sinks]


def run(
    source: Source | Together,
    tracker: Callable[[Any], Sequence[Any]],
    sinks: Sequence[Sink | RigRecord],
    *,
    on_frame: Callable[[Any, Any], None] = lambda frame, hands: None,
) -> Summary:
    """Track every frame of a source and write it to every sink.

    Several cameras likewise: each frame is an instant of all sources, the tracker takes those, and
    the sink is a ``RigRecord``. One of them that breaks off ends alone.

    SIGINT, SIGTERM and SIGHUP stop it after the frame it is working on; a second SIGINT stops it
    at once. However it ends, the source and the sinks are closed and the files are complete.

    ``on_frame`` is called after each frame was written.

    Raises:
        OutputError: a file cannot be written any more; the others are complete.
    """
    summary = Summary(files=[path for sink in sinks for path in sink.paths])
    started_s = time.perf_counter()

    def stop(number: int, _: object) -> None:
        summary.signal_number = number
        source.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second one is meant

    # Who starts a program with nohup wants it to outlive its terminal.
    ending = [n for n in ENDING_SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
    with ExitStack() as stack:
        for each in (source, *sinks):
            stack.enter_context(each)
        stack.enter_context(hearing((signal.SIGINT, *ending), stop))
        try:
            frame: Any  # of several cameras, a frame of each
            for frame in source:
                hands = tracker(frame)
                for sink in sinks:
                    sink.write(frame, hands)
                summary.count(hands)
                on_frame(frame, hands)
        except SourceError as error:
            summary.error = error
    summary.elapsed_s = time.perf_counter() - started_s
    summary.losses = source.losses
    return summary
