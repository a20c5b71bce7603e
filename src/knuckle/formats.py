"""Every format of results by its name: what ``--format`` takes, and the class that writes it.

A new one is a file in ``output/`` with a ``Sink``, and a line here. The contract tests run over
every entry.
"""

from __future__ import annotations

FORMATS = {
    "npz": "knuckle.output.npz:NpzSink",
    "json": "knuckle.output.json_lines:JsonLinesSink",
    "csv": "knuckle.output.csv_rows:CsvSink",
    "parquet": "knuckle.output.parquet:ParquetSink",
    "overlay": "knuckle.output.overlay:OverlaySink",
    "bvh": "knuckle.output.bvh:BvhSink",
    "glb": "knuckle.output.glb:GlbSink",
    "trc": "knuckle.output.trc:TrcSink",
    "mot": "knuckle.output.mot:MotSink",
    "c3d": "knuckle.output.c3d:C3dSink",
    "dlc": "knuckle.output.deeplabcut:DeepLabCutSink",
    "coco": "knuckle.output.coco:CocoSink",
    "lerobot": "knuckle.output.lerobot:LeRobotSink",
    "rrd": "knuckle.output.rrd:RrdSink",
}
#: What the files are called that can be read back, and what ``knuckle plot`` writes beside them.
RESULTS = ("hands.npz", "hands.jsonl", "hands.csv", "hands.parquet")
PLOT = "plot.png"
#: What to do with a result that was given as a video.
SHOWN_BY = (
    "knuckle plot and knuckle view show it, knuckle.open_recording reads it; to track it again "
    "give the video that it was made from"
)
#: What is written unless something else is asked for.
USUAL = "npz,json,csv"
