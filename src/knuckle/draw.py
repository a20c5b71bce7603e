"""What every picture of the project is drawn with: colours, strokes, skeletons, sheets.

Coordinates are pixels of the picture (whole numbers are pixel centres) and keep their fractions.
Everything is drawn in place onto (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from knuckle.hand import BONES

Colour = tuple[int, int, int]

#: Per finger, thumb to little: told apart also by people who confuse red and green.
FINGER_COLOURS: tuple[Colour, ...] = (
    (255, 92, 92),
    (255, 184, 56),
    (96, 214, 120),
    (64, 170, 255),
    (196, 120, 255),
)
WRIST_COLOUR: Colour = (245, 245, 245)
#: Lime and magenta: no skin has them, and whatever colours one confuses, one is the lighter.
SIDE_COLOURS: dict[str, Colour] = {"left": (130, 235, 50), "right": (255, 60, 220)}
EDGE_COLOUR: Colour = (18, 18, 22)

#: Fixed-point bits of OpenCV's coordinates: strokes move with the joints, not from pixel to pixel.
SHIFT = 4
#: Of pictures that stand on a sheet.
_GREY = 30


def fixed(points_px: np.ndarray) -> list[tuple[int, int]]:
    """(N, 2) px in OpenCV's fixed point, kept where OpenCV can count."""
    whole = np.clip(np.round(points_px * 2**SHIFT), -(2**20), 2**20).astype(int)
    return [(x, y) for x, y in whole.tolist()]


def disc(
    image: np.ndarray,
    centre: tuple[int, int],
    radius_px: float,
    colour: Colour | float,
    line: int = cv2.LINE_AA,
) -> None:
    """A filled circle around a point in fixed point."""
    cv2.circle(image, centre, round(radius_px * 2**SHIFT), colour, -1, line, SHIFT)


def skeleton(
    image: np.ndarray,
    joints_px: np.ndarray,
    colour: Colour,
    *,
    valid: np.ndarray | None = None,
    thickness: int = 1,
    dot_px: float = 2.0,
) -> None:
    """Bones and joints (21, 2) in one colour, drawn onto a picture.

    ``valid`` (21,) are the joints that are drawn, by default the finite ones; ``dot_px`` of 0
    leaves bones alone.
    """
    drawn = np.isfinite(joints_px).all(axis=1)
    drawn = drawn if valid is None else drawn & valid
    at = fixed(np.where(drawn[:, None], joints_px, 0.0))
    for parent, child in BONES.tolist():
        if drawn[parent] and drawn[child]:
            cv2.line(image, at[parent], at[child], colour, thickness, cv2.LINE_AA, SHIFT)
    for joint in np.flatnonzero(drawn) if dot_px else ():
        disc(image, at[joint], dot_px, colour)


def caption(image: np.ndarray, text: str, at: tuple[int, int], scale: float = 0.42) -> None:
    """White text with a dark edge, its left end on the baseline at ``at``."""
    for colour, weight in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, weight, cv2.LINE_AA)


def sheet(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures side by side, row by row, each in the corner of a place as large as the largest."""
    height = max((tile.shape[0] for tile in tiles), default=1)
    width = max((tile.shape[1] for tile in tiles), default=1)
    rows = max(-(-len(tiles) // columns), 1)
    paper = np.full((rows * height, columns * width, 3), _GREY, np.uint8)
    for place, tile in enumerate(tiles):
        y, x = place // columns * height, place % columns * width
        paper[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return paper
