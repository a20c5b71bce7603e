"""Knuckle beside MediaPipe on real photographs with true 3D: one run, one table a set.

    python benchmarks/real_hands.py --data ../shared/data --mediapipe-python PEERS/bin/python

Every system gets the same pixels and detects hands itself; Knuckle gets the intrinsics, MediaPipe
cannot use them. Of a system's hands the one that lies on the true hand counts
(``metrics.match_hands``). **A missed hand is scored as a hand whose joints all lie in one point**:
its 2D error is 100 % of the box, its 3D error the distance of the true joints from their root (PA:
from their centroid), so that refusing hard hands does not pay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from knuckle import metrics
from knuckle.data.interhand26m import InterHand26M, Selection
from knuckle.data.labelled import LabelledSet
from knuckle.data.real_hand_3d import RealHand3D
from knuckle.evaluate import (
    PredictedHand,
    Predictions,
    write_predictions,
)
from knuckle.evaluate import System as Author
from knuckle.hand import Joint, Side
from knuckle.sample import HandLabel, Sample
from peers.process import MediaPipe, MediaPipeSettings

#: Photographs with true 3D, by the name of their folder; none was ever trained on.
SETS: dict[str, Callable[[Path], LabelledSet]] = {
    "real_hand_3d": RealHand3D,  # padded by 64 px of its repeated border
    "interhand26m_sample": lambda root: InterHand26M(root, "test", selection=Selection.official()),
}


class Hand(Protocol):
    """What is asked of a system's hand; ``knuckle.HandPose`` is one."""

    side: Side
    joints_px: np.ndarray  # (21, 2)
    joints_mm: np.ndarray  # (21, 3)


System = Callable[[Sequence[Sample]], list[list[Hand]]]


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


def score(samples: Sequence[Sample], predictions: Sequence[Sequence[Hand]]) -> Scores:
    """Compare a system's hands with the truth of the same pictures."""
    rows: list[tuple[float, ...]] = []
    spurious = 0
    for sample, hands in zip(samples, predictions, strict=True):
        errors = errors_of(sample, hands)
        spurious += len(hands) - sum(bool(found) for found, *_ in errors)
        rows += errors
    columns = np.array(rows).T  # (measure, hand); NaN where the truth does not know
    means = metrics.masked_mean(columns, np.isfinite(columns))
    return Scores(len(rows), spurious, *(float(mean) for mean in means))


def errors_of(sample: Sample, hands: Sequence[Hand]) -> list[tuple[float, ...]]:
    """The errors of a system's hands, in the order of ``Scores``, for each true hand."""
    partners = _partners(sample, hands)
    return [_errors(truth, hand) for truth, hand in zip(sample.hands, partners, strict=True)]


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
def knuckle_system(weights: Path | None = None, looks: int = 1) -> System:
    """Knuckle as its users call it, with the networks of the package or of a folder."""
    from knuckle import HandEstimator

    estimator = HandEstimator(weights_dir=weights, looks=looks)
    return lambda samples: [list(estimator(s.image, camera=s.camera)) for s in samples]


def mediapipe_system(python: Path, settings: MediaPipeSettings) -> System:
    """MediaPipe in the environment of ``python``."""
    peer = MediaPipe(python, settings)
    return lambda samples: list(map(list, peer.predict([sample.image for sample in samples])))


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
    intrinsics = "given" if system.startswith("Knuckle") else "assumed"
    write_predictions(path, Predictions(Author(system, "own", intrinsics), hands))


# --------------------------------------------------------------------------------------------
# The table
# --------------------------------------------------------------------------------------------
def table(scores: dict[str, Scores]) -> str:
    """Markdown, one line a system."""
    lines = [
        "| system | hands | found | side right | 2D, share of box | PA-MPJPE | MPJPE from wrist "
        "| MPJPE from middle MCP | absolute, found hands | spurious |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, s in scores.items():
        absolute = f"{s.absolute_mm:.0f} mm" if name.startswith("Knuckle") else "–"
        lines.append(
            f"| {name} | {s.hands} | {s.found:.1%} | {s.side_right:.1%} | {s.keypoints:.2%} "
            f"| {s.pa_mm:.2f} mm | {s.wrist_mm:.1f} mm | {s.middle_mm:.1f} mm | {absolute} "
            f"| {s.spurious} |"
        )
    return "\n".join(lines)


@dataclass(frozen=True)
class RealHands:
    """Measure Knuckle beside MediaPipe on real photographs with true 3D."""

    data: Path = Path("../shared/data")
    """Folder that holds real_hand_3d and interhand26m_sample."""
    mediapipe_python: Path | None = None
    """Python of an environment with mediapipe==0.10.21 (extra "peers"); left out: Knuckle alone."""
    models: tuple[str, ...] = ("full", "lite")
    """Which of MediaPipe's models."""
    knuckle: bool = True
    """Measure Knuckle."""
    weights: Path | None = None
    """Folder of other networks for Knuckle than those in the package."""
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
            print(f"\n`{name}`, {len(samples)} photographs\n\n{table(scores)}")

    def _systems(self, max_hands: int) -> dict[str, System]:
        systems: dict[str, System] = {}
        if self.knuckle:
            systems["Knuckle"] = knuckle_system(self.weights)
            systems["Knuckle, 4 looks"] = knuckle_system(self.weights, looks=4)
        if self.mediapipe_python is not None:
            for model in self.models:
                settings = MediaPipeSettings(model, max_hands)
                systems[f"MediaPipe {model}"] = mediapipe_system(self.mediapipe_python, settings)
        return systems


if __name__ == "__main__":
    import tyro

    tyro.cli(RealHands).run()
