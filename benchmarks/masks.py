"""Accuracy of Knuckle's hand masks, at the frame's resolution, against exact masks.

    python benchmarks/masks.py [--weights DIR] [--picture masks.jpg]

Frames of the stress set (``stress_scenes``), own detection. For the hands found: IoU, and the
boundary F-score, which accepts an outline within 2 pixels of the true one. ``claimed twice`` is the
share of pixels claimed by two hands among all pixels that a hand claims.

The held-back photographs (packed, with second opinions) have no drawn masks, but their joints
determine part of them (``train/bone_masks.py``): what lies on a visible bone is hand, what lies
beyond the reach of flesh is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from board import Table, command
from knuckle import HandEstimator, HandPose, metrics
from knuckle.crop import Crop
from knuckle.data.photographs import PhotographStore
from knuckle.sample import HandLabel, Sample
from knuckle.train.bone_masks import bone_mask
from stress_scenes import stress_bin

#: Bins in which masks are measured, by axis.
BINS: dict[str, tuple[str, ...]] = {
    "base": ("base",),
    "size in the frame": ("40 px", "80 px", "300 px"),
    "worn": ("long sleeve", "thick glove"),
    "occlusion": ("20 to 40 %",),
    "two hands": ("apart", "touching", "clasped, folded", "gripping", "crossing"),
}
#: Sets of photographs, by what they show.
SETS = {"many people": "photos_more", "palms": "photos_finger_count", "far off": "photos_gesture"}
#: Cells along the side of a hand's crop, and the share of its bones below which a mask is torn.
_CELLS, _TORN = 96, 0.75


@dataclass(frozen=True)
class MaskScores:
    """Means over the hands of a bin that were found.

    Attributes:
        hands, found: how many there are, and how many were found.
        iou, boundary_f: see ``metrics``.
        twice: share of the claimed pixels that two hands claim.
    """

    hands: int
    found: int
    iou: float
    boundary_f: float
    twice: float


def score(samples: Sequence[Sample], answers: Sequence[Sequence[HandPose]]) -> MaskScores:
    """Compare the masks of hands with those of the true hands they lie on."""
    values: list[tuple[float, float]] = []
    claims = np.zeros(2)
    for sample, hands in zip(samples, answers, strict=True):
        assert sample.hand_map is not None  # the stress set has masks
        for match in metrics.match_hands(
            [hand.side for hand in hands],
            np.array([hand.joints_px for hand in hands]).reshape(-1, 21, 2),
            [truth.side for truth in sample.hands],
            np.array([truth.joints_px for truth in sample.hands]),
        ):
            mask, true = hands[match.predicted].mask, sample.hand_map == match.true + 1
            values.append((metrics.mask_iou(mask, true), metrics.boundary_f(mask, true)))
        claimed = sum((hand.mask.astype(int) for hand in hands), np.zeros(1, int))
        claims += (claimed > 1).sum(), (claimed > 0).sum()
    iou, boundary = np.mean(values, axis=0) if values else (np.nan, np.nan)
    n = sum(len(sample.hands) for sample in samples)
    return MaskScores(n, len(values), float(iou), float(boundary), claims[0] / max(claims[1], 1))


@dataclass(frozen=True)
class ToldByJoints:
    """What masks of photographed hands hold of what their joints tell; means over found hands.

    Attributes:
        hands, found: how many there are of which joints tell something, and how many were found.
        bones: share of what lies on bones that the mask holds.
        torn: share of the hands of which it holds less than ``_TORN`` of that.
        beyond: share of the mask that lies where flesh does not reach.
    """

    hands: int
    found: int
    bones: float
    torn: float
    beyond: float


def told_by_joints(estimator: HandEstimator, store: PhotographStore, sets: str) -> ToldByJoints:
    """Look at the held-back photographs of some sets, those whose name begins so."""
    rows = []
    n = 0
    for i in store.part("validation"):
        if not str(store.datasets[i]).startswith(sets):
            continue
        sample = store.decode(int(i))
        truth = sample.hands[0]
        if truth.visible is None:
            continue
        crop = Crop.from_joints(truth.joints_px, truth.side, out_size=_CELLS)
        told, known = bone_mask(crop.to_crop(truth.joints_px), truth.visible, _CELLS)
        if not told.any():
            continue
        n += 1
        found = _matched(truth, estimator(sample.image))
        if found is None:
            continue
        mask = crop.cut(found.mask.astype(np.float32))
        beyond = (mask * known * (1 - told)).sum() / max(float(mask.sum()), 1.0)
        rows.append(((mask * told).sum() / told.sum(), beyond))
    bones, beyond = np.array(rows).T
    return ToldByJoints(
        n, len(rows), float(bones.mean()), float((bones < _TORN).mean()), float(beyond.mean())
    )


def _matched(truth: HandLabel, hands: Sequence[HandPose]) -> HandPose | None:
    """The hand that lies on a labelled one."""
    matches = metrics.match_hands(
        [hand.side for hand in hands],
        np.array([hand.joints_px for hand in hands]).reshape(-1, 21, 2),
        [truth.side],
        truth.joints_px[None],
    )
    return hands[matches[0].predicted] if matches else None


PHOTOGRAPHS = Table({
    "photographs": "",
    "found": "",
    "on bones that are seen": "{:.1%}",
    "hands of which less than three quarters of that": "{:.1%}",
    "beyond the reach of flesh": "{:.2%}",
})  # fmt: skip

TABLE = Table({
    "axis": "",
    "bin": "",
    "found": "",
    "IoU": "{:.3f}",
    "boundary F (2 px)": "{:.3f}",
    "claimed twice": "{:.2%}",
})  # fmt: skip


def table(scores: dict[tuple[str, str], MaskScores]) -> str:
    """Markdown, one line a bin."""
    return TABLE.text(
        (*key, f"{s.found} of {s.hands}", s.iou, s.boundary_f, s.twice) for key, s in scores.items()
    )


def sheet(samples: Sequence[Sample], answers: Sequence[Sequence[HandPose]]) -> np.ndarray:
    """A row of frames, (240, 320 N, 3) RGB: masks tinted by side, true outlines white."""
    tiles = []
    for sample, hands in zip(samples, answers, strict=True):
        assert sample.hand_map is not None  # the stress set has masks
        image = sample.image.copy()
        for hand in hands:
            tint = np.array((38, 198, 218) if hand.side == "left" else (255, 138, 64))
            image[hand.mask] = (0.5 * image[hand.mask] + 0.5 * tint).astype(np.uint8)
        for number in range(1, len(sample.hands) + 1):
            true = (sample.hand_map == number).astype(np.uint8)
            lines, _ = cv2.findContours(true, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            cv2.polylines(image, lines, True, (255, 255, 255), 1)
        tiles.append(cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA))
    return np.hstack(tiles)


@dataclass(frozen=True)
class Masks:
    """Measure the masks of hands on the stress set."""

    weights: Path | None = None
    """Folder of networks to measure instead of those in the package."""
    count: int = 100
    """Scenes a bin."""
    folder: Path = Path("runs/stress")
    """Where the frames are kept."""
    photographs: Path = Path("runs/data/crops.npz")
    """Packed photographs with second opinions; without the file they are left out."""
    picture: Path | None = None
    """Picture to write: the first scenes of every bin with their masks."""

    def run(self) -> None:
        """Measure and print."""
        scores, rows = {}, []
        for axis, names in BINS.items():
            estimator = HandEstimator(
                weights_dir=self.weights,
                max_hands=1 if axis not in ("two hands", "occlusion") else 2,
            )
            for name in names:
                samples = stress_bin(axis, name, self.count, self.folder)
                answers = [estimator(sample.image, camera=sample.camera) for sample in samples]
                scores[axis, name] = score(samples, answers)
                rows.append(sheet(samples[:6], answers[:6]))
        print(f"{self.count} scenes a bin\n\n{table(scores)}")
        if self.photographs.is_file():
            store = PhotographStore.load(self.photographs)
            estimator = HandEstimator(weights_dir=self.weights, max_hands=2)
            told = {name: told_by_joints(estimator, store, sets) for name, sets in SETS.items()}
            print(PHOTOGRAPHS.text(
                (name, f"{t.found} of {t.hands}", t.bones, t.torn, t.beyond)
                for name, t in told.items()
            ))  # fmt: skip
        if self.picture is not None:
            cv2.imwrite(str(self.picture), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    command(Masks)
