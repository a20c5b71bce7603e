"""``hands.trc``: marker trajectories, for OpenSim, Pose2Sim and others of biomechanics."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from knuckle.output.markers import markers
from knuckle.output.records import Recording
from knuckle.output.staged import ExportSink
from knuckle.output.timeline import Timeline


class TrcSink(ExportSink):
    """Metres, y up, constant rate, a marker for each joint; empty where a hand is not seen."""

    filename = "hands.trc"

    def _export(self, recording: Recording, whole: Path) -> None:
        timeline = Timeline.of(recording)
        names, places_mm = markers(timeline)
        rate, count = f"{timeline.rate:g}", len(timeline.times_s)
        head = (
            ("PathFileType", 4, "(X/Y/Z)", whole.name),
            ("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate",
             "OrigDataStartFrame", "OrigNumFrames"),
            (rate, rate, count, len(names), "m", rate, 1, count),
            ("Frame#", "Time", *(cell for name in names for cell in (name, "", ""))),
            ("", "", *(f"{axis}{k}" for k in range(1, len(names) + 1) for axis in "XYZ")),
            (),
        )  # fmt: skip
        with whole.open("w", encoding="ascii", newline="\n") as file:
            file.writelines("\t".join(map(str, line)) + "\n" for line in head)
            times_s = timeline.times_s - timeline.times_s[:1]
            for number, (time_s, places) in enumerate(zip(times_s, places_mm / 1000, strict=True)):
                cells = ("" if np.isnan(v) else f"{v:.6f}" for v in places.ravel())
                file.write("\t".join([str(number + 1), f"{time_s:.6f}", *cells]) + "\n")
