"""Progress with the time that is left, on a terminal; elsewhere nothing is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich import progress as bars
from rich.console import Console

from knuckle.closable import Closable

if TYPE_CHECKING:
    from knuckle.video import SourceInfo

T = TypeVar("T")


class Progress(Closable):
    """A bar on standard error, until closed. Live sources, which have no end, get a counter."""

    def __init__(self, info: SourceInfo) -> None:
        self._bar = _make_bar(info.n_frames)
        self._task = self._bar.add_task("", total=info.n_frames)
        self._bar.start()

    def advance(self, *_: object) -> None:
        """One more frame is done."""
        speed = self._bar.tasks[0].speed or 0.0
        self._bar.update(self._task, advance=1, description=f"{speed:.0f} frames/s")

    def passing(self, item: T) -> T:
        """Count an item on its way through a ``map``."""
        self.advance()
        return item

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar; the value is called with how many are done, and of how many."""
    shown = _make_bar(1)
    task = shown.add_task(what, total=None)
    with shown:
        yield lambda done, of: shown.update(task, completed=done, total=of)


def _make_bar(total: int | None) -> bars.Progress:
    columns: list[Any] = [bars.SpinnerColumn(), bars.TextColumn("{task.description}")]
    if total:
        columns += [bars.BarColumn(), bars.TaskProgressColumn(), bars.TimeRemainingColumn()]
    else:
        columns += [bars.TimeElapsedColumn()]
    nobody_looks = sys.stderr is None or not sys.stderr.isatty()
    console = Console(stderr=True)
    return bars.Progress(*columns, console=console, transient=True, disable=nobody_looks)
