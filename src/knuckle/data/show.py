"""``knuckle data show DIR``: samples with their labels drawn onto them, to look at.

The 3D joints are projected through the camera and drawn as bones; the 2D labels as dots. Where the
dots do not sit on the bones, the reader or the data are wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from knuckle.data.labelled import LabelledSet
from knuckle.hand import BONES
from knuckle.sample import UNKNOWN, Sample

#: RGB of each side.
COLOURS = {"left": (90, 160, 255), "right": (255, 110, 90)}
_HIDDEN = (130, 130, 130)


def overlay(sample: Sample, scale: int = 2) -> np.ndarray:
    """The picture of a sample with everything known about its hands.

    Bones are the projected 3D (or join the 2D labels where there is no 3D), dots the 2D labels:
    filled where visible or not told, grey where hidden. Masks are tinted.

    Args:
        sample: what to draw.
        scale: the picture is enlarged so many times first.

    Returns:
        (H * scale, W * scale, 3) uint8 RGB.
    """
    image = _tinted(sample)
    image = np.ascontiguousarray(image.repeat(scale, axis=0).repeat(scale, axis=1))
    for hand in sample.hands:
        colour = COLOURS[hand.side]
        dots = (
            hand.joints_px + 0.5
        ) * scale - 0.5  # pixel centres at whole numbers, before and after
        bones = dots
        if hand.joints_mm is not None and sample.camera is not None:
            bones = (sample.camera.project(hand.joints_mm) + 0.5) * scale - 0.5
        for a, b in BONES:
            if hand.valid[a] and hand.valid[b] and np.isfinite(bones[[a, b]]).all():
                cv2.line(image, _at(bones[a]), _at(bones[b]), colour, scale, cv2.LINE_AA, shift=4)
        for joint in np.flatnonzero(hand.valid):
            hidden = hand.visible is not None and not hand.visible[joint]
            cv2.circle(
                image,
                _at(dots[joint]),
                20 * scale,
                _HIDDEN if hidden else colour,
                -1,
                cv2.LINE_AA,
                shift=4,
            )
    for x0, y0, x1, y1 in sample.ignore_xyxy * scale:
        cv2.rectangle(image, (int(x0), int(y0)), (int(x1), int(y1)), _HIDDEN, scale)
    return image


def _tinted(sample: Sample) -> np.ndarray:
    image = sample.image.copy()
    if sample.hand_map is not None:
        for number, hand in enumerate(sample.hands, start=1):
            shown = sample.hand_map == number
            tint = 0.75 * image[shown] + 0.25 * np.array(COLOURS[hand.side])
            image[shown] = tint.astype(np.uint8)
        image[sample.hand_map == UNKNOWN] //= 2
    return image


def _at(point: np.ndarray) -> tuple[int, int]:
    """A point in sixteenths of a pixel, as cv2 wants it with shift=4; kept where cv2 can draw."""
    x, y = np.clip(np.round(point * 16), -(2**20), 2**20).astype(int)
    return int(x), int(y)


def contact_sheet(
    dataset: LabelledSet, indices: Sequence[int], *, columns: int = 4, tile: int = 360
) -> np.ndarray:
    """Overlays of several samples side by side: (rows * tile, columns * tile, 3) uint8 RGB."""
    rows = -(-len(indices) // columns)
    sheet = np.full((rows * tile, columns * tile, 3), 20, np.uint8)
    for place, index in enumerate(indices):
        sample = dataset[index]
        image = overlay(sample, scale=max(1, round(2 * tile / max(sample.image.shape[:2]))))
        fit = tile / max(image.shape[:2])
        image = cv2.resize(image, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA)
        image = image[:tile, :tile]
        y, x = place // columns * tile, place % columns * tile
        sheet[y : y + image.shape[0], x : x + image.shape[1]] = image
        cv2.putText(
            sheet, sample.key, (x + 6, y + 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1
        )
    return sheet


def write_contact_sheet(
    dataset: LabelledSet, path: Path, *, count: int = 16, columns: int = 4
) -> Path:
    """Write overlays of ``count`` samples, spread evenly over the data set, as one picture."""
    indices = np.unique(np.linspace(0, len(dataset) - 1, count).astype(int)).tolist()
    sheet = contact_sheet(dataset, indices, columns=min(columns, len(indices)))
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise OSError(f"{path} cannot be written; is its folder writable?")
    return path
