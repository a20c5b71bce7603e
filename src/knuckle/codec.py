"""Targets of the networks: what their maps and numbers mean, each in one class.

Coordinates here are pixels of the network's input (crop or letterboxed frame); ``crop.py`` carries
them to the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from knuckle.hand import SIDES, Side

#: Where the joints of a known hand are said to be if there is none, crop px: far outside.
NOWHERE_PX = -1e4


@dataclass(frozen=True)
class HeatmapCodec:
    """Keypoints as one probability map each; the point is the map's mean (soft-argmax).

    Networks read their own maps so (``models``), ``train.losses.map_loss`` makes the target.
    """

    input_size: int = 128  # side of the crop, px
    map_size: int = 32  # cells on a side
    #: Spread of the target, crop px. About three quarters of a cell keeps the mean unbiased between
    #: cells and the target narrow enough to learn from.
    sigma_px: float = 3.0

    @property
    def stride(self) -> float:
        """Input pixels per cell."""
        return self.input_size / self.map_size

    @cached_property
    def cell_centres_px(self) -> np.ndarray:
        """(map_size,) where the middle of each cell lies, crop px."""
        return (np.arange(self.map_size) + 0.5) * self.stride - 0.5


@dataclass(frozen=True)
class DetectedHand:
    """One hand as the detector knows it, in pixels of the image that it belongs to."""

    centre_px: tuple[float, float]  # middle of the upright square around the joints
    size_px: float  # side of that square (no margin)
    angle: float  # direction from wrist to knuckles, radians clockwise from up
    side: Side  # left or right
    score: float = 1.0  # 0..1 that a hand is there
    side_share: float = 1.0  # 0..1 of the score that speaks for this side


@dataclass(frozen=True)
class NeighbourCodec:
    """The square of the hand that touches the one in a crop, as seen in that crop.

    Values: the middle's place from the crop's middle (x, y) in crops, the logarithm of the size in
    half crops, (cos, sin) of the angle.
    """

    input_size: int = 128  # side of the crop, px

    N_VALUES = 5

    def encode(self, hand: DetectedHand) -> np.ndarray:
        """A hand in crop px -> (5,) values."""
        x, y = (np.array(hand.centre_px) - (self.input_size - 1) / 2) / self.input_size
        log_size = np.log(2 * hand.size_px / self.input_size)
        return np.array([x, y, log_size, np.cos(hand.angle), np.sin(hand.angle)])

    def decode(self, values: np.ndarray, side: Side, score: float) -> DetectedHand:
        """(5,) values -> the hand in crop px, of the given side."""
        x, y = np.asarray(values[:2], float) * self.input_size + (self.input_size - 1) / 2
        size = float(np.exp(np.clip(values[2], -3, 3))) * self.input_size / 2
        angle = float(np.arctan2(values[4], values[3]))
        return DetectedHand((float(x), float(y)), size, angle, side, score)


#: Where two hands lie on each other, the peaks of both sides are alike, the weaker one at least
#: this share of the other, and add up to at least this.
_PEAK_OF_SECOND, _PEAKS_OF_TWO = 0.6, 1.4


@dataclass(frozen=True)
class DetectionCodec:
    """Hands of a frame as maps: a peak per hand at its middle, its square beside the peak.

    After CenterNet (Zhou et al. 2019). Left and right hands have maps of their own, so that two
    hands on one place are still two hands, each with its own square.

    Channels: 0-1 peaks (left, right), 2-6 square of a left hand, 7-11 of a right one. A square is
    the offset of its middle from the cell's middle in cells (x, y), the logarithm of its side over
    ``size_unit_px``, and (cos, sin) of its angle.
    """

    input_size: int = 256
    map_size: int = 32
    size_unit_px: float = 64.0

    N_GEOMETRY = 5
    N_CHANNELS = 2 + 2 * N_GEOMETRY

    @property
    def stride(self) -> float:
        """Input pixels per cell."""
        return self.input_size / self.map_size

    def encode(self, hands: Sequence[DetectedHand]) -> tuple[np.ndarray, np.ndarray]:
        """Hands -> target maps and where the squares count.

        Where hands of one side overlap, the nearer middle owns the cell. A cell that no hand of
        its side owns tells of the other side's: whoever mistakes the side still gets the square.

        Returns:
            (12, M, M) maps and (2, M, M) float weights of the squares of each side: 1 at a hand's
            middle, less around it, 0 elsewhere.
        """
        m = self.map_size
        peaks = np.zeros((2, m, m), np.float32)
        squares = np.zeros((2, self.N_GEOMETRY, m, m), np.float32)
        weight = np.zeros((2, m, m), np.float32)
        for hand in hands:
            x, y = ((c + 0.5) / self.stride - 0.5 for c in hand.centre_px)
            if not (0 <= round(x) < m and 0 <= round(y) < m):
                continue
            channel = SIDES.index(hand.side)
            peak = self._peak(x, y, hand.size_px)
            peaks[channel] = np.maximum(peaks[channel], peak)
            owned = (peak > weight[channel]) & (peak > 0.3)
            weight[channel][owned] = peak[owned]
            squares[channel][:, owned] = self._square(hand, x, y)[:, owned]
        borrowed = weight == 0
        squares = np.where(borrowed[:, None], squares[::-1], squares)
        weight = np.where(borrowed, weight[::-1], weight)
        return np.concatenate([peaks, squares.reshape(-1, m, m)]), weight

    def _peak(self, x: float, y: float, size_px: float) -> np.ndarray:
        """(M, M) a bell around the cell at (x, y), exactly 1 in the nearest cell."""
        ys, xs = np.mgrid[: self.map_size, : self.map_size].astype(np.float32)
        radius = max(size_px / self.stride / 8, 0.7)
        distance2 = (xs - x) ** 2 + (ys - y) ** 2
        peak = np.exp(-distance2 / (2 * radius**2)).astype(np.float32)
        peak[round(y), round(x)] = 1.0
        return peak

    def _square(self, hand: DetectedHand, x: float, y: float) -> np.ndarray:
        """(5, M, M) what every cell would say of the hand whose middle is at the cell (x, y)."""
        square = np.empty((self.N_GEOMETRY, self.map_size, self.map_size), np.float32)
        ys, xs = np.mgrid[: self.map_size, : self.map_size].astype(np.float32)
        square[0], square[1] = x - xs, y - ys
        square[2] = np.log(hand.size_px / self.size_unit_px)
        square[3], square[4] = np.cos(hand.angle), np.sin(hand.angle)
        return square

    def decode(
        self, maps: np.ndarray, *, threshold: float = 0.3, max_hands: int = 16
    ) -> list[DetectedHand]:
        """Maps (12, H, W) with peaks in 0..1 -> hands, the surest of their side first.

        A hand whose side is in doubt has half a peak in each map: what must reach ``threshold``
        is the sum of both. It is given once, for its likelier side; what is given twice on one
        place are two hands.

        The longer side has M cells: the maps of a frame that is no square may leave out its bars.
        Places are then those of the input without them.
        """
        peaks = maps[:2]
        either = np.minimum(peaks.sum(axis=0), 1.0)
        channels, rows, columns = np.nonzero((either >= threshold) & (peaks >= threshold / 2))
        top = _neighbourhood_max(peaks, channels, rows, columns)
        is_peak = peaks[channels, rows, columns] >= top
        channels, rows, columns = channels[is_peak], rows[is_peak], columns[is_peak]
        best = np.argsort(-peaks[channels, rows, columns], kind="stable")
        hands: list[DetectedHand] = []
        for channel, row, column in zip(channels[best], rows[best], columns[best], strict=True):
            first = 2 + channel * self.N_GEOMETRY
            dx, dy, log_size, cos, sin = maps[first : first + self.N_GEOMETRY, row, column]
            hand = DetectedHand(
                centre_px=(
                    float((column + dx + 0.5) * self.stride - 0.5),
                    float((row + dy + 0.5) * self.stride - 0.5),
                ),
                size_px=float(np.exp(np.clip(log_size, -6, 6)) * self.size_unit_px),
                angle=float(np.arctan2(sin, cos)),
                side=SIDES[channel],
                score=float(either[row, column]),
                side_share=float(peaks[channel, row, column] / either[row, column]),
            )
            if not any(is_second_answer(hand, other) for other in hands):
                hands.append(hand)
            if len(hands) == max_hands:
                break
        return hands


def _neighbourhood_max(
    maps: np.ndarray, channels: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Maximum over the 3 x 3 neighbourhood of each of N cells of (C, H, W) maps -> (N,)."""
    height, width = maps.shape[1:]
    around = np.array([-1, 0, 1])
    y = np.clip(rows[:, None] + around, 0, height - 1)
    x = np.clip(columns[:, None] + around, 0, width - 1)
    return maps[channels[:, None, None], y[:, :, None], x[:, None, :]].max(
        axis=(1, 2), initial=-np.inf
    )


def is_second_answer(hand: DetectedHand, better: DetectedHand) -> bool:
    """Whether ``hand`` is a second, weaker answer about ``better``.

    Two hands can lie on each other, but then each has a peak of its own, while the two peaks of
    one hand, whose side is in doubt, share one.
    """
    gap = np.hypot(*np.subtract(hand.centre_px, better.centre_px))
    if gap > 0.3 * max(hand.size_px, better.size_px):
        return False
    peak, better_peak = hand.score * hand.side_share, better.score * better.side_share
    two = peak > _PEAK_OF_SECOND * better_peak and peak + better_peak > _PEAKS_OF_TWO
    return hand.side == better.side or not two
