"""What a wrong focal length does to hands in space: projected hands through ``pose/placement.py``.

    python benchmarks/focal.py

True hands are projected with a known camera and placed with one whose focal length is wrong, from
shapes that are exactly right and from shapes as wrong as the shipped networks make them
(``noisy_motion.py``). The lifter itself is not part of this: it gets the same picture either way.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from knuckle.camera import Camera
from knuckle.pose import placement
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.poses import sample_poses
from knuckle.render.scene import sample_view

CAMERA = Camera.from_fov(1280, 720, 65.0)
ERRORS = (-0.5, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.5)
HANDS = 400
#: Imitated errors: of joints along and across the line of sight, mm, and of keypoints, px.
DEPTH_MM, ACROSS_MM, KEYPOINT_PX = 10.0, 4.0, 4.0


def true_hands(rng: np.random.Generator) -> np.ndarray:
    """(N, 21, 3) hands of many people all over the picture, 300 to 900 mm away."""
    model = HandModel.load()
    depth = rng.uniform(300, 900, HANDS)
    centre = rng.uniform((300, 200), (980, 520), (HANDS, 2))
    params = HandParameters(
        pose_deg=sample_poses(rng, HANDS),
        shape=sample_shapes(rng, HANDS, model.n_shape),
        R_camera_from_hand=np.stack([sample_view(rng) for _ in range(HANDS)]),
        root_mm=CAMERA.unproject(centre, depth),
    )
    return model.joints(params).astype(np.float64)


def placed(
    joints_mm: np.ndarray, rng: np.random.Generator, focal_error: float, *, noisy: bool
) -> np.ndarray:
    """(N, 21, 3) the same hands, placed with a focal length that is off by this share."""
    shape = joints_mm - joints_mm[:, :1]
    points_px = CAMERA.project(joints_mm)
    if noisy:
        shape = shape + rng.normal(0, 1, shape.shape) * (ACROSS_MM, ACROSS_MM, DEPTH_MM)
        shape -= shape[:, :1]
        points_px = points_px + rng.normal(0, KEYPOINT_PX, points_px.shape)
    factor = 1 + focal_error
    wrong = replace(CAMERA, fx=CAMERA.fx * factor, fy=CAMERA.fy * factor)
    sigma_rays = np.full(shape.shape[:2], KEYPOINT_PX / wrong.fx)
    evidence = placement.Evidence(
        shape, np.full(shape.shape[:2], DEPTH_MM), wrong.rays(points_px), sigma_rays
    )
    return placement.fuse(evidence, placement.place(evidence))


def row(joints_mm: np.ndarray, focal_error: float) -> list[str]:
    """Cells of the table for one focal length."""
    cells = [f"{100 * focal_error:+.0f} %"]
    for noisy in (False, True):
        found = placed(joints_mm, np.random.default_rng(1), focal_error, noisy=noisy)
        depth = found[:, 0, 2] / joints_mm[:, 0, 2] - 1
        off = (found - found[:, :1]) - (joints_mm - joints_mm[:, :1])
        cells.append(f"{100 * np.median(depth):+.1f} %")
        cells.append(f"{100 * np.diff(np.quantile(depth, (0.16, 0.84)))[0] / 2:.1f} %")
        cells.append(f"{np.linalg.norm(off, axis=-1).mean():.1f}")
    return cells


def main() -> None:
    """Print the table."""
    joints_mm = true_hands(np.random.default_rng(0))
    print(
        "| focal length | depth of the wrist, right shapes | scatter | joints from the wrist, mm "
        "| depth, imitated shapes | scatter | joints from the wrist, mm |"
    )
    print("|---" * 7 + "|")
    for focal_error in ERRORS:
        print(f"| {' | '.join(row(joints_mm, focal_error))} |")


if __name__ == "__main__":
    main()
