"""Looks at crops: 21 keypoints, their confidence, the mask and the side of the hand in each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knuckle.codec import NOWHERE_PX, NeighbourCodec
from knuckle.crop import Crop
from knuckle.hand import N_JOINTS
from knuckle.mask import border_shares
from knuckle.pose import Keypoints
from knuckle.stages.contract import ANY, Stage, numbers, picture, tensors

#: Most crops in a batch: larger ones are no faster and take more memory.
_MOST_AT_ONCE = 4
#: Margin of the crops of networks whose card does not say it.
_MARGIN_UNSAID = 1.5


class KeypointEstimator(Stage):
    """A keypoint network; the crops of a frame are one batch, or a few if they are many."""

    INPUTS = tensors(crop=picture(), known_px=numbers(N_JOINTS, 2))
    OUTPUTS = tensors(
        keypoints_px=numbers(N_JOINTS, 2),
        sigma_px=numbers(N_JOINTS),
        visible=numbers(N_JOINTS),
        presence=numbers(),
        right=numbers(),
        mask=numbers(ANY, ANY),
        features=numbers(N_JOINTS, "feature_size"),
        neighbour=numbers(1 + NeighbourCodec.N_VALUES),
    )
    NEEDED = True

    @property
    def crop_size(self) -> int:
        """``out_size`` that crops must have."""
        return self._network.card.input_size

    @property
    def crop_margin(self) -> float:
        """Side of a crop over that of the square around the joints, as in training."""
        return float(self._network.card.extra.get("margin", _MARGIN_UNSAID))

    def __call__(
        self, image: np.ndarray, crops: Sequence[Crop], known_px: Sequence[np.ndarray | None] = ()
    ) -> Keypoints:
        """Look at N crops of an image (H, W, 3) uint8 RGB.

        ``known_px``: of each crop the joints (21, 2), px of the image, of a hand that is known and
        is not the one asked for. None, or nothing for all: no hand is known.
        """
        size = self.crop_size
        pixels = np.empty((len(crops), size, size, 3), np.uint8)
        known = np.full((len(crops), N_JOINTS, 2), NOWHERE_PX, np.float32)
        for i, crop in enumerate(crops):
            pixels[i] = crop.cut(image)
        for i, joints_px in enumerate(known_px):
            if joints_px is not None:
                known[i] = crops[i].to_crop(joints_px)
        starts = range(0, max(len(crops), 1), _MOST_AT_ONCE)
        few = [slice(start, start + _MOST_AT_ONCE) for start in starts]
        shape = image.shape[:2]
        return Keypoints.concatenate(
            *(self._look(crops[some], pixels[some], known[some], shape) for some in few)
        )

    def _look(
        self,
        crops: Sequence[Crop],
        pixels: np.ndarray,
        known: np.ndarray,
        frame_shape: tuple[int, int],
    ) -> Keypoints:
        """What the network says of crops with these pixels (N, S, S, 3), known hands (N, 21, 2)."""
        found = self._network(crop=pixels, known_px=known)
        return Keypoints(
            crops=tuple(crops),
            points_crop=found["keypoints_px"],
            sigma_crop=np.maximum(found["sigma_px"], 1e-3),
            visible=found["visible"],
            presence=found["presence"],
            side_score=found["right"],
            mask=found["mask"],
            on_border=border_shares(found["mask"], crops, frame_shape),
            pixels=pixels,
            features=found["features"],
            neighbour=found["neighbour"],
            log_odds=np.zeros(len(crops)),
        )
