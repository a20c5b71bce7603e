"""Whole videos: paths in, an arrow table of what came of them out.

``Track`` is a plain callable, for whatever engine spreads work over cores and machines; nothing
here knows one. ``docs/corpus.md`` shows it on Ray Data and on Daft.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knuckle.address import at_home, short, shown
from knuckle.camera import Camera
from knuckle.job import Summary, check_formats, open_sinks, run
from knuckle.output import OutputError, RunInfo
from knuckle.output.errors import optional
from knuckle.pipeline import HandTracker
from knuckle.video import SourceError, open_source

if TYPE_CHECKING:
    import pyarrow as pa

#: Column of the paths, where a whole batch of a table is given.
PATH = "path"
_FORMATS = ("parquet",)
#: Written last: who finds it need not track the video again.
_DONE = "video.json"


@dataclass(frozen=True)
class VideoRow:
    """What came of one video: a row of the table."""

    path: str  # of the video, as it was given
    #: Its file in the first format (``docs/formats.md``); None where nothing was written.
    result: str | None = None
    frames: int = 0  # frames in it
    frames_with_hands: int = 0  # those that show a hand
    tracks: int = 0  # hands that were followed
    error: str | None = None  # why it was not tracked, or not to its end; None where all went well


class Track:
    """Tracks the hands of whole videos, with one folder of result files for each.

    A video that was tracked before with these settings and networks is not tracked again, so an
    interrupted run resumes when it is started again. Errors of a video are reported in its row; the
    others go on. The result of a video does not depend on which others were tracked, or in which
    order.

    Example:
        >>> table = Track("hands/")(["a.mp4", "b.mp4"])
        >>> table.filter(table["error"].is_valid())
    """

    def __init__(
        self,
        output: str | Path,
        *,
        threads: int = 1,
        formats: Sequence[str] = _FORMATS,
        camera: Camera | Callable[[str], Camera | None] | None = None,
        **settings: Any,
    ) -> None:
        """Create it; the networks are loaded with the first video, on the machine that tracks it.

        Args:
            output: folder for the results, the same for all workers, with a subfolder per video.
            threads: CPU threads of each worker; with one worker per core, 1.
            formats: formats to write for each video.
            camera: intrinsics of the upright images of all videos, or a function from a path to its
                camera (importable, if workers are separate processes); without them a field of view
                is assumed.
            **settings: fields of ``TrackerSettings`` by name.

        Raises:
            TypeError, ValueError: as for ``HandTracker``; or the formats are not a list.
            OutputError: there is no such format.
        """
        check_formats(formats)
        self._output, self._formats, self._camera = at_home(output), list(formats), camera
        self._tracker = HandTracker(threads=threads, **settings)

    def __call__(self, paths: Iterable[Any] | pa.Table) -> pa.Table:
        """Track videos.

        Args:
            paths: paths of videos, as strings, ``Path`` or an Arrow array; or a table or dictionary
                with a column ``path``, the form in which engines pass batches.

        Returns:
            A row for each, in order, with the fields of ``VideoRow``.
        """
        pa = _pyarrow()
        if isinstance(paths, pa.Table | dict):
            paths = paths[PATH]
        check_paths(paths)
        names = [str(path.as_py() if isinstance(path, pa.Scalar) else path) for path in paths]
        return as_table([self.track(name) for name in names])

    def track(self, path: str) -> VideoRow:
        """Track one video, or find that it was."""
        folder = self._output / folder_name(path)
        try:
            camera = self._camera(path) if callable(self._camera) else self._camera
            made_with = self._made_with(path, camera)
            return _done_before(folder, made_with) or self._track(path, camera, folder, made_with)
        except (SourceError, OutputError) as error:
            return VideoRow(path, error=str(error))
        except Exception as error:  # of ten thousand videos one may be strange in an unforeseen way
            return VideoRow(path, error=f"{type(error).__name__}: {error}")

    def _track(
        self, path: str, camera: Camera | None, folder: Path, made_with: dict[str, Any]
    ) -> VideoRow:
        self._tracker.reset(renumber=True)
        (folder / _DONE).unlink(missing_ok=True)
        with open_source(path, camera=camera) as source:
            name, size, versions = source.info.name, source.size, self._tracker.versions
            if camera is not None:
                camera.check_fits(*size)
            info = RunInfo.of(name, size, camera=camera, fps=source.fps, weights=versions)
            summary = run(source, self._tracker, open_sinks(self._formats, folder, info))
        row = _row_of(path, summary)
        if summary.signal_number is None:  # else it is to be tracked again
            part = folder / f"{_DONE}.part"
            part.write_text(json.dumps({"row": asdict(row), **made_with}))
            part.replace(folder / _DONE)
        return row

    def _made_with(self, path: str, camera: Camera | None) -> dict[str, Any]:
        """What a result hangs on, besides this version of Knuckle: JSON."""
        settings = {name: str(value) for name, value in asdict(self._tracker.settings).items()}
        stat = Path(path).stat() if Path(path).is_file() else None
        video = [stat.st_size, stat.st_mtime_ns] if stat else None
        return {
            "settings": settings,
            "camera": str(camera),
            "weights": self._tracker.versions,
            "video": video,
            "formats": self._formats,
        }


def check_paths(paths: object) -> None:
    """Refuse a single path, whose letters would be taken for paths.

    Raises:
        TypeError: it is one.
    """
    if isinstance(paths, str | bytes | os.PathLike):
        raise TypeError(
            f"expected paths of videos, got one alone, {paths!r:.80}: put it into a list, or take "
            "those of a folder with knuckle.corpus.videos_in"
        )


def folder_name(path: str) -> str:
    """The folder of a video's result: its name, and a mark that tells videos of one name apart."""
    return f"{short(Path(path).stem)}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def as_table(rows: Sequence[VideoRow]) -> pa.Table:
    """The rows as an arrow table, of the same columns also where there is none."""
    plain = [
        {name: shown(value) if isinstance(value, str) else value for name, value in each.items()}
        for each in map(asdict, rows)
    ]
    return _pyarrow().Table.from_pylist(plain, schema=schema())


def schema() -> pa.Schema:
    """The columns of the table."""
    pa = _pyarrow()
    kinds = {"path": pa.string(), "result": pa.string(), "error": pa.string()}
    names = VideoRow.__dataclass_fields__
    return pa.schema([(name, kinds.get(name, pa.int64())) for name in names])


def _done_before(folder: Path, made_with: dict[str, Any]) -> VideoRow | None:
    try:
        found = json.loads((folder / _DONE).read_text())
        row = VideoRow(**found.pop("row"))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never finished, or by another version
    if found != made_with or (row.result is not None and not Path(row.result).is_file()):
        return None
    return row


def _row_of(path: str, summary: Summary) -> VideoRow:
    row = VideoRow(
        path,
        result=str(summary.files[0]),
        frames=summary.n_frames,
        frames_with_hands=summary.n_with_hands,
        tracks=len(summary.track_ids),
    )
    if summary.signal_number is not None:
        return replace(row, error="interrupted: run it again and it is tracked again")
    return replace(row, error=None if summary.error is None else str(summary.error))


def _pyarrow() -> Any:
    return optional("pyarrow", "dist", "knuckle.corpus")
