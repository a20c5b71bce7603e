"""``knuckle evaluate``: a system's answers against a data set, under a named protocol.

The system is a callable or a file of predictions; this package knows neither the runtime nor any
network, and whoever composes the two (the command line) hands the callable in.
"""

from knuckle.evaluate.conditions import by_quantile, sharpness
from knuckle.evaluate.pairs import Pairs, pair
from knuckle.evaluate.pictures import write_plots, write_worst
from knuckle.evaluate.predictions import (
    PredictedHand,
    Predictions,
    PredictionWriter,
    System,
    read_predictions,
    write_predictions,
)
from knuckle.evaluate.protocols import PROTOCOLS, Protocol, Scores, score
from knuckle.evaluate.publish import publish
from knuckle.evaluate.report import print_report, to_json, write_report
from knuckle.evaluate.run import (
    Evaluation,
    PoseSystem,
    evaluate,
    predict,
    predictions_from_truth,
    protocol_named,
    true_boxes,
)

__all__ = [
    "PROTOCOLS",
    "Evaluation",
    "Pairs",
    "PoseSystem",
    "PredictedHand",
    "PredictionWriter",
    "Predictions",
    "Protocol",
    "Scores",
    "System",
    "by_quantile",
    "evaluate",
    "pair",
    "predict",
    "predictions_from_truth",
    "print_report",
    "protocol_named",
    "publish",
    "read_predictions",
    "score",
    "sharpness",
    "to_json",
    "true_boxes",
    "write_plots",
    "write_predictions",
    "write_report",
    "write_worst",
]
