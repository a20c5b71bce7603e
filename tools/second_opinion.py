r"""A second opinion on the teacher's labels: where a finished network of ours sees the same joints.

Two networks that learnt from other pictures err on other things: on photographs whose truth is
known the mean of their answers is nearer to it than either.
So a network that has learnt from the teacher joins it, and the next one learns from both; where
the two disagree, the label counts less.

    python tools/second_opinion.py runs/data/crops.npz src/knuckle/weights/keypoints.onnx

Writes the store anew with ``PhotographStore.second_px`` filled; to be done again after each round
of training that made the network better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from rich.progress import track

from knuckle.crop import Crop
from knuckle.data.photographs import PhotographStore
from knuckle.models.keypoints import KeypointNetwork
from knuckle.sample import HandLabel, Sample
from knuckle.train.weights import finished_keypoints

#: Looks at each hand: by how much larger the crop is, and turned, radians. Of all, the mean.
_LOOKS = ((1.0, 0.0), (0.93, 0.25), (1.08, -0.25), (1.15, 0.1))


@torch.no_grad()
def second_joints(network: KeypointNetwork, sample: Sample) -> np.ndarray:
    """Where the network sees the joints of the first hand of a picture, (21, 2) px.

    Args:
        network: finished, in evaluation mode.
        sample: a picture cut around its first hand, which is labelled.
    """
    crops = _crops_around(sample.hands[0], network.settings.input_size)
    pixels = np.stack([crop.cut(sample.image) for crop in crops])
    said = network(torch.from_numpy(pixels))
    points = [
        crop.to_frame(seen) for crop, seen in zip(crops, said.keypoints_px.numpy(), strict=True)
    ]
    weight = np.exp(-2 * said.log_sigma_px.numpy())[..., None]  # (looks, 21, 1)
    return np.sum(weight * np.array(points), axis=0) / weight.sum(axis=0)


def _crops_around(hand: HandLabel, out_size: int) -> list[Crop]:
    exact = Crop.from_joints(hand.joints_px, hand.side, out_size=out_size)
    return [
        replace(exact, size_px=exact.size_px * larger, angle=exact.angle + turn)
        for larger, turn in _LOOKS
    ]


def with_second_opinion(store: PhotographStore, network: KeypointNetwork) -> PhotographStore:
    """The same store of cut-out hands, asked anew what the network sees."""
    first = replace(store, second_px=np.full_like(store.joints_px, np.nan))
    second_px = first.second_px.copy()
    for i in track(range(len(store)), "second opinions"):
        second_px[store.hand_offsets[i]] = second_joints(network, first.decode(i))
    return replace(store, second_px=second_px)


@dataclass(frozen=True)
class _Arguments:
    """Note in a store of cut-out hands where a finished network sees their joints."""

    store: tyro.conf.Positional[Path]
    weights: tyro.conf.Positional[Path]


def main() -> None:
    """The command line."""
    args = tyro.cli(_Arguments)
    store = with_second_opinion(PhotographStore.load(args.store), finished_keypoints(args.weights))
    store.save(args.store)
    first = store.hand_offsets[:-1]
    apart = np.linalg.norm(store.second_px[first] - store.own_px[first], axis=-1)
    share = apart.mean(axis=1) / np.ptp(store.own_px[first], axis=1).max(axis=1)
    print(f"{len(first)} hands: the two are {100 * np.median(share):.1f} % of the hand apart")


if __name__ == "__main__":
    main()
