"""Knuckle beside MediaPipe on real pictures with true 3D: one run, one table a set.

    python benchmarks/real_hands.py --data ../shared/data --mediapipe-python PEERS/bin/python

Every system gets the same pixels and detects hands itself; Knuckle gets the intrinsics, which
MediaPipe cannot use. Of a system's hands the one matched to the true hand counts
(``metrics.match_hands``). **A missed hand is scored as a hand whose joints all lie in one point**:
its 2D error is 100 % of the box, its 3D error the distance of the true joints from their root (PA:
from their centroid), so that refusing hard hands does not pay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from board import (
    KNUCKLE,
    SHARED,
    Data,
    Hand,
    PeerPython,
    System,
    Table,
    Weights,
    command,
    knuckle_system,
    mediapipe_system,
)
from knuckle import metrics
from knuckle.data.interhand26m import InterHand26M, Selection
from knuckle.data.real_hand_3d import RealHand3D
from knuckle.evaluate.predictions import PredictedHand, Predictions, write_predictions
from knuckle.evaluate.predictions import System as Author
from knuckle.hand import Joint
from knuckle.sample import HandLabel, Sample
from peers.process import MediaPipeSettings
from webcams import webcams

#: Pictures with true 3D, by the name of their folder; none was ever trained on.
SETS: dict[str, Callable[[Path], Iterable[Sample]]] = {
    "real_hand_3d": RealHand3D,  # padded by 64 px of its repeated border
    "interhand26m_sample": lambda root: InterHand26M(root, "test", selection=Selection.official()),
    "views_two_hands": webcams,  # cameras 1 to 3, undistorted, each by itself
}


@dataclass(frozen=True)
class Scores:
    """A system's errors on one set; every mean is over all true hands.

    Attributes:
        hands: how many there were to find.
        spurious: hands it gave where none was.
        found, side_right: shares.
        keypoints: 2D error over the longer side of the hand's box.
        pa_mm, wrist_mm, middle_mm: MPJPE after Procrustes, from the wrist, from the middle MCP.
        absolute_mm: error in the camera frame over the found hands.
        apart_mm: error of one wrist as seen from the other (MRRPE), where both are found.
    """

    hands: int
    spurious: int
    found: float
    side_right: float
    keypoints: float
    pa_mm: float
    wrist_mm: float
    middle_mm: float
    absolute_mm: float
    apart_mm: float


def score(samples: Sequence[Sample], predictions: Sequence[Sequence[Hand]]) -> Scores:
    """Compare a system's hands with the truth of the same pictures."""
    rows: list[tuple[float, ...]] = []
    apart: list[float] = []
    spurious = 0
    for sample, hands in zip(samples, predictions, strict=True):
        errors = errors_of(sample, hands)
        spurious += len(hands) - sum(bool(found) for found, *_ in errors)
        rows += errors
        apart += _apart(sample, hands)
    columns = np.array(rows).T  # (measure, hand); NaN where the truth does not know
    means = metrics.masked_mean(columns, np.isfinite(columns))
    apart_mm = float(np.mean(apart)) if apart else float("nan")
    return Scores(len(rows), spurious, *(float(mean) for mean in means), apart_mm)


def errors_of(sample: Sample, hands: Sequence[Hand]) -> list[tuple[float, ...]]:
    """The errors of a system's hands, in the order of ``Scores``, for each true hand."""
    partners = _partners(sample, hands)
    return [_errors(truth, hand) for truth, hand in zip(sample.hands, partners, strict=True)]


def _apart(sample: Sample, hands: Sequence[Hand]) -> list[float]:
    """MRRPE of a left and a right hand that are both found, mm; empty otherwise."""
    pairs = {
        truth.side: (hand, truth)
        for truth, hand in zip(sample.hands, _partners(sample, hands), strict=True)
        if hand is not None
    }
    if len(sample.hands) != 2 or len(pairs) != 2:
        return []
    (left, true_left), (right, true_right) = pairs["left"], pairs["right"]
    roots = (left.joints_mm, right.joints_mm, true_left.joints_mm, true_right.joints_mm)
    return [float(metrics.mrrpe(*(joints[Joint.WRIST] for joints in roots)))]


def _partners(sample: Sample, hands: Sequence[Hand]) -> list[Hand | None]:
    """The system's hand for each true hand, or None where it missed it."""
    partners: list[Hand | None] = [None] * len(sample.hands)
    matches = metrics.match_hands(
        [hand.side for hand in hands],
        np.array([hand.joints_px for hand in hands]).reshape(-1, 21, 2),
        [truth.side for truth in sample.hands],
        np.array([truth.joints_px for truth in sample.hands]),
        np.array([truth.valid for truth in sample.hands]),
    )
    for match in matches:
        partners[match.true] = hands[match.predicted]
    return partners


