"""Many looks around a place where hands touch: what may be there, before anybody chooses.

A look through an inexact crop often shows something between two hands, or the nearer one again. The
crop that its joints define shows one of them better, and who looks at one sees where the other is:
a few rounds of that, from many guesses, come upon nearly every hand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.hand import SIDES
from knuckle.pipeline.stages import Stages, crop_gap
from knuckle.pose import Keypoints
from knuckle.pose.duplicates import extent_px

#: Crops nearer than this to one that was looked at (in spreads of the training crops) are not news.
_NEWS = 1.2
#: A look is followed up from this score on, and so many of them in a round.
_FOLLOWED, _MOST_FOLLOWED = 0.2, 8
#: With at most so many crops in a round.
MOST_CROPS = 14
#: As what it may be with this probability, a hand's side is tried.
_LEAST_SIDE = 0.2
#: A neighbour that a look shows with this probability is looked at in the next round.
_LEAST_CLAIM = 0.3
#: Looks of one side whose joints are nearer to each other than this share of the hand are alike.
_ALIKE = 0.15


def explore(
    stages: Stages,
    image: np.ndarray,
    guesses: Sequence[DetectedHand],
    seen: Keypoints,
    rounds: int,
) -> Keypoints:
    """Look at guesses, and then at what the looks show, and at what these show.

    Args:
        stages: the networks.
        image: (H, W, 3) uint8 RGB.
        guesses: hands that may be there.
        seen: what was looked at before: not looked at again, but followed up.
        rounds: how often what was seen is followed up.

    Returns:
        ``seen`` and all further looks, in the order in which they were made: at most one for each
        guess, and ``MOST_CROPS`` a round.
    """
    crops = _news([stages.crop_of(guess) for guess in guesses], seen.crops)
    looks, fresh = Keypoints.concatenate(seen, stages.look(image, crops)), 0
    for _ in range(rounds):
        followed = [i for i in _best_of_alike(looks) if i >= fresh][:_MOST_FOLLOWED]
        closer = [crop for i in followed for crop in _closer(stages, looks, i)]
        crops, fresh = _news(closer, looks.crops)[:MOST_CROPS], len(looks)
        looks = Keypoints.concatenate(looks, stages.look(image, crops))
    return looks


def _closer(stages: Stages, looks: Keypoints, i: int) -> list[Crop]:
    """Where look ``i`` says that its hand is, as the sides that it may be, and where another is."""
    own = looks.side(i)
    crops = [
        stages.crop_around(looks.points_px[i], side)
        for side in SIDES
        if (looks.right[i] if side == own else 1 - looks.right[i]) > _LEAST_SIDE
    ]
    neighbour = looks.neighbour_of(i)
    return [*crops, stages.crop_of(neighbour)] if neighbour.score > _LEAST_CLAIM else crops


def _news(crops: Sequence[Crop], seen: Sequence[Crop]) -> list[Crop]:
    """The crops that show something else than those seen and those before them."""
    new: list[Crop] = []
    for crop in crops:
        if all(
            other.mirror != crop.mirror or crop_gap(crop, other) >= _NEWS for other in (*seen, *new)
        ):
            new.append(crop)
    return new


def _best_of_alike(looks: Keypoints) -> list[int]:
    """Of looks that show the same, the most trusted one; those that show a hand, best first."""
    extent = extent_px(looks.points_px)
    best: list[int] = []
    for i in np.argsort(-looks.trust, kind="stable").tolist():
        if looks.score[i] < _FOLLOWED:
            continue
        gaps = np.linalg.norm(looks.points_px[best] - looks.points_px[i], axis=-1).mean(axis=-1)
        alike = gaps < _ALIKE * np.maximum(extent[best], extent[i])
        if not any(
            same and looks.side(k) == looks.side(i) for k, same in zip(best, alike, strict=True)
        ):
            best.append(i)
    return best
