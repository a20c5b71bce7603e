"""Pictures of an evaluation: PCK curves, errors by joint and by condition, the worst hands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from knuckle.draw import caption, sheet, skeleton
from knuckle.evaluate.pairs import ScoredHands
from knuckle.evaluate.run import Evaluation
from knuckle.evaluate.unit import Errors, errors_of
from knuckle.hand import JOINT_NAMES, SIDES
from knuckle.metrics import PCK_2D_PX, PCK_3D_MM

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Axis labels of the conditions.
_AXES = {
    "depth_mm": "distance from the camera, mm",
    "sharpness": "sharpness of the picture (high: sharp)",
    "overlap": "share of the hand's box under the other hand's",
    "hidden_share": "share of the joints that are hidden",
}
_TRUE_COLOUR, _PREDICTED_COLOUR = (90, 220, 90), (255, 120, 60)
_TILE = 220


def write_plots(
    evaluation: Evaluation,
    by_condition: dict[str, list[tuple[float, float, float, int]]],
    folder: Path,
) -> list[Path]:
    """Write the plots that have something to show as PNG files; returns their paths."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "pck.png": Figure(figsize=(9, 3.6), layout="constrained"),
        "joints.png": Figure(figsize=(9, 3.6), layout="constrained"),
        "conditions.png": Figure(figsize=(9, 3.2), layout="constrained"),
    }
    errors = errors_of(evaluation)
    _plot_pck(figures["pck.png"], evaluation)
    _plot_joints(figures["joints.png"], evaluation, errors)
    _plot_conditions(figures["conditions.png"], by_condition, errors.unit)
    paths = []
    for name, figure in figures.items():
        if not figure.axes:
            (folder / name).unlink(missing_ok=True)  # of an earlier evaluation
            continue
        FigureCanvasAgg(figure)
        figure.savefig(folder / name, dpi=110)
        paths.append(folder / name)
    return paths


def _plot_pck(figure: Figure, evaluation: Evaluation) -> None:
    measures = evaluation.measures
    curves = (
        (measures.pck_3d, PCK_3D_MM, "3D error, mm", measures.numbers["auc_3d_0_50mm"]),
        (measures.pck_2d, PCK_2D_PX, "2D error, px", measures.numbers["auc_2d_0_30px"]),
    )
    known = [each for each in curves if np.isfinite(each[-1])]
    for place, (curve, thresholds, label, area) in enumerate(known, start=1):
        axes = figure.add_subplot(1, len(known), place)
        axes.plot(thresholds, curve, color="#1f6f8b")
        axes.set(xlabel=label, ylabel="share of joints within", ylim=(0, 1.02))
        axes.set_title(f"area {area:.3f}; joints of missed hands count as wrong", fontsize=9)
        axes.grid(alpha=0.3)


def _plot_joints(figure: Figure, evaluation: Evaluation, errors: Errors) -> None:
    if not np.isfinite(errors.of_joints).any():
        return
    axes = figure.add_subplot()
    at = np.arange(len(JOINT_NAMES))
    for s, side in enumerate(SIDES):
        heights = np.nan_to_num(errors.of_joints[s])
        axes.bar(at + 0.4 * s - 0.2, heights, 0.4, label=side, color=("#5b8def", "#ef7d5b")[s])
    axes.set_xticks(at, [name.replace("_", " ") for name in JOINT_NAMES], rotation=60, fontsize=7)
    how = {"mm": evaluation.protocol.name, "px": "of hands found"}[errors.unit]
    axes.set(ylabel=f"error, {errors.unit} ({how})")
    axes.legend(loc="upper left")  # a search for the best place warns where it is slow
    axes.grid(axis="y", alpha=0.3)


def _plot_conditions(
    figure: Figure, by_condition: dict[str, list[tuple[float, float, float, int]]], unit: str
) -> None:
    known = {name: rows for name, rows in by_condition.items() if rows}
    for place, (name, rows) in enumerate(known.items(), start=1):
        axes = figure.add_subplot(1, len(known), place)
        low, high, error, count = (np.array(column) for column in zip(*rows, strict=True))
        axes.plot((low + high) / 2, error, "o-", color="#1f6f8b")
        for x, y, n in zip((low + high) / 2, error, count, strict=True):
            axes.annotate(f"{n}", (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
        axes.set_ylim(bottom=0)
        axes.set_xlabel(_AXES[name], fontsize=8)
        axes.set_ylabel(f"error, {unit}" if place == 1 else "")
        axes.grid(alpha=0.3)


def write_worst(evaluation: Evaluation, folder: Path, most: int = 50, columns: int = 10) -> Path:
    """One picture of the worst hands: truth green, prediction orange, the error in mm below.

    Missed hands come as what they cost. Without 3D, hands are ordered by their 2D error.
    """
    judged = errors_of(evaluation)
    pairs, errors, unit = judged.pairs, judged.of_hands, judged.unit
    known = np.flatnonzero(np.isfinite(errors))
    worst = known[np.argsort(-errors[known], kind="stable")[:most]]
    tiles = [_tile(evaluation, pairs, int(row), f"{errors[row]:.0f} {unit}") for row in worst]
    path = folder / "worst.jpg"
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(sheet(tiles, columns), cv2.COLOR_RGB2BGR))
    return path


def _tile(evaluation: Evaluation, pairs: ScoredHands, row: int, text: str) -> np.ndarray:
    """(220, 220, 3) RGB: the hand and its surroundings, with both skeletons."""
    image = evaluation.dataset.image(int(pairs.picture[row]))
    valid = pairs.valid[row]
    points = pairs.true_px[row][valid]
    if pairs.found[row] and np.isfinite(pairs.predicted_px[row]).all():
        points = np.concatenate([points, pairs.predicted_px[row]])
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    side = max(float((points.max(axis=0) - points.min(axis=0)).max()) * 1.3, 16.0)
    scale = _TILE / side
    tile_from_image = np.array(
        [[scale, 0, _TILE / 2 - scale * centre[0]], [0, scale, _TILE / 2 - scale * centre[1]]]
    )
    tile = cv2.warpAffine(image, tile_from_image, (_TILE, _TILE), borderValue=(30, 30, 30))
    for joints, mask, colour in (
        (pairs.true_px[row], valid, _TRUE_COLOUR),
        (pairs.predicted_px[row], np.isfinite(pairs.predicted_px[row, :, 0]), _PREDICTED_COLOUR),
    ):
        skeleton(tile, (joints - centre) * scale + _TILE / 2, colour, valid=mask)
    caption(tile, text if pairs.found[row] else f"missed, {text}", (4, _TILE - 6))
    return tile
