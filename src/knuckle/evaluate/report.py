"""What is said about an evaluation: a table on the screen, JSON and CSV in a folder."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from knuckle.evaluate.conditions import by_quantile, sharpness
from knuckle.evaluate.pictures import write_plots, write_worst
from knuckle.evaluate.run import Evaluation
from knuckle.evaluate.unit import errors_of
from knuckle.hand import JOINT_NAMES, SIDES
from knuckle.metrics import PCK_2D_PX, PCK_3D_MM


def conditions_of(evaluation: Evaluation) -> list[tuple[str, str]]:
    """What must stand beside every number: (what, how)."""
    system, dataset = evaluation.system, evaluation.dataset
    boxes = {"own": "found by the system", "true": "given: the true ones"}[system.boxes]
    intrinsics = {"given": "given: the true ones", "assumed": "assumed, not given"}
    no_3d = errors_of(evaluation).unit == "px"
    told = [("3D", "missing in the labels or in the predictions: keypoints alone are measured")]
    return [
        ("system", system.name),
        ("data set", f"{dataset.name}, {len(dataset):,} pictures, {len(evaluation.pairs):,} hands"),
        ("split", f"{dataset.split} ({dataset.division})"),
        ("protocol", f"{evaluation.protocol.name}: {evaluation.protocol.source}"),
        ("boxes", boxes),
        ("intrinsics", intrinsics[system.intrinsics]),
        ("a missed hand", "scored as if all its joints were at its root"),
        *(told if no_3d else []),
    ]


def print_report(evaluation: Evaluation, console: Console | None = None) -> None:
    """The conditions and the numbers, as a table."""
    console = console or Console()
    table = Table(show_header=False, box=None, padding=(0, 1))
    for what, how in conditions_of(evaluation):
        table.add_row(f"[bold]{what}", how)
    console.print(table)
    scores = Table(title=f"protocol {evaluation.protocol.name}", title_justify="left")
    measures = Table(title="measured under every protocol", title_justify="left")
    for numbers, out in (
        (evaluation.scores.numbers(), scores),
        (evaluation.measures.numbers, measures),
    ):
        out.add_column("measure")
        out.add_column("value", justify="right")
        for name, value in numbers.items():
            if not math.isnan(value):
                out.add_row(name, _readable(name, value))
        console.print(out)


def _readable(name: str, value: float) -> str:
    if name == "hands":
        return f"{value:,.0f}"
    return f"{value:.2f}" if name.endswith(("_mm", "_px", "frame2", "frame3")) else f"{value:.4f}"


def publish(evaluation: Evaluation, folder: Path, *, pictures: bool = True) -> list[Path]:
    """Write everything about an evaluation into a folder: JSON, CSV, plots, the worst hands.

    Without ``pictures``, where those of the data set are not at hand or reading them takes too
    long, there is no sharpness and no sheet of the worst hands.
    """
    errors = errors_of(evaluation).of_hands
    columns = dict(evaluation.measures.columns)
    if pictures:
        columns["sharpness"] = sharpness(evaluation.dataset, evaluation.placed)
    names = ("depth_mm", "sharpness", "overlap", "hidden_share")
    by_condition = {name: by_quantile(columns[name], errors) for name in names if name in columns}
    paths = write_report(evaluation, folder, by_condition)
    paths += write_plots(evaluation, by_condition, folder)
    if pictures:
        paths.append(write_worst(evaluation, folder))
    return paths


def write_report(
    evaluation: Evaluation,
    folder: Path,
    by_condition: dict[str, list[tuple[float, float, float, int]]] | None = None,
) -> list[Path]:
    """Write ``results.json``, ``hands.csv`` and ``joints.csv``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = ("from", "to", f"error_{errors_of(evaluation).unit}", "hands")
    content = to_json(evaluation) | {
        "error_by_condition": {
            name: [dict(zip(keys, row, strict=True)) for row in rows]
            for name, rows in (by_condition or {}).items()
        }
    }
    results = folder / "results.json"
    results.write_text(json.dumps(content, indent=1) + "\n")
    return [results, _write_hands(evaluation, folder), _write_joints(evaluation, folder)]


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Everything as plain values; what is not known is null."""
    protocol = asdict(evaluation.protocol)
    protocol["root"] = evaluation.protocol.root.name.lower()
    if evaluation.protocol.scale_bone:
        protocol["scale_bone"] = [joint.name.lower() for joint in evaluation.protocol.scale_bone]
    measures = evaluation.measures
    return {
        "conditions": dict(conditions_of(evaluation)),
        "protocol": protocol,
        "system": asdict(evaluation.system),
        "dataset": evaluation.dataset.name,
        "split": evaluation.dataset.split,
        "left_out": evaluation.dataset.report.dropped,
        "scores": _plain(evaluation.scores.numbers()),
        "measures": _plain(measures.numbers),
        "per_joint_mm": _plain(evaluation.scores.joints()),
        "pck_3d": {"threshold_mm": PCK_3D_MM.tolist(), "share": _list(measures.pck_3d)},
        "pck_2d": {"threshold_px": PCK_2D_PX.tolist(), "share": _list(measures.pck_2d)},
    }


def _plain(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: float(v) if math.isfinite(v) else None for name, v in numbers.items()}


def _list(values: np.ndarray) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in values]


def _write_hands(evaluation: Evaluation, folder: Path) -> Path:
    """One row a true hand: what it was, whether it was found, how far off it was."""
    path, placed = folder / "hands.csv", evaluation.placed
    columns = evaluation.measures.columns
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "side", "two_hands", "found", "protocol_error_mm", *columns])
        for row in range(len(placed)):
            key, side = placed.keys[placed.picture[row]], SIDES[placed.side[row]]
            what = [key, side, int(placed.two[row]), int(placed.found[row])]
            errors = evaluation.scores.hand_errors, *columns.values()
            writer.writerow([*what, *(_cell(values[row]) for values in errors)])
    return path


def _write_joints(evaluation: Evaluation, folder: Path) -> Path:
    path, errors = folder / "joints.csv", errors_of(evaluation)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["joint", f"error_{errors.unit}"])
        for side, means in zip(SIDES, errors.of_joints, strict=True):
            names = (f"{side}_{name}" for name in JOINT_NAMES)
            writer.writerows(zip(names, map(_cell, means), strict=True))
    return path


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
