"""Lenses that bend straight lines, from a mild barrel to a fish-eye: picture and labels alike.

Pictures are drawn as a pinhole camera sees them, a little wider, and bent afterwards. The lens is
one that ``Camera`` can say exactly (OpenCV's rational model), so that 2D, 3D, visibility and maps
agree to the last digit, and readers of the sample can undo the lens as with a calibrated one.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.hand import in_picture
from knuckle.sample import HandLabel, Sample

#: Slopes of rays (x / z) for which lenses are tabulated: up to 76 degrees off the axis.
_SLOPES = np.linspace(0.0, 4.0, 1024)
#: The pinhole's picture has so many more pixels along a side: bending blurs a little.
_FINER = 1.1


def fisheye(strength: float) -> tuple[float, ...]:
    """OpenCV's coefficients of a lens that maps a ray of slope r to about atan(s r) / s.

    Of the family of fields of view (Devernay and Faugeras 2001), with the arc tangent's Padé
    approximant, which is within 1.5 % for s r up to 2.

    Args:
        strength: s; towards 0 a pinhole, 1 the equidistant fish-eye.
    """
    s2 = strength**2
    return (7 / 9 * s2, 64 / 945 * s2**2, 0.0, 0.0, 0.0, 10 / 9 * s2, 5 / 21 * s2**2, 0.0)


def straightened(lens: Camera, points_px: np.ndarray) -> np.ndarray:
    """What ``lens.rays`` gives, for lenses without tangential distortion: (..., 2) -> (..., 2).

    By a table of the radius: as exact as drawing needs, at a tenth of the time.
    """
    bent = (points_px - (lens.cx, lens.cy)) / (lens.fx, lens.fy)
    if not lens.distortion:
        return bent
    on_axis = Camera(1.0, 1.0, 0.0, 0.0, lens.distortion)
    table = on_axis.pixels_from_rays(np.stack([_SLOPES, np.zeros_like(_SLOPES)], axis=-1))[:, 0]
    radius = np.sqrt((bent**2).sum(axis=-1))
    grown = np.interp(radius, table, _SLOPES) / np.maximum(radius, 1e-9)
    return bent * np.where(radius > 1e-9, grown, 1.0)[..., None]


def pinhole_for(lens: Camera, shape: tuple[int, int]) -> tuple[Camera, tuple[int, int]]:
    """A pinhole camera, and the (H, W) of its picture, that sees all that the lens shows.

    Args:
        lens: the camera of the bent picture; without distortion it comes back as it is.
        shape: (H, W) of the bent picture.
    """
    if not lens.distortion:
        return lens, shape
    height, width = shape
    along = np.linspace(-1.0, 1.0, 33)
    border = np.concatenate([np.stack([along, np.full(33, side)], axis=1) for side in (-1.0, 1.0)])
    border = np.concatenate([border, border[:, ::-1]])  # (132, 2) around a square
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    rays = straightened(lens, middle + border * (middle + 1.0))
    low, high = rays.min(axis=0), rays.max(axis=0)
    focal = _FINER * float(np.sqrt(height * width / (high - low).prod()))
    size = np.ceil((high - low) * focal).astype(int) + 1
    pinhole = Camera(focal, focal, float(-low[0] * focal), float(-low[1] * focal))
    return pinhole, (int(size[1]), int(size[0]))


def bend(sample: Sample, lens: Camera, shape: tuple[int, int]) -> Sample:
    """A rendered sample of ``pinhole_for(lens, shape)`` as the lens shows it.

    Joints that come to lie outside the picture are no longer visible.
    """
    if not lens.distortion:
        return sample
    height, width = shape
    assert sample.camera is not None  # rendered samples have one
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    source = sample.camera.pixels_from_rays(straightened(lens, pixels)).astype(np.float32)
    x, y = source[..., 0], source[..., 1]
    hand_map = sample.hand_map
    if hand_map is not None:
        hand_map = cv2.remap(hand_map, x, y, cv2.INTER_NEAREST)
    return replace(
        sample,
        image=cv2.remap(sample.image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        hand_map=hand_map,
        hands=tuple(_seen_through(hand, lens, shape) for hand in sample.hands),
        camera=lens,
    )


def _seen_through(hand: HandLabel, lens: Camera, shape: tuple[int, int]) -> HandLabel:
    assert hand.joints_mm is not None and hand.visible is not None  # rendered labels have them
    joints_px = lens.project(hand.joints_mm)
    inside = in_picture(joints_px, shape[::-1])
    return replace(hand, joints_px=joints_px, visible=hand.visible & inside)
