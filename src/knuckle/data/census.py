"""What a data set holds: pictures, hands, people, sizes, counted for people to read."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from knuckle.data.labelled import LabelledSet


@dataclass
class Census:
    """What a data set holds."""

    n_pictures: int = 0  # that were looked at
    #: Number of hands by side.
    hands: dict[str, int] = field(default_factory=lambda: {"left": 0, "right": 0})
    n_two_hands: int = 0  # pictures with two hands or more
    n_with_3d: int = 0  # hands with 3D joints
    #: Number of pictures by (width, height); empty if they were not read.
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)


def take_census(dataset: LabelledSet, *, read: bool) -> Census:
    """Count what is in a data set.

    Args:
        dataset: opened.
        read: also read every picture, which finds those that are missing or broken.

    Raises:
        ValueError, OSError: a picture cannot be read.
    """
    census = Census()
    for index in range(len(dataset)):
        hands = dataset.record(index).hands
        census.n_pictures += 1
        census.n_two_hands += len(hands) >= 2
        for hand in hands:
            census.hands[hand.side] += 1
            census.n_with_3d += hand.joints_mm is not None
        if read:
            height, width = dataset.image(index).shape[:2]
            census.sizes[width, height] = census.sizes.get((width, height), 0) + 1
    return census


def describe(dataset: LabelledSet, census: Census) -> str:
    """Lines for people: what there is, where it comes from, what was left out."""
    left, right = census.hands["left"], census.hands["right"]
    lines = [
        f"{dataset.name}, split {dataset.split!r} ({dataset.division})",
        f"{census.n_pictures:,} pictures, {left:,} left and {right:,} right hands "
        f"({census.n_with_3d:,} with 3D), {census.n_two_hands:,} pictures with two or more",
    ]
    groups = dataset.groups()
    counts = {
        name: len(np.unique(column[column >= 0]))
        for name in ("subject", "capture", "sequence", "step")
        if ((column := getattr(groups, name)) >= 0).any()
    }
    if counts:
        lines.append(", ".join(f"{count:,} {name}s" for name, count in counts.items()))
    if census.sizes:
        usual = sorted(census.sizes.items(), key=lambda item: -item[1])[:4]
        lines.append(
            "sizes " + ", ".join(f"{width} x {height} ({n:,})" for (width, height), n in usual)
        )
    return "\n".join([*lines, str(dataset.report)])
