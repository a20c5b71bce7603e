"""``hands_dlc.csv``: keypoints as DeepLabCut has them, for its tools, movement and others."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from knuckle.hand import JOINT_NAMES, N_JOINTS, SIDES
from knuckle.output.records import Recording
from knuckle.output.staged import ExportSink
from knuckle.output.timeline import main_hands

_COORDINATES = ("x", "y", "likelihood")


class DeepLabCutSink(ExportSink):
    """Four lines of names, then a row for each frame: both hands, x, y (px) and likelihood.

    Of several hands of a side, the one that is seen most often; ``nan`` where there is none (pandas
    takes a first row of nothing for names).
    """

    filename = "hands_dlc.csv"

    def _export(self, recording: Recording, whole: Path) -> None:
        with whole.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerows(_header_rows())
            values = keypoint_table(recording)
            for frame, row in zip(recording.frames["frame"].tolist(), values, strict=True):
                rows.writerow([frame, *(f"{v:.3f}" for v in row)])


def _header_rows() -> list[list[str]]:
    per_hand = N_JOINTS * len(_COORDINATES)
    return [
        ["scorer", *["knuckle"] * len(SIDES) * per_hand],
        ["individuals", *(side for side in SIDES for _ in range(per_hand))],
        ["bodyparts", *[name for name in JOINT_NAMES for _ in _COORDINATES] * len(SIDES)],
        ["coords", *_COORDINATES * N_JOINTS * len(SIDES)],
    ]


def keypoint_table(recording: Recording) -> np.ndarray:
    """(F, 2 * 21 * 3) x, y and likelihood of every joint of both hands, left first."""
    frames = recording.frames["frame"]
    values = np.full((len(frames), len(SIDES), N_JOINTS, len(_COORDINATES)), np.nan)
    for number, side in enumerate(SIDES):
        hands = main_hands(recording, side)
        rows = np.searchsorted(frames, hands["frame"])
        values[rows, number, :, :2] = hands["joints_px"]
        values[rows, number, :, 2] = hands["joint_score"]
    return values.reshape(len(frames), len(SIDES) * N_JOINTS * len(_COORDINATES))
