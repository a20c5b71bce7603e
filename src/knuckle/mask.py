"""A hand's mask: from the network's coarse map of the crop to the pixels of the frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from knuckle.crop import Crop

#: Half the side of the window of the guided filter as a share of the crop, and how much variance of
#: the colours (0..1) in it counts as an edge. Of windows of 4 to 16 pixels of 128 and variances of
#: 1e-5 to 1e-2, these gave the best masks of rendered hands (``benchmarks/masks.py``).
_REACH, _EDGE = 12 / 128, 1e-4


@dataclass(frozen=True, eq=False)
class CropMask:
    """A hand's mask as the network gives it: probabilities over its crop."""

    probability: np.ndarray  # (S, S) float, 0..1
    crop: Crop  # where it lies in the frame
    frame_shape: tuple[int, int]  # (H, W) of the frame
    #: (P, P, 3) uint8, what the crop shows, if it was kept: the mask follows its edges.
    pixels: np.ndarray | None = None
    #: ``before``, ``after``: masks of the other hands of the frame. A pixel belongs to the hand
    #: that claims it most, of equal ones to the first.
    before: tuple[CropMask, ...] = ()
    after: tuple[CropMask, ...] = ()

    @cached_property
    def refined(self) -> np.ndarray:
        """(P, P) float32: the probability at the resolution of the pixels, drawn to their edges."""
        coarse = np.asarray(self.probability, np.float32)
        if self.pixels is None:
            return coarse
        size = self.pixels.shape[0]
        fine = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        colours = self.pixels.astype(np.float32) / 255
        return guided_filter(colours, fine, reach=max(round(_REACH * size), 1), edge=_EDGE)

    def in_frame(self) -> np.ndarray:
        """(H, W) bool at the frame's resolution."""
        mine = self._pasted()
        mask = mine > 0.5
        for rival in self.before:
            mask &= mine > rival._pasted()
        for rival in self.after:
            mask &= mine >= rival._pasted()
        return mask

    def _pasted(self) -> np.ndarray:
        return self.crop.paste(self.refined, self.frame_shape)


def border_shares(
    probability: np.ndarray, crops: Sequence[Crop], frame_shape: tuple[int, int]
) -> np.ndarray:
    """(N, 3) 0..1, how much of the left, upper and right border of its crop each hand takes.

    There it goes on, cut off by the crop; the lower border is where the arm is. What the border of
    the frame (H, W) cuts off does not go on. Masks are (N, S, S).
    """
    size = probability.shape[-1]
    shares = np.zeros((len(crops), 3))
    for i, shown in enumerate(probability > 0.5):
        for border, rim in enumerate((shown[:, 0], shown[0], shown[:, -1])):
            if np.count_nonzero(rim):  # as of few hands
                inside = _border_inside(replace(crops[i], out_size=size), border, frame_shape)
                shares[i, border] = np.count_nonzero(rim & inside) / size
    return shares


def _border_inside(crop: Crop, border: int, frame_shape: tuple[int, int]) -> np.ndarray:
    """(S,) bool, which pixels of the left, upper or right border of a crop the frame has."""
    along, zero = np.arange(crop.out_size), np.zeros(crop.out_size)
    places = [(zero, along), (along, zero), (zero + crop.out_size - 1, along)][border]
    x, y = crop.to_frame(np.stack(places, axis=-1)).T
    return (x > 0) & (y > 0) & (x < frame_shape[1] - 1) & (y < frame_shape[0] - 1)


def without_overlap(masks: Sequence[CropMask]) -> list[CropMask]:
    """The masks of all hands of a frame such that no two of them share a pixel."""
    apart = []
    for i, mask in enumerate(masks):
        before = tuple(other for other in masks[:i] if _meet(mask.crop, other.crop))
        after = tuple(other for other in masks[i + 1 :] if _meet(mask.crop, other.crop))
        apart.append(replace(mask, before=before, after=after) if before or after else mask)
    return apart


def _meet(a: Crop, b: Crop) -> bool:
    """Whether two crops may have a pixel in common: their circumscribed circles do."""
    distance = math.dist(a.centre_px, b.centre_px)
    return distance < (a.size_px + b.size_px) / math.sqrt(2)


def guided_filter(guide: np.ndarray, values: np.ndarray, *, reach: int, edge: float) -> np.ndarray:
    """Smooth a map (H, W) along the edges of a picture (He, Sun, Tang, ECCV 2010, colour guide).

    In every window the map is fitted by an affine function of the colours.

    The guide is (H, W, 3) float32, 0..1; ``reach`` is half the side of the window, px; ``edge`` the
    variance of colours that counts as an edge (epsilon).
    """
    red, green, blue = guide[..., 0], guide[..., 1], guide[..., 2]
    products = (red * red, red * green, red * blue, green * green, green * blue, blue * blue)
    stack = np.dstack([guide, values, guide * values[..., None], *products])  # (H, W, 13)
    means = _windowed(stack, reach)
    colour, value = means[..., :3], means[..., 3]
    covariance = means[..., 4:7] - colour * value[..., None]
    r, g, b = colour[..., 0], colour[..., 1], colour[..., 2]
    rr, rg, rb, gg, gb, bb = np.moveaxis(means[..., 7:], -1, 0) - (
        np.stack([r * r, r * g, r * b, g * g, g * b, b * b])
    )
    rr, gg, bb = rr + edge, gg + edge, bb + edge
    # The inverse of the symmetric 3 x 3 matrix of every pixel, by its cofactors.
    c_rr, c_rg, c_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c_gg, c_gb, c_bb = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    determinant = rr * c_rr + rg * c_rg + rb * c_rb
    x, y, z = covariance[..., 0], covariance[..., 1], covariance[..., 2]
    slope = (
        np.dstack(
            [
                c_rr * x + c_rg * y + c_rb * z,
                c_rg * x + c_gg * y + c_gb * z,
                c_rb * x + c_gb * y + c_bb * z,
            ]
        )
        / determinant[..., None]
    )
    offset = value - (slope * colour).sum(axis=-1)
    smooth = _windowed(np.dstack([slope, offset]), reach)
    return (smooth[..., :3] * guide).sum(axis=-1) + smooth[..., 3]


def _windowed(maps: np.ndarray, reach: int) -> np.ndarray:
    """Mean over a window around every pixel, (H, W, C) -> (H, W, C)."""
    side = 2 * reach + 1
    return cv2.boxFilter(maps, -1, (side, side), borderType=cv2.BORDER_REFLECT)
