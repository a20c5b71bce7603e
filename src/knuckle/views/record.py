"""Writes what a rig saw: the world's hands, and those of every camera, each in all formats.

OUT/hands.*            joints_mm in the world, joints_px in the first camera's picture
OUT/<camera>/hands.*   the same hands in each camera's frame and picture, and its overlay
OUT/rig.toml           the cameras
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from knuckle.closable import Closable
from knuckle.output import RunInfo, Sink, make_folder
from knuckle.output.errors import OutputError
from knuckle.output.records import UNITS
from knuckle.results import Frame, Instant
from knuckle.views.hand import RigHand
from knuckle.views.rig import Rig

#: Formats that have hands before the pictures of one camera; rrd has them apart from any.
_BEFORE_PICTURES = ("overlay", "lerobot")
#: Opens the sinks of the given formats in a folder.
OpenSinks = Callable[[Sequence[str], Path, RunInfo], Sequence[Sink]]


class RigRecord(Closable):
    """All files of a run before a rig. Leaving its ``with`` block completes them."""

    def __init__(
        self,
        folder: Path,
        rig: Rig,
        sources: Sequence[str],
        sizes: Sequence[tuple[int, int]],
        formats: Sequence[str],
        open_sinks: OpenSinks,
        *,
        fps: float | None = None,
        weights: Mapping[str, str] | None = None,
    ) -> None:
        """Make the files of all formats: of the world and, in a folder below, of each camera.

        ``sources`` and ``sizes`` (width, height) are those of the cameras. Formats that have hands
        before pictures are written for cameras alone. ``open_sinks`` opens them.

        Raises:
            OutputError: something cannot be written.
        """
        self._rig, self._count = rig, 0
        #: In place of the first camera's picture, whose px the world's hands have.
        self._unseen = Frame(np.zeros((*sizes[0][::-1], 3), np.uint8), 0.0, 0)
        make_folder(folder)
        try:
            rig.save(folder / "rig.toml")
        except OSError as error:
            raise OutputError(str(error)) from None
        infos = [
            RunInfo.of(source, size, camera=each.camera, fps=fps, weights=weights)
            for source, size, each in zip(sources, sizes, rig.cameras, strict=True)
        ]
        world = f"millimetres in the world of rig.toml ({rig.source}); px in {rig.names[0]}"
        info = replace(infos[0], space="world", up=rig.up, units={**UNITS, "_mm": world})
        with ExitStack() as opened:
            self._views = [
                [opened.enter_context(s) for s in open_sinks(formats, folder / each.name, info_of)]
                for each, info_of in zip(rig.cameras, infos, strict=True)
            ]
            tables = [name for name in formats if name not in _BEFORE_PICTURES]
            self._world = (
                [opened.enter_context(sink) for sink in open_sinks(tables, folder, info)]
                if tables
                else []
            )
            self._opened = opened.pop_all()
        self.paths = [sink.path for sink in (*self._world, *chain.from_iterable(self._views))]

    def write(self, instant: Instant, hands: Sequence[RigHand]) -> None:
        """Add one instant: the world's hands at its time, each camera's at that of its frame.

        Raises:
            OutputError: the disk is full, or a file was taken away.
        """
        first = instant[0] or self._unseen
        of_world = replace(first, time_s=instant.time_s, index=self._count)
        self._count += 1
        in_world = [hand.in_world(self._rig.cameras[0]) for hand in hands]
        for sink in self._world:
            sink.write(of_world, in_world)
        for number, (frame, sinks) in enumerate(zip(instant, self._views, strict=True)):
            if frame is None:
                continue
            seen = [hand.seen_from(number, self._rig.cameras[number]) for hand in hands]
            for sink in sinks:
                sink.write(frame, seen)

    def close(self) -> None:
        """Complete all files; a second call does nothing."""
        self._opened.close()
