"""``hands.c3d``: markers in the format of motion capture laboratories (needs ezc3d)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from knuckle.output.errors import optional
from knuckle.output.markers import markers
from knuckle.output.records import Recording
from knuckle.output.staged import ExportSink
from knuckle.output.timeline import Timeline


class C3dSink(ExportSink):
    """Millimetres, y up, constant rate, a marker for each joint; residual -1 where not seen."""

    filename = "hands.c3d"

    def _open(self) -> None:
        optional("ezc3d", "science", "c3d")  # say at once, not at the end, that it is missing
        super()._open()

    def _export(self, recording: Recording, whole: Path) -> None:
        timeline = Timeline.of(recording)
        names, places_mm = markers(timeline)
        if not len(timeline.times_s):  # a C3D without a frame is none
            places_mm = np.full((1, len(names), 3), np.nan)
        count, points = len(places_mm), np.moveaxis(places_mm, -1, 0).swapaxes(1, 2)
        file = optional("ezc3d", "science", "c3d").c3d()
        parameters = file["parameters"]["POINT"]
        parameters["RATE"]["value"] = [timeline.rate]
        parameters["LABELS"]["value"] = names
        parameters["UNITS"]["value"] = ["mm"]
        file["data"]["points"] = np.concatenate([points, np.ones((1, len(names), count))])
        file["data"]["meta_points"] = {
            "residuals": np.where(np.isnan(points[:1]), -1.0, 0.0),
            "camera_masks": np.zeros((7, len(names), count), bool),
        }
        file.write(str(whole))
