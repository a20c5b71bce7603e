"""Progress with the time that is left, on a terminal; nothing where nobody looks."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from rich import progress as bars
from rich.console import Console

from knuckle.video import SourceInfo


class Progress:
    """A bar on standard error. Live sources, which have no end, get a counter."""

    def __init__(self, info: SourceInfo) -> None:
        columns: list[Any] = [bars.SpinnerColumn(), bars.TextColumn("{task.description}")]
        if info.n_frames:
            columns += [bars.BarColumn(), bars.TaskProgressColumn(), bars.TimeRemainingColumn()]
        else:
            columns += [bars.TimeElapsedColumn()]
        console = Console(stderr=True)
        self._bar = bars.Progress(
            *columns, console=console, transient=True, disable=not sys.stderr.isatty()
        )
        self._task = self._bar.add_task("", total=info.n_frames)

    def advance(self, *_: object) -> None:
        """One more frame is done."""
        speed = self._bar.tasks[0].speed or 0.0
        self._bar.update(self._task, advance=1, description=f"{speed:.0f} frames/s")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
