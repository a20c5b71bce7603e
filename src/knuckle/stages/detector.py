"""Finds every hand of a frame: where it is, how large, which way up and which side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from knuckle.codec import DetectedHand, DetectionCodec
from knuckle.hand import SIDES
from knuckle.letterbox import Letterbox
from knuckle.stages.contract import ANY, Stage, numbers, picture, tensors

if TYPE_CHECKING:
    from knuckle.stages.network import Network

#: A network that takes any size gets the frame padded to a multiple of this, px, not to a square:
#: twice its coarsest stride.
BOX_STEP = 32

#: Of a frame: (x0, y0, x1, y1) px, whole pixels, the last ones not included.
Tile = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Detections:
    """What the detector saw in one frame."""

    hands: tuple[DetectedHand, ...]  # best first, in pixels of the frame
    side_masks: np.ndarray  # (2, H, W) float probability of left and right hand over the letterbox
    letterbox: Letterbox  # where the masks lie in the frame

    @cached_property
    def cells_px(self) -> np.ndarray:
        """(H, W, 2) where the cells of the masks lie in the frame, px."""
        height, width = self.side_masks.shape[1:]
        rows, columns = np.mgrid[:height, :width]
        cell = np.array(self.letterbox.box_size) / (width, height)
        return self.letterbox.to_frame((np.stack([columns, rows], axis=-1) + 0.5) * cell - 0.5)

    @cached_property
    def shows_hand(self) -> np.ndarray:
        """(H, W) bool, cells that show a hand; whose, is the lesser question."""
        return self.side_masks.sum(axis=0) > 0.5


class Detector(Stage):
    """A detector network and what its maps mean."""

    #: Frames are not square: most of the padding is left out.
    INPUTS = tensors(image=picture(free={1: "height", 2: "width"}))
    OUTPUTS = tensors(
        maps=numbers(DetectionCodec.N_CHANNELS, ANY, ANY, free={2: "map_height", 3: "map_width"}),
        mask=numbers(len(SIDES), ANY, ANY, free={2: "mask_height", 3: "mask_width"}),
    )
    NEEDED = True

    def __init__(self, network: Network, *, threshold: float = 0.3, max_hands: int = 16) -> None:
        """Find the best ``max_hands`` whose score, 0..1, is ``threshold`` or more."""
        super().__init__(network)
        self._threshold = threshold
        self._max_hands = max_hands
        free = network.input_shape("image")[1] is None
        self._step = BOX_STEP if free else None

    @property
    def input_size(self) -> int:
        """Pixels along the longer side of what the network looks at."""
        return self._network.card.input_size

    def __call__(self, image: np.ndarray, tile: Tile | None = None) -> Detections:
        """Find the hands of an image (H, W, 3) uint8 RGB, or of a tile of it."""
        x0, y0, x1, y1 = tile or (0, 0, image.shape[1], image.shape[0])
        letterbox = Letterbox((x1 - x0, y1 - y0), self.input_size, self._step, (x0, y0))
        found = self._network(image=letterbox.cut(image)[None])
        maps = found["maps"][0]  # (12, H / stride, W / stride)
        codec = DetectionCodec(letterbox.size, max(maps.shape[1:]))
        hands = codec.decode(maps, threshold=self._threshold, max_hands=self._max_hands)
        in_frame = tuple(_in_frame(hand, letterbox) for hand in hands)
        return Detections(in_frame, found["mask"][0], letterbox)


def _in_frame(hand: DetectedHand, letterbox: Letterbox) -> DetectedHand:
    x, y = letterbox.to_frame(np.asarray(hand.centre_px))
    size_px = hand.size_px / float(letterbox.scale.mean())
    return replace(hand, centre_px=(float(x), float(y)), size_px=size_px)
