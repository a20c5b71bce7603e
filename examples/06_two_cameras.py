"""Two cameras: the same hands, in millimetres of one world.

    python examples/06_two_cameras.py --sources cam_0.mp4 cam_1.mp4 --rig rig.toml

The sources show the same at the same time; ``docs/rig.md`` says how to film, and how to calibrate
with nothing but hands.
"""

from pathlib import Path

import numpy as np
import tyro

import knuckle


def main(sources: tuple[str, ...], rig: Path, seconds: float = 10.0) -> None:
    """Print, five times a second, where the hands are and how sure that is."""
    cameras = knuckle.Rig.load(rig).for_videos(sources)
    tracker = knuckle.RigTracker(cameras.in_step(), max_hands=2)
    with knuckle.open_sources(sources, offsets_s=cameras.late_s) as instants:
        for count, frames in enumerate(instants):
            hands = tracker(frames)  # joints_mm: the world of the rig
            if frames.time_s > seconds:
                break
            if count % 6:
                continue
            for hand in hands:
                seen_by = " and ".join(cameras.names[v] for v in hand.seen_by)
                print(
                    f"{frames.time_s:5.2f} s  {hand.side} {hand.track_id}: "
                    f"wrist at {hand.root_mm.round(0)} mm, "
                    f"joints ±{np.median(hand.sigma_mm):.0f} mm, seen by {seen_by}"
                )
    print(f"bones add up to {tracker.bone_lengths_mm.sum():.0f} mm")


if __name__ == "__main__":
    tyro.cli(main)
