"""``hands.csv``: one row per joint, for spreadsheets, R and pandas."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from knuckle.hand import ARTICULATIONS, N_JOINTS
from knuckle.output.durable import open_unbuffered, write_whole
from knuckle.output.errors import OutputError
from knuckle.output.records import FRAME, HAND, Recording, RunInfo, hand_records
from knuckle.output.sink import TableSink, missing
from knuckle.output.tidy import tidy_columns
from knuckle.results import Frame, HandPose

COLUMNS = tuple(tidy_columns(np.zeros(0, HAND)))


class CsvSink(TableSink):
    """A header, then 21 rows per hand: what every program takes for a table.

    What describes the run is in ``hands.csv.json`` beside it. ``bone_mm`` is the bone that ends in
    the joint (none for the wrist), the angles are those at the joint (none for wrist and tips). A
    frame without hands has one row with frame and time alone, so that the file tells a frame
    without hands from one that was not looked at.
    """

    filename = "hands.csv"

    def _open(self) -> None:
        self._file = open_unbuffered(self.path)
        write_whole(self._file, f"{','.join(COLUMNS)}\n".encode())
        info_path(self.path).write_text(f"{self.info.to_json()}\n", encoding="utf-8")

    def _write(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        if not hands:
            rows.writerow([frame.index, f"{frame.time_s:.6f}", *[""] * (len(COLUMNS) - 2)])
        columns = tidy_columns(hand_records(frame, hands))
        rows.writerows(zip(*(_texts(*column) for column in columns.items()), strict=True))
        write_whole(self._file, text.getvalue().encode())  # a frame at a time

    def _close(self) -> None:
        self._file.close()

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Everything that ``path`` holds, without a hand that was cut off at its end."""
        if not path.is_file():
            raise missing(path)
        with path.open(encoding="utf-8-sig", newline="") as file:  # editors mark the text
            lines = [line for line in file if line.endswith("\n") and line.strip()]
        header, *rows = csv.reader(lines or ["\n"])
        for mark, name in ((";", "semicolons"), ("\t", "tabs")):
            if tuple(",".join(header).split(mark)) == COLUMNS:
                raise OutputError(
                    f"{path} is separated by {name}, as a spreadsheet has saved it: expected "
                    "commas between the columns and points in the numbers; save it so, or give "
                    "another file of the same run"
                )
        if tuple(header) != COLUMNS:
            raise OutputError(
                f"{path} has other columns than the {len(COLUMNS)} that Knuckle writes, "
                f"{COLUMNS[0]} to {COLUMNS[-1]}: track the video again"
            )
        beside = info_path(path)
        if not beside.is_file():
            raise OutputError(
                f"{path} stands alone: expected {beside.name} beside it, which says what it was "
                "made from; copy both, or track the video again"
            )
        info = RunInfo.from_json(beside.read_text(encoding="utf-8-sig"), beside)
        frames, hands = [], []
        for index, of_frame in _by_frame(rows):
            hand_rows = (of_frame[k : k + N_JOINTS] for k in range(0, len(of_frame), N_JOINTS))
            complete = [_record(hand) for hand in hand_rows if len(hand) == N_JOINTS]
            if len(of_frame[0][COLUMNS.index("joint")]) and not complete:
                continue  # cut off in the first hand of the last frame
            frames.append((index, float(of_frame[0][1]), len(complete)))
            hands += complete
        return Recording(info, np.array(frames, FRAME), np.array(hands, HAND))


def info_path(path: Path) -> Path:
    """Where what describes the run of a table is: ``hands.csv.json`` of ``hands.csv``."""
    return path.with_name(f"{path.name}.json")


def _texts(name: str, values: np.ndarray) -> list[str]:
    """A column as it is written; nothing where there is no value."""
    if values.dtype.kind == "f":
        digits = 6 if name == "time_s" else 3
        return ["" if math.isnan(value) else f"{value:.{digits}f}" for value in values.tolist()]
    return [str(int(value)) if name == "visible" else str(value) for value in values.tolist()]


def _by_frame(rows: list[list[str]]) -> Iterator[tuple[int, list[list[str]]]]:
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or rows[end][0] != rows[start][0]:
            yield int(rows[start][0]), rows[start:end]
            start = end


def _record(rows: list[list[str]]) -> np.ndarray:
    """The 21 rows of a hand as a ``HAND`` again."""
    columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))

    def numbers(*names: str) -> np.ndarray:
        """(21, len(names))."""
        return np.array([[float(v or "nan") for v in columns[name]] for name in names]).T

    record = np.zeros((), HAND)
    for name in ("frame", "time_s", "track_id", "side", "side_score", "score"):
        record[name] = columns[name][0]
    record["box_xyxy"] = numbers(*COLUMNS[6:10])[0]
    record["joints_px"] = numbers("x_px", "y_px")
    record["joints_mm"] = numbers("x_mm", "y_mm", "z_mm")
    record["joint_score"] = numbers("joint_score")[:, 0]
    record["visible"] = numbers("visible")[:, 0] > 0
    record["joint_sigma_mm"] = numbers("sigma_mm")[:, 0]
    record["bone_lengths_mm"] = numbers("bone_mm")[1:, 0]
    record["joint_angles_deg"] = numbers("flexion_deg", "spread_deg")[ARTICULATIONS]
    return record
