"""Hands as people show them to cameras: the parametric hand fitted to the photographs' labels.

    python -m knuckle.data.shown CROPS.npz SHOWN.npz

The sampler knows what hands can do, photographs know what they do before a camera. Each label (the
teacher's keypoints, moved to Knuckle's joints, and how its fingers lean) is explained by the
likeliest hand (``render.fitting``), so that anatomy corrects it; what stays are poses, and from
where they are seen. The camera is the one assumed for the photograph, turned to look at the hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import tyro

from knuckle.camera import Camera
from knuckle.data.kept import Kept
from knuckle.data.photographs import Part, PhotographStore
from knuckle.hand import BONES, N_JOINTS
from knuckle.render.fitting import HandFit, fit_hands_2d
from knuckle.render.poses import constrain
from knuckle.sample import HandLabel

#: Least focal length in sides of the box around a hand, 200 mm at 400: what seems to be nearer is a
#: picture that somebody cut out of a larger one.
_LEAST_FOCAL = 2.0
#: What labels may be off, as a share of the box; where the median joint is further off than the
#: second from its label, no hand explains the labels.
_LABEL_SIGMA, _MISFIT = 0.03, 0.04
_MIRROR = np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class ShownHands(Kept):
    """N hands that were shown to a camera, all as right ones."""

    WHAT: ClassVar[str] = "shown hands"
    AGAIN: ClassVar[str] = "make them with python -m knuckle.data.shown"

    pose_deg: np.ndarray  # (N, 17, 3) as ``HandParameters`` has them, within what anatomy allows
    R_camera_from_hand: np.ndarray  # (N, 3, 3) from where they were seen

    def __len__(self) -> int:
        """Number of hands."""
        return len(self.pose_deg)


def fit_photographs(store: PhotographStore, part: Part = "train") -> ShownHands:
    """The hands of a store of crops; those that no hand explains are left out."""
    pictures = store.part(part)
    labels = [store.label(int(store.hand_offsets[i])) for i in pictures]  # the one cut out
    fit = fit_labels(labels, store.cameras[pictures, 0])
    size = np.array([_box_side(label) for label in labels])
    with np.errstate(invalid="ignore"):
        explained = np.median(fit.residual, axis=1) < _MISFIT * size
    fit = fit.take(np.flatnonzero(fit.converged & explained))
    left = fit.parameters.is_left()
    rotation = fit.parameters.R_camera_from_hand
    rotation = np.where(left[:, None, None], _MIRROR @ rotation @ _MIRROR, rotation)
    return ShownHands(constrain(fit.parameters.pose_deg).astype(np.float32), rotation)


def fit_labels(labels: list[HandLabel], focal_px: np.ndarray) -> HandFit:
    """The likeliest hand for each label of a photograph.

    Args:
        labels: of N hands.
        focal_px: (N,) of each one's camera.

    Returns:
        The hands in the axes of a camera that looks straight at each.
    """
    points = np.array([label.joints_px for label in labels], np.float64).reshape(-1, N_JOINTS, 2)
    size = np.array([_box_side(label) for label in labels])
    middle = (points.min(axis=1) + points.max(axis=1)) / 2
    cameras = [
        Camera(fx=focal, fy=focal, cx=x, cy=y)
        for focal, (x, y) in zip(
            np.maximum(focal_px, _LEAST_FOCAL * size).tolist(), middle.tolist(), strict=True
        )
    ]
    return fit_hands_2d(
        points,
        cameras,
        np.tile(_LABEL_SIGMA * size[:, None], (1, N_JOINTS)),
        side=[label.side for label in labels],
        bone_depth=np.array([label.bone_depth for label in labels], np.float64).reshape(
            -1, len(BONES)
        ),
    )


def _box_side(label: HandLabel) -> float:
    return float(np.ptp(label.joints_px, axis=0).max())


def main(store: Path, out: Path, /) -> None:
    """Fit the parametric hand to the labels of a store of photographed hands.

    Args:
        store: Crops from ``knuckle data pack-photographs``.
        out: The npz file to write.
    """
    photographs = PhotographStore.load(store)
    shown = fit_photographs(photographs)
    shown.save(out)
    print(f"{len(shown)} of {len(photographs.part('train'))} hands are explained: {out}")


if __name__ == "__main__":
    tyro.cli(main)
