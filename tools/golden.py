"""Records Knuckle's answers, outside the repository, to compare them after a change.

    python tools/golden.py make GOLDEN.npz [--pairs runs/stress] [--data ../shared/data]
    python tools/golden.py compare GOLDEN.npz

``compare`` computes them again and reports what differs. There are four sets: the shipped clip
through the tracker, rendered pictures of two hands and photographs through the estimator, and a
crossing in the world of dots (``tests/dot_world.py``). If code only moves, expect "equal"; if a
rule changes, this shows which frames it affects. Crops are rounded to a grid: in a video each
follows from the previous look, so a different order of summation would grow to pixels.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from knuckle import Camera, HandEstimator, HandTracker, open_source
from knuckle.crop import Crop
from knuckle.data.real_hand_3d import RealHand3D
from knuckle.data.shards import read_shard
from knuckle.demo import demo_clip
from knuckle.results import Frame, HandPose

ROOT = Path(__file__).resolve().parents[1]
#: Pixels and millimetres by which equal answers may differ: batches round otherwise.
_SAME_PX, _SAME_MM = 0.02, 0.2
#: The grid of crops: steps a pixel and a radian.
_PER_PX, _PER_RADIAN = 8, 256
#: Columns before the joints: picture, track (-1 in single images), left?, score, crops looked at.
_PICTURE, _TRACK, _LEFT, _SCORE, _LOOKS, _HEAD = range(6)

#: For each picture, its hands and how many crops were looked at.
Answers = Iterator[tuple[list[HandPose], int]]


class Counted:
    """An estimator or a tracker, and the crops that it has looked at."""

    def __init__(self, system: HandEstimator | HandTracker) -> None:
        self._system, self.looks = system, 0
        networks = system._networks
        look = networks.look

        def counting(image: np.ndarray, crops: list, *known: Any) -> Any:
            self.looks += len(crops)
            return look(image, crops, *known)

        networks.look = counting  # type: ignore[method-assign]
        networks.crop_of = on_grid(networks.crop_of)  # type: ignore[method-assign]
        networks.crop_around = on_grid(networks.crop_around)  # type: ignore[method-assign]

    def __call__(self, image: Any, camera: Camera | None = None) -> tuple[list[HandPose], int]:
        """The hands of the next picture, and the crops that it took."""
        before = self.looks
        return list(self._system(image, camera)), self.looks - before


def on_grid(crop_of: Callable[..., Crop]) -> Callable[..., Crop]:
    """The same crops with rounded numbers."""

    def rounded(*asked: Any) -> Crop:
        crop = crop_of(*asked)
        x, y, size = (round(n * _PER_PX) / _PER_PX for n in (*crop.centre_px, crop.size_px))
        angle = round(crop.angle * _PER_RADIAN) / _PER_RADIAN
        return replace(crop, centre_px=(x, y), size_px=size, angle=angle)

    return rounded


def demo(golden: Golden) -> Answers:
    """The shipped clip."""
    tracker = Counted(HandTracker(weights_dir=golden.weights))
    with open_source(demo_clip()) as source:
        for frame in source:
            yield tracker(frame)


def pairs(golden: Golden) -> Answers:
    """Two hands that touch, 25 pictures of each kind of the stress set, if it was rendered."""
    estimator = Counted(HandEstimator(weights_dir=golden.weights, max_hands=2))
    for path in sorted((golden.pairs / "25").glob("two_hands-*.tar")):
        for sample in read_shard(path):
            yield estimator(sample.image, sample.camera)


def photographs(golden: Golden) -> Answers:
    """Real hands, if they are there."""
    estimator = Counted(HandEstimator(weights_dir=golden.weights))
    folder = golden.data / RealHand3D.name
    for sample in RealHand3D(folder) if folder.is_dir() else ():
        yield estimator(sample.image, sample.camera)


def dots(_: Golden) -> Answers:
    """Two hands of dots that cross."""
    sys.path.insert(0, str(ROOT / "tests"))
    from dot_world import DotNetworks, blank, paint, true_hand, turn

    camera = Camera(300, 300, 160, 120)
    with tempfile.TemporaryDirectory() as folder:
        tracker = Counted(HandTracker(weights_dir=DotNetworks().write(Path(folder))))
        for i in range(45):
            way = -140 + 280 * i / 30
            hands = [
                true_hand(camera, (way, 60, 560), side="left", rotation=turn(-15)),
                true_hand(camera, (-way, 75, 520), rotation=turn(10)),
            ]
            yield tracker(Frame(paint(blank(), hands), i / 30, i, camera))


SETS: dict[str, Callable[[Golden], Answers]] = {
    "demo": demo,
    "pairs": pairs,
    "photographs": photographs,
    "dots": dots,
}


def rows(answers: Answers) -> np.ndarray:
    """(N, 5 + 42 + 63): a row a hand, and one of NaN a picture, which counts its looks."""
    out = []
    for picture, (hands, looks) in enumerate(answers):
        out.append([picture, np.nan, np.nan, np.nan, looks, *[np.nan] * 105])
        for hand in hands:
            track = getattr(hand, "track_id", -1)
            raw = getattr(hand, "raw", hand)
            joints = [*raw.joints_px.ravel(), *hand.joints_mm.ravel()]
            out.append([picture, track, hand.side == "left", hand.score, np.nan, *joints])
    return np.array(out)


def differences(name: str, old: np.ndarray, new: np.ndarray) -> list[str]:
    """Lines that say which pictures of a set are answered otherwise."""
    pictures = int(max(old[:, _PICTURE].max(initial=-1), new[:, _PICTURE].max(initial=-1))) + 1
    changed = []
    for picture in range(pictures):
        before, after = (_hands(table, picture) for table in (old, new))
        if before.shape != after.shape:
            changed.append(f"{picture} ({len(before)} -> {len(after)} hands)")
        elif not np.array_equal(before[:, _TRACK:_SCORE], after[:, _TRACK:_SCORE]):
            changed.append(f"{picture} (who, or which side)")
        else:
            px = np.abs(before[:, _HEAD : _HEAD + 42] - after[:, _HEAD : _HEAD + 42])
            mm = np.abs(before[:, _HEAD + 42 :] - after[:, _HEAD + 42 :])
            if px.max(initial=0) > _SAME_PX or mm.max(initial=0) > _SAME_MM:
                changed.append(f"{picture} ({px.max():.1f} px, {mm.max():.1f} mm)")
    looks = " -> ".join(f"{np.nansum(table[:, _LOOKS]):.0f}" for table in (old, new))
    word = f"{len(changed)} of {pictures} pictures differ" if changed else "equal"
    return [f"{name}: {word}; looks {looks}", *(f"  {line}" for line in changed)]


def _hands(table: np.ndarray, picture: int) -> np.ndarray:
    mine = table[(table[:, _PICTURE] == picture) & np.isfinite(table[:, _TRACK])]
    return mine[np.lexsort((mine[:, _HEAD], mine[:, _LEFT]))]


@dataclass(frozen=True)
class Golden:
    """Keep answers, or compare with those that were kept."""

    what: tyro.conf.Positional[str]
    """make or compare."""
    path: tyro.conf.Positional[Path]
    """The file of answers (.npz), outside the repository."""
    sets: tuple[str, ...] = tuple(SETS)
    """Which sets."""
    pairs: Path = ROOT / "runs" / "stress"
    """Folder of rendered pictures, as ``benchmarks/stress.py`` keeps them."""
    data: Path = ROOT.parent / "shared" / "data"
    """Folder that holds real_hand_3d."""
    weights: Path | None = None
    """Folder of other networks than those in the package."""

    def run(self) -> None:
        """Make or compare."""
        if self.what not in ("make", "compare"):
            raise SystemExit(f"expected make or compare, got {self.what!r}")
        answers: dict[str, Any] = {name: rows(SETS[name](self)) for name in self.sets}
        if self.what == "make":
            np.savez_compressed(self.path, **answers)
            return
        with np.load(self.path) as kept:
            for name in self.sets:
                print("\n".join(differences(name, kept[name], answers[name])), flush=True)


if __name__ == "__main__":
    tyro.cli(Golden).run()
