"""``knuckle track --offline``: see all frames first, then say where the hands were.

The first pass tracks and keeps the raw estimates in a file of its own, ``first-pass/hands.npz``,
which is valid whenever it is broken off; nothing else is written or overwritten by then. Then whole
tracks are smoothed. The second pass reads the source again, as drawing needs the frames, and writes
what is asked for.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from knuckle.errors import InputError
from knuckle.job import Summary, Tracker, rehearse, run
from knuckle.output import Recording, RunInfo, Sink, make_folder, pose_from
from knuckle.output.npz import NpzSink
from knuckle.progress import Progress, bar
from knuckle.results import Frame, HandPose, TrackedHand
from knuckle.track.offline import OfflineTrack
from knuckle.video import Source, local_path

FIRST_PASS = "first-pass"


class SmoothedHands:
    """The hands of a recording of raw estimates, smoothed track by track.

    It takes the place of the tracker in a second pass: frames to hands.
    """

    def __init__(
        self, recording: Recording, on_track: Callable[[int, int], None] = lambda done, of: None
    ) -> None:
        """Smooth all tracks of a recording; ``on_track`` is told how many are done, of how many."""
        self._frames = recording.frames["frame"]
        times_s, count = recording.frames["time_s"], len(recording.track_ids)
        #: Each with the position of its first frame.
        self._tracks: list[tuple[int, OfflineTrack]] = []
        for done, track_id in enumerate(recording.track_ids.tolist()):
            on_track(done, count)
            hands = recording.track(track_id)
            position = np.searchsorted(self._frames, hands["frame"])
            looks = _Looks(hands, position - position[0], recording)
            times = times_s[position[0] :][: len(looks)]
            self._tracks.append((int(position[0]), OfflineTrack(track_id, looks, times)))

    def __call__(self, frame: Frame) -> list[TrackedHand]:
        """The hands of a frame that the recording knows; none of another."""
        here = int(np.searchsorted(self._frames, frame.index))
        if here == len(self._frames) or self._frames[here] != frame.index:
            return []
        hands = [
            track[here - first] for first, track in self._tracks if 0 <= here - first < len(track)
        ]
        return [hand for hand in hands if hand is not None]


class _Looks(Sequence[HandPose | None]):
    """The raw estimates of a track, made from the records when asked for."""

    def __init__(self, hands: np.ndarray, position: np.ndarray, recording: Recording) -> None:
        self._hands, self._camera = hands, recording.info.camera
        self._row = np.full(position[-1] + 1, -1)
        self._row[position] = np.arange(len(hands))

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, i: int) -> HandPose | None:  # type: ignore[override]
        row = self._row[i]
        return None if row < 0 else pose_from(self._hands[row], self._camera)


def refuse_live(source: Source) -> None:
    """Raise an ``InputError`` if there can be no second pass."""
    if source.info.live:
        raise InputError(
            f"--offline reads its source twice, but {source.info.name} is live: record it first, "
            "or leave --offline out"
        )


def refuse_pipe(source: str) -> None:
    """Raise an ``InputError`` if all that a source holds can be read only once.

    To be asked before it is opened: that may wait for whoever fills the pipe, and takes from it.
    """
    path = Path(local_path(source))
    try:
        once = path.is_fifo() or path.is_socket() or path.is_char_device()
    except (OSError, ValueError):
        return  # opening it will say what is wrong
    if once and not os.fspath(path).startswith("/dev/video"):
        raise InputError(
            f"--offline reads its source twice, but {source} is a pipe, which gives everything "
            "once: write the video into a file first, or leave --offline out"
        )


def run_offline(
    source: Source,
    open_again: Callable[[], Source],
    tracker: Tracker,
    open_sinks: Callable[[Path], Sequence[Sink]],
    info: RunInfo,
    folder: Path,
) -> Summary:
    """Track every frame of a source, smooth whole tracks and write them.

    ``open_again`` opens the source for the second pass, ``open_sinks`` the results in a folder,
    where the file of the first pass lies as well until all is done.

    Returns:
        That of the second pass; that of the first if a signal stopped it, whose file then stays.

    Raises:
        ValueError: the source is live: there is no second pass.
        OutputError: a file cannot be written.
    """
    started_s = time.perf_counter()
    refuse_live(source)
    rehearse(open_sinks)
    first = NpzSink(make_folder(folder / FIRST_PASS), info)
    with Progress(source.info) as progress:
        seen = run(source, tracker, [first], on_frame=progress.advance)
    if seen.signal_number is not None:
        return seen
    with bar("smoothing tracks") as advance:
        hands = SmoothedHands(NpzSink.read(first.path), advance)
    with open_again() as source, Progress(source.info) as progress:
        summary = run(source, hands, open_sinks(folder), on_frame=progress.advance)
    if summary.signal_number is None:
        shutil.rmtree(first.path.parent)
    summary.elapsed_s = time.perf_counter() - started_s
    return summary
