"""Formats that can only be written whole: journals while the run lasts, the file at its end."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from knuckle.limits import load_npy
from knuckle.output.journal import Journal
from knuckle.output.records import FRAME, HAND, Recording, RunInfo, frame_record, hand_records
from knuckle.output.sink import Sink, TableSink, missing
from knuckle.results import Frame, HandPose


def stage_of(path: Path) -> Path:
    """The folder that stands in for ``path`` until it is complete."""
    return path.with_name(path.name + ".part")


def read_stage(path: Path) -> Recording:
    """What a killed run left of ``path``, whatever its format was to be.

    Raises:
        OutputError: it left nothing.
    """
    stage = stage_of(path)
    if not (stage / "frames.npy").is_file():
        raise missing(path)
    info = RunInfo.from_json((stage / "info.json").read_text(), stage)
    frames, hands = load_npy(stage / "frames.npy"), load_npy(stage / "hands.npy")
    # Killed between the two appends: the hands of a frame that was not finished.
    return Recording(info, frames, hands[: int(frames["n_hands"].sum())])


class StagedSink(Sink):
    """Collects records in ``<file>.part/`` and turns them into the file when closed.

    The file appears at once and complete (it is renamed into place); a run that is killed leaves
    the folder, which ``read_stage`` understands.
    """

    def _open(self) -> None:
        stage = stage_of(self.path)
        if stage.exists():
            shutil.rmtree(stage)
        stage.mkdir()
        self.path.unlink(missing_ok=True)  # or a killed run would hide behind an older result
        (stage / "info.json").write_text(self.info.to_json())
        self._frames = Journal(stage / "frames.npy", FRAME)
        self._hands = Journal(stage / "hands.npy", HAND)

    def _write(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        self._hands.append(hand_records(frame, hands))
        self._frames.append(frame_record(frame, hands))  # last: it vouches for the hands

    def _close(self) -> None:
        self._frames.close()
        self._hands.close()
        stage = stage_of(self.path)
        whole = stage / self.path.name
        self._convert(self._frames, self._hands, whole)
        whole.replace(self.path)
        shutil.rmtree(stage)

    @abstractmethod
    def _convert(self, frames: Journal, hands: Journal, whole: Path) -> None:
        """Write ``whole`` from the journals, in flat memory."""


class StagedTableSink(StagedSink, TableSink):
    """A staged file that holds all fields and can be read back."""

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Everything that ``path``, or the folder that a killed run left, holds."""
        return cls._read_whole(path) if path.is_file() else read_stage(path)

    @classmethod
    @abstractmethod
    def _read_whole(cls, path: Path) -> Recording: ...


class ExportSink(StagedSink):
    """A file for another program, made from the whole run at its end.

    It holds what that program asks for and is not read back; until it is complete, the folder that
    stands in for it is.
    """

    def _convert(self, frames: Journal, hands: Journal, whole: Path) -> None:
        self._export(Recording(self.info, frames.mapped(), hands.mapped()), whole)

    @abstractmethod
    def _export(self, recording: Recording, whole: Path) -> None:
        """Write ``whole``; the arrays of the recording are on the disk and cannot be changed."""
