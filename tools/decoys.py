"""Finds what a detector mistakes for hands where there are none: hard negatives.

    python tools/decoys.py runs/data/hand_free.npz src/knuckle/weights/detector.onnx

Marks them in a store of photographs (``Sample.decoys_xyxy``), which is rewritten. Repeat it after
each round of training, as each network is fooled by other things. In pictures with labelled hands,
only what is clearly apart from all of them counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from rich.progress import track

from knuckle.codec import DetectedHand
from knuckle.data.photographs import PhotographStore
from knuckle.letterbox import Letterbox
from knuckle.models.detector import Detector
from knuckle.sample import Sample
from knuckle.train.weights import finished_detector

#: Least score, so low that what may fool the next network is there too.
_THRESHOLD = 0.08
#: At most so many in a picture, the most hand-like ones.
_MOST = 8


@torch.no_grad()
def decoys_of(network: Detector, sample: Sample) -> np.ndarray:
    """(K, 4) px: the boxes of a picture that the detector takes for hands, best first."""
    if not sample.complete:
        return np.zeros((0, 4))
    letterbox = Letterbox.of(sample.image, network.settings.input_size)
    out = network(torch.from_numpy(letterbox.cut(sample.image)[None]))
    maps = torch.cat([out.peak_logit.sigmoid(), out.geometry], dim=1)[0].numpy()
    codec = replace(network.settings.codec, map_size=maps.shape[1])
    found = codec.decode(maps, threshold=_THRESHOLD, max_hands=_MOST)
    boxes = np.array([_box(hand, letterbox) for hand in found]).reshape(-1, 4)
    taken = [_padded_box(hand.joints_px) for hand in sample.hands]
    return boxes[[not _meets(box, [*taken, *sample.ignore_xyxy]) for box in boxes]]


def _box(hand: DetectedHand, letterbox: Letterbox) -> np.ndarray:
    corners = np.array(hand.centre_px) + hand.size_px / 2 * np.array([[-1, -1], [1, 1]])
    return letterbox.to_frame(corners).reshape(4)


def _padded_box(joints_px: np.ndarray) -> np.ndarray:
    """The box around (21, 2) joints, with half of its size on each side."""
    low, high = joints_px.min(axis=0), joints_px.max(axis=0)
    room = (high - low).max() / 2
    return np.concatenate([low - room, high + room])


def _meets(box: np.ndarray, others: Sequence[np.ndarray]) -> bool:
    return any((box[:2] < other[2:]).all() and (other[:2] < box[2:]).all() for other in others)


@dataclass(frozen=True)
class _Arguments:
    """Mark what a detector takes for hands where there are none."""

    store: tyro.conf.Positional[Path]
    weights: tyro.conf.Positional[Path]


def main() -> None:
    """The command line."""
    args = tyro.cli(_Arguments)
    network = finished_detector(args.weights)
    store = PhotographStore.load(args.store)
    samples = (store.decode(i) for i in range(len(store)))
    decoys = [decoys_of(network, s) for s in track(samples, "decoys", total=len(store))]
    store.with_decoys(decoys).save(args.store)
    marked = sum(map(bool, map(len, decoys)))
    print(f"{sum(map(len, decoys))} decoys in {marked} of {len(store)} pictures: {args.store}")


if __name__ == "__main__":
    main()
