r"""Mattes: what of a photograph is hand and arm, to put real hands before other backgrounds.

There are few labelled photographs, and of few rooms; there are many pictures of places. The mask of
a keypoint network says where the hand is, GrabCut (Rother, Kolmogorov and Blake 2004) follows the
skin up the arm, and a guided filter draws the outline to the picture's edges. Mattes that do not
hold the labelled joints are dropped.

    python -m knuckle.train.mattes runs/data/crops.npz src/knuckle/weights/keypoints.onnx \
        runs/data/mattes.npz
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from rich.progress import track

from knuckle.crop import Crop
from knuckle.data.photographs import PhotographStore
from knuckle.errors import NotFoundError
from knuckle.hand import KNUCKLES, Joint
from knuckle.limits import open_npz
from knuckle.mask import guided_filter
from knuckle.models.keypoints import KeypointNetwork
from knuckle.render.shading import linear_from_srgb
from knuckle.sample import Sample
from knuckle.train.weights import finished_keypoints

#: Pictures are cut out at this size: GrabCut is slow, and the guided filter finds the edges again.
_CUT_PX = 112
#: The network's mask above and below which a pixel is surely hand, or may be.
_SURELY, _MAYBE = 0.9, 0.4
#: Half the width of the arm as a share of the distance from wrist to middle knuckle.
_ARM = 0.6
#: A good matte covers this share of the joints, and of the picture from-to.
_LEAST_JOINTS, _AREA = 0.85, (0.06, 0.6)
#: Alpha below is background, above foreground: the rim takes the old background's colour along.
_RIM = (0.25, 0.9)


@dataclass(frozen=True, eq=False)
class Mattes:
    """Mattes of the pictures of a store, as PNG; none where it was not good.

    Attributes:
        png: (B,) uint8, one file after the other.
        offsets: (N + 1,) int64; a picture without a matte has no bytes.
    """

    png: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, mattes: Iterable[np.ndarray | None]) -> Mattes:
        """Pack (H, W) float alphas, None for pictures without."""
        files = [np.zeros(0, np.uint8) if alpha is None else _png(alpha) for alpha in mattes]
        offsets = np.cumsum([0, *(len(file) for file in files)]).astype(np.int64)
        return cls(np.concatenate([np.zeros(0, np.uint8), *files]), offsets)

    def __len__(self) -> int:
        """Number of pictures, with and without a matte."""
        return len(self.offsets) - 1

    def alpha(self, i: int) -> np.ndarray | None:
        """(H, W) float32 in 0..1 of picture ``i``, or None."""
        data = self.png[self.offsets[i] : self.offsets[i + 1]]
        if not len(data):
            return None
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32) / 255

    def save(self, path: str | Path) -> None:
        """Write them as one npz file."""
        np.savez(path, png=self.png, offsets=self.offsets)

    @classmethod
    def load(cls, path: str | Path) -> Mattes:
        """Read what ``save`` wrote.

        Raises:
            FileNotFoundError: there is no such file.
        """
        if not Path(path).exists():
            raise NotFoundError(f"no mattes at {path}; make them with knuckle.train.mattes")
        with open_npz(Path(path), "mattes", "make them again") as stored:
            return cls(stored["png"], stored["offsets"])


def recomposed(
    sample: Sample, alpha: np.ndarray, background: np.ndarray, rng: np.random.Generator
) -> Sample:
    """The hand of a photograph before another background, its skin in another light.

    Args:
        sample: a photograph whose first hand is the one cut out.
        alpha: (H, W) float32 matte.
        background: (H, W, 3) uint8 RGB, without hands.
        rng: for the light.
    """
    low, high = _RIM
    share = np.clip((alpha - low) / (high - low), 0.0, 1.0)[..., None]
    hand = _in_another_light(sample.image, rng)
    mixed = share * hand + (1 - share) * background
    return replace(
        sample,
        image=np.round(mixed).astype(np.uint8),
        hands=sample.hands[:1],
        ignore_xyxy=np.zeros((0, 4)),
        complete=True,
    )


def _in_another_light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) float32, 0..255: darker or lighter, of another tint, with more or less contrast."""
    light = linear_from_srgb(image)
    gain = np.exp(rng.normal(-0.1, 0.45) + rng.normal(0, 0.1, 3)).astype(np.float32)
    curve = float(np.exp(rng.normal(0, 0.15)))
    return 255 * np.clip(light * gain, 0, 1) ** np.float32(curve / 2.2)


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


def _png(alpha: np.ndarray) -> np.ndarray:
    grey = np.round(255 * alpha).astype(np.uint8)
    return cv2.imencode(".png", grey)[1].reshape(-1)


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
