"""Masks: along the edges of the picture, and no pixel for two hands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.crop import Crop
from knuckle.mask import CropMask, border_shares, guided_filter, without_overlap

SHAPE = (120, 160)
RNG = np.random.default_rng(0)


def blob(x: float, y: float, size: float = 70.0, peak: float = 1.0) -> CropMask:
    """A round mask around (x, y)."""
    rows, columns = np.mgrid[:64, :64] - 31.5
    probability = peak * np.clip(1.5 - np.hypot(rows, columns) / 20, 0, 1)
    return CropMask(probability.astype(np.float32), Crop((x, y), size), SHAPE)


def test_without_the_pixels_the_mask_is_the_networks_own():
    mask = blob(80, 60)
    np.testing.assert_array_equal(mask.refined, mask.probability)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    disc = np.hypot(columns - 80, rows - 60) < 20 * 70 / 64
    assert (mask.in_frame() == disc).mean() > 0.99


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(20, 140), st.integers(20, 100)), min_size=2, max_size=4))
def test_no_two_hands_share_a_pixel_and_none_is_lost(places: list[tuple[int, int]]):
    alone = [blob(x, y) for x, y in places]
    together = np.array([mask.in_frame() for mask in without_overlap(alone)])
    assert together.sum(axis=0).max() <= 1
    either = np.any([mask.in_frame() for mask in alone], axis=0)
    np.testing.assert_array_equal(together.any(axis=0), either)


def test_the_likelier_hand_gets_the_pixel_and_the_first_of_equal_ones():
    sure, unsure = blob(80, 60), blob(80, 60, peak=0.7)
    for order in ((sure, unsure), (unsure, sure)):
        masks = {id(m.probability): m.in_frame() for m in without_overlap(order)}
        assert masks[id(sure.probability)].sum() == sure.in_frame().sum()
        assert not masks[id(unsure.probability)].any()
    first, second = without_overlap([sure, blob(80, 60)])
    assert first.in_frame().any() and not second.in_frame().any()


def test_hands_far_apart_know_nothing_of_each_other():
    for mask in without_overlap([blob(20, 20, size=30), blob(140, 100, size=30)]):
        assert mask.before == mask.after == ()


def test_the_mask_moves_to_the_edge_of_the_picture():
    rows, columns = np.mgrid[:128, :128]
    hand = np.hypot(rows - 64, columns - 64) < 40
    pixels = np.where(hand[..., None], (200, 150, 120), (40, 60, 90)).astype(np.uint8)
    pixels = np.clip(pixels + RNG.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
    blurred = np.clip(0.5 + (36 - np.hypot(*(np.mgrid[:64, :64] * 2 + 0.5 - 64))) / 24, 0, 1)
    crop = Crop((63.5, 63.5), 128.0)
    rough = CropMask(blurred, crop, (128, 128)).in_frame()
    fine = CropMask(blurred, crop, (128, 128), pixels).in_frame()
    assert np.count_nonzero(fine ^ hand) < 0.4 * np.count_nonzero(rough ^ hand)


@given(st.floats(0, 1))
def test_what_is_even_stays_even(level: float):
    guide = RNG.random((24, 32, 3), np.float32)
    smooth = guided_filter(guide, np.full((24, 32), level, np.float32), reach=3, edge=1e-3)
    assert smooth == pytest.approx(level, abs=1e-3)


def test_a_map_that_is_affine_in_the_colours_passes_through():
    guide = RNG.random((40, 40, 3), np.float32)
    values = guide @ np.array([0.3, -0.2, 0.5], np.float32) + np.float32(0.1)
    out = guided_filter(guide, values, reach=5, edge=1e-6)
    np.testing.assert_allclose(out, values, atol=1e-2)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_finger_that_leaves_its_crop_goes_on_beyond_it(mirror: bool):
    mask = np.zeros((3, 40, 40))
    mask[:, 15:30, 10:30] = 1  # a fist, whole
    mask[1, :20, 26:30] = 1  # a finger up
    mask[2, 20:24, 25:] = 1  # one to the right of the crop
    crops = [Crop((100, 100), 80, 0.4, mirror)] * 3
    expected = [[0, 0, 0], [0, 4 / 40, 0], [0, 0, 4 / 40]]
    np.testing.assert_allclose(border_shares(mask, crops, (200, 200)), expected)


def test_a_wrist_that_leaves_its_crop_is_no_matter():
    mask = np.zeros((1, 40, 40))
    mask[:, 10:, 10:30] = 1
    assert not border_shares(mask, [Crop((100, 100), 80)], (200, 200)).any()


def test_what_the_frame_cuts_off_does_not_go_on():
    """The border of the frame is repeated beyond it, and so is what is taken for the hand."""
    mask = np.zeros((1, 40, 40))
    mask[:, :30, 10:30] = 1
    crop = Crop((100, 30), 80)  # ten pixels of it lie above the frame
    assert not border_shares(mask, [crop], (200, 200)).any()
    assert border_shares(mask, [Crop((100, 60), 80)], (200, 200)).any()


def test_no_looks_are_cut_nowhere():
    assert border_shares(np.zeros((0, 40, 40)), [], (200, 200)).shape == (0, 3)
