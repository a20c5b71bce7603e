"""The animation of the README, a real video as tracked and its hand in 3D: docs/hero.webp.

    python tools/draw_hero.py [--video FILE] [--first 196 --last 364] [--out FILE]

On the left the frames with the result drawn on, on the right the mesh of each hand, seen by a
camera that swings around it. Nothing is retouched. No face is in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import knuckle
from knuckle.mesh import HandMesh, vertex_normals

_SIDE_PX, _STEP = 360, 2
#: Drawn so many times larger and made smaller, for smooth edges.
_FINER = 2
_PAPER, _SKIN = np.array((38, 40, 46.0)), np.array((236, 196, 170.0))
_LIGHT = np.array((-0.4, -0.7, -0.6)) / np.linalg.norm((0.4, 0.7, 0.6))
_SWING_DEG, _SWING_S = 65.0, 4.0
#: What the 3D panel shows of the room, mm.
_SPAN_MM = 290.0


def drawn_hand(hand: knuckle.HandPose, centre_mm: np.ndarray, turn_deg: float) -> np.ndarray:
    """(S, S, 3) uint8 RGB: the skin of a hand, seen from ``turn_deg`` beside the camera."""
    mesh = hand.mesh()
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    turned = (mesh.vertices_mm - centre_mm) @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]]).T
    return drawn_skin(replace(mesh, vertices_mm=turned), _SIDE_PX, _SPAN_MM, _PAPER)


def drawn_skin(mesh: HandMesh, side_px: int, span_mm: float, paper: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8 RGB: a mesh about the origin, seen along z; ``span_mm`` wide and high."""
    turned, size = mesh.vertices_mm, side_px * _FINER
    points = turned[:, :2] * (size / span_mm) + size / 2
    canvas = np.tile(paper, (size, size, 1)).astype(np.uint8)
    corners = turned[mesh.faces]  # (F, 3, 3)
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] < 0
    normals = vertex_normals(turned, mesh.faces)[mesh.faces].mean(axis=1)
    shade = 0.35 + 0.65 * np.clip(normals @ _LIGHT, 0, 1)
    for face in np.argsort(-corners[:, :, 2].mean(axis=1)):  # the farthest first
        if facing[face]:
            corners_px = np.round(points[mesh.faces[face]] * 16).astype(np.int32)
            colour = (_SKIN * shade[face]).tolist()
            cv2.fillConvexPoly(canvas, corners_px, colour, cv2.LINE_AA, shift=4)
    return cv2.resize(canvas, (side_px, side_px), interpolation=cv2.INTER_AREA)


def around(hands: Sequence[knuckle.HandPose], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The square part of a frame in which all these hands lie, with some room."""
    boxes = np.array([hand.box_xyxy for hand in hands])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = int(min(1.25 * (high - low).max(), *shape[:2]))
    x, y = np.clip((low + high - side) / 2, 0, np.array(shape[1::-1]) - side).astype(int)
    return slice(y, y + side), slice(x, x + side)


def panels(frames: Sequence[knuckle.Frame]) -> list[np.ndarray]:
    """(S, 2 S, 3) of each frame: as tracked, and in 3D."""
    tracker = knuckle.HandTracker(max_hands=1)
    tracked = [tracker(frame) for frame in frames]
    part = around([hand for hands in tracked for hand in hands], frames[0].image.shape)
    sheets, centre_mm = [], None
    for frame, hands in zip(frames, tracked, strict=True):
        view = np.tile(_PAPER, (_SIDE_PX, _SIDE_PX, 1)).astype(np.uint8)
        if hands:
            middle_mm = hands[0].joints_mm.mean(axis=0)
            centre_mm = middle_mm if centre_mm is None else 0.9 * centre_mm + 0.1 * middle_mm
            turn_deg = _SWING_DEG * np.sin(2 * np.pi * frame.time_s / _SWING_S)
            view = drawn_hand(hands[0], centre_mm, turn_deg)
        seen = knuckle.draw_hands(frame.image, hands)[part]
        seen = cv2.resize(seen, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
        sheets.append(np.hstack([seen, view]))
    return sheets


def main() -> None:
    """Track, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    video = Path("../shared/data/stereo_video/cam0_test.mp4")
    parser.add_argument("--video", type=Path, default=video)
    parser.add_argument("--first", type=int, default=196)
    parser.add_argument("--last", type=int, default=364)
    parser.add_argument("--out", type=Path, default=Path("docs/hero.webp"))
    options = parser.parse_args()
    with knuckle.open_source(options.video) as source:
        wanted = [frame for frame in source if options.first <= frame.index <= options.last]
    rate = 1 / (wanted[1].time_s - wanted[0].time_s)
    first, *others = (Image.fromarray(sheet) for sheet in panels(wanted)[::_STEP])
    duration_ms = round(1000 * _STEP / rate)
    first.save(
        options.out, save_all=True, append_images=others, duration=duration_ms, loop=0, quality=70
    )
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
