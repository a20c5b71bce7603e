"""Everything about an evaluation into one folder."""

from __future__ import annotations

from pathlib import Path

from knuckle.evaluate.conditions import by_quantile, sharpness
from knuckle.evaluate.pictures import write_plots, write_worst
from knuckle.evaluate.report import write_report
from knuckle.evaluate.run import Evaluation


def publish(evaluation: Evaluation, folder: Path, *, pictures: bool = True) -> list[Path]:
    """Write everything about an evaluation into a folder: JSON, CSV, plots, the worst hands.

    Args:
        evaluation: what ``evaluate`` gave.
        folder: made if it is not there.
        pictures: False where the data set's pictures are not at hand, or reading them takes too
            long: then there is no sharpness and no sheet of the worst hands.
    """
    errors = evaluation.scores.hand_errors
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
