"""``hands.mot``: joint angles over time, named as the ISB does, for OpenSim and statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from knuckle.hand import ARTICULATIONS, Joint, Side, joint_angles
from knuckle.output.records import Recording
from knuckle.output.staged import ExportSink
from knuckle.output.timeline import Timeline


def angle_names(side: Side) -> list[str]:
    """(30,) names like ``index_mcp_flexion_r``, in the order of ``hand.joint_angles``, raveled.

    Beside flexion, a finger's base has radial deviation (to the thumb's side) and the other joints
    what is left over in the same direction; the thumb's is called abduction. Signs as
    ``docs/conventions.md`` says.
    """
    names = []
    for joint in ARTICULATIONS.tolist():
        finger, _, part = Joint(joint).name.lower().partition("_")
        aside = "abduction" if finger == "thumb" else "radial_deviation"
        names += [f"{finger}_{part}_{angle}_{side[0]}" for angle in ("flexion", aside)]
    return names


class MotSink(ExportSink):
    """Degrees, constant rate, 30 columns a side; while a hand is not seen it keeps its angles."""

    filename = "hands.mot"

    def _export(self, recording: Recording, whole: Path) -> None:
        timeline = Timeline.of(recording)
        names = [name for side in timeline.motions for name in angle_names(side)]
        count = len(timeline.times_s)
        columns = [timeline.times_s - timeline.times_s[:1]]
        for side, motion in timeline.motions.items():
            angles = joint_angles(motion.joints_mm, side).reshape(count, -1)
            columns += list(angles.T)
        head = (
            *("hands", "version=1", f"nRows={count}", f"nColumns={len(columns)}"),
            *("inDegrees=yes", "endheader", "\t".join(["time", *names])),
        )
        with whole.open("w", encoding="ascii", newline="\n") as file:
            file.writelines(f"{line}\n" for line in head)
            for row in np.stack(columns, axis=1):
                file.write("\t".join(f"{value:.6f}" for value in row) + "\n")
