"""Measure in millimetres: with the camera's intrinsics, joints are where they are in the room.

    python examples/03_camera_space.py
    python examples/03_camera_space.py --source my.mp4 --camera camera.json

``camera.json`` holds ``{"fx": …, "fy": …, "cx": …, "cy": …, "distortion": []}``. A single camera
cannot tell a large hand far away from a small one nearby: if you know the length from wrist to
middle fingertip, say so, and every distance is right by the same factor.
"""

from pathlib import Path

import numpy as np
import tyro

import knuckle
from knuckle import Camera, Joint


def main(
    source: str = "src/knuckle/demo/hands.mp4",
    camera: Path | None = None,
    hand_length_mm: float | None = None,
) -> None:
    """Print, five times a second, how far the hands are from the camera and from each other."""
    # The shipped clip was rendered with this camera.
    lens = Camera.load(camera) if camera else Camera.from_fov(640, 480, diagonal_deg=65)
    tracker = knuckle.HandTracker(max_hands=2, hand_length_mm=hand_length_mm)
    with knuckle.open_source(source, camera=lens) as frames:
        for frame in frames:
            hands = tracker(frame)  # joints_mm: x right, y down, z forward from the lens
            if frame.index % 6:
                continue
            parts = [f"{frame.time_s:5.2f} s"]
            parts += [f"{h.side} wrist {np.linalg.norm(h.root_mm) / 10:.0f} cm away" for h in hands]
            if len(hands) == 2:
                tips = [hand.joints_mm[Joint.INDEX_TIP] for hand in hands]
                sigma = [hand.joint_sigma_mm[Joint.INDEX_TIP] for hand in hands]
                gap = np.linalg.norm(tips[0] - tips[1])
                parts.append(f"index tips {gap:.0f} mm apart (joints ±{np.hypot(*sigma):.0f} mm)")
            print(", ".join(parts))


if __name__ == "__main__":
    tyro.cli(main)
