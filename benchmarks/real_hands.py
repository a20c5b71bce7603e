"""Knuckle beside MediaPipe on real photographs with true 3D: one run, one table.

    python benchmarks/real_hands.py --data ../shared/data --mediapipe-python PEERS/bin/python

Every system gets the same pixels and detects hands itself; Knuckle gets the intrinsics, MediaPipe
cannot use them. Of a system's hands the one that lies on the true hand counts
(``metrics.match_hands``). **A missed hand is scored as a hand whose joints all lie in one point**:
its 2D error is 100 % of the box, its 3D error the distance of the true joints from their root (PA:
from their centroid), so that refusing hard hands does not pay.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from knuckle import metrics
from knuckle.camera import Camera
from knuckle.data.sample import HandLabel, Sample
from knuckle.hand import Joint, Side
from peers.process import MediaPipe, MediaPipeSettings

#: Border that is repeated around the tight crops of ``real_hand_3d``, px.
PADDING_PX = 64


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
        partner = _partners(sample, hands)
        spurious += len(hands) - sum(hand is not None for hand in partner)
        rows += [_errors(t, hand) for t, hand in zip(sample.hands, partner, strict=True)]
    columns = np.array(rows).T  # (measure, hand)
    means = [float(np.mean(column)) for column in columns[:-1]]
    return Scores(
        len(rows),
        spurious,
        *means,
        float(metrics.masked_mean(columns[-1], np.isfinite(columns[-1]))),
    )


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
# Pictures
# --------------------------------------------------------------------------------------------
def read_real_hand_3d(folder: Path) -> list[Sample]:
    """The 120 photographs, padded, with their true joints in the padded picture."""
    return [
        _read_one(folder, record) for record in json.loads((folder / "labels.json").read_text())
    ]


def _read_one(folder: Path, record: dict) -> Sample:
    bgr = cv2.imread(str(folder / "images" / record["file"]))
    if bgr is None:
        raise FileNotFoundError(f"{record['file']} is in labels.json but not in {folder}/images")
    border = [PADDING_PX] * 4
    padded = cv2.copyMakeBorder(bgr, *border, borderType=cv2.BORDER_REPLICATE)
    camera = Camera(*record["fx_fy_cx_cy"]).padded(PADDING_PX, PADDING_PX)
    joints_mm = np.array(record["joints_mm"])
    return Sample(
        image=cv2.cvtColor(padded, cv2.COLOR_BGR2RGB),
        hands=(
            HandLabel(
                side=record["side"], joints_px=camera.project(joints_mm), joints_mm=joints_mm
            ),
        ),
        camera=camera,
        key=Path(record["file"]).stem,
    )


# --------------------------------------------------------------------------------------------
# Systems
# --------------------------------------------------------------------------------------------
def knuckle_system(samples: Sequence[Sample]) -> list[list[Hand]]:
    """Knuckle as its users call it."""
    from knuckle import HandEstimator

    estimator = HandEstimator()
    return [list(estimator(sample.image, camera=sample.camera)) for sample in samples]


def mediapipe_system(python: Path, model: str) -> System:
    """MediaPipe in the environment of ``python``."""
    peer = MediaPipe(python, MediaPipeSettings(model=model))
    return lambda samples: list(map(list, peer.predict([sample.image for sample in samples])))


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
    """Folder that holds real_hand_3d."""
    mediapipe_python: Path | None = None
    """Python of an environment with mediapipe==0.10.21 (extra "peers"); left out: Knuckle alone."""
    models: tuple[str, ...] = ("full", "lite")
    """Which of MediaPipe's models."""
    knuckle: bool = True
    """Measure Knuckle."""

    def run(self) -> None:
        """Measure and print."""
        samples = read_real_hand_3d(self.data / "real_hand_3d")
        systems: dict[str, System] = {"Knuckle": knuckle_system} if self.knuckle else {}
        if self.mediapipe_python is not None:
            for model in self.models:
                systems[f"MediaPipe {model}"] = mediapipe_system(self.mediapipe_python, model)
        print(table({name: score(samples, system(samples)) for name, system in systems.items()}))


if __name__ == "__main__":
    import tyro

    tyro.cli(RealHands).run()
