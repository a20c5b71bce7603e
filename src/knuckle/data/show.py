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
from knuckle.draw import SIDE_COLOURS, caption, disc, fixed, sheet, skeleton
from knuckle.errors import InputError, NotWrittenError
from knuckle.sample import UNKNOWN, Sample

_HIDDEN = (130, 130, 130)
_PAPER = 20


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
        colour, bones_px = SIDE_COLOURS[hand.side], hand.joints_px
        if hand.joints_mm is not None and sample.camera is not None:
            bones_px = sample.camera.project(hand.joints_mm)
        # Pixel centres are at whole numbers, before and after.
        bones, dots = ((points + 0.5) * scale - 0.5 for points in (bones_px, hand.joints_px))
        skeleton(image, bones, colour, valid=hand.valid, thickness=scale, dot_px=0)
        for joint in np.flatnonzero(hand.valid):
            hidden = hand.visible is not None and not hand.visible[joint]
            at = fixed(dots[joint][None])[0]
            disc(image, at, 1.25 * scale, _HIDDEN if hidden else colour)
    for x0, y0, x1, y1 in sample.ignore_xyxy * scale:
        cv2.rectangle(image, (int(x0), int(y0)), (int(x1), int(y1)), _HIDDEN, scale)
    return image


def _tinted(sample: Sample) -> np.ndarray:
    image = sample.image.copy()
    if sample.hand_map is not None:
        for number, hand in enumerate(sample.hands, start=1):
            shown = sample.hand_map == number
            tint = 0.75 * image[shown] + 0.25 * np.array(SIDE_COLOURS[hand.side])
            image[shown] = tint.astype(np.uint8)
        image[sample.hand_map == UNKNOWN] //= 2
    return image


def contact_sheet(
    dataset: LabelledSet, indices: Sequence[int], *, columns: int = 4, tile: int = 360
) -> np.ndarray:
    """Overlays of several samples side by side: (rows * tile, columns * tile, 3) uint8 RGB."""
    tiles = []
    for index in indices:
        sample = dataset[index]
        image = overlay(sample, scale=max(1, round(2 * tile / max(sample.image.shape[:2]))))
        height, width = image.shape[:2]
        fit = tile / max(height, width)
        size = max(round(fit * width), 1), max(round(fit * height), 1)
        framed = np.full((tile, tile, 3), _PAPER, np.uint8)
        framed[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        caption(framed, sample.key, (6, 16))
        tiles.append(framed)
    return sheet(tiles, columns)


def write_contact_sheet(
    dataset: LabelledSet, path: Path, *, count: int = 16, columns: int = 4
) -> Path:
    """Write overlays of ``count`` samples, spread evenly over the data set, as one picture.

    Raises:
        ValueError: there is nothing to show, or OpenCV knows no picture with that suffix.
        NotWrittenError: it cannot be written.
    """
    if count < 1:
        raise InputError(f"expected 1 picture or more to show, got {count}")
    if not cv2.haveImageWriter(str(path)):
        raise InputError(f"{path} is no name of a picture: expected one that ends in .jpg or .png")
    indices = np.unique(np.linspace(0, len(dataset) - 1, count).astype(int)).tolist()
    sheet = contact_sheet(dataset, indices, columns=min(columns, len(indices)))
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise NotWrittenError(f"{path} cannot be written; is its folder writable?")
    return path
