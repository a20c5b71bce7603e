r"""A second opinion on the teacher's labels: where our finished networks see the same joints.

Two networks that learnt from other pictures make different errors: on photographs with known truth
the mean of their answers is more accurate than either. So networks that have learnt from the
teacher join it, and the next ones learn from both; where the two disagree, the label counts less.
What the networks do to a joint in all pictures alike is no opinion but a habit, learnt from
renders: it is taken out, or they would pass it on to the next ones.

    python tools/second_opinion.py runs/data/crops.npz src/knuckle/weights

Rewrites the store with ``PhotographStore.second_px`` and ``second_visible`` filled; repeat it after
each round of training that made the networks better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from rich.progress import track

from knuckle.crop import Crop
from knuckle.data.photographs import PhotographStore
from knuckle.hand import KNUCKLES, Joint
from knuckle.pipeline import EstimatorSettings
from knuckle.pipeline.networks import Networks
from knuckle.sample import HandLabel, Sample

#: Looks at each hand: by how much larger the crop is, and turned, radians. Of all, the mean.
_LOOKS = ((1.0, 0.0), (0.93, 0.25), (1.08, -0.25), (1.15, 0.1))

#: A palm shorter than this share of the hand in the picture points at the camera.
_LEAST_PALM = 0.2


def second_opinion(networks: Networks, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Where the networks see the first hand of a picture.

    Args:
        networks: finished.
        sample: a picture cut around its first hand, which is labelled.

    Returns:
        The joints (21, 2) px, sure looks count more, and how surely each is seen (21,), 0..1.
    """
    seen = networks.look(sample.image, _crops_around(networks, sample.hands[0]))
    weight = seen.sigma_px[..., None] ** -2  # (looks, 21, 1)
    joints_px = np.sum(weight * seen.points_px, axis=0) / weight.sum(axis=0)
    return joints_px, seen.visible.mean(axis=0)


def _crops_around(networks: Networks, hand: HandLabel) -> list[Crop]:
    exact = networks.crop_around(hand.joints_px, hand.side)
    return [
        replace(exact, size_px=exact.size_px * larger, angle=exact.angle + turn)
        for larger, turn in _LOOKS
    ]


def with_second_opinion(store: PhotographStore, networks: Networks) -> PhotographStore:
    """The same store of cut-out hands, asked anew what the networks see."""
    second_px = np.full_like(store.second_px, np.nan)
    second_visible = np.full_like(store.second_visible, np.nan)
    first = replace(store, second_px=second_px.copy(), second_visible=second_visible.copy())
    for i in track(range(len(store)), "second opinions"):
        k = store.hand_offsets[i]
        second_px[k], second_visible[k] = second_opinion(networks, first.decode(i))
    store = replace(store, second_px=second_px, second_visible=second_visible)
    return replace(store, second_px=without_habits(second_px, store.own_px))


def without_habits(second_px: np.ndarray, own_px: np.ndarray) -> np.ndarray:
    """Second opinions without what sets each joint off from the teacher's on average.

    Args:
        second_px: (K, 21, 2), NaN where there is none.
        own_px: (K, 21, 2) the teacher's joints, in our convention.

    Returns:
        (K, 21, 2). Averages are along and across the palm, in palm lengths; hands whose palm points
        at the camera have no such axes and neither add to them nor are changed.
    """
    axes, clear = _axes_of(own_px)  # (K, 2, 2) rows: along and across
    away = np.einsum("kab,kjb->kja", axes, second_px - own_px) / _palm(own_px)[:, None]
    heard = clear & np.isfinite(second_px).all(axis=(1, 2))
    if not heard.any():
        return second_px
    habit = np.median(away[heard], axis=0)  # (21, 2)
    moved = np.einsum("kab,ja->kjb", axes, habit) * _palm(own_px)[:, None]
    return np.where(clear[:, None, None], second_px - moved, second_px).astype(second_px.dtype)


def _axes_of(joints_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each hand, unit vectors along and across the palm, and whether they are clear."""
    wrist = joints_px[:, Joint.WRIST]
    along = joints_px[:, KNUCKLES].mean(axis=1) - wrist
    length = np.linalg.norm(along, axis=1)
    along = along / np.maximum(length, 1e-6)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    # To the thumb's side, whichever hand it is and whichever way it faces.
    index, little = (joints_px[:, k] - wrist for k in (Joint.INDEX_MCP, Joint.LITTLE_MCP))
    thumbwards = ((index - little) * across).sum(axis=1)
    across = across * np.where(thumbwards < 0, -1.0, 1.0)[:, None]
    extent = np.ptp(joints_px, axis=1).max(axis=1)
    return np.stack([along, across], axis=1), length > _LEAST_PALM * extent


def _palm(joints_px: np.ndarray) -> np.ndarray:
    """(K, 1) lengths of palms in the picture."""
    along = joints_px[:, KNUCKLES].mean(axis=1) - joints_px[:, Joint.WRIST]
    return np.linalg.norm(along, axis=1, keepdims=True)


@dataclass(frozen=True)
class _Arguments:
    """Note in a store of cut-out hands where finished networks see their joints."""

    store: tyro.conf.Positional[Path]
    weights: tyro.conf.Positional[Path]
    """The folder of the networks."""


def main() -> None:
    """The command line."""
    args = tyro.cli(_Arguments)
    networks = Networks(EstimatorSettings(weights_dir=args.weights, threads=1))
    store = with_second_opinion(PhotographStore.load(args.store), networks)
    store.save(args.store)
    first = store.hand_offsets[:-1]
    apart = np.linalg.norm(store.second_px[first] - store.own_px[first], axis=-1)
    share = apart.mean(axis=1) / np.ptp(store.own_px[first], axis=1).max(axis=1)
    print(f"{len(first)} hands: the two are {100 * np.median(share):.1f} % of the hand apart")


if __name__ == "__main__":
    main()
