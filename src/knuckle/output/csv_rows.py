"""``hands.csv``: one row per joint, for spreadsheets, R and pandas."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from knuckle.hand import ARTICULATIONS, JOINT_NAMES, N_JOINTS
from knuckle.output.durable import open_unbuffered, write_whole
from knuckle.output.errors import OutputError
from knuckle.output.records import FRAME, HAND, Recording, RunInfo, hand_records
from knuckle.output.sink import TableSink, missing
from knuckle.output.tidy import tidy_columns
from knuckle.results import Frame, HandPose

COLUMNS = tuple(tidy_columns(np.zeros(0, HAND)))
#: A line of the file. Texts have room for one more letter: a longer one is none of ours.
_LONGEST = 1 + max(map(len, JOINT_NAMES))
_TEXTS = {"side": f"<U{_LONGEST}", "joint": f"<U{_LONGEST}"}
_ROW = np.dtype([("frame", "<i8"), *((name, _TEXTS.get(name, "<f8")) for name in COLUMNS[1:])])
#: What stands in the place of a text that is not there.
_NONE = "nan"
#: Lines that are read at a time.
_LINES = 1 << 14


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
        with path.open(encoding="utf-8-sig") as file:  # editors mark the text
            lines = (line for line in file if line.endswith("\n") and line.strip())
            _check_header(next(lines, ""), path)
            info = _info_beside(path)
            frames, hands = [np.zeros(0, FRAME)], [np.zeros(0, HAND)]
            for rows in _of_whole_frames(lines):
                frames.append(_frames(rows))
                hands.append(_hands(rows))
        return Recording(info, np.concatenate(frames), np.concatenate(hands))


def info_path(path: Path) -> Path:
    """Where what describes the run of a table is: ``hands.csv.json`` of ``hands.csv``."""
    return path.with_name(f"{path.name}.json")


def _texts(name: str, values: np.ndarray) -> list[str]:
    """A column as it is written; nothing where there is no value."""
    if values.dtype.kind == "f":
        digits = 6 if name == "time_s" else 3
        return ["" if math.isnan(value) else f"{value:.{digits}f}" for value in values.tolist()]
    return [str(int(value)) if name == "visible" else str(value) for value in values.tolist()]


def _check_header(line: str, path: Path) -> None:
    """Refuse other columns, and those that a spreadsheet has separated in its own way."""
    header = line.strip().replace('"', "")
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if tuple(header.split(mark)) == COLUMNS:
            raise OutputError(
                f"{path} is separated by {name}, as a spreadsheet has saved it: expected "
                "commas between the columns and points in the numbers; save it so, or give "
                "another file of the same run"
            )
    if tuple(header.split(",")) != COLUMNS:
        raise OutputError(
            f"{path} has other columns than the {len(COLUMNS)} that Knuckle writes, "
            f"{COLUMNS[0]} to {COLUMNS[-1]}: track the video again"
        )


def _info_beside(path: Path) -> RunInfo:
    beside = info_path(path)
    if not beside.is_file():
        raise OutputError(
            f"{path} stands alone: expected {beside.name} beside it, which says what it was "
            "made from; copy both, or track the video again"
        )
    return RunInfo.from_json(beside.read_text(encoding="utf-8-sig"), beside)


def _of_whole_frames(lines: Iterator[str]) -> Iterator[np.ndarray]:
    """(R,) ``_ROW`` of some frames at a time; without a hand that is cut off at the end."""
    waiting = np.zeros(0, _ROW)
    while some := list(islice(lines, _LINES)):
        rows = np.concatenate([waiting, _parsed(some)])
        begins = _begins(rows)[-1]
        yield rows[:begins]
        waiting = rows[begins:]  # of its last frame, more may come
    complete = len(waiting) // N_JOINTS * N_JOINTS
    yield waiting[:complete] if (waiting["joint"] != _NONE).any() else waiting


def _parsed(lines: list[str]) -> np.ndarray:
    """(R,) ``_ROW``. What is empty is NaN; programs may have put everything into quotes."""
    # Every second one of several commas is replaced at a time.
    filled = "".join(lines).replace('"', "").replace(",,", ",nan,").replace(",,", ",nan,")
    rows = filled.replace(",\n", ",nan\n").splitlines()
    return np.loadtxt(rows, _ROW, delimiter=",", comments=None, ndmin=1)


def _begins(rows: np.ndarray) -> np.ndarray:
    """(F,) where frames begin in rows (R,)."""
    numbers = rows["frame"]
    return np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))


def _frames(rows: np.ndarray) -> np.ndarray:
    """(F,) ``FRAME`` of rows (R,)."""
    begins = _begins(rows)
    frames = np.zeros(len(begins), FRAME)
    frames["frame"], frames["time_s"] = rows["frame"][begins], rows["time_s"][begins]
    has_hands = rows["joint"][begins] != _NONE
    frames["n_hands"] = has_hands * np.diff(begins, append=len(rows)) // N_JOINTS
    return frames


def _hands(rows: np.ndarray) -> np.ndarray:
    """(N,) ``HAND`` of rows (R,)."""
    rows = rows[rows["joint"] != _NONE]
    expected = np.resize(JOINT_NAMES, len(rows))
    if len(rows) % N_JOINTS or (rows["joint"] != expected).any():
        raise OutputError(
            f"expected {N_JOINTS} rows of each hand, {JOINT_NAMES[0]} to {JOINT_NAMES[-1]}, found "
            "others: rows were sorted or left out; track the video again, or give another file of "
            "the same run"
        )
    table = rows.reshape(-1, N_JOINTS)

    def columns(*names: str) -> np.ndarray:
        """(N, 21, len(names))."""
        return np.stack([table[name] for name in names], axis=-1)

    hands = np.zeros(len(table), HAND)
    for name in ("frame", "time_s", "track_id", "side", "side_score", "score"):
        hands[name] = table[name][:, 0]
    hands["box_xyxy"] = columns(*COLUMNS[6:10])[:, 0]
    hands["joints_px"] = columns("x_px", "y_px")
    hands["joints_mm"] = columns("x_mm", "y_mm", "z_mm")
    hands["joint_score"] = table["joint_score"]
    hands["visible"] = table["visible"] > 0
    hands["joint_sigma_mm"] = table["sigma_mm"]
    hands["bone_lengths_mm"] = table["bone_mm"][:, 1:]
    hands["joint_angles_deg"] = columns("flexion_deg", "spread_deg")[:, ARTICULATIONS]
    return hands
