"""How much of the 3D error is depth: the lifter on predicted keypoints and on the true ones.

    python benchmarks/given_2d.py --data ../shared/data [--renders runs/data/plain] [--weights DIR]

Crops are drawn around the true joints. The lifter then gets what the keypoint network sees there,
or the true 2D with the highest confidence that keypoints reach and no image. The error left with
the true 2D is what 2D cannot determine: the lean of the fingers and of the whole hand along the
line of sight, the hand's size, and where a data set puts its joints.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from board import SHARED, Data, Table, Weights, command
from knuckle import metrics
from knuckle.data.real_hand_3d import RealHand3D
from knuckle.hand import BONES, FINGERS, Joint
from knuckle.pipeline import EstimatorSettings
from knuckle.pipeline.networks import Networks
from knuckle.sample import Sample
from knuckle.train.streams import held_out
from webcams import webcams

#: How sure the lifter is told to be of true keypoints, px of its crop: as sure as it ever is.
_SIGMA_PX = 0.5


TABLE = Table({
    "set": "",
    "keypoints": "",
    "hands": "{}",
    "MPJPE from middle MCP": "{:.1f} mm",
    "the same, turned to the truth": "{:.1f} mm",
    "PA-MPJPE": "{:.1f} mm",
    "lean of the fingers": "{:.0f}°",
    "its bias": "{:+.0f}°",
})  # fmt: skip


def rows(networks: Networks, samples: Iterable[Sample], *, true_2d: bool) -> np.ndarray:
    """(N, 5) the measures of the table for the hands of all samples.

    Args:
        networks: the networks.
        samples: with true 3D.
        true_2d: in place of the keypoints that are seen, and without the image.
    """
    measured = []
    for sample in samples:
        for hand in sample.hands:
            if hand.joints_mm is None or sample.camera is None or not hand.valid.all():
                continue
            crop = networks.crop_around(hand.joints_px, hand.side)
            keypoints = networks.look(sample.image, [crop])
            if true_2d:
                keypoints = replace(
                    keypoints,
                    points_crop=crop.to_crop(hand.joints_px)[None].astype(np.float32),
                    sigma_crop=np.full_like(keypoints.sigma_crop, _SIGMA_PX),
                    features=np.zeros_like(keypoints.features),
                )
            lifted_mm, _ = networks.lifter(keypoints, sample.camera)
            measured.append(_measures(lifted_mm[0], hand.joints_mm))
    return np.array(measured)


def _measures(lifted_mm: np.ndarray, true_mm: np.ndarray) -> tuple[float, ...]:
    """MPJPE from the middle MCP, the same once turned, PA-MPJPE; fingers' lean and its bias."""
    valid = np.ones(len(true_mm), dtype=bool)
    a, b = (joints - joints[Joint.MIDDLE_MCP] for joints in (lifted_mm, true_mm))
    u, _, vt = np.linalg.svd(a.T @ b)  # Kabsch
    turn = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    lean = _lean(lifted_mm, true_mm) - _lean(true_mm, true_mm)
    return (
        float(metrics.mpjpe(a, b, valid, root=Joint.MIDDLE_MCP)),
        float(metrics.mpjpe(a @ turn, b, valid, root=Joint.MIDDLE_MCP)),
        float(metrics.pa_mpjpe(a, b, valid)),
        float(np.abs(lean).mean()),
        float(lean.mean()),
    )


def _lean(joints_mm: np.ndarray, seen_at_mm: np.ndarray) -> np.ndarray:
    """(12,) degrees by which the fingers' phalanges lean away from the camera."""
    phalanges = BONES[np.isin(BONES[:, 1], FINGERS[1:, 1:])]
    bones = joints_mm[phalanges[:, 1]] - joints_mm[phalanges[:, 0]]
    sight = seen_at_mm.mean(axis=0)
    along = bones @ sight / np.linalg.norm(sight) / np.linalg.norm(bones, axis=1)
    return np.degrees(np.arcsin(np.clip(along, -1, 1)))


@dataclass(frozen=True)
class Given2D:
    """Measure the lifter with the keypoints that are seen and with the true ones."""

    data: Data = SHARED
    renders: Path = Path("runs/data/plain")
    """Rendered close-ups, from ``knuckle data render plain``."""
    count: int = 500
    """Renders looked at."""
    weights: Weights = None

    def run(self) -> None:
        """Print the table."""
        networks = Networks(EstimatorSettings(weights_dir=self.weights))
        sets: dict[str, list[Sample]] = {
            "real_hand_3d": list(RealHand3D(self.data / "real_hand_3d")),
            "views_two_hands": list(webcams(self.data / "views_two_hands")),
            "plain renders": list(islice(held_out(self.renders), self.count)),
        }
        print(TABLE.head)
        for name, samples in sets.items():
            for source, true_2d in (("as seen", False), ("true", True)):
                measured = rows(networks, samples, true_2d=true_2d)
                print(TABLE.row(name, source, len(measured), *measured.mean(axis=0)))


if __name__ == "__main__":
    command(Given2D)
