"""Results: files that are valid whatever happens, and pictures.

A new format is one file with a ``Sink``, and one line in ``knuckle.formats``.
"""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name

from knuckle.address import at_home
from knuckle.errors import reading
from knuckle.formats import FORMATS
from knuckle.output.draw import draw_hands
from knuckle.output.errors import OutputError
from knuckle.output.places import Claim, kept_if_used, make_folder, make_room
from knuckle.output.records import FRAME, HAND, Recording, RunInfo, hands_of, pose_from
from knuckle.output.sink import Sink, TableSink, missing
from knuckle.output.staged import read_stage, stage_of

__all__ = [
    "FRAME",
    "HAND",
    "SINKS",
    "Claim",
    "OutputError",
    "Recording",
    "RunInfo",
    "Sink",
    "TableSink",
    "draw_hands",
    "hands_of",
    "kept_if_used",
    "make_folder",
    "make_room",
    "open_recording",
    "pose_from",
]

#: The names that ``knuckle track --format`` takes.
SINKS: dict[str, type[Sink]] = {name: resolve_name(place) for name, place in FORMATS.items()}


#: Results in one folder that were completed within this time, s, may be of one run.
_SAME_RUN_S = 1.0


def _written_s(path: Path) -> float:
    return (path if path.is_file() else stage_of(path) / "frames.npy").stat().st_mtime


def open_recording(path: str | Path) -> Recording:
    """Read a result in any of the table formats, even if its writer was killed.

    Args:
        path: a file written by ``knuckle track``, or the folder with such files.

    Raises:
        OutputError: there is no result.
    """
    if path == "":
        raise OutputError(
            "the result has no name: expected a file that knuckle track wrote, or the folder with "
            "such files; . is the folder you are in"
        )
    path = at_home(path)
    tables = {sink.filename: sink for sink in SINKS.values() if issubclass(sink, TableSink)}
    if not path.is_dir() or path.name.endswith(".part"):
        path = path.with_name(path.name.removesuffix(".part"))
        if stage_of(path).is_dir() and not path.exists():
            return read_stage(path)
        suffixes = {Path(name).suffix: sink for name, sink in tables.items()}
        if path.suffix not in suffixes and not path.exists():
            raise missing(path)
        if path.suffix not in suffixes:
            raise OutputError(
                f"{path} is not a result: expected a folder or a file that ends in "
                f"{', '.join(suffixes)}"
            )
        return _read(suffixes[path.suffix], path)
    there = [
        (_written_s(path / name), -rank, name)
        for rank, name in enumerate(tables)
        if (path / name).is_file() or stage_of(path / name).is_dir()
    ]
    if there:
        # Formats of one run are written within moments, and their order decides; an older run's
        # are not what is meant.
        newest_s = max(there)[0]
        _, _, name = max((-1.0, *each[1:]) for each in there if newest_s - each[0] < _SAME_RUN_S)
        return _read(tables[name], path / name)
    for sink_type in SINKS.values():
        if stage_of(path / sink_type.filename).is_dir():
            return read_stage(path / sink_type.filename)
    raise OutputError(f"{path} holds no result: expected one of {', '.join(tables)} in it")


def _read(sink: type[TableSink], path: Path) -> Recording:
    """What a file holds; of what is no result, a sentence that names it."""
    advice = "track the video again, or give the folder of another run"
    with reading(path, "a result that knuckle track wrote", advice, error=OutputError):
        recording = sink.read(path)
        for fault in recording.faults():
            raise OutputError(f"{path} is damaged or was changed, {fault}: {advice}")
        return recording
