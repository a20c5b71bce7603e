"""A network that learns from pictures coarser than its crops has never seen sharp hands."""

from __future__ import annotations

from knuckle.crop import MARGIN
from knuckle.data.pack import PackSettings
from knuckle.data.photograph_packing import Packing
from knuckle.models.keypoints import KeypointSettings
from knuckle.render.scene import CROPS, PLAIN, TOUCHING

#: Longer side of a hand's box in the keypoint network's crop, px.
HAND_PX = KeypointSettings().input_size / MARGIN


def test_packed_photographs_are_finer_than_the_networks_crops() -> None:
    packing = Packing()
    assert packing.crop_px / packing.crop_margin > 1.2 * HAND_PX  # crops are turned and shifted


def test_packed_data_sets_are_as_fine_as_the_networks_crops() -> None:
    settings = PackSettings()
    assert settings.size_px / settings.margin > HAND_PX


def test_rendered_hands_are_as_fine_as_the_networks_crops() -> None:
    for settings in (CROPS, PLAIN, TOUCHING):
        assert settings.crop_px[1] >= KeypointSettings().input_size
