"""The 21 joints by their numbers, and the axes of the camera: docs/joints.png.

python tools/draw_joints.py [--out FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from draw_hero import drawn_skin

from knuckle.draw import FINGER_COLOURS, WRIST_COLOUR
from knuckle.hand import BONES, FINGER_NAMES, FINGERS, MEAN_LENGTHS_MM
from knuckle.mesh import hand_mesh
from knuckle.output.armature import rest_joints

_SIDE_PX, _SPAN_MM = 720, 250.0
_PAPER, _INK = np.array((250, 250, 248.0)), (40, 40, 46)


def write(image: np.ndarray, text: str, at: tuple[float, float], scale: float = 0.55) -> None:
    """Text centred at a place."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    corner = round(at[0] - width / 2), round(at[1] + height / 2)
    cv2.putText(image, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, 1, cv2.LINE_AA)


def draw_axes(image: np.ndarray, x: int, y: int, length: int = 70) -> None:
    """X right, y down, z away from whoever looks."""
    cv2.arrowedLine(image, (x, y), (x + length, y), _INK, 2, cv2.LINE_AA, tipLength=0.15)
    cv2.arrowedLine(image, (x, y), (x, y + length), _INK, 2, cv2.LINE_AA, tipLength=0.15)
    cv2.circle(image, (x, y), 11, _PAPER.tolist(), -1, cv2.LINE_AA)
    cv2.circle(image, (x, y), 11, _INK, 2, cv2.LINE_AA)
    for way in (1, -1):
        cv2.line(image, (x - 7, y - 7 * way), (x + 7, y + 7 * way), _INK, 2, cv2.LINE_AA)
    write(image, "x", (x + length + 14, y))
    write(image, "y", (x, y + length + 16))
    write(image, "z, away", (x + 6, y - 26))


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/joints.png"))
    options = parser.parse_args()
    joints_mm = rest_joints(MEAN_LENGTHS_MM, "right") * (1, -1, -1)  # y down, z away
    joints_mm = joints_mm - (joints_mm.min(axis=0) + joints_mm.max(axis=0)) / 2
    image = drawn_skin(hand_mesh(joints_mm, "right"), _SIDE_PX, _SPAN_MM, _PAPER)
    points = joints_mm[:, :2] * (_SIDE_PX / _SPAN_MM) + _SIDE_PX / 2
    colours = [WRIST_COLOUR, *np.repeat(FINGER_COLOURS, FINGERS.shape[1], axis=0).tolist()]
    for parent, child in BONES:
        start, end = np.round(points[[parent, child]]).astype(int).tolist()
        cv2.line(image, start, end, colours[child], 3, cv2.LINE_AA)
    for joint, (x, y) in enumerate(points):
        cv2.circle(image, (round(x), round(y)), 13, _INK, -1, cv2.LINE_AA)
        cv2.circle(image, (round(x), round(y)), 12, colours[joint], -1, cv2.LINE_AA)
        write(image, str(joint), (x, y), 0.45)
    for name, finger in zip(FINGER_NAMES, FINGERS, strict=True):
        base, tip = points[finger[-2]], points[finger[-1]]
        write(image, name, tuple(tip + 46 * (tip - base) / np.linalg.norm(tip - base)))
    write(image, "wrist", tuple(points[0] + (0, 34)))
    write(image, "a right hand, its palm", (_SIDE_PX - 130, _SIDE_PX - 40))
    draw_axes(image, 70, 70)
    cv2.imwrite(str(options.out), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{options.out}: {options.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