def _errors(truth: HandLabel, hand: Hand | None) -> tuple[float, ...]:
    """found, side right, 2D, PA, from wrist, from middle MCP, absolute (NaN if missed)."""
    assert truth.joints_mm is not None
    joints_mm = np.zeros((21, 3)) if hand is None else hand.joints_mm
    keypoints = (
        1.0
        if hand is None
        else metrics.keypoint_error_share(hand.joints_px, truth.joints_px, truth.valid)
    )
    shape_errors = (
        metrics.pa_mpjpe(joints_mm, truth.joints_mm, truth.valid),
        metrics.mpjpe(joints_mm, truth.joints_mm, truth.valid, root=Joint.WRIST),
        metrics.mpjpe(joints_mm, truth.joints_mm, truth.valid, root=Joint.MIDDLE_MCP),
    )
    absolute = metrics.absolute_error(joints_mm, truth.joints_mm, truth.valid)
    return (
        float(hand is not None),
        float(hand is not None and hand.side == truth.side),
        float(keypoints),
        *(float(error) for error in shape_errors),
        float("nan") if hand is None else float(absolute),
    )


# --------------------------------------------------------------------------------------------
# Systems
# --------------------------------------------------------------------------------------------
def save(
    path: Path, system: str, samples: Sequence[Sample], answers: Sequence[Sequence[Hand]]
) -> None:
    """Write a system's answers as a prediction file; only 3D relative to the wrist is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hands = {
        sample.key: [
            PredictedHand(
                side=hand.side,
                joints_px=hand.joints_px,
                joints_root_mm=hand.joints_mm - hand.joints_mm[0],
            )
            for hand in of_picture
        ]
        for sample, of_picture in zip(samples, answers, strict=True)
    }
    intrinsics = "given" if system.startswith(KNUCKLE) else "assumed"
    write_predictions(path, Predictions(Author(system, "own", intrinsics), hands))


# --------------------------------------------------------------------------------------------
# The table
# --------------------------------------------------------------------------------------------
TABLE = Table({
    "system": "",
    "hands": "{}",
    "found": "{:.1%}",
    "side right": "{:.1%}",
    "2D, share of box": "{:.2%}",
    "PA-MPJPE": "{:.2f} mm",
    "MPJPE from wrist": "{:.1f} mm",
    "MPJPE from middle MCP": "{:.1f} mm",
    "absolute, found hands": "{:.0f} mm",
    "wrist from wrist": "{:.0f} mm",
    "spurious": "{}",
})  # fmt: skip


def table(scores: dict[str, Scores]) -> str:
    """Markdown, one line a system; a peer's hands have no place in the camera."""
    return TABLE.text(
        (name, s.hands, s.found, s.side_right, s.keypoints, s.pa_mm, s.wrist_mm, s.middle_mm,
         *((s.absolute_mm, s.apart_mm) if name.startswith(KNUCKLE) else (None, None)), s.spurious)
        for name, s in scores.items()
    )  # fmt: skip


@dataclass(frozen=True)
class RealHands:
    """Measure Knuckle beside MediaPipe on real photographs with true 3D."""

    data: Data = SHARED
    mediapipe_python: PeerPython = None
    models: tuple[str, ...] = ("full", "lite")
    """Which of MediaPipe's models."""
    knuckle: bool = True
    """Measure Knuckle."""
    weights: Weights = None
    predictions: Path | None = None
    """Folder to write each system's answers to, as files that ``knuckle evaluate`` reads."""

    def run(self) -> None:
        """Measure and print."""
        for name, pictures in SETS.items():
            samples = list(pictures(self.data / name))
            hands = max(len(sample.hands) for sample in samples)
            scores = {}
            for system, predict in self._systems(hands).items():
                answers = predict(samples)
                scores[system] = score(samples, answers)
                if self.predictions is not None:
                    stem = f"{name}-{system.lower().replace(' ', '-')}"
                    save(self.predictions / f"{stem}.jsonl.gz", system, samples, answers)
            print(f"\n`{name}`, {len(samples)} pictures\n\n{table(scores)}")

    def _systems(self, max_hands: int) -> dict[str, System]:
        systems: dict[str, System] = {}
        if self.knuckle:
            systems[KNUCKLE] = knuckle_system(self.weights)
            systems[f"{KNUCKLE}, 4 looks"] = knuckle_system(self.weights, looks=4)
        if self.mediapipe_python is not None:
            for model in self.models:
                settings = MediaPipeSettings(model, max_hands)
                systems[f"MediaPipe {model}"] = mediapipe_system(self.mediapipe_python, settings)
        return systems


if __name__ == "__main__":
    command(RealHands)
