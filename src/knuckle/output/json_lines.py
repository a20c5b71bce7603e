"""``hands.jsonl``: one line of JSON per frame, readable by anything, while it is being written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.output.durable import open_unbuffered, write_whole
from knuckle.output.errors import OutputError
from knuckle.output.records import FRAME, HAND, Recording, RunInfo, frame_record, hand_records
from knuckle.output.sink import TableSink, missing
from knuckle.results import Frame, HandPose

#: Text is rounded to so many decimals: microseconds, micrometres, thousandths of a pixel.
_DECIMALS = {"time_s": 6}
_DEFAULT_DECIMALS = 3
#: Already said by the line that a hand is in.
_FRAME_FIELDS = ("frame", "time_s")
#: Lines that are read at a time: as Python's own lists they take ten times their room in records.
_LINES = 512


class JsonLinesSink(TableSink):
    """First line: ``RunInfo``. Then per frame: frame, time_s, n_hands, hands [{…}, …].

    Each line goes to the system in one unbuffered write. A process killed in the middle of it can
    leave a last line without its end, which readers drop.
    """

    filename = "hands.jsonl"

    def _open(self) -> None:
        self._file = open_unbuffered(self.path)
        write_whole(self._file, self.info.to_json().encode() + b"\n")

    def _write(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        write_whole(self._file, line_of(frame, hands).encode() + b"\n")

    def _close(self) -> None:
        self._file.close()

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Everything that ``path`` holds, without a last line that was cut off."""
        if not path.is_file():
            raise missing(path)
        with path.open(encoding="utf-8-sig") as file:  # editors put a mark before the text
            lines = (line for line in file if line.endswith("\n") and line.strip())
            head = next(lines, None)
            if head is None:
                raise OutputError(f"{path} is empty: expected a first line that describes the run")
            info = RunInfo.from_json(head, path)
            frames, hands = [np.zeros(0, FRAME)], [np.zeros(0, HAND)]
            while rows := [json.loads(line) for line in islice(lines, _LINES)]:
                of_hands = [{**row, **hand} for row in rows for hand in row["hands"]]
                frames.append(_records(rows, FRAME))
                hands.append(_records(of_hands, HAND))
        return Recording(info, np.concatenate(frames), np.concatenate(hands))


def line_of(frame: Frame, hands: Sequence[HandPose]) -> str:
    """A frame and its hands as one line of JSON, without its end."""
    line = _as_json(frame_record(frame, hands))
    line["hands"] = [
        {key: value for key, value in _as_json(record).items() if key not in _FRAME_FIELDS}
        for record in hand_records(frame, hands)
    ]
    return json.dumps(line, separators=(",", ":"))


def _as_json(record: np.ndarray) -> dict[str, Any]:
    """A record as plain, rounded Python values."""
    values: dict[str, Any] = {}
    for name in record.dtype.names or ():
        value = record[name]
        if value.dtype.kind == "f":
            value = np.round(value.astype(np.float64), _DECIMALS.get(name, _DEFAULT_DECIMALS))
            # JSON knows no NaN: a hand behind a camera of a rig has no pixels there.
            known = np.isfinite(value)
            value = value if known.all() else np.where(known, value, np.array(None))
        values[name] = value.tolist()
    return values


def _records(rows: Sequence[dict[str, Any]], dtype: np.dtype) -> np.ndarray:
    """(N,) records of what N lines, or hands in them, say."""
    names = dtype.names or ()
    return np.array([tuple(row[name] for name in names) for row in rows], dtype)
