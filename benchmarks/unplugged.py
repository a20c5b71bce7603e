"""One of two cameras has no frames for some instants, as if briefly unplugged.

    python benchmarks/unplugged.py

Each camera in turn repeatedly loses its frames, in real recordings of hands that keep moving. The
hand as the remaining camera sees it is compared with where both cameras have it: apart, by the
middle of its joints, and by its shape (middles aligned). Jumps: how much farther than with both it
moves from the last instant with both to the first with one, and from the last with one to the first
with both. Expected: root mean square of the joints' distances over what ``sigma_mm`` predicts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from knuckle import Rig, RigHand, RigTracker, open_sources

#: Cameras 1, 2 and 3 of ``views_two_hands``, s: by the board, see ``lateness.py``.
LATE_S = (0.0, -0.117, -0.120)
#: For so many instants a camera is gone, in every so many.
STEREO_GAPS, WEBCAM_GAPS = ((1, 10), (10, 40), (30, 60)), ((1, 6), (3, 12))
#: The hands of an instant by their side: one of each at most.
Hands = dict[str, RigHand]


def followed(
    rig: Rig, videos: Sequence[Path], max_hands: int, gone: int = -1, gap: tuple[int, int] = (0, 1)
) -> list[Hands]:
    """The hands of every instant; a camera has no frames in the last ones of every so many."""
    tracker = RigTracker(rig.in_step(), max_hands=max_hands)
    found = []
    with open_sources(videos, offsets_s=rig.late_s) as sources:
        for number, instant in enumerate(sources):
            if is_gone(number, gap):
                left = [None if v == gone else frame for v, frame in enumerate(instant)]
                instant = replace(instant, frames=tuple(left))
            found.append({hand.side: hand for hand in tracker(instant)})
    return found


def is_gone(number: int, gap: tuple[int, int]) -> bool:
    """Whether the camera has no frame in an instant."""
    return number % gap[1] >= gap[1] - gap[0]


def row(both: Sequence[Hands], alone: Sequence[Hands], gap: tuple[int, int]) -> str:
    """The cells of one gap in the table."""
    apart, shapes, jumps, strains, missed = [], [], [], [], 0
    for number in range(1, len(both)):
        for side, hand in both[number].items():
            if len(hand.seen_by) < 2:
                continue
            other = alone[number].get(side)
            if other is None:
                missed += is_gone(number, gap)
                continue
            off = other.joints_mm - hand.joints_mm
            middle = off.mean(axis=0)
            before = both[number - 1].get(side), alone[number - 1].get(side)
            if is_gone(number, gap) != is_gone(number - 1, gap) and None not in before:
                was = (before[1].joints_mm - before[0].joints_mm).mean(axis=0)
                jumps.append(np.linalg.norm(middle - was))
            if is_gone(number, gap):
                apart.append(np.linalg.norm(middle))
                shapes.append(np.linalg.norm(off - middle, axis=1).mean())
                strains.append(np.mean(off**2) * 3 / np.mean(other.sigma_mm**2))
    worst = [
        f"{np.median(a):.0f}, {np.percentile(a, 90):.0f}, {max(a):.0f}" for a in (apart, jumps)
    ]
    return (
        f"{len(apart)} | {missed} | {' mm | '.join(worst)} mm | {np.median(shapes):.1f} mm | "
        f"{np.sqrt(np.mean(strains)):.2f} |"
    )


def rows(
    of: str, rig: Rig, videos: Sequence[Path], max_hands: int, gaps: Sequence[tuple[int, int]]
) -> None:
    """Print the rows of a recording."""
    both = followed(rig, videos, max_hands)
    for gap in gaps:
        for gone, name in enumerate(rig.names):
            alone = followed(rig, videos, max_hands, gone, gap)
            told = f"| {of} | {name} | {gap[0]} of {gap[1]} |"
            print(told, row(both, alone, gap), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    print(
        "| recording | gone | instants | hands | lost | apart: median, 90 %, worst | jumps | shape "
        "| expected |\n|---|---|---|---|---|---|---|---|---|"
    )
    stereo = Rig.load(data / "stereo_video", unit=40)
    videos = [data / "stereo_video" / f"{name}_test.mp4" for name in stereo.names]
    rows("stereo_video", stereo, videos, 1, STEREO_GAPS)
    folder = data / "views_two_hands" / "charuco_calibration"
    webcams = Rig.load(folder / "camera_array.toml").select(["cam_1", "cam_2", "cam_3"])
    webcams = webcams.with_late(LATE_S)
    for pair in (["cam_1", "cam_2"], ["cam_2", "cam_3"]):
        some = webcams.select(pair)
        videos = [folder / f"calibration/extrinsic/{name}.mp4" for name in pair]
        rows(f"views_two_hands, {' and '.join(pair)}", some, videos, 2, WEBCAM_GAPS)


if __name__ == "__main__":
    main()
