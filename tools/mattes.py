r"""Cuts the hands out of a store of photographs: mattes, to train in front of other backgrounds.

The mask of a keypoint network says where the hand is, GrabCut (Rother, Kolmogorov and Blake 2004)
follows the skin up the arm, and a guided filter draws the outline to the picture's edges. Mattes
that do not hold the labelled joints are dropped.

    python tools/mattes.py runs/data/crops.npz src/knuckle/weights/keypoints.onnx \
        runs/data/mattes.npz
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from rich.progress import track

from knuckle.crop import Crop
from knuckle.data.photographs import PhotographStore
from knuckle.hand import KNUCKLES, Joint
from knuckle.mask import guided_filter
from knuckle.models.keypoints import KeypointNetwork
from knuckle.sample import Sample
from knuckle.train.mattes import Mattes
from knuckle.train.weights import finished_keypoints

#: Pictures are cut out at this size: GrabCut is slow, and the guided filter finds the edges again.
_CUT_PX = 112
#: The network's mask above and below which a pixel is surely hand, or may be.
_SURELY, _MAYBE = 0.9, 0.4
#: Half the width of the arm as a share of the distance from wrist to middle knuckle.
_ARM = 0.6
#: A good matte covers this share of the joints, and of the picture from-to.
_LEAST_JOINTS, _AREA = 0.85, (0.06, 0.6)


def matte_of(sample: Sample, mask: np.ndarray) -> np.ndarray | None:
    """The first hand and its arm, cut out.

    Args:
        sample: a photograph.
        mask: (H, W) float, the hand's probability.

    Returns:
        (H, W) float32 alpha, or None if it is not good.
    """
    height, width = sample.image.shape[:2]
    shrink = _CUT_PX / max(height, width)
    size = (max(round(width * shrink), 1), max(round(height * shrink), 1))
    small = cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA)
    guess = _guess(cv2.resize(mask, size), _arm(sample, size))
    if not (guess == cv2.GC_FGD).any():
        return None
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, guess, (0, 0, 1, 1), *models, 2, cv2.GC_INIT_WITH_MASK)
    cut = ((guess == cv2.GC_FGD) | (guess == cv2.GC_PR_FGD)).astype(np.float32)
    whole = cv2.resize(_largest_piece(cut), (width, height), interpolation=cv2.INTER_LINEAR)
    reach = max(round(0.02 * max(height, width)), 1)
    colours = sample.image.astype(np.float32) / 255
    alpha = np.clip(guided_filter(colours, whole, reach=reach, edge=1e-4), 0, 1)
    return alpha if _is_good(alpha, sample) else None


def _guess(mask: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """What GrabCut starts from: sure of the hand's core, and of what is far from hand and arm."""
    likely = ((mask > _MAYBE) | arm).astype(np.uint8)
    reach = 2 * round(0.06 * _CUT_PX) + 1
    near = cv2.dilate(likely, np.ones((reach, reach), np.uint8)) > 0
    guess = np.where(near, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
    guess[likely > 0] = cv2.GC_PR_FGD
    guess[mask > _SURELY] = cv2.GC_FGD
    return guess


def _arm(sample: Sample, size: tuple[int, int]) -> np.ndarray:
    """(h, w) bool: the strip from the wrist to the border in which the arm must lie."""
    height, width = sample.image.shape[:2]
    joints = (sample.hands[0].joints_px + 0.5) * np.array(size) / (width, height) - 0.5
    wrist, knuckles = joints[Joint.WRIST], joints[KNUCKLES].mean(axis=0)
    along = wrist - knuckles
    across = _ARM * np.array([-along[1], along[0]])
    far = wrist + 10 * along
    corners = np.array([wrist - across, wrist + across, far + across, far - across])
    strip = np.zeros(size[::-1], np.uint8)
    cv2.fillConvexPoly(strip, np.round(np.clip(corners, -1e4, 1e4)).astype(np.int32), 1)
    return strip > 0


def _largest_piece(cut: np.ndarray) -> np.ndarray:
    """The largest connected part of a (h, w) mask."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((cut > 0).astype(np.uint8))
    if count < 2:
        return cut
    return (pieces == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.float32)


def _is_good(alpha: np.ndarray, sample: Sample) -> bool:
    """Whether a matte holds the hand's joints and neither nothing nor everything else."""
    height, width = alpha.shape
    columns, rows = np.round(sample.hands[0].joints_px).astype(int).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    held = alpha[rows[inside], columns[inside]] > 0.5
    return bool(
        inside.mean() > _LEAST_JOINTS
        and held.mean() > _LEAST_JOINTS
        and _AREA[0] < alpha.mean() < _AREA[1]
    )


@torch.no_grad()
def hand_masks(network: KeypointNetwork, samples: Sequence[Sample]) -> list[np.ndarray]:
    """(H, W) float32 each: where the network sees the first hand of each picture."""
    size = network.settings.input_size
    crops = [
        Crop.from_joints(sample.hands[0].joints_px, sample.hands[0].side, out_size=size)
        for sample in samples
    ]
    pixels = np.stack([crop.cut(sample.image) for crop, sample in zip(crops, samples, strict=True)])
    masks = network(torch.from_numpy(pixels)).mask_logit.sigmoid().numpy()
    return [
        crop.paste(cv2.resize(mask, (size, size)), sample.image.shape[:2])
        for crop, mask, sample in zip(crops, masks, samples, strict=True)
    ]


def gather(store: PhotographStore, network: KeypointNetwork, batch: int = 32) -> Mattes:
    """Mattes of all pictures of a store of crops."""
    mattes: list[np.ndarray | None] = []
    for first in track(range(0, len(store), batch), description="mattes"):
        samples = [store.decode(i) for i in range(first, min(first + batch, len(store)))]
        masks = hand_masks(network, samples)
        mattes += [matte_of(*pair) for pair in zip(samples, masks, strict=True)]
    return Mattes.of(mattes)


@dataclass(frozen=True)
class _Arguments:
    """Cut the hands of a store of photographs out."""

    store: tyro.conf.Positional[Path]
    weights: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]


def main() -> None:
    """The command line."""
    args = tyro.cli(_Arguments)
    mattes = gather(PhotographStore.load(args.store), finished_keypoints(args.weights))
    mattes.save(args.out)
    good = int((np.diff(mattes.offsets) > 0).sum())
    print(f"{good} of {len(mattes)} pictures have a matte: {args.out}")


if __name__ == "__main__":
    main()
