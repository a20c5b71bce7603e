"""How long a unit of a rig is, by the size of the hands before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from knuckle.errors import InputError
from knuckle.hand import bone_lengths
from knuckle.results import Frame, TrackedHand
from knuckle.views.decisions import LOOKING, PEOPLE, SCALING
from knuckle.views.looks import Looks
from knuckle.views.rig import Rig
from knuckle.views.tracker import RigTracker
from knuckle.views.triangulation import meet
from knuckle.views.variety import variety


@dataclass(frozen=True)
class Unit:
    """The outcome."""

    mm: float  # millimetres of one unit
    doubt: float  # expected error, as a share; hardly less than people's hands differ
    hands: int  # pairs of looks that it was told from
    unlike: int  # how many of them differ in how the hand is turned, or bent


def unit_by_hands(
    rig: Rig,
    instants: Iterable[Sequence[Frame | None]],
    max_hands: int = 2,
    weights_dir: Path | None = None,
) -> Unit:
    """The unit of a rig that was loaded as if it were a millimetre.

    An instant has a frame of each camera, in their order.

    Raises:
        ValueError: too few hands were seen by two cameras.
    """
    tracker = RigTracker(rig, max_hands=max_hands, weights_dir=weights_dir)
    return unit_of(rig, (tracker.look(frames) for frames in instants))


def unit_of(rig: Rig, views: Iterable[Sequence[Sequence[TrackedHand]]]) -> Unit:
    """``unit_by_hands`` from what each camera saw by itself."""
    apart = [
        float(np.linalg.norm(a.centre_mm - b.centre_mm)) for a, b in combinations(rig.cameras, 2)
    ]
    first = SCALING.usual_distance_mm / max(np.median(apart), 1e-12)
    usual = rig.scaled(first)
    seen = (Looks.of(each, least_share=LOOKING.calibrating_share) for each in views)
    found = [each for looks in seen for each in _log_ratios(usual, looks)]
    logs = np.array([log for log, _ in found])
    if len(logs) < SCALING.least_hands:
        raise InputError(
            f"expected hands that two cameras see at a time to tell the rig's unit, found "
            f"{len(logs)}: give --unit, or check that the files belong to these cameras"
        )
    middle = float(np.median(logs))
    spread = max(1.48 * float(np.median(np.abs(logs - middle))), SCALING.least_spread)
    unlike = variety([rays for _, rays in found[:: len(found) // SCALING.compared + 1]])
    doubt = float(np.hypot(PEOPLE.size, spread / np.sqrt(unlike)))
    return Unit(first * float(np.exp(middle)), doubt, len(logs), unlike)


def _log_ratios(rig: Rig, looks: Looks) -> Iterator[tuple[float, dict[int, np.ndarray]]]:
    """Of each pair of looks at one hand how much larger the rig should be, logarithm, and the rays.

    These are (21, 2), by the index of the camera.
    """
    for i, k in combinations(range(len(looks)), 2):
        if looks.camera[i] == looks.camera[k] or looks.hands[i].side != looks.hands[k].side:
            continue
        pair = [i, k]
        sight = looks.sight(rig, pair)
        points = meet(sight)
        before = (sight.in_cameras(points.mm)[..., 2] > 0).all()
        if not before or np.median(points.strain) > SCALING.most_strain:
            continue
        alone = np.mean([looks.poses[j].bone_lengths_mm for j in pair], axis=0)
        met = bone_lengths(points.mm)
        larger = float(np.median(np.log(alone) - np.log(np.maximum(met, 1e-6))))
        yield larger, {int(looks.camera[j]): looks.rays[j] for j in pair}
