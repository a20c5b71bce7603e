"""Drive a robot hand: joints in metres, from the wrist, in axes that move with the hand.

    python examples/04_retarget.py
    python examples/04_retarget.py --source my.mp4 --side left --out left.npz

Retargeting (dex-retargeting, AnyTeleop and relatives) wants a hand that does not care where the
person stands: 21 x 3 in metres, the wrist at the origin, z from the wrist to the middle knuckle,
x out of the palm, y = z x x: the axes of MANO's wrist. Unsmoothed values are there as well
(``hand.raw``): retargeting filters for itself.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import tyro

import knuckle
from knuckle import HandPose, Joint


def operator_joints(hand: HandPose) -> np.ndarray:
    """(21, 3) metres in the axes described above."""
    joints = hand.joints_root_mm / 1000
    along = joints[Joint.MIDDLE_MCP]
    across = joints[Joint.INDEX_MCP] - joints[Joint.MIDDLE_MCP]  # to the thumb's side
    palm = np.cross(across, along) if hand.side == "right" else np.cross(along, across)
    z = along / np.linalg.norm(along)
    x = palm / np.linalg.norm(palm)
    return joints @ np.stack([x, np.cross(z, x), z], axis=1)


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
                    poses.append(operator_joints(hand.raw))
                    break
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(out, time_s=times_s, joints_m=np.reshape(poses, (-1, 21, 3)))
    print(f"{len(poses)} frames with a {side} hand: {out}")


if __name__ == "__main__":
    tyro.cli(main)
