r"""A second opinion on the teacher's labels: where our finished networks see the same joints.

Two networks that learnt from other pictures make different errors: on photographs with known truth
the mean of their answers is more accurate than either. So networks that have learnt from the
teacher join it, and the next ones learn from both; where the two disagree, the label counts less.

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
from knuckle.pipeline import EstimatorSettings
from knuckle.pipeline.networks import Networks
from knuckle.sample import HandLabel, Sample

#: Looks at each hand: by how much larger the crop is, and turned, radians. Of all, the mean.
_LOOKS = ((1.0, 0.0), (0.93, 0.25), (1.08, -0.25), (1.15, 0.1))


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
    return replace(store, second_px=second_px, second_visible=second_visible)


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
