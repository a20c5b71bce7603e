"""Drive a robot hand: joints in metres, from the wrist, in axes that move with the hand.

    python examples/04_retarget.py
    python examples/04_retarget.py --source my.mp4 --side left --out left.npz

Retargeting (dex-retargeting, AnyTeleop and relatives) wants a hand that does not care where the
person stands: 21 x 3 in metres, the wrist at the origin, z from the wrist to the middle knuckle,
x out of the palm, y = z x x: the axes of MANO's wrist (``HandPose.operator_frame_m``). Unsmoothed
values are there as well (``hand.raw``): retargeting filters for itself.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import tyro

import knuckle


def main(
    source: str = "src/knuckle/demo/hands.mp4",
    side: Literal["left", "right"] = "right",
    out: Path = Path("build/examples/04_retarget.npz"),
) -> None:
    """Write the joints of one hand for every frame that shows it."""
    tracker = knuckle.HandTracker(max_hands=2)
    times_s, poses = [], []
    with knuckle.open_source(source) as frames:
        for frame in frames:
            for hand in tracker(frame):
                if hand.side == side:
                    times_s.append(frame.time_s)
                    poses.append(hand.raw.operator_frame_m())
                    break
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(out, time_s=times_s, joints_m=np.reshape(poses, (-1, 21, 3)))
    print(f"{len(poses)} frames with a {side} hand: {out}")


if __name__ == "__main__":
    tyro.cli(main)
